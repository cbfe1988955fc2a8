import { ShardlabError } from '@shardlab/crosslink';

import { EventHeap, type ScheduledEvent } from '../event-heap.ts';
import type { Clock } from '../ports.ts';

/** Most timers that wait at once, unless told otherwise. */
export const TIMERS_MAX = 100_000;

/** Longest delay: a year. */
const DELAY_MAX_MS = 366 * 86_400_000;

/** `setTimeout` keeps its delay in 31 bits and fires at once above that. */
const TIMEOUT_MAX_MS = 0x7fff_ffff;

/**
 * The machine's {@link Clock}: wall time, which may be set back; timers on monotonic time, which may not. Timers run in the order in which they are due,
 * those of one moment in the order in which they were set. All of them share one `setTimeout`, because many would run out of order: each counts from
 * the event loop's cached time, so it is early by as long as the callback that set it took.
 */
export class SystemClock implements Clock {
  private readonly timersMax: number;
  private readonly queue = new EventHeap();
  private scheduled = 0;
  private armedForMs = Number.POSITIVE_INFINITY;
  private disarm: () => void = () => undefined;

  constructor(options: { readonly timersMax?: number } = {}) {
    this.timersMax = options.timersMax ?? TIMERS_MAX;
  }

  /** Timers that wait. They keep the process alive, so whoever set them cancels them to stop. */
  get pending(): number {
    return this.queue.live;
  }

  nowMs(): number {
    return Date.now();
  }

  /**
   * A delay below 0 counts as 0: what is due is past. Throws `clock/delay` for what is no number, infinite, or over a year, and `clock/overload` when
   * `timersMax` timers wait.
   */
  schedule(delayMs: number, task: () => void): () => void {
    const delay = Math.max(0, delayMs);
    if (!(delay <= DELAY_MAX_MS)) throw new ShardlabError('clock/delay', `a delay is 0 ms to a year, not ${delayMs} ms`);
    if (this.queue.live >= this.timersMax) throw new ShardlabError('clock/overload', `${this.timersMax} timers wait already`);
    const event: ScheduledEvent = { at: performance.now() + delay, order: this.scheduled++, task };
    this.queue.push(event);
    if (event.at < this.armedForMs) this.arm();
    return () => {
      this.queue.cancel(event);
      // The last timer must not hold the process; others find out when they fire.
      if (this.queue.live === 0) this.arm();
    };
  }

  private arm(): void {
    this.disarm();
    const next = this.queue.peek();
    this.armedForMs = next?.at ?? Number.POSITIVE_INFINITY;
    if (next === undefined) {
      this.disarm = () => undefined;
      return;
    }
    const leftMs = Math.ceil(next.at - performance.now());
    if (leftMs <= 0) {
      // setTimeout would make a millisecond of it.
      const immediate = setImmediate(() => this.fire());
      this.disarm = () => clearImmediate(immediate);
    } else {
      const timeout = setTimeout(() => this.fire(), Math.min(leftMs, TIMEOUT_MAX_MS));
      this.disarm = () => clearTimeout(timeout);
    }
  }

  private fire(): void {
    // What these tasks set waits for the next round, so that a chain of timers of 0 ms does not starve I/O.
    const limit = this.scheduled;
    try {
      for (;;) {
        const event = this.queue.peek();
        if (event === undefined || event.order >= limit || event.at > performance.now()) break;
        this.queue.pop();
        const { task } = event;
        event.task = undefined;
        task?.();
      }
    } finally {
      this.arm();
    }
  }
}
