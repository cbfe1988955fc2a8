/** When a chain makes its next block (R5). */
export interface ScheduleOptions {
  /** Pending work forces blocks at this interval. */
  readonly blockIntervalMs: number;
  /** An idle chain makes a block after this long. */
  readonly heartbeatMs: number;
}

/**
 * Milliseconds until the next block may be proposed, at least 0; a clock that jumped back never delays by more than a heartbeat. `dueMs` is a block time after
 * which there is something to do, a deadline for example: an idle chain makes a block for it too.
 */
export function proposalDelayMs(options: ScheduleOptions, parentTimestampMs: number, nowMs: number, hasWork: boolean, dueMs?: number): number {
  const { blockIntervalMs, heartbeatMs } = options;
  const earliest = parentTimestampMs + blockIntervalMs;
  const idle = parentTimestampMs + heartbeatMs;
  const at = hasWork ? earliest : dueMs === undefined ? idle : Math.min(idle, Math.max(earliest, dueMs + 1));
  return Math.max(0, Math.min(heartbeatMs, at - nowMs));
}
