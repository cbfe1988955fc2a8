import { invariant, InvariantError, ShardlabError } from '@shardlab/crosslink';

import { EventHeap, type ScheduledEvent } from '../event-heap.ts';
import type { TraceHash } from './trace-hash.ts';

/** Where virtual time starts unless told otherwise: 2025-01-01T00:00:00Z in milliseconds since the Unix epoch. A constant, so that runs compare. */
export const SIM_START_MS = 1_735_689_600_000;

/** Most events that wait at once, unless told otherwise. A simulation that reaches it has a leak or a storm. */
export const SIM_QUEUE_MAX = 4_000_000;

/** Longest delay, a year: 285 years in microseconds would leave the safe integers. */
export const DELAY_MAX_US = 366 * 86_400 * 1_000_000;

/** How a run is bounded. Time is absolute, in the unit and origin of {@link Scheduler.nowMs}. */
export interface RunLimits {
  /** Most events to execute; reaching it usually means that the simulation does not settle. */
  readonly eventsMax: number;
  /** Executes nothing later than this; virtual time stands at exactly this moment if the run ends because of it. */
  readonly untilMs?: number;
  /** Asked before each event; `true` ends the run. It must only look. */
  readonly until?: () => boolean;
}

/** Why a run ended: the condition held, the time was reached, nothing is left to do, or the events were used up. */
export type RunEnd = 'until' | 'time' | 'idle' | 'events';

/** Where a {@link Scheduler} starts and how much it holds. */
export interface SchedulerOptions {
  /** Milliseconds since the Unix epoch at the first event; {@link SIM_START_MS} by default. */
  readonly startMs?: number;
  /** Most waiting events; {@link SIM_QUEUE_MAX} by default. */
  readonly queueMax?: number;
}

/**
 * The event queue of a simulation and its only clock. Virtual time is an integer number of microseconds since the start: latencies are below a
 * millisecond, and floating point would make order depend on how a time was added up. Events of one moment run in the order in which they were
 * scheduled. Tasks run one after the other; what a task throws leaves {@link run}, with the queue intact.
 */
export class Scheduler {
  /** What was done so far, as a hash: each event folds its moment and its number; ports and whoever interprets effects fold theirs. */
  readonly trace: TraceHash;
  private readonly startMs: number;
  private readonly queueMax: number;
  private readonly queue = new EventHeap();
  private elapsedUs = 0;
  private scheduled = 0;
  private executed = 0;
  private running = false;

  constructor(options: SchedulerOptions, modules: { readonly trace: TraceHash }) {
    this.startMs = options.startMs ?? SIM_START_MS;
    this.queueMax = options.queueMax ?? SIM_QUEUE_MAX;
    invariant(Number.isSafeInteger(this.startMs) && this.startMs >= 0, 'start time is not an integer', { startMs: this.startMs });
    this.trace = modules.trace;
  }

  /** Virtual time in whole milliseconds since the Unix epoch. */
  nowMs(): number {
    return this.startMs + Math.floor(this.elapsedUs / 1000);
  }

  /** Virtual microseconds since the start. */
  nowUs(): number {
    return this.elapsedUs;
  }

  /** Events executed so far. */
  get events(): number {
    return this.executed;
  }

  /** Events that wait, without the cancelled ones. */
  get pending(): number {
    return this.queue.live;
  }

  /**
   * Runs `task` once, `delayUs` microseconds from now (an integer, 0 to {@link DELAY_MAX_US}), never before this call has returned. The returned
   * function cancels it, and does nothing once it ran. Throws `sim/queue-full`.
   */
  schedule(delayUs: number, task: () => void): () => void {
    invariant(Number.isInteger(delayUs) && delayUs >= 0 && delayUs <= DELAY_MAX_US, 'not a delay', { delayUs });
    if (this.queue.live >= this.queueMax) {
      throw new ShardlabError('sim/queue-full', `the simulation has ${this.queueMax} waiting events: something multiplies them`);
    }
    const event: ScheduledEvent = { at: this.elapsedUs + delayUs, order: this.scheduled++, task };
    this.queue.push(event);
    return () => this.queue.cancel(event);
  }

  /** Executes the next event; `false` if there is none. */
  step(): boolean {
    // A task that pumps the queue would run other nodes' events inside its own.
    if (this.running) throw new InvariantError('an event tried to run the scheduler');
    const event = this.queue.pop();
    if (event === undefined) return false;
    const { task } = event;
    event.task = undefined;
    invariant(task !== undefined, 'a cancelled event reached the front');
    this.elapsedUs = event.at;
    this.executed++;
    this.trace.integer(event.at).integer(event.order);
    this.running = true;
    try {
      task();
    } finally {
      this.running = false;
    }
    return true;
  }

  /** Executes events until a limit is met, and says which. */
  run(limits: RunLimits): RunEnd {
    invariant(limits.untilMs === undefined || Number.isSafeInteger(limits.untilMs), 'not a moment', { untilMs: limits.untilMs });
    const untilUs = limits.untilMs === undefined ? Number.POSITIVE_INFINITY : (limits.untilMs - this.startMs) * 1000;
    for (let left = limits.eventsMax; ; left--) {
      if (limits.until?.() === true) return 'until';
      const next = this.queue.peek();
      if (next === undefined || next.at > untilUs) {
        if (limits.untilMs === undefined) return 'idle';
        this.elapsedUs = Math.max(this.elapsedUs, untilUs);
        return next === undefined ? 'idle' : 'time';
      }
      if (left <= 0) return 'events';
      this.step();
    }
  }
}
