import type { Clock } from '../ports.ts';
import { limitExceeded } from './rpc-error.ts';

/** Long polls that one node holds at a time. */
export const WAITERS_MAX = 256;

/** Calls that wait for the next block: bounded in number and time, all let go when the node stops. */
export class Waiters {
  private readonly clock: Clock;
  private readonly subscribe: (listener: () => void) => () => void;
  private readonly open = new Set<() => void>();
  private closed = false;

  constructor(modules: { readonly clock: Clock; readonly subscribe: (listener: () => void) => () => void }) {
    this.clock = modules.clock;
    this.subscribe = modules.subscribe;
  }

  /** Calls that wait now. */
  get size(): number {
    return this.open.size;
  }

  /** Resolves when `condition` holds after some block, after `waitMs`, or when the node stops. Rejects with -32005 when too many wait. */
  async until(condition: () => boolean, waitMs: number): Promise<void> {
    if (condition() || waitMs <= 0 || this.closed) return;
    if (this.open.size >= WAITERS_MAX) throw limitExceeded(`${WAITERS_MAX} calls wait for blocks already: try again later`);
    await new Promise<void>((resolve) => {
      const end = (): void => {
        if (!this.open.delete(end)) return;
        unsubscribe();
        cancel();
        resolve();
      };
      const unsubscribe = this.subscribe(() => {
        if (condition()) end();
      });
      const cancel = this.clock.schedule(waitMs, end);
      this.open.add(end);
    });
  }

  /** Lets everybody go, for good. */
  close(): void {
    this.closed = true;
    for (const end of [...this.open]) end();
  }
}
