import { invariant } from '@shardlab/crosslink';
import type { SignedLoad } from '../workload/signed-load.ts';

/** How a transaction ended; `pending`: it had not when the run ended. The index is the value in {@link LoadBook.outcomes}. */
export const OUTCOMES = ['pending', 'committed', 'aborted', 'rejected'] as const;
/** See {@link OUTCOMES}. */
export type Outcome = (typeof OUTCOMES)[number];

/** Phases of which the book keeps times; `submitted` is kept apart. */
export const TIMED_PHASES = ['prepared', 'voted', 'decided', 'applied', 'acked'] as const;
/** See {@link TIMED_PHASES}. */
export type TimedPhase = (typeof TIMED_PHASES)[number];

/** Different reasons that are told apart; the rest are counted as {@link OTHER}. */
const REASONS_MAX = 256;
const OTHER = 'other';

/** Totals of a run so far: `submitted` = the four others, always. */
export interface LoadTotals {
  readonly submitted: number;
  readonly committed: number;
  readonly aborted: number;
  readonly rejected: number;
  readonly pending: number;
}

/**
 * What is known of each transaction of a run, as columns: no object for each. Times are milliseconds since the run's start as 32-bit floats (exact
 * to 0.06 ms in the first ten minutes, to 0.5 ms in the first two hours), NaN = not yet.
 */
export class LoadBook {
  readonly load: SignedLoad;
  /** Start of the run, Unix milliseconds: intended time of transaction 0. */
  readonly startMs: number;
  readonly ratePerSecond: number;
  /** Index into {@link OUTCOMES}. */
  readonly outcomes: Uint8Array;
  /** When a node first took it. */
  readonly submittedMs: Float32Array;
  /** When the loader saw the end: the last block of it, arrived here. */
  readonly endMs: Float32Array;
  private readonly seenMs: readonly Float32Array[];
  private readonly blockMs: readonly Float32Array[];
  private readonly reasonOf: Uint16Array;
  private readonly reasons: string[] = [''];
  private readonly counts = [0, 0, 0, 0];
  /** Transactions whose intended time has come. They are the first ones. */
  private offered = 0;

  constructor(load: SignedLoad, options: { readonly startMs: number; readonly ratePerSecond: number }) {
    const times = (): Float32Array => new Float32Array(load.count).fill(Number.NaN);
    this.load = load;
    this.startMs = options.startMs;
    this.ratePerSecond = options.ratePerSecond;
    this.outcomes = new Uint8Array(load.count);
    this.reasonOf = new Uint16Array(load.count);
    this.submittedMs = times();
    this.endMs = times();
    this.seenMs = TIMED_PHASES.map(times);
    this.blockMs = TIMED_PHASES.map(times);
  }

  /** When transaction `index` was meant to be sent, milliseconds since the start: latency counts from here (no coordinated omission). */
  intendedMs(index: number): number {
    return (index * 1000) / this.ratePerSecond;
  }

  /** Whether the transaction leaves its sender's shard. */
  isCrossShard(index: number): boolean {
    return this.load.fromShard[index] !== this.load.toShard[index];
  }

  /** Why it was aborted or rejected, or `reverted` for one that is committed and did nothing else; empty otherwise. */
  reason(index: number): string {
    return this.reasons[this.reasonOf[index]!]!;
  }

  /** When the loader saw this phase, and the time of the block with it, both in milliseconds since the start. NaN = never. The last attempt counts. */
  phaseTimes(phase: TimedPhase, index: number): { readonly seenMs: number; readonly blockMs: number } {
    const at = TIMED_PHASES.indexOf(phase);
    return { seenMs: this.seenMs[at]![index]!, blockMs: this.blockMs[at]![index]! };
  }

  /** Offers the next transaction: from now on it is counted as submitted. Returns its index. */
  offer(): number {
    this.counts[0]! += 1;
    return this.offered++;
  }

  /** Transactions offered so far. */
  get offeredCount(): number {
    return this.offered;
  }

  /** A node took it (for the first time, or again after a crash: the first time stands). */
  accepted(index: number, nowMs: number): void {
    if (Number.isNaN(this.submittedMs[index]!)) this.submittedMs[index] = nowMs - this.startMs;
  }

  /** A block with this phase of it has arrived. */
  phase(phase: TimedPhase, index: number, blockTimestampMs: number, nowMs: number): void {
    const at = TIMED_PHASES.indexOf(phase);
    this.seenMs[at]![index] = nowMs - this.startMs;
    this.blockMs[at]![index] = blockTimestampMs - this.startMs;
  }

  /**
   * Books the end of a transaction. What the chain says stands over what a pool answered: `rejected` may become `committed` or `aborted`, nothing
   * else changes. Returns whether anything was booked.
   */
  settle(index: number, outcome: Exclude<Outcome, 'pending'>, reason: string, endMs: number): boolean {
    invariant(index < this.offered, 'settled before it was offered', { index });
    const before = this.outcomes[index]!;
    const after = OUTCOMES.indexOf(outcome);
    const overruled = OUTCOMES[before] === 'rejected' && outcome !== 'rejected';
    if (before !== 0 && !overruled) return false;
    this.counts[before]! -= 1;
    this.counts[after]! += 1;
    this.outcomes[index] = after;
    this.reasonOf[index] = this.reasonIndex(reason);
    this.endMs[index] = endMs - this.startMs;
    return true;
  }

  /** Whether it has ended. */
  isSettled(index: number): boolean {
    return this.outcomes[index] !== 0;
  }

  /** Whether a cross-shard transaction has committed of which a block of the participant has not arrived: its poll may be behind the coordinator's. */
  lacksPhases(): boolean {
    const [voted, applied] = (['voted', 'applied'] as const).map((phase) => this.seenMs[TIMED_PHASES.indexOf(phase)]!);
    for (let i = 0; i < this.offered; i++) {
      if (this.outcomes[i] === 1 && (Number.isNaN(applied![i]!) || (this.isCrossShard(i) && Number.isNaN(voted![i]!)))) return true;
    }
    return false;
  }

  /** Counts so far. */
  totals(): LoadTotals {
    const [pending, committed, aborted, rejected] = this.counts as [number, number, number, number];
    return { submitted: this.offered, committed, aborted, rejected, pending };
  }

  /** Counts again from the columns and compares. Throws an invariant error if a transaction was lost or counted twice. */
  check(): LoadTotals {
    const counted = [0, 0, 0, 0];
    for (let i = 0; i < this.offered; i++) counted[this.outcomes[i]!]! += 1;
    invariant(counted.every((value, at) => value === this.counts[at]), 'the book does not add up', { counted, booked: this.counts });
    const totals = this.totals();
    const sum = totals.committed + totals.aborted + totals.rejected + totals.pending;
    invariant(sum === totals.submitted, 'submitted is not the sum of all outcomes', { ...totals });
    return totals;
  }

  private reasonIndex(reason: string): number {
    const found = this.reasons.indexOf(reason);
    if (found !== -1) return found;
    // Reasons are a short list of codes; a node that invents thousands must not fill memory.
    if (this.reasons.length < REASONS_MAX) return this.reasons.push(reason) - 1;
    const other = this.reasons.indexOf(OTHER);
    return other !== -1 ? other : this.reasons.push(OTHER) - 1;
  }
}
