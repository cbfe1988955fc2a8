import { PHASES, type Phase, ShardlabError } from '@shardlab/crosslink';

/** One step of a transaction's life. Times are Unix milliseconds: `timeMs` of the block, `wallMs` of the node that wrote it. */
export interface TracePhase {
  readonly phase: Phase;
  /** null where the step belongs to no shard. */
  readonly shard: number | null;
  readonly height: number | null;
  readonly timeMs: number;
  readonly wallMs?: number;
}

/** What a network knows of one transaction: the answer of `shard_getCrossShardTransaction`. */
export interface TransactionTrace {
  readonly hash: string;
  readonly kind: 'intraShard' | 'crossShard';
  readonly outcome: 'pending' | 'committed' | 'aborted';
  /** Why it was aborted. */
  readonly reason?: string;
  readonly coordinator: number;
  readonly participants: readonly number[];
  /** How many times it was tried. */
  readonly attempt: number;
  /** In the order in which they happened. */
  readonly phases: readonly TracePhase[];
}

const PHASES_MAX = 10_000;

function bad(what: string): ShardlabError {
  return new ShardlabError('rpc/bad-answer', `shard_getCrossShardTransaction: the node's answer ${what}`);
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('is not an object');
  return value as Record<string, unknown>;
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[], name: string): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw bad(`has no "${name}" of ${allowed.join(', ')}`);
  return found;
}

function whole(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(`has no number "${name}"`);
  return value;
}

function tracePhase(value: unknown): TracePhase {
  const fields = object(value);
  return {
    phase: oneOf(fields['phase'], PHASES, 'phase'),
    shard: fields['shard'] === null ? null : whole(fields['shard'], 'shard'),
    height: fields['height'] === null ? null : whole(fields['height'], 'height'),
    timeMs: whole(fields['timeMs'], 'timeMs'),
    ...(typeof fields['wallMs'] === 'number' ? { wallMs: fields['wallMs'] } : {}),
  };
}

/** Reads an answer of `shard_getCrossShardTransaction`; undefined for null. Throws `rpc/bad-answer`. */
export function parseTrace(value: unknown): TransactionTrace | undefined {
  if (value === null) return undefined;
  const fields = object(value);
  const { hash, phases, participants, reason } = fields;
  if (typeof hash !== 'string') throw bad('has no "hash"');
  if (!Array.isArray(phases) || phases.length > PHASES_MAX) throw bad('has no list "phases"');
  if (!Array.isArray(participants)) throw bad('has no list "participants"');
  // Array.prototype.sort is stable: phases of one moment keep the node's order, unless the protocol knows better.
  const order = (phase: TracePhase): number => PHASES.indexOf(phase.phase);
  return {
    hash,
    kind: oneOf(fields['kind'], ['intraShard', 'crossShard'], 'kind'),
    outcome: oneOf(fields['outcome'], ['pending', 'committed', 'aborted'], 'outcome'),
    ...(typeof reason === 'string' ? { reason } : {}),
    coordinator: whole(fields['coordinator'], 'coordinator'),
    participants: participants.map((shard) => whole(shard, 'participants')),
    attempt: typeof fields['attempt'] === 'number' ? fields['attempt'] : 1,
    phases: phases.map(tracePhase).sort((a, b) => a.timeMs - b.timeMs || order(a) - order(b)),
  };
}
