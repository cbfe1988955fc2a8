import type { LatencySummary } from './percentiles.ts';
import type { LoadReport } from './load-report.ts';

/** Wraps text in a colour, or leaves it alone. */
export interface Paint {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
}

function sgr(code: number, enabled: boolean): (text: string) => string {
  return (text) => (enabled ? `\u001b[${code}m${text}\u001b[0m` : text);
}

/** Colours by SGR codes, or none. */
export function paint(colour: boolean): Paint {
  return { good: sgr(32, colour), bad: sgr(31, colour), dim: sgr(2, colour), bold: sgr(1, colour) };
}

/** Whether to colour what goes to `stream`: a terminal, and NO_COLOR (no-color.org) not set. */
export function wantsColour(stream: { readonly isTTY?: boolean }, env: Readonly<Record<string, string | undefined>>): boolean {
  return stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/** 12345.6 as `12,345.6`. */
export function thousands(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 });
}

/** Milliseconds for people: `12.3 ms`, `1.23 s`; `-` for none. */
export function duration(ms: number | null): string {
  if (ms === null) return '-';
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function breakdown(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).sort(([, a], [, b]) => b - a);
  return entries.length === 0 ? '' : ` (${entries.map(([code, count]) => `${code} ${thousands(count)}`).join(', ')})`;
}

function latencyRow(name: string, latency: LatencySummary): string {
  return name.padEnd(12) + [latency.p50, latency.p95, latency.p99, latency.max].map((ms) => duration(ms).padStart(12)).join('');
}

/** Broken invariants that are told to people; the JSON has all. */
const VIOLATIONS_SHOWN = 10;

/** The report as lines for people. In colour it is for a terminal; without, the same lines suit a pipe. */
export function reportLines(report: LoadReport, colour: boolean): string[] {
  const { good, bad, dim, bold } = paint(colour);
  const { crossShard, generator } = report;
  const count = (value: number): string => thousands(value).padStart(10);
  const ill = (value: number, text: string): string => (value > 0 ? bad(text) : text);
  const lines = [
    `${report.ok ? good('ok') : bad('not ok')}  ${bold(`${thousands(report.committedTps)} TPS committed`)} of ${thousands(report.offeredTps)} offered, ` +
      `${report.shards} shards x ${report.validators}`,
    `submitted   ${count(report.submitted)}  cross-shard ${thousands(crossShard.count)} (${(crossShard.ratio * 100).toFixed(2)} %)`,
    `committed   ${good(count(report.committed))}${report.reverted === 0 ? '' : ill(report.reverted, `  of them reverted ${thousands(report.reverted)}`)}`,
    `aborted     ${ill(report.aborted, count(report.aborted) + breakdown(report.aborts))}`,
    `rejected    ${ill(report.rejected, count(report.rejected) + breakdown(report.rejections))}`,
    `pending     ${ill(report.pending, count(report.pending))}`,
  ];
  if (report.leftOut !== undefined) {
    lines.push(`left out    creations ${thousands(report.leftOut.creation)}, type 3 ${thousands(report.leftOut.type3)}: a value transfer cannot stand for them`);
  }
  lines.push(
    dim('latency'.padEnd(12) + ['p50', 'p95', 'p99', 'max'].map((name) => name.padStart(12)).join('')),
    latencyRow('intra-shard', report.latencyMs.intraShard),
    latencyRow('cross-shard', report.latencyMs.crossShard),
    dim(`generator   ${generator.cores.toFixed(2)} cores, lag at most ${duration(generator.lagMaxMs)}, sent again ${thousands(generator.resubmitted)}`),
  );
  const { name, calls, invariants, violations } = report.workload;
  if (name !== 'transfer') {
    lines.push(`workload    ${name}, ${thousands(calls)} calls`);
    for (const [invariant, holds] of Object.entries(invariants)) lines.push(`  ${holds ? good('ok ') : bad('BAD')} ${invariant}`);
    for (const violation of violations.slice(0, VIOLATIONS_SHOWN)) lines.push(`  ${bad(violation)}`);
  }
  return lines;
}
