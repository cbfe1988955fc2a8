import { bytesKey, decodeBasicData, verifyStateProof, Writer, writeCertificate, encodeHeader } from '@shardlab/crosslink';
import { promised } from '../../storage/chain-store-read.ts';
import type { AccountState } from '../../storage/chain-store-reader.ts';
import { data, quantity } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { AccountProof, NodeHandle, ShardHandle } from '../node-handle.ts';
import type { Params } from '../params.ts';
import { RpcError, RPC_CODES, serverError } from '../rpc-error.ts';

/** go-ethereum's words for a height whose state a node does not have. */
export function missingState(): RpcError {
  return serverError('missing historical state: only the latest 256 heights of a shard have theirs');
}

/** Reads of accounts on this node's shard, at its latest final block or up to 256 blocks back. */
export function accountMethods(handle: NodeHandle, shard: ShardHandle): [string, RpcMethod][] {
  const { chain } = handle;

  async function account(params: Params): Promise<AccountState> {
    const address = params.atMost(2).address(0);
    const tag = params.block(1);
    const head = chain.head?.header.height ?? 0;
    if (tag === 'latest' || tag === 'pending' || tag === head) return chain.account(address);
    const height = tag === 'earliest' ? 0 : tag;
    const found = height > head ? undefined : await chain.accountAt(address, height);
    if (found === undefined) throw missingState();
    return found;
  }

  return [
    ['eth_getBalance', async (params) => quantity((await account(params)).balance)],
    [
      'eth_getTransactionCount',
      async (params) => {
        if (params.block(1) !== 'pending') return quantity((await account(params)).nonce);
        const address = params.atMost(2).address(0);
        return quantity(Math.max(shard.pendingNonce(bytesKey(address)), (await chain.account(address)).nonce));
      },
    ],
    [
      'shard_getProof',
      async (params) => {
        const address = params.atMost(2).address(0);
        const tag = params.block(1);
        const head = chain.head?.header.height ?? 0;
        if (tag !== 'latest' && tag !== 'pending' && tag !== head) throw serverError('missing historical state: proofs are made of the latest final block only');
        const proof = await promised<AccountProof>((done) => shard.prove(address, done));
        return proofJson(handle, data(address), proof);
      },
    ],
  ];
}

function proofJson(handle: NodeHandle, address: string, { header, certificate, key, proof }: AccountProof): Record<string, unknown> {
  const verified = verifyStateProof(handle.crypto, header.stateRoot, key, proof);
  // A proof that does not hold must never leave the node as one.
  if (!verified.ok) throw new RpcError(RPC_CODES.internal, 'internal error: the proof does not hold');
  const { balance, nonce } = verified.value === undefined ? { balance: 0n, nonce: 0 } : decodeBasicData(verified.value);
  const writer = new Writer(256);
  writeCertificate(writer, certificate);
  return {
    shard: header.shard,
    height: header.height,
    address,
    balance: balance.toString(),
    nonce,
    key: data(key),
    value: verified.value === undefined ? null : data(verified.value),
    proof: data(proof),
    header: data(encodeHeader(header)),
    certificate: data(writer.finish()),
  };
}
