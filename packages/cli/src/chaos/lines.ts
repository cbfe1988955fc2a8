import type { ChaosLine, ChaosReport } from './run-chaos.ts';

const NOT_SHOWN = new Set(['event', 'kind', 'nodes', 'atMs', 'untilMs', 'time', 'regions']);
const NODES_SHOWN = 6;

function seconds(ms: unknown): string {
  return `${(Number(ms) / 1_000).toFixed(1).padStart(6)} s`;
}

function whom(nodes: unknown): string {
  const ids = nodes as readonly string[];
  return ids.length > NODES_SHOWN ? `all ${ids.length} nodes` : ids.join(', ');
}

function details(line: ChaosLine): string {
  const shown = Object.entries(line).filter(([name]) => !NOT_SHOWN.has(name));
  return shown.map(([name, value]) => ` ${name}=${String(value)}`).join('');
}

/** One line for people about what chaos does; undefined for what they need not see. */
export function chaosLineText(line: ChaosLine): string | undefined {
  const { event, kind } = line;
  switch (event) {
    case 'chaos.started':
      return `chaos: seed ${String(line['seed'])}, ${String(line['planned'])} faults in ${Number(line['durationMs']) / 1_000} s, log ${String(line['logFile'])}`;
    case 'chaos.scheduled':
      return `  ${seconds(line['atMs'])} to ${seconds(line['untilMs'])}  ${String(kind).padEnd(9)} ${whom(line['nodes'])}${details(line)}`;
    case 'chaos.begun':
      return `${String(kind)}: ${whom(line['nodes'])}${details(line)}`;
    case 'chaos.ended':
      return `${String(kind)} ended: ${whom(line['nodes'])}`;
    case 'chaos.skipped':
      return `${String(kind)} left out, others are not back yet: ${whom(line['nodes'])}`;
    case 'chaos.failed':
      return `failed: ${String(line['error'])}`;
    case 'chaos.healed':
      return undefined;
  }
}

/** The report for people. */
export function chaosReportLines(report: ChaosReport): string[] {
  const faults = Object.entries(report.faults).map(([kind, count]) => `${count} ${kind}`);
  const first = `chaos: ${faults.length === 0 ? 'no fault struck' : faults.join(', ')} in ${report.seconds} s; everything is healed`;
  const skipped = report.skipped === 0 ? [] : [`${report.skipped} left out because others were not back in time`];
  if (report.ok) return [first, ...skipped];
  return [`chaos: ${faults.join(', ')} in ${report.seconds} s, and ${report.errors.length} ${report.errors.length === 1 ? 'thing' : 'things'} went wrong:`, ...report.errors.map((error) => `  ${error}`), ...skipped];
}
