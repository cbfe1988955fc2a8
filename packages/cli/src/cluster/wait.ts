import { setTimeout as sleep } from 'node:timers/promises';

/** How often conditions outside this process are looked at. */
const POLL_INTERVAL_MS = 25;

/** Waits; ends early, without an error, when `signal` is aborted. */
export async function pause(delayMs: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}

/**
 * Polls `condition` until it answers something other than undefined, and returns that; undefined when `timeoutMs` passed first. Throws what
 * `condition` throws, and the reason of `signal` when that is aborted.
 */
export async function waitFor<T>(
  condition: () => T | undefined | Promise<T | undefined>,
  timeoutMs: number,
  signal?: AbortSignal,
  intervalMs: number = POLL_INTERVAL_MS,
): Promise<T | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const value = await condition();
    if (value !== undefined) return value;
    if (performance.now() >= deadline) return undefined;
    await pause(Math.min(intervalMs, Math.max(1, deadline - performance.now())), signal);
  }
}
