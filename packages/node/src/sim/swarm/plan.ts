import { BEACON, Prng, type ShardId } from '@shardlab/crosslink';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import { BYZANTINE_FAULTS, CONTRACT_SHARE, type FaultKind, MACHINE_FAULTS, NETWORK_FAULTS, type SwarmOptions } from './options.ts';

/**
 * One thing that goes wrong, as plain data: a plan can be printed, shrunk and replayed. Times are virtual milliseconds since the start.
 * - delay, reorder, loss, duplicate: `percent` of the messages, late by up to `ms`.
 * - partition: `nodes` are cut off from all others; one-way: nothing gets from `nodes` to the others.
 * - disconnect: the connections between `nodes[0]` and each other one of `nodes` break, so that both ends know, and are back at `untilMs`.
 * - skew: the clocks of `nodes` are off by `ms`.
 * - crash, lost-write, torn-write, misordered-write: `nodes[0]` dies at the `effect`-th effect after `atMs`, before or after it, and starts `ms` later; crash-all: all nodes.
 * - disk-full: writes of `nodes[0]` fail until `untilMs`.
 * - Byzantine kinds: what `nodes[0]` does to `percent` of its messages.
 */
export interface FaultEvent {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly untilMs: number;
  /** Labels, such as `shard-2.1`. */
  readonly nodes: readonly string[];
  readonly percent: number;
  readonly ms: number;
  readonly effect: number;
  readonly before: boolean;
}

/** One transfer of the client's load. */
export interface PlannedTransfer {
  readonly atMs: number;
  /** Indices of accounts. */
  readonly from: number;
  readonly to: number;
  readonly value: number;
}

/** What the client's contract transactions do; see `ContractClient`. */
export const CONTRACT_ACTIONS = ['create', 'add', 'revert', 'starve', 'move', 'overdraw', 'forward', 'make', 'batch', 'bad-batch', 'inherit', 'burn', 'ember', 'delegate', 'visit', 'ward'] as const;

/** One contract transaction of the client's load. */
export interface PlannedCall {
  readonly atMs: number;
  /** Index of an account. */
  readonly from: number;
  readonly action: (typeof CONTRACT_ACTIONS)[number];
  /** 32 bits from which the rest is drawn: which contract, how much. */
  readonly pick: number;
}

/** All that a seed decides, but for the draws within the run. */
export interface Plan {
  readonly seed: number;
  /** From here on nothing goes wrong any more. */
  readonly healMs: number;
  readonly events: readonly FaultEvent[];
  readonly transfers: readonly PlannedTransfer[];
  readonly calls: readonly PlannedCall[];
}

/** How long things go wrong, and when the first transfer comes, in virtual milliseconds. */
const STORM_MS = 20_000;
const FIRST_MS = 1_500;
/** Bursts of load: blocks are full at times, and empty at others. */
const BURSTS = 12;

/** All nodes of a network, the beacon's first. */
export function nodesOf(options: Pick<SwarmOptions, 'shards' | 'validators'>): NodeName[] {
  const chains = [BEACON, ...Array.from({ length: options.shards }, (_, shard) => shard as ShardId)];
  return chains.flatMap((chain) => Array.from({ length: options.validators }, (_, validator) => ({ chain, validator })));
}

/** The plan of a seed: a function of both arguments and the accounts' homes alone. */
export function makePlan(seed: number, options: SwarmOptions, homes: readonly ShardId[]): Plan {
  const prng = new Prng(seed);
  const faults = new PlanWriter(prng.fork(), options).write();
  const transfers = makeLoad(prng.fork(), options, homes);
  const calls = makeCalls(prng.fork(), options, homes.length);
  // Last, and from a generator of its own: what older kinds draw is as it was before this one.
  const breaks = new PlanWriter(prng.fork(), options).writeBreaks();
  return { seed, healMs: STORM_MS, events: [...faults, ...breaks].toSorted((a, b) => a.atMs - b.atMs), transfers, calls };
}

/** Creations first, so that there is something to call. */
function makeCalls(prng: Prng, options: SwarmOptions, accounts: number): PlannedCall[] {
  const count = Math.round(options.txs * (options.contracts ?? CONTRACT_SHARE));
  return Array.from({ length: count }, (_, index) => {
    const early = index < count / 5;
    const atMs = FIRST_MS + prng.below(early ? 3_000 : STORM_MS - FIRST_MS - 500);
    const action = early ? 'create' : CONTRACT_ACTIONS[prng.below(CONTRACT_ACTIONS.length)]!;
    return { atMs, from: prng.below(accounts), action, pick: prng.u32() };
  }).toSorted((a, b) => a.atMs - b.atMs);
}

function makeLoad(prng: Prng, options: SwarmOptions, homes: readonly ShardId[]): PlannedTransfer[] {
  const transfers: PlannedTransfer[] = [];
  const span = STORM_MS - FIRST_MS;
  for (let i = 0; i < options.txs; i++) {
    const from = prng.below(homes.length);
    const crosses = options.shards > 1 && prng.float() < options.crossShard;
    const others = homes.flatMap((home, index) => (index !== from && (home !== homes[from]) === crosses ? [index] : []));
    const to = others.length === 0 ? (from + 1) % homes.length : others[prng.below(others.length)]!;
    const burst = Math.floor((i * BURSTS) / options.txs);
    const atMs = FIRST_MS + Math.floor((burst * span) / BURSTS) + prng.below(200);
    transfers.push({ atMs, from, to, value: 1 + prng.below(1_000_000) });
  }
  return transfers.toSorted((a, b) => a.atMs - b.atMs);
}

/** Draws a seed's faults. */
class PlanWriter {
  private readonly prng: Prng;
  private readonly options: SwarmOptions;
  private readonly names: readonly NodeName[];
  private readonly events: FaultEvent[] = [];

  constructor(prng: Prng, options: SwarmOptions) {
    this.prng = prng;
    this.options = options;
    this.names = nodesOf(options);
  }

  write(): FaultEvent[] {
    const { prng } = this;
    const enabled = (kinds: readonly FaultKind[]): FaultKind[] => kinds.filter((kind) => this.options.faults.includes(kind));
    // Some seeds have everything at once, most a few kinds: bugs hide behind other faults.
    const share = 1 + prng.below(4);
    for (const kind of enabled(NETWORK_FAULTS)) if (prng.below(4) < share) this.network(kind);
    for (const kind of enabled(MACHINE_FAULTS)) if (prng.below(4) < share) this.machine(kind);
    this.byzantine(enabled(BYZANTINE_FAULTS));
    return this.events;
  }

  /** In half of the seeds: blinks, and breaks that outlast a leader's time. */
  writeBreaks(): FaultEvent[] {
    const { prng, names, options } = this;
    if (!options.faults.includes('disconnect') || prng.below(2) === 0) return [];
    for (let count = 1 + prng.below(8); count > 0; count--) {
      const one = names[prng.below(names.length)]!;
      const mates = names.filter((name) => name !== one && (name.chain === one.chain || prng.below(8) === 0));
      const others = mates.filter(() => prng.below(2) === 0);
      const atMs = prng.below(STORM_MS - 1_000);
      const forMs = prng.below(2) === 0 ? 10 + prng.below(300) : 300 + prng.below(4_000);
      this.add('disconnect', { nodes: [one, ...(others.length > 0 ? others : mates)].map(nodeLabel), atMs, untilMs: atMs + forMs });
    }
    return this.events;
  }

  private add(kind: FaultKind, fields: Partial<FaultEvent>): void {
    const atMs = fields.atMs ?? this.prng.below(STORM_MS - 1_000);
    const untilMs = Math.min(STORM_MS, fields.untilMs ?? atMs + 500 + this.prng.below(8_000));
    this.events.push({ kind, nodes: [], percent: 0, ms: 0, effect: 0, before: true, ...fields, atMs, untilMs });
  }

  private anyNode(): string {
    return nodeLabel(this.names[this.prng.below(this.names.length)]!);
  }

  private network(kind: FaultKind): void {
    const { prng } = this;
    for (let count = 1 + prng.below(3); count > 0; count--) {
      if (kind === 'partition' || kind === 'one-way') this.add(kind, { nodes: this.group() });
      else if (kind === 'loss') this.add(kind, { percent: 1 + prng.below(35) });
      else if (kind === 'duplicate') this.add(kind, { percent: 1 + prng.below(30), ms: 1 + prng.below(1_000) });
      else this.add(kind, { percent: 5 + prng.below(60), ms: kind === 'delay' ? 50 + prng.below(2_500) : 5 + prng.below(120) });
    }
  }

  /** One node, a minority of one committee, a whole chain, or any half of all nodes. */
  private group(): string[] {
    const { prng, names } = this;
    const shape = prng.below(4);
    if (shape === 0) return [this.anyNode()];
    const { chain } = names[prng.below(names.length)]!;
    const committee = names.filter((name) => name.chain === chain);
    const faulty = Math.max(1, Math.floor((committee.length - 1) / 3));
    if (shape === 1) return committee.slice(0, faulty).map(nodeLabel);
    if (shape === 2) return committee.map(nodeLabel);
    return names.filter(() => prng.below(2) === 0).map(nodeLabel);
  }

  private machine(kind: FaultKind): void {
    const { prng } = this;
    if (kind === 'crash-all') {
      this.add(kind, { ms: 100 + prng.below(2_000) });
      return;
    }
    for (let count = 1 + prng.below(kind === 'crash' ? 6 : 2); count > 0; count--) {
      if (kind === 'skew') this.add(kind, { nodes: [this.anyNode()], ms: prng.below(12_000) - 6_000 });
      else if (kind === 'disk-full') this.add(kind, { nodes: [this.anyNode()], ms: 100 + prng.below(3_000) });
      else this.add(kind, { nodes: [this.anyNode()], ms: 50 + prng.below(4_000), effect: 1 + prng.below(60), before: prng.below(2) === 0 });
    }
  }

  /** At most f validators of a committee, in half of the committees. */
  private byzantine(kinds: readonly FaultKind[]): void {
    const { prng, names } = this;
    const faulty = Math.floor((this.options.validators - 1) / 3);
    if (kinds.length === 0 || faulty === 0) return;
    for (const chain of new Set(names.map((name) => name.chain))) {
      if (prng.below(2) === 0) continue;
      const committee = names.filter((name) => name.chain === chain);
      const first = prng.below(committee.length);
      for (let i = 0; i < faulty; i++) {
        const traitor = nodeLabel(committee[(first + i) % committee.length]!);
        for (const kind of kinds) if (prng.below(3) === 0) this.add(kind, { nodes: [traitor], percent: 20 + prng.below(80), atMs: prng.below(4_000), untilMs: STORM_MS });
      }
    }
  }
}
