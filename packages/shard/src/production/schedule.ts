/** When a chain makes its next block (R5). */
export interface ScheduleOptions {
  /** Pending work forces blocks at this interval. */
  readonly blockIntervalMs: number;
  /** An idle chain makes a block after this long. */
  readonly heartbeatMs: number;
}

/** Milliseconds until the next block may be proposed, at least 0; a clock that jumped back never delays by more than a heartbeat. */
export function proposalDelayMs(options: ScheduleOptions, parentTimestampMs: number, nowMs: number, hasWork: boolean): number {
  const wait = hasWork ? options.blockIntervalMs : options.heartbeatMs;
  return Math.max(0, Math.min(options.heartbeatMs, parentTimestampMs + wait - nowMs));
}
