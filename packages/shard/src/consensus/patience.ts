/** A timeout doubles with each view that came to nothing, so often at most. */
const DOUBLINGS_MAX = 4;
/** A leader gets this many times what a block has taken lately. */
const LATENCY_FACTOR = 4;
/**
 * A leader to whom the connection has broken gets this share of a timeout from then on, if that is less: a process that dies closes its connections, one that is slow
 * does not. Long enough for a connection that broke by chance to be made anew: a validator that leaves a view alone has no vote until the others leave it too.
 */
const GONE_SHARE = 4;
/** Weight of the newest block in that average: one in so many. */
const SMOOTHING = 8;
/** What a block took in the view that followed a failed one counts for so much less in the average: the change of view is a part of it. */
const VIEW_CHANGE_FACTOR = 2;
/** Without progress for this many timeouts, and 5 seconds at least, agreement counts as stalled. */
const STALL_TIMEOUTS = 4;
const STALL_MS = 5_000;
/** Longest timeout of a first view, and of any: whoever comes back is not kept waiting for longer. */
const CALM_MAX_MS = 10_000;
const TIMEOUT_MAX_MS = 30_000;

/**
 * How long a leader is trusted (PBFT, OSDI 1999, section 4.5.2): time counts only while there is something to agree on, from the last progress on; it doubles with each
 * failed view, and adapts to what blocks have taken, so that a slow machine does not depose everybody. Holds no clock: time is an argument.
 */
export class Patience {
  private readonly leastMs: number;
  private progress = -1;
  /** When the last progress was seen. */
  private movedMs = 0;
  /** When what is waited for became due, or was moved on last; `undefined` = nothing is waited for. */
  private sinceMs: number | undefined;
  private latencyMs = 0;
  private failures = 0;
  private stalled = false;

  /** `leastMs`: the shortest timeout. */
  constructor(leastMs: number) {
    this.leastMs = leastMs;
  }

  /** What blocks have taken lately, from the last progress to final: in a quiet network the round of commits and the write, since a prepared block is progress. */
  get blockMs(): number {
    return this.latencyMs;
  }

  /** What a leader of a first view gets. */
  get calmMs(): number {
    return Math.max(this.leastMs, Math.min(CALM_MAX_MS, LATENCY_FACTOR * this.latencyMs));
  }

  private get timeoutMs(): number {
    return Math.round(Math.min(TIMEOUT_MAX_MS, this.calmMs * 2 ** Math.min(this.failures, DOUBLINGS_MAX)));
  }

  /** When the leader will be suspected; `undefined` while nothing is due. `goneSinceMs`: since when nothing has connected it to here. */
  deadline(nowMs: number, dueAtMs: number | undefined, progress: number, goneSinceMs?: number): number | undefined {
    if (progress !== this.progress) {
      this.progress = progress;
      this.movedMs = nowMs;
      this.sinceMs = undefined;
    }
    if (dueAtMs === undefined) {
      this.sinceMs = undefined;
      return undefined;
    }
    // What is due keeps its beginning: new work does not excuse a leader who has not done the old.
    this.sinceMs = this.sinceMs === undefined ? Math.max(dueAtMs, this.movedMs) : Math.min(this.sinceMs, Math.max(dueAtMs, this.movedMs));
    const deadlineMs = this.sinceMs + this.timeoutMs;
    if (goneSinceMs === undefined) return deadlineMs;
    return Math.min(deadlineMs, Math.max(this.sinceMs, goneSinceMs) + Math.round(this.timeoutMs / GONE_SHARE));
  }

  /** How long nothing has moved although something was due. */
  quietMs(nowMs: number): number {
    return this.sinceMs === undefined ? 0 : nowMs - this.sinceMs;
  }

  /** A leader was suspected: the next one gets twice the time. */
  lost(nowMs: number): void {
    this.failures++;
    this.sinceMs = nowMs;
    this.movedMs = nowMs;
  }

  /** A block is final. */
  decided(nowMs: number): void {
    if (this.sinceMs !== undefined) {
      const tookMs = Math.max(0, nowMs - this.sinceMs);
      // As TCP keeps a timeout that it has backed off (Karn and Partridge, SIGCOMM 1987): on a machine that has become slow the old average would depose each next leader too.
      if (this.failures > 0) this.latencyMs = Math.max(this.latencyMs, tookMs / VIEW_CHANGE_FACTOR);
      else this.latencyMs += (tookMs - this.latencyMs) / SMOOTHING;
    }
    this.failures = 0;
  }

  /** What has changed: agreement stands, or goes on again; `undefined` = nothing. */
  stall(nowMs: number, dueAtMs: number | undefined): 'stalled' | 'resumed' | undefined {
    const stalled = this.failures > 0 && dueAtMs !== undefined && this.quietMs(nowMs) >= Math.max(STALL_MS, STALL_TIMEOUTS * this.leastMs);
    const resumed = this.stalled && this.failures === 0;
    if (stalled && !this.stalled) {
      this.stalled = true;
      return 'stalled';
    }
    if (resumed) {
      this.stalled = false;
      return 'resumed';
    }
    return undefined;
  }
}
