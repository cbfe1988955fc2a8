import { type AccountSet, addressAt } from './account-set.ts';
import { type SignResult, TRANSFER_RECORD_BYTES, writeTransferRecord } from './signing-job.ts';
import type { SigningPool } from './signing-pool.ts';
import type { Transfers } from './transfers.ts';

/** Transactions that one job signs: 340 KB there, 500 KB back. */
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
export interface SigningTerms {
  readonly chainId: number;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  readonly gasIntraShard: number;
  readonly gasCrossShard: number;
  /** Next nonce of each account. */
  readonly nonces: Float64Array;
}

/** Signs all transfers in the pool's threads, chunk by chunk; `progress` gets the number done so far. */
export async function signTransfers(
  transfers: Transfers,
  accounts: AccountSet,
  homes: Uint16Array,
  shards: number,
  terms: SigningTerms,
  pool: SigningPool,
  progress: (done: number) => void = () => undefined,
): Promise<SignedLoad> {
  const { count, from, to } = transfers;
  const fromShard = Uint16Array.from(from, (account) => homes[account]!);
  const toShard = Uint16Array.from(to, (account) => homes[account]!);
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
      const records = transferRecords(transfers, accounts, fromShard, toShard, terms, nonces, begin, end);
      const { chainId, maxFeePerGas, maxPriorityFeePerGas } = terms;
      const result = await pool.sign({ kind: 'sign', chainId, maxFeePerGas, maxPriorityFeePerGas, records });
      chunks[begin / SIGN_CHUNK] = result;
      hashes.set(result.hashes, 32 * begin);
      done += end - begin;
      progress(done);
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

function transferRecords(
  transfers: Transfers,
  accounts: AccountSet,
  fromShard: Uint16Array,
  toShard: Uint16Array,
  terms: SigningTerms,
  nonces: Float64Array,
  begin: number,
  end: number,
): Uint8Array<ArrayBuffer> {
  const records = new Uint8Array((end - begin) * TRANSFER_RECORD_BYTES);
  const view = new DataView(records.buffer);
  for (let i = begin; i < end; i++) {
    const sender = transfers.from[i]!;
    writeTransferRecord(view, i - begin, {
      secret: accounts.secrets.subarray(32 * sender, 32 * sender + 32),
      to: addressAt(accounts, transfers.to[i]!),
      nonce: nonces[sender]!++,
      gasLimit: fromShard[i] === toShard[i] ? terms.gasIntraShard : terms.gasCrossShard,
      valueHigh: transfers.values[2 * i]!,
      valueLow: transfers.values[2 * i + 1]!,
    });
  }
  return records;
}
