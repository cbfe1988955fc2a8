import { bytesKey, decodeBasicData, type Hash32, verifyStateProof, Writer, writeCertificate, encodeHeader } from '@shardlab/crosslink';
import type { ProvenKey } from '@shardlab/shard';
import { promised } from '../../storage/chain-store-read.ts';
import type { AccountState } from '../../storage/chain-store-reader.ts';
import { data, quantity } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { AccountProof, NodeHandle, ShardHandle } from '../node-handle.ts';
import type { Params } from '../params.ts';
import { invalidParams, moved, RpcError, RPC_CODES, serverError } from '../rpc-error.ts';
import type { StateViews } from '../evm/state-views.ts';
import { heightOfReference } from './shard-blocks.ts';

/** Slots that one call proves. */
const PROVEN_SLOTS_MAX = 64;

/** go-ethereum's words for a height whose state a node does not have. */
export function missingState(): RpcError {
  return serverError('missing historical state: only the latest 256 heights of a shard have theirs');
}

/** Reads of accounts on this node's shard, at its latest final block or up to 256 blocks back. */
export function accountMethods(handle: NodeHandle, shard: ShardHandle, views: StateViews): [string, RpcMethod][] {
  const { chain } = handle;

  async function account(params: Params): Promise<AccountState> {
    const address = params.atMost(2).address(0);
    if (views.isStub(address)) throw moved(data(address), views.homeOf(address));
    const head = chain.head?.header.height ?? 0;
    const height = await heightOfReference(chain, params.blockReference(1));
    if (height === head) return chain.account(address);
    const found = height > head ? undefined : await chain.accountAt(address, height);
    if (found === undefined) throw missingState();
    return found;
  }

  return [
    ['eth_getBalance', async (params) => quantity((await account(params)).balance)],
    [
      'eth_getTransactionCount',
      async (params) => {
        if (params.raw(1) !== 'pending') return quantity((await account(params)).nonce);
        const address = params.atMost(2).address(0);
        return quantity(Math.max(shard.pendingNonce(bytesKey(address)), (await chain.account(address)).nonce));
      },
    ],
    [
      'shard_getProof',
      async (params) => {
        const address = params.atMost(3).address(0);
        const tag = params.block(1);
        const slots = slotsOf(params);
        const head = chain.head?.header.height ?? 0;
        if (tag !== 'latest' && tag !== 'pending' && tag !== head) throw serverError('missing historical state: proofs are made of the latest final block only');
        const proof = await promised<AccountProof>((done) => shard.prove(address, slots, done));
        return proofJson(handle, data(address), proof, slots);
      },
    ],
  ];
}

function proofJson(handle: NodeHandle, address: string, { header, certificate, key, proof, slots }: AccountProof, wanted: readonly bigint[]): Record<string, unknown> {
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
    ...(slots.length === 0 ? {} : { slots: slots.map((each, index) => slotJson(handle, header.stateRoot, each, wanted[index]!)) }),
  };
}

function slotJson(handle: NodeHandle, stateRoot: Hash32, { key, proof }: ProvenKey, slot: bigint): Record<string, unknown> {
  const verified = verifyStateProof(handle.crypto, stateRoot, key, proof);
  if (!verified.ok) throw new RpcError(RPC_CODES.internal, 'internal error: the proof does not hold');
  return { slot: quantity(slot), key: data(key), value: verified.value === undefined ? null : data(verified.value), proof: data(proof) };
}

/** The slots whose values are to be proven: none, if the caller names none. */
function slotsOf(params: Params): bigint[] {
  if (!params.has(2)) return [];
  const list = params.raw(2);
  const isSlot = (value: unknown): value is string => typeof value === 'string' && /^0x[0-9a-fA-F]{1,64}$/.test(value);
  if (!Array.isArray(list) || list.length > PROVEN_SLOTS_MAX || !list.every(isSlot)) throw invalidParams(`parameter 3 must be a list of at most ${PROVEN_SLOTS_MAX} storage slots: 0x and up to 64 hex digits each`);
  return list.map(BigInt);
}
