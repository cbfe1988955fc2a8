import { invariant } from '@shardlab/crosslink';

import type { Scheduler } from './scheduler.ts';

/** Ports that listen for one life's end: a few for each node, so more means that they are made in a loop. */
const ENDINGS_MAX = 64;

/**
 * One life of a node, from its start to its crash: the scope through which all its ports are made. {@link kill} is `kill -9`: nothing that this life
 * has asked for calls back any more, whatever a later life does. Calls that the dead life still makes (it may be on the stack when it is killed,
 * between two effects) do nothing, as in a process that is gone: they are no errors, since nobody is there to see one.
 */
export class Incarnation {
  /** For diagnosis: `shard-2.1#3` is the third life of that node. */
  readonly label: string;
  private readonly scheduler: Scheduler;
  private readonly pending = new Set<() => void>();
  private endings: (() => void)[] = [];
  private living = true;

  constructor(label: string, scheduler: Scheduler) {
    this.label = label;
    this.scheduler = scheduler;
  }

  /** Whether it was not killed yet. */
  get alive(): boolean {
    return this.living;
  }

  /** As {@link Scheduler.schedule}, but `task` never runs after {@link kill}. */
  schedule(delayUs: number, task: () => void): () => void {
    if (!this.living) return () => undefined;
    const cancelEvent = this.scheduler.schedule(delayUs, () => {
      this.pending.delete(cancel);
      task();
    });
    const cancel = (): void => {
      this.pending.delete(cancel);
      cancelEvent();
    };
    this.pending.add(cancel);
    return cancel;
  }

  /** Calls `listener` once, when this life ends, in the order of registration: peers and disks notice a crash. */
  onKill(listener: () => void): void {
    invariant(this.living, 'a dead node was given a port', { label: this.label });
    invariant(this.endings.length < ENDINGS_MAX, 'too many ports for one life', { label: this.label });
    this.endings.push(listener);
  }

  /** Ends this life now; a second call does nothing. */
  kill(): void {
    if (!this.living) return;
    this.living = false;
    for (const cancel of this.pending) cancel();
    const { endings } = this;
    this.endings = [];
    for (const ending of endings) ending();
  }
}
