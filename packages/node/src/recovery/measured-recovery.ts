import type { SenderRecovery } from './sender-recovery.ts';

/** Takes the time that batches took, in seconds of the clock given. */
export interface RecoveryMetrics {
  recoveryDone(transactions: number, seconds: number): void;
}

/** `recovery`, with the time of each batch that came back told to `metrics`. `nowMs` is any steady clock. */
export function measuredRecovery(recovery: SenderRecovery, metrics: RecoveryMetrics, nowMs: () => number): SenderRecovery {
  return {
    get library() {
      return recovery.library;
    },
    recover(raws, done) {
      const startedMs = nowMs();
      recovery.recover(raws, (result) => {
        if (result.ok) metrics.recoveryDone(raws.length, (nowMs() - startedMs) / 1000);
        done(result);
      });
    },
    start: () => recovery.start(),
    stop: () => recovery.stop(),
  };
}
