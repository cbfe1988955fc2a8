import { padStart, printable, type Style } from './style.ts';
import { tableLines } from './table.ts';
import type { TracePhase, TransactionTrace } from './transaction-trace.ts';

const TIME_WIDTH = 10;
const LANE_WIDTH_MIN = 24;
/** More shards than this do not fit beside each other: a list is drawn instead. */
const LANES_MAX = 6;

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function heading(trace: TransactionTrace, style: Style): string {
  const first = trace.phases[0];
  const last = trace.phases.at(-1);
  const outcome = { committed: style.good, aborted: style.bad, pending: style.warn }[trace.outcome](trace.outcome);
  const reason = trace.reason === undefined || trace.reason === 'none' ? '' : ` (${printable(trace.reason)})`;
  const kind = trace.kind === 'crossShard' ? 'cross-shard' : 'intra-shard';
  const attempts = trace.attempt > 1 ? `, ${trace.attempt} attempts` : '';
  const took = first === undefined || last === undefined ? '' : `, ${last.timeMs - first.timeMs} ms from ${isoTime(first.timeMs)}`;
  return `${style.bold(printable(trace.hash))}  ${kind}, ${outcome}${reason}${attempts}${took}`;
}

/** One line per phase, for pipes: phase, shard, height, block time. */
export function traceLines(trace: TransactionTrace, style: Style): string[] {
  const rows = trace.phases.map((phase) => [phase.phase, shardName(phase.shard), String(phase.height ?? '-'), isoTime(phase.timeMs)]);
  const columns = [{ title: 'phase' }, { title: 'shard' }, { title: 'height', align: 'right' as const }, { title: 'time' }];
  return [heading(trace, style), ...tableLines(columns, rows, style.dim)];
}

function shardName(shard: number | null): string {
  return shard === null ? '-' : `shard ${shard}`;
}

interface Message {
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

/** The message that a phase sends, as two-phase commit has it (R15): phases are what blocks record, messages what they emit. */
function messagesOf(phase: TracePhase, trace: TransactionTrace): Message[] {
  const { coordinator, participants, kind, outcome } = trace;
  if (kind !== 'crossShard' || phase.shard === null) return [];
  const toAll = (label: string): Message[] => participants.map((to) => ({ from: coordinator, to, label }));
  if (phase.shard === coordinator) {
    if (phase.phase === 'prepared') return toAll('Prepare');
    if (phase.phase === 'decided') return toAll(outcome === 'pending' ? 'Decision' : outcome === 'committed' ? 'Decision: commit' : 'Decision: abort');
    return [];
  }
  if (phase.phase === 'voted') return [{ from: phase.shard, to: coordinator, label: 'Vote' }];
  if (phase.phase === 'applied') return [{ from: phase.shard, to: coordinator, label: 'Ack' }];
  return [];
}

class Canvas {
  private readonly lanes: readonly number[];
  private readonly laneWidth: number;
  private readonly style: Style;

  constructor(lanes: readonly number[], laneWidth: number, style: Style) {
    this.lanes = lanes;
    this.laneWidth = laneWidth;
    this.style = style;
  }

  private blank(): string[] {
    const cells = Array.from({ length: this.lanes.length * this.laneWidth }, () => ' ');
    this.lanes.forEach((_, lane) => (cells[lane * this.laneWidth] = '│'));
    return cells;
  }

  private static put(cells: string[], at: number, text: string): void {
    // Everything drawn is in the basic plane, one unit a column.
    for (let offset = 0; offset < text.length && at + offset < cells.length; offset++) cells[at + offset] = text[offset]!;
  }

  heads(coordinator: number): string {
    const cells = this.blank().map(() => ' ');
    this.lanes.forEach((shard, lane) => {
      Canvas.put(cells, lane * this.laneWidth, `shard ${shard}${shard === coordinator && this.lanes.length > 1 ? ' (coordinator)' : ''}`);
    });
    return `${' '.repeat(TIME_WIDTH)}  ${this.style.bold(cells.join('').trimEnd())}`;
  }

  phase(phase: TracePhase, sinceMs: number): string {
    const cells = this.blank();
    const lane = phase.shard === null ? -1 : this.lanes.indexOf(phase.shard);
    Canvas.put(cells, Math.max(0, lane) * this.laneWidth, `● ${phase.phase}${phase.height === null ? '' : ` #${phase.height}`}`);
    return `${this.style.dim(padStart(`+${sinceMs} ms`, TIME_WIDTH))}  ${cells.join('').trimEnd()}`;
  }

  message(message: Message): string | undefined {
    const from = this.lanes.indexOf(message.from);
    const to = this.lanes.indexOf(message.to);
    if (from < 0 || to < 0 || from === to) return undefined;
    const cells = this.blank();
    const left = Math.min(from, to) * this.laneWidth;
    const right = Math.max(from, to) * this.laneWidth;
    for (let at = left + 1; at < right; at++) cells[at] = '─';
    // The label stands where the arrow starts, one lane wide: over the lanes that it crosses nothing is hidden but their line.
    const labelAt = from < to ? left + 3 : right - message.label.length - 4;
    Canvas.put(cells, labelAt, ` ${message.label} `);
    Canvas.put(cells, left, from < to ? '├' : '◀');
    Canvas.put(cells, right, from < to ? '▶' : '┤');
    return `${' '.repeat(TIME_WIDTH)}  ${this.style.accent(cells.join('').trimEnd())}`;
  }
}

/** A sequence diagram between shards, for a terminal of `columns` characters; a list where it does not fit. */
export function traceDiagram(trace: TransactionTrace, columns: number, style: Style): string[] {
  const seen = trace.phases.flatMap((phase) => (phase.shard === null ? [] : [phase.shard]));
  const lanes = [...new Set([trace.coordinator, ...trace.participants, ...seen])];
  const laneWidth = Math.max(LANE_WIDTH_MIN, Math.min(34, Math.floor((columns - TIME_WIDTH - 2) / lanes.length)));
  if (lanes.length > LANES_MAX || lanes.length * LANE_WIDTH_MIN + TIME_WIDTH + 2 > columns || trace.phases.length === 0) {
    return traceLines(trace, style);
  }
  const canvas = new Canvas(lanes, laneWidth, style);
  const startMs = trace.phases[0]!.timeMs;
  const lines = [heading(trace, style), '', canvas.heads(trace.coordinator)];
  for (const phase of trace.phases) {
    lines.push(canvas.phase(phase, phase.timeMs - startMs));
    for (const message of messagesOf(phase, trace)) {
      const line = canvas.message(message);
      if (line !== undefined) lines.push(line);
    }
  }
  return lines;
}
