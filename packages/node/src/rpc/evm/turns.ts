import { setTimeout as pause } from 'node:timers/promises';
import { limitExceeded } from '../rpc-error.ts';

/** Tasks that may wait. */
const WAITING_MAX = 256;
/** A task that took less, in milliseconds, is not felt. */
const SHORT_MS = 2;
/** Longest pause after one task, in milliseconds. */
const PAUSE_MS_MAX = 1_000;

/**
 * Shares the node's main thread between contracts' calls of callers and everything else: one task at a time, and after each a pause as long as it took, so that
 * callers get at most half of it.
 */
export class Turns {
  private readonly waiting: (() => void)[] = [];
  private busy = false;

  /** Runs `task` when it is its turn; its time counts as it is synchronous. Rejects with -32005 when too many wait. */
  async run<T>(task: () => T): Promise<T> {
    await this.turn();
    const startedMs = performance.now();
    try {
      return task();
    } finally {
      void this.release(performance.now() - startedMs);
    }
  }

  private async turn(): Promise<void> {
    if (!this.busy) {
      this.busy = true;
      return;
    }
    if (this.waiting.length >= WAITING_MAX) throw limitExceeded(`${WAITING_MAX} calls of contracts wait already: try again`);
    await new Promise<void>((resolve) => void this.waiting.push(resolve));
  }

  private async release(tookMs: number): Promise<void> {
    if (tookMs > SHORT_MS) await pause(Math.min(tookMs, PAUSE_MS_MAX), undefined, { ref: false });
    const next = this.waiting.shift();
    if (next === undefined) this.busy = false;
    else next();
  }
}
