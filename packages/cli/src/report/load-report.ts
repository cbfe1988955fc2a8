import type { InvariantResults } from '../audit/invariants.ts';
import type { EngineResult } from '../load/engine.ts';
import type { LoadBook } from '../load/book.ts';
import type { TraceSummary } from '../workload/trace.ts';
import type { WorkloadName } from '../workload/names.ts';
import { type LatencySummary, summarize } from './percentiles.ts';

/** What a load consisted of, and what holds of its contracts afterwards. */
export interface WorkloadReport {
  readonly name: WorkloadName;
  /** Transactions of it that were submitted, plain transfers among them. */
  readonly calls: number;
  /** By name, whether it holds; `wei-supply` is added by the command that audits. */
  readonly invariants: Readonly<Record<string, boolean>>;
  /** What is wrong, one line each. */
  readonly violations: readonly string[];
}

/** What `load --json` ends with; `audit` is added by the command that audits. */
export interface LoadReport {
  /** Every transaction ended, none was rejected, and every invariant holds. */
  readonly ok: boolean;
  readonly shards: number;
  readonly validators: number;
  /** Transactions whose intended time came; = committed + aborted + rejected + pending. */
  readonly submitted: number;
  readonly committed: number;
  /** Of the committed ones, those whose code reverted: fee paid, nothing else done. */
  readonly reverted: number;
  readonly aborted: number;
  readonly rejected: number;
  /** Rejected ones by code. */
  readonly rejections: Readonly<Record<string, number>>;
  /** Aborted ones by reason. */
  readonly aborts: Readonly<Record<string, number>>;
  readonly pending: number;
  readonly crossShard: { readonly count: number; readonly ratio: number };
  readonly offeredTps: number;
  /** Committed, over the time from the start to the last commit. */
  readonly committedTps: number;
  /** Of committed transactions, from the intended send time to the user-visible end as the loader saw it. */
  readonly latencyMs: { readonly intraShard: LatencySummary; readonly crossShard: LatencySummary };
  /** The load generator itself: a run is only as good as it. */
  readonly generator: { readonly cores: number; readonly lagMaxMs: number; readonly resubmitted: number };
  readonly workload: WorkloadReport;
  /** Only for a trace: what could not be replayed. */
  readonly leftOut?: TraceSummary['leftOut'];
}

/** What a report needs besides the run. */
export interface ReportContext {
  readonly shards: number;
  readonly validators: number;
  readonly trace?: TraceSummary;
  /** Default: plain transfers, of which nothing is checked here. */
  readonly workload?: { readonly name: WorkloadName } & Pick<InvariantResults, 'violations'> & { readonly invariants: InvariantResults['ok'] };
}

interface Tally {
  readonly intraShard: Float64Array;
  readonly crossShard: Float64Array;
  readonly crossShardCount: number;
  readonly rejections: Record<string, number>;
  readonly aborts: Record<string, number>;
  readonly lastCommitMs: number;
  readonly reverted: number;
}

function tally(book: LoadBook): Tally {
  const count = book.offeredCount;
  const latencies = [new Float64Array(count), new Float64Array(count)] as const;
  const used = [0, 0];
  const counts = [{}, {}] as [Record<string, number>, Record<string, number>];
  let crossShardCount = 0;
  let lastCommitMs = 0;
  let reverted = 0;
  for (let index = 0; index < count; index++) {
    const kind = book.isCrossShard(index) ? 1 : 0;
    crossShardCount += kind;
    const outcome = book.outcomes[index];
    if (outcome === 1) {
      if (book.reason(index) !== '') reverted++;
      latencies[kind]![used[kind]!++] = book.endMs[index]! - book.intendedMs(index);
      lastCommitMs = Math.max(lastCommitMs, book.endMs[index]!);
    } else if (outcome !== 0) {
      const byReason = counts[outcome === 2 ? 1 : 0]!;
      const reason = book.reason(index);
      byReason[reason] = (byReason[reason] ?? 0) + 1;
    }
  }
  const [intraShard, crossShard] = [latencies[0].subarray(0, used[0]), latencies[1].subarray(0, used[1])];
  return { intraShard, crossShard, crossShardCount, rejections: counts[0], aborts: counts[1], lastCommitMs, reverted };
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}

/** Sums a finished run up. */
export function buildReport(result: EngineResult, context: ReportContext): LoadReport {
  const { book } = result;
  const { submitted, committed, aborted, rejected, pending } = book.check();
  const { intraShard, crossShard, crossShardCount, rejections, aborts, lastCommitMs, reverted } = tally(book);
  const { name, invariants, violations } = context.workload ?? { name: 'transfer', invariants: {}, violations: [] };
  const offeredMs = (submitted * 1000) / book.ratePerSecond;
  return {
    ok: pending === 0 && rejected === 0 && submitted > 0 && Object.values(invariants).every((holds) => holds),
    shards: context.shards,
    validators: context.validators,
    submitted,
    committed,
    reverted,
    aborted,
    rejected,
    rejections,
    aborts,
    pending,
    crossShard: { count: crossShardCount, ratio: submitted === 0 ? 0 : round(crossShardCount / submitted, 6) },
    offeredTps: offeredMs === 0 ? 0 : round((submitted * 1000) / offeredMs, 1),
    committedTps: lastCommitMs === 0 ? 0 : round((committed * 1000) / lastCommitMs, 1),
    latencyMs: { intraShard: summarize(intraShard), crossShard: summarize(crossShard) },
    generator: {
      cores: round((result.cpuSeconds * 1000) / Math.max(1, result.elapsedMs), 3),
      lagMaxMs: round(result.lagMaxMs, 1),
      resubmitted: result.resubmitted,
    },
    workload: { name, calls: submitted, invariants: { ...invariants }, violations: violations.map(({ shard, message }) => `shard ${shard}: ${message}`) },
    ...(context.trace === undefined ? {} : { leftOut: context.trace.leftOut }),
  };
}
