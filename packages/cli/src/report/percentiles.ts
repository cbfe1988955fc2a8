/** Latencies in milliseconds, exact (no buckets); null where nothing of the kind ended. */
export interface LatencySummary {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** The value below or at which a share of `sorted` lies: nearest rank, so always one that was measured. */
export function percentile(sorted: Float64Array, share: number): number | null {
  if (sorted.length === 0) return null;
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1]!;
}

/** Summarises latencies, in any order, rounded to a tenth of a millisecond. */
export function summarize(latenciesMs: Float64Array): LatencySummary {
  const sorted = latenciesMs.slice().sort();
  const at = (share: number): number | null => {
    const value = percentile(sorted, share);
    return value === null ? null : Math.round(value * 10) / 10;
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}
