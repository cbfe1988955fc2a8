import { ShardlabError } from '@shardlab/crosslink';
import { AdmissionBatch, type AdmissionPolicy, recoverBatch, type RecoveryPrimitives } from '@shardlab/shard';

import type { Done } from '../ports.ts';
import { RECOVER_MAX, type SenderRecovery } from './sender-recovery.ts';

/** What {@link InlineRecovery} is built on. */
export interface InlineRecoveryModules {
  readonly primitives: RecoveryPrimitives;
  /** Runs `task` after the current call has returned: the event queue of the simulation, or `queueMicrotask`. */
  readonly defer: (task: () => void) => void;
}

/** {@link SenderRecovery} on the calling thread: for the simulation, where order must be deterministic, and for tests. */
export class InlineRecovery implements SenderRecovery {
  readonly library: string;
  private readonly policy: AdmissionPolicy;
  private readonly modules: InlineRecoveryModules;
  private running = false;

  constructor(options: { readonly policy: AdmissionPolicy; readonly library: string }, modules: InlineRecoveryModules) {
    this.library = options.library;
    this.policy = options.policy;
    this.modules = modules;
  }

  recover(raws: readonly Uint8Array[], done: Done<AdmissionBatch>): void {
    const { primitives, defer } = this.modules;
    if (raws.length > RECOVER_MAX) {
      const error = new ShardlabError('recovery/oversized', `a call has at most ${RECOVER_MAX} transactions, not ${raws.length}`);
      defer(() => done({ ok: false, error }));
      return;
    }
    defer(() => {
      if (this.running) done({ ok: true, value: new AdmissionBatch(raws, recoverBatch(raws, primitives, this.policy)) });
      else done({ ok: false, error: new ShardlabError('recovery/stopped', 'sender recovery is not running') });
    });
  }

  async start(): Promise<void> {
    this.running = true;
  }

  async stop(): Promise<void> {
    this.running = false;
  }
}
