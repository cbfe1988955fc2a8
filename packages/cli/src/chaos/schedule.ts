import { Prng } from '@shardlab/crosslink';
import { assignRegions, formatLatencyModel, type LatencySpec } from '@shardlab/node';
import { usageError } from '../output/cli-error.ts';

/** What chaos does. */
export const CHAOS_KINDS = ['kill', 'pause', 'partition', 'delay', 'loss', 'bandwidth'] as const;
/** One of {@link CHAOS_KINDS}. */
export type ChaosKind = (typeof CHAOS_KINDS)[number];

/** A node, and the committee that it belongs to. */
export interface ChaosNode {
  readonly id: string;
  /** `beacon`, `shard-2`: the same for all validators of one chain. */
  readonly chain: string;
}

/** What a schedule is drawn from, besides the nodes. */
export interface ChaosOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Events a minute over the whole cluster; undefined: none. */
  readonly kill?: number | undefined;
  readonly pause?: number | undefined;
  readonly partition?: number | undefined;
  /** On all links, all the time. */
  readonly latency?: LatencySpec | undefined;
  /** Probability, on all links, all the time. */
  readonly loss?: number | undefined;
  /** Bytes a second of each link, all the time. */
  readonly bandwidth?: number | undefined;
  /** Whether more than f validators of a committee of 3f + 1 may be disturbed at a time. */
  readonly beyondF?: boolean | undefined;
}

/** One fault, from `atMs` to `untilMs` after the start. */
export interface ChaosEvent {
  readonly atMs: number;
  readonly kind: ChaosKind;
  /** Whom it strikes; of a partition the side that is cut off from all others. */
  readonly nodes: readonly string[];
  readonly untilMs: number;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** How long a fault lasts, and how long after it a node still counts as disturbed: it starts, dials and catches up. */
const TIMES = {
  kill: { minMs: 1_000, maxMs: 4_000, settleMs: 6_000 },
  pause: { minMs: 1_000, maxMs: 6_000, settleMs: 2_000 },
  partition: { minMs: 2_000, maxMs: 8_000, settleMs: 2_000 },
} as const;
/** No fault lasts longer than this share of a run: short runs have short faults. */
const SHARE_MAX = 0.25;
const MINUTE_MS = 60_000;
const EVENTS_MAX = 10_000;
const DIRECTIONS = ['both', 'out', 'in'] as const;

type StruckKind = keyof typeof TIMES;

/** Validators of a committee of `size` = 3f + 1 that may fail: f. */
export function faultsBorne(size: number): number {
  return Math.floor((size - 1) / 3);
}

interface Planned {
  readonly kind: StruckKind;
  readonly atMs: number;
  readonly untilMs: number;
}

/** One event in each interval of 1/rate, at a drawn moment of it: rates hold over any run, and nothing rests on a logarithm that engines round apart. */
function moments(kind: StruckKind, perMinute: number | undefined, durationMs: number, prng: Prng): Planned[] {
  if (perMinute === undefined) return [];
  const intervalMs = MINUTE_MS / perMinute;
  const { minMs, maxMs } = TIMES[kind];
  const longestMs = Math.max(1, Math.min(maxMs, Math.floor(durationMs * SHARE_MAX)));
  const shortestMs = Math.min(minMs, longestMs);
  const planned: Planned[] = [];
  for (let index = 0; index * intervalMs < durationMs; index++) {
    const atMs = Math.floor((index + prng.float()) * intervalMs);
    const lastsMs = shortestMs + prng.below(longestMs - shortestMs + 1);
    // Every fault ends within the run.
    if (atMs + shortestMs <= durationMs) planned.push({ kind, atMs, untilMs: Math.min(durationMs, atMs + lastsMs) });
  }
  return planned;
}

/** Who is disturbed when, so that no committee has too many at once. */
class Disturbed {
  private readonly limit: ReadonlyMap<string, number>;
  private readonly taken: { readonly node: ChaosNode; readonly fromMs: number; readonly toMs: number }[] = [];

  constructor(nodes: readonly ChaosNode[], beyondF: boolean) {
    const sizes = new Map<string, number>();
    for (const { chain } of nodes) sizes.set(chain, (sizes.get(chain) ?? 0) + 1);
    this.limit = new Map([...sizes].map(([chain, size]) => [chain, beyondF ? size : faultsBorne(size)]));
  }

  /** Whether `node` can be struck from `fromMs` to `toMs`, beside what is taken; one fault strikes a node at a time. */
  has(node: ChaosNode, fromMs: number, toMs: number): boolean {
    const others = this.taken.filter((entry) => entry.node.chain === node.chain && entry.fromMs < toMs && entry.toMs > fromMs);
    return others.every((entry) => entry.node.id !== node.id) && new Set(others.map((entry) => entry.node.id)).size < this.limit.get(node.chain)!;
  }

  take(node: ChaosNode, fromMs: number, toMs: number): void {
    this.taken.push({ node, fromMs, toMs });
  }
}

/** Who is struck: one node; a partition cuts off up to a third of all, or half beyond f, as far as their committees have room. */
function strike(planned: Planned, nodes: readonly ChaosNode[], disturbed: Disturbed, beyondF: boolean, prng: Prng): readonly string[] {
  const toMs = planned.untilMs + TIMES[planned.kind].settleMs;
  const cutMax = Math.max(1, Math.floor(nodes.length / (beyondF ? 2 : 3)));
  const wanted = planned.kind === 'partition' ? 1 + prng.below(cutMax) : 1;
  const waiting = [...nodes];
  const struck: string[] = [];
  while (struck.length < wanted && waiting.length > 0) {
    const [node] = waiting.splice(prng.below(waiting.length), 1) as [ChaosNode];
    if (!disturbed.has(node, planned.atMs, toMs)) continue;
    disturbed.take(node, planned.atMs, toMs);
    struck.push(node.id);
  }
  return struck;
}

/** What lasts for the whole run. */
function standing(options: ChaosOptions, nodes: readonly string[]): ChaosEvent[] {
  const { latency, loss, bandwidth, durationMs, seed } = options;
  const always = (kind: ChaosKind, parameters: ChaosEvent['parameters']): ChaosEvent => ({ atMs: 0, kind, nodes, untilMs: durationMs, parameters });
  const events: ChaosEvent[] = [];
  if (latency !== undefined) {
    const parameters = latency.kind === 'same' ? { model: formatLatencyModel(latency.model) } : { model: 'wan', regions: Object.fromEntries(assignRegions(nodes, seed)) };
    events.push(always('delay', parameters));
  }
  if (loss !== undefined && loss > 0) events.push(always('loss', { probability: loss }));
  if (bandwidth !== undefined) events.push(always('bandwidth', { bytesPerSecond: bandwidth }));
  return events;
}

/**
 * The faults of a run, in order of time: a pure function of seed, options and nodes. Unless `beyondF`, no committee of 3f + 1 ever has more than f validators
 * killed, paused or cut off at once, with time for them to come back; an event for which there is no room is left out. Throws `chaos/nothing`,
 * `chaos/beyond-f` when no committee bears a fault, `chaos/too-many`.
 */
export function chaosSchedule(options: ChaosOptions, nodes: readonly ChaosNode[]): ChaosEvent[] {
  const { kill, pause, partition, durationMs, beyondF = false } = options;
  const root = new Prng(options.seed);
  // Each kind draws from its own generator: another rate of one leaves the moments of the others.
  const [kills, pauses, partitions, choices] = [root.fork(), root.fork(), root.fork(), root.fork()];
  const total = ((kill ?? 0) + (pause ?? 0) + (partition ?? 0)) * (durationMs / MINUTE_MS);
  if (total > EVENTS_MAX) throw usageError('chaos/too-many', `these rates make about ${Math.round(total)} events, at most ${EVENTS_MAX} are possible: lower them, or --for`);
  const planned = [
    ...moments('kill', kill, durationMs, kills),
    ...moments('pause', pause, durationMs, pauses),
    ...moments('partition', partition, durationMs, partitions),
  ].sort((a, b) => a.atMs - b.atMs || (a.kind < b.kind ? -1 : 1));
  const disturbed = new Disturbed(nodes, beyondF);
  const wanted = kill ?? pause ?? partition;
  if (wanted !== undefined && !nodes.some((node) => disturbed.has(node, 0, 1))) {
    throw usageError('chaos/beyond-f', 'committees of fewer than 4 validators bear no failure (f = 0): leave out --kill, --pause and --partition, or give --beyond-f');
  }
  const events = standing(options, nodes.map(({ id }) => id));
  if (wanted === undefined && events.length === 0) {
    throw usageError('chaos/nothing', 'there is nothing to do: give at least one of --kill, --pause, --partition, --latency, --loss, --bandwidth');
  }
  for (const each of planned) {
    const { kind, atMs, untilMs } = each;
    const struck = strike(each, nodes, disturbed, beyondF, choices);
    const parameters = kind === 'partition' ? { direction: DIRECTIONS[choices.below(DIRECTIONS.length)]! } : {};
    // A cut that leaves nobody on the other side cuts nothing.
    if (struck.length > 0 && (kind !== 'partition' || struck.length < nodes.length)) events.push({ atMs, kind, nodes: struck, untilMs, parameters });
  }
  return events;
}
