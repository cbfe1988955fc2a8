/**
 * A network of shards that do nothing but two-phase commit: pairs of FIFO channels with random delays and cuts, blocks in random order on clocks that disagree,
 * replicas that crash and that take blocks back. Seeded; no real time.
 */
import assert from 'node:assert/strict';
import { Prng } from '../../src/prng.ts';
import { type Address, bytesKey, type Height, type ShardId, type TxHash } from '../../src/primitives.ts';
import { crossShardId } from '../../src/xtx/identity.ts';
import { balanceLock, type LockMode } from '../../src/xtx/locks.ts';
import { decodeMessage } from '../../src/xtx/messages.ts';
import type { CrossShardIntent } from '../../src/xtx/types.ts';
import { HASHER } from '../unit/kit.ts';
import { XtxChecker } from './xtx-checker.ts';
import type { Operation } from '../../src/xtx/operations.ts';
import { encodeToyCall } from './toy-contracts.ts';
import { madeOf, type ModelBlock, type ModelInput, ModelReplica, type ModelResult, SCRIPT, scripted, senderOf, slotLock, toyOf } from './xtx-replica.ts';

/** What kind of network and load a run has. */
export interface ModelOptions {
  readonly seed: number;
  readonly shards: number;
  readonly transactions: number;
  readonly deadlineMs: number;
  readonly attemptsMax: number;
  readonly openPreparesMax: number;
  readonly lockWaitersMax: number;
  /** Scripts that operations are drawn from. */
  readonly scripts: readonly number[];
  /** Different slots that scripts name: few = contention. */
  readonly slots: number;
  /** Share of transactions whose coordinator locks a slot of its own too. */
  readonly ownSlotShare: number;
  /** Share of operations that are calls of toy contracts. */
  readonly callShare: number;
  /** Share of transactions in which the coordinator's own shard takes part. */
  readonly ownPartShare: number;
  readonly delayMaxMs: number;
  /** Whether pairs are cut now and then, until the load has ended. */
  readonly cuts: boolean;
  /** Whether a second replica crashes and takes blocks back, and must not differ. */
  readonly twin: boolean;
}

interface Channel {
  readonly queue: (ModelInput & { readonly readyMs: number })[];
  cutUntilMs: number;
}

const SENDERS = 3;
const FUNDS = 10n ** 12n;
const STEPS_MAX = 40_000;

/** See the head of this file. */
export class XtxModel {
  readonly checker: XtxChecker;
  readonly replicas: ModelReplica[];
  /** Blocks of all shards. */
  blocks = 0;
  crashes = 0;
  private readonly twins: ModelReplica[];
  private readonly options: ModelOptions;
  private readonly prng: Prng;
  private readonly channels: Channel[][];
  private readonly skewsMs: number[];
  private readonly pool: CrossShardIntent[][];
  private readonly poolMax: number;
  private nowMs = 1_000_000;
  private made = 0;

  constructor(options: ModelOptions) {
    this.options = options;
    this.prng = new Prng(options.seed);
    const { shards } = options;
    const create = (): ModelReplica[] => Array.from({ length: shards }, (_, shard) => this.replica(shard));
    this.replicas = create();
    this.twins = options.twin ? create() : [];
    this.checker = new XtxChecker(this.replicas, options);
    this.channels = Array.from({ length: shards }, () => Array.from({ length: shards }, () => ({ queue: [], cutUntilMs: 0 })));
    this.skewsMs = Array.from({ length: shards }, () => this.prng.below(2_000));
    this.pool = Array.from({ length: shards }, () => []);
    this.poolMax = 1 + this.prng.below(4);
  }

  private replica(shard: number): ModelReplica {
    const replica = new ModelReplica(shard, this.options.shards, this.options);
    for (let index = 0; index < SENDERS; index++) replica.balances.set(bytesKey(senderOf(shard, index)), FUNDS);
    return replica;
  }

  /** Load, then quiet until everything has ended. Throws when something does not hold. */
  run(): void {
    const { prng, options } = this;
    let steps = 0;
    while (this.made < options.transactions || this.busy()) {
      assert.ok(++steps < STEPS_MAX, `not at rest after ${steps} steps`);
      const loading = this.made < options.transactions;
      if (loading && options.cuts && prng.below(30) === 0) this.cut();
      const shard = loading ? prng.below(options.shards) : this.wanting();
      this.nowMs += 1 + prng.below(60);
      if (loading && prng.below(2) === 0 && this.pool[shard]!.length < this.poolMax) this.pool[shard]!.push(this.intent(shard));
      this.produce(shard);
    }
    this.checker.atRest(this.replicas);
    for (const replica of this.replicas) this.probeBudgets(replica);
  }

  private busy(): boolean {
    return this.pool.some((each) => each.length > 0) || this.replicas.some(({ records }) => records.size > 0) || this.channels.flat().some(({ queue }) => queue.length > 0);
  }

  /** A shard that has a reason to make a block, by what a node would know: a message, its pool, `nextDue`. With none anywhere: time passes, or a heartbeat. */
  private wanting(): number {
    const { prng, replicas } = this;
    for (;;) {
      let wakeMs = Infinity;
      const ready: number[] = [];
      replicas.forEach(({ protocol, now }, shard) => {
        const { height, timestampMs } = protocol.nextDue();
        if (timestampMs !== undefined) wakeMs = Math.min(wakeMs, timestampMs - this.skewsMs[shard]!);
        const dueMs = Math.min(...this.channels.map((row) => row[shard]!.queue[0]?.readyMs ?? Infinity));
        wakeMs = Math.min(wakeMs, dueMs);
        const late = timestampMs !== undefined && timestampMs < this.nowMs + this.skewsMs[shard]!;
        if (late || dueMs <= this.nowMs || this.pool[shard]!.length > 0 || (height !== undefined && height <= now.height + 1)) ready.push(shard);
      });
      if (ready.length > 0) return ready[prng.below(ready.length)]!;
      if (wakeMs === Infinity) break;
      this.nowMs = wakeMs + 1;
    }
    // Only a retry that waits for a height can be left: heartbeats bring it on.
    assert.ok(replicas.some(({ protocol }) => protocol.nextDue().height !== undefined), 'nothing is due, nothing is under way, and something has not ended');
    return prng.below(replicas.length);
  }

  private cut(): void {
    const { prng, options } = this;
    this.channels[prng.below(options.shards)]![prng.below(options.shards)]!.cutUntilMs = this.nowMs + prng.below(3 * Math.min(options.deadlineMs, 5_000));
  }

  private inbox(shard: number): ModelInput[] {
    const inbox: ModelInput[] = [];
    for (const row of this.channels) {
      const { queue } = row[shard]!;
      let room = this.prng.below(8) === 0 ? this.prng.below(3) : 1_000;
      while (queue.length > 0 && queue[0]!.readyMs <= this.nowMs && room-- > 0) inbox.push(queue.shift()!);
    }
    return inbox;
  }

  private produce(shard: number): void {
    const { prng, options } = this;
    const replica = this.replicas[shard]!;
    const timestampMs = Math.max(this.nowMs + this.skewsMs[shard]!, replica.now.timestampMs + 1);
    const now = { height: (replica.now.height + 1) as Height, timestampMs };
    const pool = this.pool[shard]!;
    const block: ModelBlock = { now, inbox: this.inbox(shard), intents: pool.splice(0, this.poolMax) };
    for (const { source, bytes } of block.inbox) this.checker.consumed(shard, source, decodeMessage(bytes));
    const result = replica.run(block);
    block.intents.forEach((intent, at) => {
      if (result.begun[at] !== 'begun') pool.push(intent);
      else this.checker.began(shard, intent, crossShardId(HASHER, replica.chainId, replica.shard, intent.txHash));
    });
    this.checker.executed(shard, result);
    for (const { destination, bytes } of result.sent) {
      const channel = this.channels[shard]![destination]!;
      const readyMs = Math.max(this.nowMs, channel.cutUntilMs, channel.queue.at(-1)?.readyMs ?? 0) + prng.below(options.delayMaxMs);
      channel.queue.push({ source: replica.shard, origin: now, bytes, readyMs });
    }
    this.blocks++;
    if (options.twin) this.compare(this.twins[shard]!, replica, block, result);
    this.checker.always(this.replicas, shard);
  }

  /** The twin has crashed, or lost a proposal, before this block: it must do the same all the same. */
  private compare(twin: ModelReplica, replica: ModelReplica, block: ModelBlock, expected: ModelResult): void {
    const { prng } = this;
    if (prng.below(4) === 0) {
      const now = { height: block.now.height, timestampMs: block.now.timestampMs + prng.below(20_000) };
      twin.runInVain({ now, inbox: block.inbox.slice(prng.below(3)), intents: block.intents.slice(prng.below(2)) });
      this.crashes++;
    }
    if (prng.below(3) === 0) {
      twin.crash(prng);
      this.crashes++;
    }
    assert.deepEqual(twin.run(block), expected, 'a replica that crashed differs');
    assert.deepEqual(twin.counts(), replica.counts());
    assert.deepEqual(twin.protocol.nextDue(), replica.protocol.nextDue());
    assert.deepEqual([twin.escrowed, twin.burned, twin.sent, twin.received], [replica.escrowed, replica.burned, replica.sent, replica.received]);
    assert.deepEqual([twin.slots, twin.stubs], [replica.slots, replica.stubs]);
    assert.equal(twin.records.size, replica.records.size);
    for (const [key, { value }] of replica.records) assert.deepEqual(twin.records.get(key)?.value, value, 'a record differs');
  }

  private transfer(shard: number): Operation {
    const { prng, options } = this;
    const kind = options.scripts[prng.below(options.scripts.length)]!;
    const first = kind === SCRIPT.moved ? prng.below(options.shards) : kind === SCRIPT.readBalance ? prng.below(SENDERS) : prng.below(options.slots);
    const to = scripted(kind, first, prng.below(options.slots));
    return { kind: 'transfer', from: senderOf(shard, 0), to, value: BigInt(prng.below(1_000)), gasLimit: prng.below(500) };
  }

  /** Calls of the toy contract of `other`: some fail, some give value away, some make contracts whose stubs others keep, and some call what lives elsewhere by now. */
  private calls(shard: number, other: number): Operation {
    const { prng, options } = this;
    const made = (): Address => madeOf(prng.below(options.shards), prng.below(6));
    const all = Array.from({ length: 1 + prng.below(3) }, () => {
      const gift = [undefined, undefined, made(), senderOf(prng.below(options.shards), 0)][prng.below(4)];
      const makes = prng.below(6) === 0 ? made() : undefined;
      const data = encodeToyCall({ slot: prng.below(options.slots), add: 1 + prng.below(9), gift, makes, fails: prng.below(12) === 0 });
      return { to: toyOf(other), value: BigInt(prng.below(50)), gasLimit: prng.below(200), data };
    });
    if (prng.below(8) === 0) all.splice(0, all.length, { to: madeOf(other, prng.below(6)), value: 7n, gasLimit: 40, data: new Uint8Array(0) });
    const value = all.reduce((sum, call) => sum + call.value, 0n);
    return { kind: 'call', from: senderOf(shard, 0), value, gasLimit: all.reduce((sum, call) => sum + call.gasLimit, 0), calls: all, stubs: [], granted: [] };
  }

  private intent(shard: number): CrossShardIntent {
    const { prng, options } = this;
    const others = Array.from({ length: options.shards }, (_, other) => other).filter((other) => other !== shard);
    const operations = Array.from({ length: 1 + prng.below(others.length) }, () => {
      const [other] = others.splice(prng.below(others.length), 1) as [number];
      return { shard: other as ShardId, operation: prng.float() < options.callShare ? this.calls(shard, other) : this.transfer(shard) };
    });
    const own = prng.float() < options.ownPartShare;
    if (own) operations.splice(prng.below(operations.length + 1), 0, { shard: shard as ShardId, operation: this.calls(shard, shard) });
    const sender = senderOf(shard, prng.below(SENDERS));
    const locks: { key: string; mode: LockMode }[] = own ? [] : [{ key: balanceLock(sender), mode: 'delta' }];
    if (!own && prng.float() < options.ownSlotShare) locks.push({ key: slotLock(prng.below(options.slots)), mode: prng.below(3) === 0 ? 'read' : 'write' });
    const hash = new Uint8Array(32);
    new DataView(hash.buffer).setUint32(0, ++this.made);
    return {
      txHash: hash as TxHash,
      sender,
      to: toyOf(shard),
      transactionType: 2,
      operations,
      value: operations.reduce((sum, each) => sum + each.operation.value, 0n),
      gasPrice: BigInt(1 + prng.below(3)),
      gasLimit: 100 + prng.below(1_500),
      intrinsicGas: 100,
      locks,
      bodyIndex: 0,
    };
  }

  /** R19's counters are back at zero: each pair takes exactly its budget again. */
  private probeBudgets(replica: ModelReplica): void {
    const now = { height: (replica.now.height + 1) as Height, timestampMs: replica.now.timestampMs + 1 };
    for (let other = 0; other < this.options.shards; other++) {
      if (other === replica.shard) continue;
      const intents = Array.from({ length: this.options.openPreparesMax + 1 }, () => {
        const intent = this.intent(replica.shard);
        const operation = { kind: 'transfer' as const, from: intent.sender, to: scripted(SCRIPT.credit), value: 0n, gasLimit: 0 };
        return { ...intent, value: 0n, locks: [], operations: [{ shard: other as ShardId, operation }] };
      });
      const { begun } = replica.run({ now, inbox: [], intents });
      assert.deepEqual(begun, intents.map((_, at) => (at < this.options.openPreparesMax ? 'begun' : 'busy')));
    }
  }
}
