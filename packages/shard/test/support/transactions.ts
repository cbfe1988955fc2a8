import { type Address, ascii, bytesKey, concatBytes, type Hasher, type TxHash, Writer } from '@shardlab/crosslink';
import { intrinsicGasOf } from '../../src/transaction/decode.ts';
import { encodeTransaction } from '../../src/transaction/encode.ts';
import type { PoolTransaction } from '../../src/transaction/types.ts';

/** Chain id of all tests here. */
export const CHAIN_ID = 1337;

/** Account number `index`: its address is a hash, so that accounts spread over the shards. */
export function testAddress(hasher: Hasher, index: number): Address {
  return hasher.sha256(ascii(`test account ${index}`)).slice(0, 20) as Address;
}

/** What a test may choose of a transaction. */
export interface TestTransfer {
  readonly from: Address;
  readonly to: Address;
  readonly nonce: number;
  readonly value?: bigint;
  readonly maxFeePerGas?: bigint;
  readonly maxPriorityFeePerGas?: bigint;
  readonly gasLimit?: number;
}

/** A plain transfer whose sender is known: what sender recovery would have made. `raw` is not an EIP-2718 encoding, and is as long as one. */
export function poolTransfer(hasher: Hasher, transfer: TestTransfer): PoolTransaction {
  const { from, to, nonce, value = 1n, maxFeePerGas = 10n ** 10n, maxPriorityFeePerGas = 1n, gasLimit = 21_000 } = transfer;
  const writer = new Writer(128).fixed(from, 20).fixed(to, 20).u64(nonce).u128(value).u128(maxFeePerGas).u128(maxPriorityFeePerGas).u64(gasLimit);
  const raw = concatBytes(writer.finish(), new Uint8Array(6));
  const hash = hasher.sha256(raw) as Uint8Array as TxHash;
  return {
    type: 2,
    raw,
    hash,
    hashKey: bytesKey(hash),
    sender: from,
    senderKey: bytesKey(from),
    to,
    toKey: bytesKey(to),
    nonce,
    gasLimit,
    maxFeePerGas,
    maxPriorityFeePerGas,
    value,
    intrinsicGas: 21_000,
    dataLength: 0,
    calls: undefined,
    chainId: CHAIN_ID,
  };
}

/** What a test may choose of a call or creation. */
export interface TestCall {
  readonly from: Address;
  /** undefined: a creation. */
  readonly to: Address | undefined;
  readonly nonce: number;
  readonly value?: bigint;
  readonly data?: Uint8Array;
  readonly gasLimit?: number;
}

/** A call or creation whose sender is known; `raw` is its encoding, with a signature that nobody checks any more. */
export function poolCall(hasher: Hasher, call: TestCall): PoolTransaction {
  const { from, to, nonce, value = 0n, data = new Uint8Array(0), gasLimit = 3_000_000 } = call;
  const fields = { type: 2, chainId: CHAIN_ID, nonce, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n, gasLimit, to, value, data, accessList: [] } as const;
  const raw = encodeTransaction(fields, { yParity: 0, r: hasher.sha256(from), s: new Uint8Array(32).fill(1) });
  const transfer = poolTransfer(hasher, { from, to: to ?? from, nonce, value, gasLimit });
  const hash = hasher.keccak256(raw) as Uint8Array as TxHash;
  const toKey = to === undefined ? undefined : bytesKey(to);
  return { ...transfer, raw, hash, hashKey: bytesKey(hash), to, toKey, intrinsicGas: intrinsicGasOf(fields), dataLength: data.length };
}
