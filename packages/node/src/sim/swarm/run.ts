import { bytesKey, genesisHash, Prng, ShardlabError, toHex } from '@shardlab/crosslink';
import type { Effect, PersistRecord } from '@shardlab/shard';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import { NetworkCheckers } from '../checkers/network-checkers.ts';
import { SimCluster } from '../cluster.ts';
import { SIM_START_MS } from '../scheduler.ts';
import { SimWorld } from '../world.ts';
import { Byzantine } from './byzantine.ts';
import { SimClient } from './client.ts';
import { linkLatency } from './latency.ts';
import { clockFaults, PlannedDisk, unsyncedNeeded } from './machines.ts';
import { KIT_BALANCE, type NetworkKit } from '../network-kit.ts';
import { simSecret } from './network.ts';
import { BYZANTINE_FAULTS, type SwarmOptions } from './options.ts';
import { type FaultEvent, nodesOf, type Plan } from './plan.ts';
import { Strikes } from './strikes.ts';
import { Weather } from './weather.ts';

/** How often the client offers again what has no receipt, in virtual milliseconds. */
const RESUBMIT_MS = 3_000;
/** After the faults have stopped everything must end within this virtual time: bans of a minute included. */
const SETTLE_MS = 300_000;
/** Virtual time between two looks at whether all is done: looking costs. */
const LOOK_MS = 500;
/** A run that executes more events than this does not settle. */
const EVENTS_MAX = 20_000_000;
/** A node without room on its disk is started again after this long, until there is some, in virtual milliseconds. */
const ROOM_MS = 500;

/** What a run may be watched by. */
export interface RunWatch {
  readonly effect?: (name: NodeName, effect: Effect, atUs: number) => void;
  readonly stored?: (name: NodeName, record: PersistRecord, atUs: number) => void;
  readonly fault?: (event: FaultEvent, atUs: number) => void;
  /** Whether the result's digest is wanted. */
  readonly traced?: boolean;
}

/** What one seed came to. */
export interface SeedResult {
  readonly seed: number;
  readonly ok: boolean;
  /** What was violated, or where it hung; empty when ok. */
  readonly found: readonly string[];
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  readonly committed: number;
  /** Of them, those that crossed shards. */
  readonly crossShard: number;
  readonly aborted: number;
  readonly virtualMs: number;
  readonly events: number;
  /** SHA-256 of all that was done, in hex, where the run was traced: equal for equal runs. */
  readonly digest: string;
}

/** Plays one plan on a whole network in virtual time, under all checkers. */
export class SeedRun {
  private readonly plan: Plan;
  private readonly kit: NetworkKit;
  private readonly options: SwarmOptions;
  private readonly watch: RunWatch;
  private readonly strikes = new Strikes();
  private readonly checkers: NetworkCheckers;
  private readonly world: SimWorld;
  private readonly cluster: SimCluster;
  private readonly client: SimClient;
  private readonly disks = new Map<string, PlannedDisk>();
  /** Crashes that wait for their effect, by node. */
  private readonly armed = new Map<string, { readonly event: FaultEvent; left: number }>();
  private planned = 0;
  private readonly found: string[] = [];

  constructor(plan: Plan, options: SwarmOptions, kit: NetworkKit, watch: RunWatch = {}) {
    this.plan = plan;
    this.options = options;
    this.kit = kit;
    this.watch = watch;
    const { crypto, genesis } = kit;
    const prng = new Prng(plan.seed);
    const nowMs = (): number => this.nowMs;
    const { strikes } = this;
    this.checkers = new NetworkCheckers({ genesis }, { crypto });
    const weather = new Weather(plan, { prng: prng.fork(), strikes, nowMs });
    const secretKey = (name: NodeName): Uint8Array => simSecret(crypto, name);
    const lies = { crypto, genesisHash: genesisHash(crypto, genesis), secretKey, prng: prng.fork(), strikes, nowMs };
    const byzantine = new Byzantine(plan, lies, BYZANTINE_FAULTS);
    const machines = prng.fork();
    this.world = new SimWorld(
      { seed: plan.seed, traced: watch.traced ?? false },
      {
        network: {
          linked: (from, to) => weather.linked(from, to),
          copies: (message) => weather.copies(message),
          broken: (a, b) => weather.broken(a, b),
          tamper: (...lie) => byzantine.tamper(...lie),
          latency: linkLatency(options.latency, nodesOf(options), plan.seed),
        },
        clock: (name) => clockFaults(plan, name, { prng: machines.fork(), strikes, nowMs }),
        disk: (name) => this.disk(name, machines.fork()),
      },
    );
    this.cluster = new SimCluster({ genesis, secretKey }, { world: this.world, crypto }, {
      stored: (name, record) => this.stored(name, record),
      beforeEffect: (name, effect) => this.effect(name, effect),
      afterEffect: (name) => this.afterEffect(name),
      failed: (name, error) => this.nodeFailed(name, error),
    });
    const { serializability } = this.checkers;
    const nowUs = (): number => this.world.scheduler.nowUs();
    const hooks = { submitted: (key: string) => serializability.submitted(key, nowUs()), answered: (key: string) => serializability.answered(key, nowUs()) };
    this.client = new SimClient(kit, { cluster: this.cluster, prng: prng.fork(), hooks });
  }

  private get nowMs(): number {
    return this.world.scheduler.nowMs() - SIM_START_MS;
  }

  private disk(name: NodeName, prng: Prng): PlannedDisk {
    const disk = new PlannedDisk(this.plan, name, { prng, strikes: this.strikes, nowMs: () => this.nowMs });
    this.disks.set(nodeLabel(name), disk);
    return disk;
  }

  private at(ms: number, task: () => void): void {
    this.planned++;
    this.world.scheduler.schedule(Math.max(0, ms - this.nowMs) * 1_000, () => {
      this.planned--;
      task();
    });
  }

  private every(ms: number, task: () => void): void {
    this.world.scheduler.schedule(ms * 1_000, () => {
      task();
      this.every(ms, task);
    });
  }

  /** Runs the plan to its end. Never throws: what goes wrong is in the result. */
  run(): SeedResult {
    try {
      this.play();
    } catch (error) {
      this.found.push(`${(error as Error).message}, at ${this.nowMs} virtual ms`);
    }
    // Also of a run that was cut short: what was found before tells why.
    this.found.push(...this.checkers.violations.found, ...this.client.surprises.slice(0, 3));
    const { receipts } = this.client;
    const committed = [...receipts.values()].filter(({ status }) => status === 1);
    const { scheduler } = this.world;
    return {
      seed: this.plan.seed,
      ok: this.found.length === 0,
      found: this.found.slice(0, 20),
      faults: Object.fromEntries([...this.strikes.counts].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      committed: committed.length,
      crossShard: committed.filter(({ crossShard }) => crossShard).length,
      aborted: receipts.size - committed.length,
      virtualMs: this.nowMs,
      events: scheduler.events,
      digest: toHex(scheduler.trace.digest()),
    };
  }

  private play(): void {
    const { scheduler } = this.world;
    this.cluster.startAll();
    for (const event of this.plan.events) this.at(event.atMs, () => this.begin(event));
    for (const transfer of this.plan.transfers) this.at(transfer.atMs, () => this.client.send(transfer));
    for (const call of this.plan.calls) this.at(call.atMs, () => this.client.call(call));
    this.at(this.plan.healMs, () => {
      this.armed.clear();
      this.checkers.healed(scheduler.nowMs());
    });
    this.every(RESUBMIT_MS, () => this.client.offerAll());
    let done = false;
    this.every(LOOK_MS, () => (done = this.done));
    const untilMs = SIM_START_MS + this.plan.healMs + SETTLE_MS;
    const end = scheduler.run({ eventsMax: EVENTS_MAX, untilMs, until: () => done });
    if (end !== 'until') this.found.push(`it does not end: ${this.diagnosis()}`);
    else this.judge();
  }

  private begin(event: FaultEvent): void {
    this.watch.fault?.(event, this.world.scheduler.nowUs());
    if (event.kind === 'disconnect') {
      const { network } = this.world;
      network.recheck(event.nodes);
      this.at(event.untilMs, () => network.recheck(event.nodes));
    } else if (event.kind === 'crash-all') {
      for (const name of this.cluster.names()) this.crash(name, event);
    } else if (event.effect > 0) {
      const label = event.nodes[0]!;
      if (!this.armed.has(label)) this.armed.set(label, { event, left: event.effect });
    }
  }

  private crash(name: NodeName, event: FaultEvent): void {
    if (this.world.running(name) === undefined) return;
    this.strikes.add(event.kind);
    this.cluster.kill(name);
    this.restart(name, event.ms);
  }

  private restart(name: NodeName, afterMs: number): void {
    this.at(this.nowMs + afterMs, () => {
      if (this.world.running(name) === undefined) this.cluster.start(name);
    });
  }

  private effect(name: NodeName, effect: Effect): boolean {
    this.watch.effect?.(name, effect, this.world.scheduler.nowUs());
    this.checkers.requests.effect(name, effect, this.nowMs);
    const armed = this.armed.get(nodeLabel(name));
    if (armed === undefined || this.world.disk(name).queued < unsyncedNeeded(armed.event.kind) || --armed.left > 0) return true;
    return !armed.event.before || this.strike(name, armed.event);
  }

  private afterEffect(name: NodeName): boolean {
    const armed = this.armed.get(nodeLabel(name));
    return armed === undefined || armed.left > 0 || this.strike(name, armed.event);
  }

  /** The node dies here, between two effects: false, as the cluster wants it. */
  private strike(name: NodeName, event: FaultEvent): boolean {
    this.armed.delete(nodeLabel(name));
    const { kind } = event;
    if (kind === 'crash') this.strikes.add(kind);
    else this.disks.get(nodeLabel(name))!.strike(event);
    this.restart(name, event.ms);
    return false;
  }

  /** A full disk stops its node with a diagnosis; anything else that stops one is a bug. */
  private nodeFailed(name: NodeName, error: Error): void {
    if (!(error instanceof ShardlabError) || error.code !== 'storage/full') throw new Error(`${nodeLabel(name)} failed: ${error.message}`, { cause: error });
    this.restart(name, ROOM_MS);
  }

  private stored(name: NodeName, record: PersistRecord): void {
    this.watch.stored?.(name, record, this.world.scheduler.nowUs());
    this.checkers.observe(name, record);
    this.client.observe(record);
  }

  /** Whether everything that was sent has ended, nothing is under way, and all validators of a chain are at one head. */
  private get done(): boolean {
    if (this.planned > 0 || this.client.open > 0 || !this.checkers.quiet) return false;
    const heads = new Map<number, string>();
    for (const name of this.cluster.names()) {
      const head = this.headOf(name);
      const known = heads.get(name.chain);
      if (head === undefined || (known !== undefined && known !== head)) return false;
      heads.set(name.chain, head);
    }
    return true;
  }

  private headOf(name: NodeName): string | undefined {
    const node = this.cluster.node(name);
    if (node === undefined) return undefined;
    if (node.beacon !== undefined) return `${node.beacon.head?.height ?? 0}`;
    const { header, hash } = node.shard!.replica.head;
    return `${header.height} ${bytesKey(hash)}`;
  }

  /** A network at rest holds no lock, no escrow and nothing open, says of its heads what it has stored, and every account has what the receipts say. */
  private judge(): void {
    const expected = this.client.expected(KIT_BALANCE);
    for (const name of this.cluster.names()) {
      const shard = this.cluster.node(name)?.shard;
      if (shard === undefined) continue;
      const { header, hash } = shard.replica.head;
      this.checkers.finalHead(name, header.height, hash);
      const { locksHeld, coordinating, participating, parked, waiting } = shard.protocol.counts();
      const left = locksHeld + coordinating + participating + parked + waiting;
      if (left > 0) this.found.push(`${nodeLabel(name)} is at rest with ${JSON.stringify(shard.protocol.counts())}`);
      this.kit.accounts.forEach(({ address, home }, index) => {
        if (home !== name.chain) return;
        const balance = shard.state.account(bytesKey(address))?.balance ?? 0n;
        if (balance !== expected[index]) this.found.push(`${nodeLabel(name)} gives account ${index} ${balance} wei, its receipts ${expected[index]}`);
      });
    }
    this.checkers.atRest();
  }

  private diagnosis(): string {
    const nodes = this.cluster.names().map((name) => {
      const node = this.cluster.node(name);
      const status = node?.beacon?.consensusStatus ?? node?.shard?.replica.consensus;
      const head = this.headOf(name)?.split(' ')[0];
      return status === undefined ? `${nodeLabel(name)} down` : `${nodeLabel(name)} at ${head} view ${status.view}${status.active ? '' : ' changing'} heard ${status.voted.length}`;
    });
    const { atomicity, sequences } = this.checkers;
    const open = `${this.client.open} of ${this.client.count} without a receipt, ${atomicity.openCount} open, ${sequences.underway} messages under way`;
    return `${open}; ${nodes.join(', ')}`;
  }
}

