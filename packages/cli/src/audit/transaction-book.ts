import type { TransactionReceipt } from '@shardlab/crosslink';
import type { Findings } from './findings.ts';

/** What became of a transaction, as far as the blocks say. */
export type ListedOutcome = 'absent' | 'open' | 'committed' | 'aborted';

const COMMITTED = -1;
const ABORTED = -2;
/** A place in the bodies of all shards as one number below 2^53: shard (8 bits), height (28), index (17). */
const INDEX_SPAN = 2 ** 17;
const HEIGHT_SPAN = 2 ** 28;

function placeOf(shard: number, height: number, index: number): number {
  return (shard * HEIGHT_SPAN + height) * INDEX_SPAN + index;
}

/** The bytes as a map key, at native speed. */
export function hashKey(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('latin1');
}

/** Every transaction of every block, in about a hundred bytes each: where it was taken in, and how it ended. */
export class TransactionBook {
  /** Local transactions whose code reverted. */
  reverted = 0;
  private readonly findings: Findings;
  /** By hash: its place while it is open, then its outcome. */
  private readonly states = new Map<string, number>();

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** A block takes a transaction in. */
  takeIn(shard: number, height: number, index: number, hash: Uint8Array): void {
    const key = hashKey(hash);
    if (this.states.has(key)) this.findings.add('transaction-twice', 'a transaction is in a second block', { shard, height, hash });
    else this.states.set(key, placeOf(shard, height, index));
  }

  /** A block lists a transaction with its receipt. */
  list(shard: number, height: number, receipt: TransactionReceipt): void {
    const key = hashKey(receipt.txHash);
    const state = this.states.get(key);
    const place = { shard, height, hash: receipt.txHash };
    if (state !== undefined && state < 0) {
      this.findings.add('listed-twice', 'a transaction has a second receipt', place);
      return;
    }
    if (state !== placeOf(shard, receipt.bodyHeight, receipt.bodyIndex)) {
      this.findings.add('receipt-place', `a receipt says that its transaction is item ${receipt.bodyIndex} of block ${receipt.bodyHeight}, where it is not`, place);
    }
    // A local transaction that reverts is committed: it is in the chain, its nonce and fee are spent. One that crosses shards and fails is aborted.
    const isReverted = receipt.status === 0 && !receipt.crossShard;
    if (isReverted) this.reverted++;
    this.states.set(key, receipt.status === 1 || isReverted ? COMMITTED : ABORTED);
  }

  /** What became of the transaction under a {@link hashKey}. */
  outcome(key: string): ListedOutcome {
    const state = this.states.get(key);
    if (state === undefined) return 'absent';
    return state === COMMITTED ? 'committed' : state === ABORTED ? 'aborted' : 'open';
  }
}
