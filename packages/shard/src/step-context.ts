import type { Effect } from './effects.ts';
import type { LogLine } from './log-line.ts';

/** Time and effects of the step that a core is making: what its parts share, so that none of them keeps a clock or a queue of its own. */
export class StepContext {
  private time = 0;
  private effects: Effect[] = [];

  /** Milliseconds since the Unix epoch, as the driver said at the beginning of the step. */
  get nowMs(): number {
    return this.time;
  }

  /** Starts a step. */
  begin(nowMs: number): void {
    this.time = nowMs;
    this.effects = [];
  }

  /** Effects of the step so far, in order. */
  end(): readonly Effect[] {
    return this.effects;
  }

  push(effect: Effect): void {
    this.effects.push(effect);
  }

  log(line: LogLine): void {
    this.effects.push({ kind: 'log', line });
  }
}
