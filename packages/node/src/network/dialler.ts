import { Prng } from '@shardlab/crosslink';

import type { Clock } from '../ports.ts';
import type { NetworkLimits } from './options.ts';

/** How many dials run at once: noise handshakes cost milliseconds of CPU each. */
const PARALLEL_MAX = 16;
/** Doublings after which the delay is at its bound anyhow. */
const DOUBLINGS_MAX = 20;

/** Something to stay connected to: a node by its record, or a bootstrap address. */
export interface DialTarget {
  readonly key: string;
  /** Extra delay before the first dial, in ms. */
  readonly yieldMs: number;
  /** Whether we are connected to it now: then there is nothing to dial. */
  connected(): boolean;
  /** Do not dial before this time, in ms since the Unix epoch. */
  notBeforeMs(): number;
  /** Dials and shakes hands. Rejects or resolves false when that failed; resolves `never` when it makes no sense ever again. */
  dial(): Promise<boolean | 'never'>;
}

interface Entry {
  readonly target: DialTarget;
  attempts: number;
  dialling: boolean;
  cancel: (() => void) | undefined;
}

/**
 * Keeps dialling what we should be connected to, for ever, with bounded exponential backoff. The jitter comes from a generator seeded by the node's
 * name, so that nodes that start at once spread out, the same way each time.
 */
export class Dialler {
  private readonly limits: NetworkLimits;
  private readonly clock: Clock;
  private readonly prng: Prng;
  private readonly entries = new Map<string, Entry>();
  private readonly waiting: Entry[] = [];
  private running = 0;
  private stopped = false;

  constructor(limits: NetworkLimits, seed: number, clock: Clock) {
    this.limits = limits;
    this.clock = clock;
    this.prng = new Prng(seed);
  }

  /** Starts to keep `target` connected, in place of an earlier one of the same key: at once, or after its `yieldMs`. */
  add(target: DialTarget): void {
    if (this.stopped) return;
    this.remove(target.key);
    const entry: Entry = { target, attempts: 0, dialling: false, cancel: undefined };
    this.entries.set(target.key, entry);
    this.schedule(entry, target.yieldMs);
  }

  /** Gives up on `key`. */
  remove(key: string): void {
    const entry = this.entries.get(key);
    entry?.cancel?.();
    this.entries.delete(key);
  }

  /** `key` is not connected any more: dials it again, starting from the shortest delay. */
  lost(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined || entry.dialling || this.stopped) return;
    entry.attempts = 0;
    entry.cancel?.();
    this.schedule(entry, this.delayMs(entry));
  }

  /** Ends all dialling; what is under way is not waited for. */
  stop(): void {
    this.stopped = true;
    for (const entry of this.entries.values()) entry.cancel?.();
    this.entries.clear();
    this.waiting.length = 0;
  }

  private schedule(entry: Entry, delayMs: number): void {
    const blockedMs = entry.target.notBeforeMs() - this.clock.nowMs();
    entry.cancel = this.clock.schedule(Math.max(0, Math.ceil(delayMs), blockedMs), () => {
      entry.cancel = undefined;
      if (entry.target.connected()) return;
      entry.dialling = true;
      this.waiting.push(entry);
      this.pump();
    });
  }

  private pump(): void {
    while (this.running < PARALLEL_MAX) {
      const entry = this.waiting.shift();
      if (entry === undefined) return;
      if (this.entries.get(entry.target.key) !== entry) continue;
      this.running++;
      entry.target.dial().then(
        (outcome) => this.finish(entry, outcome),
        () => this.finish(entry, false),
      );
    }
  }

  private finish(entry: Entry, outcome: boolean | 'never'): void {
    this.running--;
    entry.dialling = false;
    if (!this.stopped && this.entries.get(entry.target.key) === entry) {
      if (outcome === 'never') this.remove(entry.target.key);
      else if (!entry.target.connected()) {
        entry.attempts = Math.min(entry.attempts + 1, DOUBLINGS_MAX);
        this.schedule(entry, this.delayMs(entry));
      } else entry.attempts = 0;
    }
    this.pump();
  }

  private delayMs(entry: Entry): number {
    return Math.min(this.limits.redialMaxMs, this.limits.redialMs * 2 ** entry.attempts) * (0.5 + this.prng.float() / 2);
  }
}
