import { BEACON, toHex } from '@shardlab/crosslink';
import type { Effect, PersistRecord } from '@shardlab/shard';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import type { FaultEvent } from './plan.ts';
import type { RunWatch } from './run.ts';

/** One event of the Chrome trace event format (JSON), which Perfetto opens. Times in microseconds. */
interface TraceEvent {
  readonly name: string;
  /** M metadata, X slice, i instant, s t f flow. */
  readonly ph: 'M' | 'X' | 'i' | 's' | 't' | 'f';
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly id?: string;
  readonly cat?: string;
  readonly bp?: 'e';
  readonly s?: 'g' | 't';
  readonly args?: Readonly<Record<string, unknown>>;
}

/** Events that one trace holds: Perfetto gets slow far above. */
const EVENTS_MAX = 2_000_000;
/** A slice without a duration of its own, in microseconds: wide enough to be clicked. */
const MARK_US = 200;

/** Writes one run as a trace: a process for each chain, a row for each node, slices for blocks and writes, instants for votes and faults, one flow for each cross-shard transaction. */
export class ChromeTrace implements RunWatch {
  private readonly events: TraceEvent[] = [];
  private readonly rows = new Map<string, { readonly pid: number; readonly tid: number }>();
  private readonly executing = new Map<string, number>();
  private readonly flows = new Map<string, { last: TraceEvent; started: boolean }>();
  private readonly told = new Set<string>();

  private row(name: NodeName): { readonly pid: number; readonly tid: number } {
    const label = nodeLabel(name);
    const known = this.rows.get(label);
    if (known !== undefined) return known;
    const pid = name.chain === BEACON ? 0 : name.chain + 1;
    const row = { pid, tid: pid * 256 + name.validator };
    this.rows.set(label, row);
    const chain = name.chain === BEACON ? 'beacon' : `shard ${name.chain}`;
    this.events.push({ name: 'process_name', ph: 'M', ...row, ts: 0, args: { name: chain } });
    this.events.push({ name: 'thread_name', ph: 'M', ...row, ts: 0, args: { name: label } });
    return row;
  }

  private push(event: TraceEvent): void {
    if (this.events.length < EVENTS_MAX) this.events.push(event);
  }

  effect(name: NodeName, effect: Effect, atUs: number): void {
    const row = this.row(name);
    const label = nodeLabel(name);
    if (effect.kind === 'execute-block') this.executing.set(label, atUs);
    else if (effect.kind === 'log' && effect.line.level !== 'debug' && effect.line.event !== 'block.committed') {
      this.push({ name: effect.line.event, ph: 'i', ...row, ts: atUs, s: 't', args: plain(effect.line.fields) });
    } else if (effect.kind === 'publish') this.push({ name: `publish ${effect.topic}`, ph: 'i', ...row, ts: atUs, s: 't', args: { bytes: effect.data.length } });
  }

  stored(name: NodeName, record: PersistRecord, atUs: number): void {
    const row = this.row(name);
    if (record.kind === 'votes') this.push({ name: 'votes synced', ph: 'i', ...row, ts: atUs, s: 't' });
    else if (record.kind === 'snapshot') this.push({ name: `snapshot ${record.snapshot.block.header.height}`, ph: 'X', ...row, ts: atUs, dur: MARK_US });
    else if (record.kind === 'beacon-block') this.push({ name: `beacon block ${record.block.header.height}`, ph: 'X', ...row, ts: atUs, dur: MARK_US });
    else this.block(name, record, atUs);
  }

  private block(name: NodeName, { block }: Extract<PersistRecord, { kind: 'shard-block' }>, atUs: number): void {
    const row = this.row(name);
    const { height, proposer } = block.header;
    const from = this.executing.get(nodeLabel(name)) ?? atUs - MARK_US;
    const args = { height, proposer, hash: toHex(block.hash), transactions: block.transactions.length, listed: block.receipts.length };
    this.push({ name: `block ${height}`, ph: 'X', ...row, ts: from, dur: Math.max(MARK_US, atUs - from), args });
    // The phases of a transaction are drawn once, where a block of its shard is stored first.
    const key = `${name.chain}/${height}`;
    if (this.told.has(key)) return;
    this.told.add(key);
    for (const { phase, peer, txHash, outcome } of block.events) {
      if (peer === name.chain) continue;
      const id = toHex(txHash);
      const slice = { name: `${phase} ${id.slice(0, 10)}`, ph: 'X' as const, ...row, ts: atUs, dur: MARK_US, args: { peer, outcome } };
      this.push(slice);
      this.flow(id, { name: 'cross-shard', cat: 'cross-shard', ph: 't', id, ...row, ts: atUs });
    }
  }

  /** A flow begins with its first point and ends with its last one: which that is, is known when the run has ended. */
  private flow(id: string, point: TraceEvent): void {
    const flow = this.flows.get(id);
    if (flow === undefined) {
      this.flows.set(id, { last: point, started: false });
      return;
    }
    this.push(flow.started ? flow.last : { ...flow.last, ph: 's' });
    flow.last = point;
    flow.started = true;
  }

  fault({ kind, nodes, untilMs, percent, ms }: FaultEvent, atUs: number): void {
    const row = this.rows.get(nodes[0] ?? '') ?? { pid: 0, tid: 0 };
    this.push({ name: `fault: ${kind}`, ph: 'i', ...row, ts: atUs, s: 'g', args: { nodes, untilMs, percent, ms } });
  }

  /** The trace, for a file. */
  toJson(): string {
    const ends = [...this.flows.values()].filter(({ started }) => started).map(({ last }): TraceEvent => ({ ...last, ph: 'f', bp: 'e' }));
    const all = [...this.events, ...ends].toSorted((a, b) => a.ts - b.ts);
    return JSON.stringify({ traceEvents: all, displayTimeUnit: 'ms' });
  }
}

function plain(fields: Readonly<Record<string, string | number | bigint | boolean>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, typeof value === 'bigint' ? String(value) : value]));
}
