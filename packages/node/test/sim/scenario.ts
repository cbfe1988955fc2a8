import assert from 'node:assert/strict';
import { BEACON, bytesKey, type ShardId, type TransactionReceipt } from '@shardlab/crosslink';
import type { PersistRecord, RejectionCode } from '@shardlab/shard';
import { nodeLabel } from '../../src/network/names.ts';
import type { NodeName } from '../../src/ports.ts';
import { NetworkCheckers } from '../../src/sim/checkers/network-checkers.ts';
import type { SimCluster, SimClusterHooks } from '../../src/sim/cluster.ts';
import type { SimWorldFaults } from '../../src/sim/world.ts';
import type { LoadedCall } from '../../src/sim/contracts/loaded-call.ts';
import { expectedBalances, type SentValue } from '../../src/sim/expected-balances.ts';
import { KIT_BALANCE, type KitAccount } from '../../src/sim/network-kit.ts';
import { START_MS, testCluster, type TestNetwork, transfer } from './network-kit.ts';

/** The beacon's node. */
export const THE_BEACON: NodeName = { chain: BEACON, validator: 0 };

/** A shard's node. */
export function shardNode(shard: number): NodeName {
  return { chain: shard as ShardId, validator: 0 };
}

/** What is special about one run. */
export interface ScenarioOptions {
  readonly network: TestNetwork;
  readonly seed: number;
  readonly faults?: SimWorldFaults;
  readonly hooks?: Pick<SimClusterHooks, 'beforeEffect' | 'afterEffect'>;
  /** Whether an abort may cross a refusal, and then fits no record any more: where several shards take part. */
  readonly crossing?: boolean;
  /** How often the client offers again what has no receipt, in virtual ms. */
  readonly resubmitMs?: number;
}

interface Sent extends SentValue, Pick<LoadedCall, 'raw'> {
  readonly home: ShardId;
}

/** Acceptance is not durability: what was forgotten is offered again, and these are what a client must expect when it does. */
const EXPECTED: ReadonlySet<RejectionCode> = new Set(['already-known', 'nonce-too-low', 'busy', 'pool-full']);
const EVENTS_MAX = 20_000_000;

/**
 * One run of a whole network under all checkers: a cluster, a client that offers its transfers until each has a receipt, and the clock by which things happen
 * to them.
 */
export class Scenario {
  readonly cluster: SimCluster;
  readonly checkers: NetworkCheckers;
  /** Receipts by `bytesKey` of the transaction's hash. */
  readonly receipts = new Map<string, TransactionReceipt>();
  /** Blocks stored, by node of the chain. */
  readonly blocks = new Map<string, number>();
  /** Records that each node has stored, beacon blocks that it follows included. */
  readonly told = new Map<string, number>();
  readonly network: TestNetwork;
  private readonly options: ScenarioOptions;
  private readonly nonces = new Map<number, number>();
  private readonly sent = new Map<string, Sent>();
  private readonly unsettled = new Map<string, Sent>();
  private readonly surprises: string[] = [];
  /** Sends and stops that are still to come. */
  private planned = 0;
  private offers = 0;

  constructor(options: ScenarioOptions) {
    this.options = options;
    this.network = options.network;
    const { genesis, crypto } = options.network;
    this.checkers = new NetworkCheckers({ genesis }, { crypto });
    this.cluster = testCluster(options.network, options.seed, { ...options.hooks, stored: (node, record) => this.stored(node, record) }, options.faults);
    this.cluster.startAll();
    this.every(options.resubmitMs ?? 400, () => this.offerAll());
  }

  /** Virtual milliseconds since the start. */
  get nowMs(): number {
    return this.cluster.world.scheduler.nowMs() - START_MS;
  }

  get submitted(): number {
    return this.sent.size;
  }

  private stored(node: NodeName, record: PersistRecord): void {
    this.checkers.observe(node, record);
    this.told.set(nodeLabel(node), (this.told.get(nodeLabel(node)) ?? 0) + 1);
    if (record.kind === 'beacon-block' && node.chain !== BEACON) return;
    this.blocks.set(nodeLabel(node), (this.blocks.get(nodeLabel(node)) ?? 0) + 1);
    if (record.kind !== 'shard-block') return;
    for (const receipt of record.block.receipts) {
      this.receipts.set(bytesKey(receipt.txHash), receipt);
      this.unsettled.delete(bytesKey(receipt.txHash));
    }
  }

  /** Runs `task` at a virtual time since the start; the run does not count as settled before. */
  at(ms: number, task: () => void): void {
    this.planned++;
    this.cluster.world.scheduler.schedule(Math.max(0, ms - this.nowMs) * 1000, () => {
      this.planned--;
      task();
    });
  }

  private every(ms: number, task: () => void): void {
    this.cluster.world.scheduler.schedule(ms * 1000, () => {
      task();
      this.every(ms, task);
    });
  }

  /** The client wants a transfer between accounts of the network, by their index. */
  send(from: number, to: number, value = 1n): void {
    const { network } = this;
    const recipient = network.accounts[to]!.address;
    const gains = [{ toKey: bytesKey(recipient), value }];
    this.sign(from, (account, nonce) => ({ ...transfer(network, account, recipient, nonce, value), value, gains }));
  }

  /** The client wants whatever `sign` signs with the account's next nonce. Returns its hash. */
  sign(from: number, sign: (account: KitAccount, nonce: number) => LoadedCall): string {
    const account = this.network.accounts[from]!;
    const nonce = this.nonces.get(from) ?? 0;
    this.nonces.set(from, nonce + 1);
    const { hash, raw, value, gains } = sign(account, nonce);
    const sent = { home: account.home, from, value, gains, raw };
    this.sent.set(bytesKey(hash), sent);
    this.unsettled.set(bytesKey(hash), sent);
    this.offer(sent.home, [sent]);
    return bytesKey(hash);
  }

  private offerAll(): void {
    const byHome = new Map<ShardId, Sent[]>();
    for (const sent of this.unsettled.values()) {
      const list = byHome.get(sent.home);
      if (list === undefined) byHome.set(sent.home, [sent]);
      else list.push(sent);
    }
    for (const [home, list] of byHome) this.offer(home, list);
  }

  private offer(home: ShardId, list: readonly Sent[]): void {
    const up = this.cluster.names().filter((name) => name.chain === home && this.cluster.node(name) !== undefined);
    const name = up[this.offers++ % Math.max(1, up.length)];
    if (name === undefined) return;
    this.cluster.submit(name, list.map((sent) => sent.raw), (results) => {
      for (const { rejection } of results) {
        if (rejection !== undefined && !EXPECTED.has(rejection.code)) this.surprises.push(rejection.message);
      }
    });
  }

  /** `kill -9` now, and a new start `downMs` later; a node that is down already stays so. */
  crash(name: NodeName, downMs: number): void {
    if (this.cluster.world.running(name) === undefined) return;
    this.cluster.kill(name);
    this.restart(name, downMs);
  }

  /** Starts a node that is down, `afterMs` from now. */
  restart(name: NodeName, afterMs: number): void {
    this.at(this.nowMs + afterMs, () => this.cluster.start(name));
  }

  runFor(ms: number): void {
    const { scheduler } = this.cluster.world;
    const end = scheduler.run({ eventsMax: EVENTS_MAX, untilMs: scheduler.nowMs() + ms });
    assert.equal(end, 'time', this.describe());
  }

  runUntil(until: () => boolean, maxMs: number): void {
    const { scheduler } = this.cluster.world;
    const end = scheduler.run({ eventsMax: EVENTS_MAX, untilMs: scheduler.nowMs() + maxMs, until });
    assert.equal(end, 'until', `not within ${maxMs} virtual ms: ${this.describe()}`);
  }

  /** Whether everything that was sent has a receipt, and nothing is under way anywhere. */
  get settled(): boolean {
    return this.planned === 0 && this.unsettled.size === 0 && this.checkers.quiet && this.cluster.names().every((name) => this.cluster.node(name) !== undefined);
  }

  /** Runs until everything has ended, then asks every checker. */
  settle(maxMs: number): void {
    this.runUntil(() => this.settled, maxMs);
    this.check();
  }

  /** All checks of a network at rest. */
  check(): void {
    for (const name of this.cluster.names()) {
      const shard = this.cluster.node(name)?.shard;
      if (shard === undefined) continue;
      const { header, hash } = shard.replica.head;
      this.checkers.finalHead(name, header.height, hash);
      const { locksHeld, coordinating, participating, parked, waiting, ignoredMessages } = shard.protocol.counts();
      const ignored = this.options.crossing === true ? 0 : ignoredMessages;
      assert.deepEqual({ locksHeld, coordinating, participating, parked, waiting, ignored }, AT_REST, this.describe());
    }
    const beacon = this.cluster.node(THE_BEACON)?.beacon;
    if (beacon !== undefined) assert.equal(beacon.head?.height ?? 0, this.checkers.beacon.height, this.describe());
    this.checkers.atRest();
    assert.deepEqual(this.checkers.violations.found, [], this.describe());
    assert.deepEqual(this.surprises, [], this.describe());
    this.checkBalances();
  }

  /** Every balance is what a ledger kept from the receipts says. */
  private checkBalances(): void {
    const { accounts } = this.network;
    const expected = expectedBalances(this.network, KIT_BALANCE, this.sent, this.receipts);
    accounts.forEach(({ address, home }, index) => {
      const node = this.cluster.node({ chain: home, validator: 0 })?.shard;
      if (node === undefined) return;
      assert.equal(node.state.account(bytesKey(address))?.balance ?? 0n, expected[index], `account ${index}: ${this.describe()}`);
    });
  }

  /** Receipts by kind and status, as `cross/1`. */
  outcomes(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { crossShard, status } of this.receipts.values()) {
      const kind = `${crossShard ? 'cross' : 'local'}/${status}`;
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
    return counts;
  }

  /** What a failure must say to be found again. */
  describe(): string {
    const { violations } = this.checkers;
    const down = this.cluster.names().filter((name) => this.cluster.node(name) === undefined).map(nodeLabel);
    return [
      `seed ${this.options.seed}, ${this.nowMs} virtual ms`,
      `${this.unsettled.size} of ${this.sent.size} without a receipt: ${JSON.stringify(this.outcomes())}`,
      `down: [${down.join(' ')}]`,
      `open ${this.checkers.atomicity.openCount}, messages under way ${this.checkers.sequences.underway}`,
      `violations: [${violations.found.slice(0, 5).join('; ')}]`,
    ].join(', ');
  }
}

const AT_REST = { locksHeld: 0, coordinating: 0, participating: 0, parked: 0, waiting: 0, ignored: 0 };
