import { ShardlabError } from '@shardlab/crosslink';
import { COMMITTEE_SIZES, type EvmFork } from '@shardlab/shard';

/** What can go wrong between nodes: messages late, lost, doubled or overtaken, groups cut off, or one direction only. */
export const NETWORK_FAULTS = ['delay', 'loss', 'duplicate', 'reorder', 'partition', 'one-way'] as const;
/** What can go wrong with connections between nodes that live: they break, and are made anew. */
export const CONNECTION_FAULTS = ['disconnect'] as const;
/** What can go wrong with a machine: its clock, its life (at any effect boundary), its unsynced writes, its disk's room. */
export const MACHINE_FAULTS = ['skew', 'crash', 'crash-all', 'lost-write', 'torn-write', 'misordered-write', 'disk-full'] as const;
/** What up to f validators of a committee do on purpose. */
export const BYZANTINE_FAULTS = ['equivocate', 'double-vote', 'wrong-root', 'withhold-votes', 'forge-receipt', 'replay-receipt', 'stale-certificate'] as const;
/** Every kind of fault, by the names that options and counts use. */
export const FAULT_KINDS = [...NETWORK_FAULTS, ...CONNECTION_FAULTS, ...MACHINE_FAULTS, ...BYZANTINE_FAULTS] as const;
/** See {@link FAULT_KINDS}. */
export type FaultKind = (typeof FAULT_KINDS)[number];
/** What a validator may do on purpose. */
export type ByzantineKind = (typeof BYZANTINE_FAULTS)[number];

/** One network of the swarm, but for its seed. */
export interface SwarmOptions {
  /** 1 to 256. */
  readonly shards: number;
  /** Of each committee, the beacon's too. */
  readonly validators: number;
  /** Transfers that the client sends while things go wrong. */
  readonly txs: number;
  /** Share of them that cross shards, 0 to 1. */
  readonly crossShard: number;
  /** Contract transactions (creations, calls, batches) in addition, as a share of `txs`; {@link CONTRACT_SHARE} if left out. */
  readonly contracts?: number;
  readonly faults: readonly FaultKind[];
  /** See `parseLatency`. */
  readonly latency: string;
}

/** Contract transactions for each transfer: enough that every seed has conflicts among them, few enough that a run stays fast. */
export const CONTRACT_SHARE = 0.1;

/** What `shardlab sim` runs unless told otherwise. */
export const SWARM_DEFAULTS: SwarmOptions = { shards: 3, validators: 4, txs: 500, crossShard: 0.2, faults: FAULT_KINDS, latency: 'lan' };

/** One seed in so many runs the real signatures: ed25519 and secp256k1. */
export const REAL_SCHEME_EVERY = 50;

/** The signatures that a seed's network uses. */
export function schemeOf(seed: number): 'real' | 'cheap' {
  return seed % REAL_SCHEME_EVERY === 0 ? 'real' : 'cheap';
}

/** The rules that a seed's network runs under: of every two seeds, one has Cancun's and one Prague's. */
export function forkOf(seed: number): EvmFork {
  return Math.floor(seed / 2) % 2 === 0 ? 'prague' : 'cancun';
}

/** Reads `all`, `none`, or kinds separated by commas. Throws `sim/faults`. */
export function parseFaults(text: string): readonly FaultKind[] {
  if (text === 'all') return FAULT_KINDS;
  if (text === 'none') return [];
  const kinds = text.split(',').map((part) => part.trim());
  for (const kind of kinds) {
    if (!FAULT_KINDS.some((known) => known === kind)) throw new ShardlabError('sim/faults', `there is no fault "${kind}": give all, none, or some of ${FAULT_KINDS.join(',')}`);
  }
  return FAULT_KINDS.filter((kind) => kinds.includes(kind));
}

/** Reads `N` or `A..B`. Throws `sim/seeds`. */
export function parseSeeds(text: string): { readonly first: number; readonly last: number } {
  const match = /^(\d{1,15})(?:\.\.(\d{1,15}))?$/.exec(text.trim());
  if (match === null) throw new ShardlabError('sim/seeds', `"${text}" is no seed and no range of seeds: give a whole number, or a range such as 1..100`);
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (last < first) throw new ShardlabError('sim/seeds', `the range ${text} is empty: its first seed is above its last`);
  if (last - first >= SEEDS_MAX) throw new ShardlabError('sim/seeds', `the range ${text} has more than ${SEEDS_MAX} seeds: run it in parts`);
  return { first, last };
}

const SEEDS_MAX = 10_000_000;

/** Throws `sim/validators` or `sim/shards` on sizes that a network can not have. */
export function checkSizes(options: Pick<SwarmOptions, 'shards' | 'validators'>): void {
  if (!COMMITTEE_SIZES.includes(options.validators)) {
    throw new ShardlabError('sim/validators', `--validators must be 3f + 1: ${COMMITTEE_SIZES.slice(0, -1).join(', ')} or ${COMMITTEE_SIZES.at(-1)}, not ${options.validators}`);
  }
  if (!(options.shards >= 1 && options.shards <= 256)) throw new ShardlabError('sim/shards', `--shards is 1 to 256, not ${options.shards}`);
}
