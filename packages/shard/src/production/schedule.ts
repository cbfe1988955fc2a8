/** A committee's blocks are so many times as far apart as agreeing on one has taken lately, … */
const AGREEMENT_SHARES = 3;
/** … but this many block intervals at most: nothing waits for longer. */
const INTERVALS_MAX = 2;

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

/**
 * Milliseconds between the blocks of a committee. Agreeing costs the same for each block, whatever is in it, so a machine that has become slow makes fewer and fuller
 * ones. `agreementMs`: what a block has taken lately; 0 = not known.
 */
export function committeeIntervalMs(blockIntervalMs: number, agreementMs: number): number {
  return Math.round(Math.max(blockIntervalMs, Math.min(AGREEMENT_SHARES * agreementMs, INTERVALS_MAX * blockIntervalMs)));
}
