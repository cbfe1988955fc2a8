import { ShardlabError } from '@shardlab/crosslink';

import type { Clock } from '../ports.ts';
import type { Incarnation } from './incarnation.ts';
import { DELAY_MAX_US, type Scheduler } from './scheduler.ts';

/** How far a node's clock is from true virtual time. Timers run on true time: a wrong clock still ticks. */
export interface ClockFaults {
  /** Whole milliseconds to add at `trueMs`. */
  offsetMs(trueMs: number): number;
}

/** A clock that is right. */
export const NO_CLOCK_FAULTS: ClockFaults = { offsetMs: () => 0 };

/** A clock that is always wrong by the same whole number of milliseconds, ahead if positive. */
export function constantSkew(offsetMs: number): ClockFaults {
  if (!Number.isSafeInteger(offsetMs)) throw new ShardlabError('clock/skew', `a skew is a whole number of milliseconds, not ${offsetMs}`);
  return { offsetMs: () => offsetMs };
}

/** One life's {@link Clock} over virtual time. */
export class SimClock implements Clock {
  private readonly faults: ClockFaults;
  private readonly scheduler: Scheduler;
  private readonly incarnation: Incarnation;

  constructor(options: { readonly faults?: ClockFaults }, modules: { readonly scheduler: Scheduler; readonly incarnation: Incarnation }) {
    this.faults = options.faults ?? NO_CLOCK_FAULTS;
    this.scheduler = modules.scheduler;
    this.incarnation = modules.incarnation;
  }

  nowMs(): number {
    const trueMs = this.scheduler.nowMs();
    return trueMs + this.faults.offsetMs(trueMs);
  }

  /** A delay below 0 counts as 0: what is due is past. Throws `clock/delay` for what is no number, infinite, or over a year. */
  schedule(delayMs: number, task: () => void): () => void {
    // Rounded up, since a timer is never early.
    const delayUs = Math.ceil(Math.max(0, delayMs) * 1000);
    if (!(delayUs <= DELAY_MAX_US)) throw new ShardlabError('clock/delay', `a delay is 0 ms to a year, not ${delayMs} ms`);
    return this.incarnation.schedule(delayUs, task);
  }
}
