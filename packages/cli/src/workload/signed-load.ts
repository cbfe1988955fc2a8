import { type AccountSet, addressAt } from './account-set.ts';
import { type SignJob, type SignResult, TRANSFER_RECORD_BYTES, writeTransferRecord } from './signing-job.ts';
import type { SigningPool } from './signing-pool.ts';
import type { Transfers } from './transfers.ts';

/** Transactions that one job signs: 340 KB there, 500 KB back, and their data. */
export const SIGN_CHUNK = 2048;

/** Signed transactions in the order in which they are sent, as columns. */
export interface SignedLoad {
  readonly count: number;
  /** Shards of the network. */
  readonly shards: number;
  /** Index of each transaction's sender, 0 to `senders` - 1; nonces of one sender ascend with the index of the transaction. */
  readonly sender: Uint32Array;
  readonly senders: number;
  /** Home shard of each sender: where the transaction is submitted, and the coordinator of a cross-shard one. */
  readonly fromShard: Uint16Array;
  /** Home shard of each recipient. */
  readonly toShard: Uint16Array;
  /** 32 bytes each. */
  readonly hashes: Uint8Array;
  /** u32 length and EIP-2718 bytes of transaction `index`, as `/submit` wants it: a view. */
  frame(index: number): Uint8Array;
}

/** What every transaction of a run has in common, and where nonces begin. */
export interface CommonTerms {
  readonly chainId: number;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** Next nonce of each account. */
  readonly nonces: Float64Array;
}

/** What plain transfers need besides. */
export interface SigningTerms extends CommonTerms {
  readonly gasIntraShard: number;
  readonly gasCrossShard: number;
}

/** One transaction before it is signed. */
export interface PlannedCall {
  /** 20 bytes; undefined: it creates a contract. */
  readonly to: Uint8Array | undefined;
  readonly gasLimit: number;
  /** Wei: high and low 64 bits. */
  readonly valueHigh: bigint;
  readonly valueLow: bigint;
  readonly data: Uint8Array;
}

/** Transactions of any kind, in the order in which they are sent. */
export interface PlannedCalls {
  readonly count: number;
  /** Sender of each, by index of the account. */
  readonly from: Uint32Array;
  /** Shard where each one's recipient lives. */
  readonly toShard: Uint16Array;
  /** Asked once for each, in order. */
  call(index: number): PlannedCall;
}

const NO_DATA = new Uint8Array(0);

/** Signs all transfers in the pool's threads: as {@link signCalls}. */
export function signTransfers(
  transfers: Transfers,
  accounts: AccountSet,
  homes: Uint16Array,
  shards: number,
  terms: SigningTerms,
  pool: SigningPool,
  progress?: (done: number) => void,
): Promise<SignedLoad> {
  const { count, from, to, values } = transfers;
  const toShard = Uint16Array.from(to, (account) => homes[account]!);
  const call = (index: number): PlannedCall => ({
    to: addressAt(accounts, to[index]!),
    gasLimit: homes[from[index]!] === toShard[index] ? terms.gasIntraShard : terms.gasCrossShard,
    valueHigh: values[2 * index]!,
    valueLow: values[2 * index + 1]!,
    data: NO_DATA,
  });
  return signCalls({ count, from, toShard, call }, { accounts, homes, shards, terms, pool, progress });
}

/** Who signs, and on what terms. */
export interface SigningContext {
  readonly accounts: AccountSet;
  /** Home shard of each account. */
  readonly homes: Uint16Array;
  readonly shards: number;
  readonly terms: CommonTerms;
  readonly pool: SigningPool;
  /** Gets the number done so far. */
  readonly progress?: ((done: number) => void) | undefined;
}

/** Signs all calls in the pool's threads, chunk by chunk. */
export async function signCalls(calls: PlannedCalls, context: SigningContext): Promise<SignedLoad> {
  const { count, from, toShard } = calls;
  const { accounts, homes, shards, terms, pool } = context;
  const fromShard = Uint16Array.from(from, (account) => homes[account]!);
  const hashes = new Uint8Array(32 * count);
  const chunks: SignResult[] = [];
  const nonces = terms.nonces.slice();
  let next = 0;
  let done = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const begin = next;
      const end = Math.min(begin + SIGN_CHUNK, count);
      next = end;
      // Lanes take chunks in order and write records before they wait, so nonces ascend.
      const result = await pool.sign(signJob(calls, accounts, terms, nonces, begin, end));
      chunks[begin / SIGN_CHUNK] = result;
      hashes.set(result.hashes, 32 * begin);
      done += end - begin;
      context.progress?.(done);
    }
  };
  await Promise.all(Array.from({ length: 2 * pool.size }, lane));
  const frame = (index: number): Uint8Array => {
    const { frames, offsets } = chunks[Math.floor(index / SIGN_CHUNK)]!;
    const at = index % SIGN_CHUNK;
    return frames.subarray(offsets[at], offsets[at + 1]);
  };
  return { count, shards, sender: from, senders: accounts.count, fromShard, toShard, hashes, frame };
}

function signJob(calls: PlannedCalls, accounts: AccountSet, terms: CommonTerms, nonces: Float64Array, begin: number, end: number): SignJob {
  const { chainId, maxFeePerGas, maxPriorityFeePerGas } = terms;
  const records = new Uint8Array((end - begin) * TRANSFER_RECORD_BYTES);
  const view = new DataView(records.buffer);
  const parts: Uint8Array[] = [];
  const dataEnds = new Uint32Array(end - begin);
  let dataEnd = 0;
  for (let i = begin; i < end; i++) {
    const sender = calls.from[i]!;
    const { data, ...fields } = calls.call(i);
    writeTransferRecord(view, i - begin, { secret: accounts.secrets.subarray(32 * sender, 32 * sender + 32), nonce: nonces[sender]!++, ...fields });
    if (data.length > 0) parts.push(data);
    dataEnd += data.length;
    dataEnds[i - begin] = dataEnd;
  }
  const data = new Uint8Array(dataEnd);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { kind: 'sign', chainId, maxFeePerGas, maxPriorityFeePerGas, records, data, dataEnds };
}
