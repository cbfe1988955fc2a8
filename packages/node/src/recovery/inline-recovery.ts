import { bytesKey, ShardlabError } from '@shardlab/crosslink';
import { AdmissionBatch, type AdmissionPolicy, RECORD_BYTES, recoverBatch, type RecoveryPrimitives } from '@shardlab/shard';

import type { Done } from '../ports.ts';
import { RECOVER_MAX, type SenderRecovery } from './sender-recovery.ts';

/** What {@link InlineRecovery} is built on. */
export interface InlineRecoveryModules {
  readonly primitives: RecoveryPrimitives;
  /** Runs `task` after the current call has returned: the event queue of the simulation, or `queueMicrotask`. */
  readonly defer: (task: () => void) => void;
  /** Makes the records; `recoverBatch` by default. Nodes of one simulation can share one that remembers: see {@link rememberedRecovery}. */
  readonly recoverBatch?: RecoverRecords;
}

/** Raw transactions to their admission records, back to back. */
export type RecoverRecords = (raws: readonly Uint8Array[]) => Uint8Array;

/** Records that one {@link rememberedRecovery} holds. */
const REMEMBERED_MAX = 1 << 16;

/**
 * Recovers each transaction once, for all nodes that share it: recovery is a function of the bytes alone, and a simulation of sixteen nodes would do it sixteen times
 * in one thread.
 */
export function rememberedRecovery(primitives: RecoveryPrimitives, policy: AdmissionPolicy): RecoverRecords {
  const known = new Map<string, Uint8Array>();
  return (raws) => {
    const records = new Uint8Array(raws.length * RECORD_BYTES);
    raws.forEach((raw, index) => {
      const key = bytesKey(raw);
      let record = known.get(key);
      if (record === undefined) {
        record = recoverBatch([raw], primitives, policy);
        if (known.size < REMEMBERED_MAX) known.set(key, record);
      }
      records.set(record, index * RECORD_BYTES);
    });
    return records;
  };
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
    const { primitives, defer, recoverBatch: records = (all: readonly Uint8Array[]) => recoverBatch(all, primitives, this.policy) } = this.modules;
    if (raws.length > RECOVER_MAX) {
      const error = new ShardlabError('recovery/oversized', `a call has at most ${RECOVER_MAX} transactions, not ${raws.length}`);
      defer(() => done({ ok: false, error }));
      return;
    }
    defer(() => {
      if (this.running) done({ ok: true, value: new AdmissionBatch(raws, records(raws)) });
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
