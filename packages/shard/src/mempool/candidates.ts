import { Heap } from './heap.ts';
import type { Pooled } from './sender-queue.ts';

/** Outdated entries that the lists may hold beyond two for each sender before they are cleaned. */
const STALE_SLACK = 1_024;

/**
 * The heads of the senders' queues, by what they wait for: for nothing (by tip, then arrival), for the base fee to fall (by fee cap), or for a lock or a
 * budget (in turn). An entry goes out of date when its transaction is replaced or is no longer its sender's next; such entries are dropped when they come up.
 */
export class Candidates {
  private readonly isHead: (pooled: Pooled) => boolean;
  private readonly heads = new Heap<Pooled>((a, b) =>
    a.tx.maxPriorityFeePerGas === b.tx.maxPriorityFeePerGas ? a.arrival < b.arrival : a.tx.maxPriorityFeePerGas > b.tx.maxPriorityFeePerGas,
  );
  private readonly underpriced = new Heap<Pooled>((a, b) =>
    a.tx.maxFeePerGas === b.tx.maxFeePerGas ? a.arrival < b.arrival : a.tx.maxFeePerGas > b.tx.maxFeePerGas,
  );
  private blocked: Pooled[] = [];
  private retrying = false;
  private baseFee = 0n;

  /** `isHead`: whether a transaction is in the pool, and its sender's next. */
  constructor(isHead: (pooled: Pooled) => boolean) {
    this.isHead = isHead;
  }

  /** Wei per gas of the next block. */
  get baseFeePerGas(): bigint {
    return this.baseFee;
  }

  /** Entries, outdated ones included. */
  get size(): number {
    return this.heads.size + this.underpriced.size + this.blocked.length;
  }

  /** See `Mempool.ready`. */
  get ready(): boolean {
    const head = this.best();
    if (head !== undefined) return true;
    return this.retrying && this.blocked.some((pooled) => this.isHead(pooled));
  }

  /** See `Mempool.setBaseFee`. */
  setBaseFee(baseFeePerGas: bigint): void {
    this.baseFee = baseFeePerGas;
    for (;;) {
      const top = this.underpriced.peek();
      if (top === undefined || top.tx.maxFeePerGas < baseFeePerGas) return;
      this.underpriced.pop();
      top.where = undefined;
      this.place(top);
    }
  }

  /** See `Mempool.retryBlocked`. */
  retryBlocked(): void {
    this.retrying = this.blocked.length > 0;
  }

  /** Adds the head of a sender's queue, unless it stands somewhere already. */
  place(pooled: Pooled): void {
    if (pooled.where !== undefined || !this.isHead(pooled)) return;
    const fits = pooled.tx.maxFeePerGas >= this.baseFee;
    pooled.where = fits ? 'heads' : 'underpriced';
    (fits ? this.heads : this.underpriced).push(pooled);
  }

  /** Adds the head of a sender's queue that has just been found to be blocked, behind all others that are. */
  block(pooled: Pooled): void {
    if (pooled.where !== undefined) return;
    pooled.where = 'blocked';
    this.blocked.push(pooled);
  }

  /** The best head that fits the base fee; what is in front of it and does not goes where it belongs. */
  private best(): Pooled | undefined {
    for (;;) {
      const head = this.heads.peek();
      if (head === undefined) return undefined;
      const current = this.isHead(head);
      if (current && head.tx.maxFeePerGas >= this.baseFee) return head;
      this.heads.pop();
      head.where = undefined;
      if (current) this.place(head);
    }
  }

  /** Takes the best head out. */
  pop(): Pooled | undefined {
    const head = this.best();
    if (head === undefined) return undefined;
    this.heads.pop();
    head.where = undefined;
    return head;
  }

  /** Takes out all blocked heads that fit the base fee, the longest waiting first. */
  takeBlocked(): Pooled[] {
    const all = this.blocked;
    this.blocked = [];
    this.retrying = false;
    for (const pooled of all) pooled.where = undefined;
    const current = all.filter((pooled) => this.isHead(pooled));
    const fitting = current.filter((pooled) => pooled.tx.maxFeePerGas >= this.baseFee);
    if (fitting.length < current.length) for (const pooled of current) if (pooled.tx.maxFeePerGas < this.baseFee) this.place(pooled);
    return fitting;
  }

  /** Puts back, in front, what {@link takeBlocked} gave and the block had no room for. */
  putBackBlocked(rest: readonly Pooled[]): void {
    for (const pooled of rest) pooled.where = 'blocked';
    this.blocked = [...rest, ...this.blocked];
  }

  /** Drops outdated entries if they have become many: `heads` is how many there can be that are not. */
  compact(heads: number): void {
    if (this.size <= 2 * heads + STALE_SLACK) return;
    const keep = (pooled: Pooled): boolean => {
      if (this.isHead(pooled)) return true;
      pooled.where = undefined;
      return false;
    };
    this.heads.retain(keep);
    this.underpriced.retain(keep);
    this.blocked = this.blocked.filter(keep);
  }
}
