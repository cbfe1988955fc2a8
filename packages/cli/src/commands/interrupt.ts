import { EXIT_INTERRUPTED, interrupted } from '../output/cli-error.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Signals this close together are one Ctrl-C: the terminal sends it to the whole group, and npm sends it on once more. */
const SAME_SIGNAL_MS = 1_500;

/**
 * Runs `task` with the signals that end programs turned into an abort, whose reason is the error that the command then ends with. A second, later
 * signal ends the program at once: cleaning up may itself hang.
 */
export async function interruptible<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let firstMs = Number.POSITIVE_INFINITY;
  const onSignal = (): void => {
    const nowMs = performance.now();
    if (nowMs - firstMs > SAME_SIGNAL_MS) process.exit(EXIT_INTERRUPTED);
    if (controller.signal.aborted) return;
    firstMs = nowMs;
    controller.abort(interrupted());
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    return await task(controller.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal);
  }
}
