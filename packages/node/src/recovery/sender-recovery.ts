import type { AdmissionBatch } from '@shardlab/shard';

import type { Done } from '../ports.ts';

/** Most transactions that one call may bring: more than any block body holds. */
export const RECOVER_MAX = 65_536;

/**
 * Answers the effect `RecoverSenders` (R1): decodes signed transactions, hashes them and recovers their senders. Worker threads in the process
 * driver, inline in the simulation; both give byte-identical records.
 */
export interface SenderRecovery {
  /** Which secp256k1 library runs, for logs, status and benchmarks. */
  readonly library: string;
  /**
   * Judges each of `raws` (EIP-2718 encodings, at most {@link RECOVER_MAX}); entry i of the batch belongs to `raws[i]`. `raws` and its bytes must not
   * be changed before `done` is called. A bad transaction is an entry with an error code, not a failure of the call. Fails with `recovery/busy`
   * (queue full: nothing of it was taken), `recovery/oversized`, `recovery/failed` or `recovery/stopped`. `done` is never called before this
   * returns.
   */
  recover(raws: readonly Uint8Array[], done: Done<AdmissionBatch>): void;
  /** Starts what it needs; resolves when it can recover. */
  start(): Promise<void>;
  /** Fails what is open with `recovery/stopped`, ends every thread, and resolves when nothing is left. */
  stop(): Promise<void>;
}
