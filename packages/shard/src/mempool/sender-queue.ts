import type { PoolTransaction } from '../transaction/types.ts';

/** A transaction in the pool. */
export interface Pooled {
  readonly tx: PoolTransaction;
  /** Earlier ones come first among equal tips. */
  readonly arrival: number;
  /** Which list of candidates it stands in: in one at most, once. */
  where: 'heads' | 'underpriced' | 'blocked' | undefined;
}

/** Most wei that a transaction can cost its sender. */
export function costOf(tx: PoolTransaction): bigint {
  return tx.value + BigInt(tx.gasLimit) * tx.maxFeePerGas;
}

/** One sender's pooled transactions by nonce. */
export class SenderQueue {
  /** Nonce of the next transaction to be taken into a block. */
  next: number;
  private readonly byNonce = new Map<number, Pooled>();
  /** The account's nonce when the queue was last rewound: nothing is below it. */
  private base: number;
  private endNonce: number;
  private totalCost = 0n;
  private removed: number[] = [];

  /** An empty queue of a sender whose account has this nonce. */
  constructor(nonce: number) {
    this.next = nonce;
    this.base = nonce;
    this.endNonce = nonce;
  }

  get size(): number {
    return this.byNonce.size;
  }

  /** Most wei that all of them can cost together. */
  get cost(): bigint {
    return this.totalCost;
  }

  /** First nonce that is missing, counted from the account's when the queue was last rewound. */
  get end(): number {
    return this.endNonce;
  }

  /** Transactions behind a gap. Meaningful when no removal waits for {@link rewind}. */
  get gapped(): number {
    return this.byNonce.size - (this.endNonce - this.base) + this.removed.length;
  }

  get(nonce: number): Pooled | undefined {
    return this.byNonce.get(nonce);
  }

  /** First nonce from `nonce` on that is missing. */
  endOfRun(nonce: number): number {
    let end = nonce >= this.base && nonce <= this.endNonce && this.removed.length === 0 ? this.endNonce : nonce;
    while (this.byNonce.has(end)) end++;
    return end;
  }

  /** Adds a transaction, or puts it in the place of the one with its nonce. */
  put(pooled: Pooled): void {
    const { nonce } = pooled.tx;
    const old = this.byNonce.get(nonce);
    if (old !== undefined) this.totalCost -= costOf(old.tx);
    this.byNonce.set(nonce, pooled);
    this.totalCost += costOf(pooled.tx);
    while (this.byNonce.has(this.endNonce)) this.endNonce++;
  }

  /** Takes one out; {@link rewind} must follow before the next {@link put}. */
  remove(nonce: number): void {
    const old = this.byNonce.get(nonce);
    if (old === undefined) return;
    this.byNonce.delete(nonce);
    this.totalCost -= costOf(old.tx);
    if (nonce < this.endNonce) this.removed.push(nonce);
  }

  /** The account's nonce is `nonce` now, after all removals: takes out what is below, and returns it. */
  rewind(nonce: number): Pooled[] {
    const stale: Pooled[] = [];
    for (let below = this.base; below < nonce; below++) {
      const pooled = this.byNonce.get(below);
      if (pooled === undefined) continue;
      stale.push(pooled);
      this.byNonce.delete(below);
      this.totalCost -= costOf(pooled.tx);
    }
    // The run ends where something was taken out that the account has not come past.
    for (const gap of this.removed) if (gap >= nonce) this.endNonce = Math.min(this.endNonce, gap);
    this.removed = [];
    // A nonce below the base means that blocks were undone: what was below is not here any more.
    this.endNonce = nonce < this.base ? nonce : Math.max(this.endNonce, nonce);
    while (this.byNonce.has(this.endNonce)) this.endNonce++;
    this.base = nonce;
    this.next = nonce;
    return stale;
  }
}
