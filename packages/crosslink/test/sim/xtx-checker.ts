/**
 * What must hold of two-phase commit, checked from outside: from messages, settlements, records and balances alone. Nothing here asks the protocol's instances.
 */
import assert from 'node:assert/strict';
import { bytesKey } from '../../src/primitives.ts';
import type { Credit, CrossShardMessage } from '../../src/xtx/messages.ts';
import type { CallOperation } from '../../src/xtx/operations.ts';
import { decodeCoordinatorRecord, decodeParkedCredit, decodeParticipantRecord } from '../../src/xtx/records.ts';
import type { CrossShardIntent, Settlement } from '../../src/xtx/types.ts';
import { decodeToyCall } from './toy-contracts.ts';
import type { ModelReplica, ModelResult } from './xtx-replica.ts';

interface Attempt {
  /** Participants that were asked, and what they answered. */
  readonly asked: Map<number, string | undefined>;
  /** Votes that have reached the coordinator. */
  readonly heard: Map<number, string>;
  /** What each participant was told, and what it acknowledged. */
  readonly told: Map<number, boolean>;
  readonly acked: Map<number, boolean>;
}

interface Life {
  readonly coordinator: number;
  readonly intent: CrossShardIntent;
  readonly attempts: Map<number, Attempt>;
  settlement: Settlement | undefined;
}

interface Held {
  readonly id: string;
  readonly ageMs: number;
  readonly key: string;
  readonly mode: string;
  /** Taken after this block's waiters were judged. */
  readonly fresh: boolean;
}

/** Bounds that the checked instances were made with. */
export interface CheckedBounds {
  readonly openPreparesMax: number;
  readonly attemptsMax: number;
  readonly lockWaitersMax: number;
}

function share(a: string, b: string): boolean {
  return (a === 'delta' && b === 'delta') || (a === 'read' && b === 'read');
}

function isOlder(a: { ageMs: number; id: string }, b: { ageMs: number; id: string }): boolean {
  return a.ageMs < b.ageMs || (a.ageMs === b.ageMs && a.id < b.id);
}

/** Scripted addresses are other accounts on each shard; the rest have one home, which may be elsewhere than the rule says. */
function byHolder(shards: readonly ReadonlyMap<string, bigint>[]): Map<string, bigint> {
  const totals = new Map<string, bigint>();
  shards.forEach((balances, shard) => {
    for (const [address, wei] of balances) {
      const key = address.charCodeAt(0) >= 0xaa ? address : `${shard} ${address}`;
      if (wei !== 0n) totals.set(key, (totals.get(key) ?? 0n) + wei);
    }
  });
  return new Map([...totals].filter(([, wei]) => wei !== 0n).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** See the head of this file. */
export class XtxChecker {
  readonly lives = new Map<string, Life>();
  private readonly open = new Map<string, number>();
  /** Value that contracts gave to accounts of other shards, and that stubs sent on. */
  readonly credits: Credit[] = [];
  /** Negative votes that the block under way consumed. */
  private ended: { source: number; id: string; attempt: number }[] = [];
  private readonly bounds: CheckedBounds;
  private readonly genesis: bigint;
  /** Expected balances, once all has ended: made from intents and settlements alone. */
  private readonly expected: Map<string, bigint>[];
  /** Expected storage, by shard and slot. */
  private readonly slots = new Map<string, number>();

  constructor(replicas: readonly ModelReplica[], bounds: CheckedBounds) {
    this.bounds = bounds;
    this.expected = replicas.map((replica) => new Map(replica.balances));
    this.genesis = this.expected.reduce((sum, balances) => [...balances.values()].reduce((a, b) => a + b, sum), 0n);
  }

  private attempt(id: string, number: number): Attempt {
    const life = this.lives.get(id);
    assert.ok(life !== undefined, 'a message of a transaction that nobody began');
    let attempt = life.attempts.get(number);
    if (attempt === undefined) life.attempts.set(number, (attempt = { asked: new Map(), heard: new Map(), told: new Map(), acked: new Map() }));
    return attempt;
  }

  /** A transaction was taken over; called before its messages are seen. */
  began(coordinator: number, intent: CrossShardIntent, id: Uint8Array): void {
    const key = bytesKey(id);
    assert.ok(!this.lives.has(key), 'begun twice');
    this.lives.set(key, { coordinator, intent, attempts: new Map(), settlement: undefined });
  }

  /** A block of `shard` consumed `message` of `source`. */
  consumed(shard: number, source: number, message: CrossShardMessage): void {
    if (message.kind === 'vote') {
      const { heard } = this.attempt(bytesKey(message.id), message.attempt);
      assert.ok(!heard.has(source), 'two votes of one participant in one attempt');
      heard.set(source, message.answer.kind);
      if (message.answer.kind !== 'yes') this.ended.push({ source, id: bytesKey(message.id), attempt: message.attempt });
    }
    if (message.kind === 'ack') this.count(shard, source, -1);
  }

  /** A negative vote ends the participant's part, unless a Decision was on its way to it before: then its Ack does. */
  private closeEnded(shard: number): void {
    for (const { source, id, attempt } of this.ended) if (!this.attempt(id, attempt).told.has(source)) this.count(shard, source, -1);
    this.ended = [];
  }

  private count(coordinator: number, participant: number, by: number): void {
    const key = `${coordinator}>${participant}`;
    const open = (this.open.get(key) ?? 0) + by;
    assert.ok(open >= 0 && open <= this.bounds.openPreparesMax, `${open} open Prepares of pair ${key}`);
    this.open.set(key, open);
  }

  /** A block of `shard` is done. */
  executed(shard: number, result: ModelResult): void {
    // Where the shard itself refuses its own part, an attempt begins and ends in one block.
    const begun = new Set(result.sent.flatMap(({ message }) => (message.kind === 'prepare' ? [`${bytesKey(message.id)} ${message.attempt}`] : [])));
    const early = (message: CrossShardMessage): boolean => message.kind === 'decision' && !begun.has(`${bytesKey(message.id)} ${message.attempt}`);
    for (const { destination, message } of result.sent) if (early(message)) this.emitted(shard, destination, message);
    this.closeEnded(shard);
    for (const { destination, message } of result.sent) if (!early(message)) this.emitted(shard, destination, message);
    for (const settlement of result.settled) this.settled(shard, settlement);
  }

  private emitted(from: number, to: number, message: CrossShardMessage): void {
    if (message.kind === 'credit') this.credits.push(message);
    else this.protocolMessage(from, to, message);
  }

  private protocolMessage(from: number, to: number, message: Exclude<CrossShardMessage, Credit>): void {
    const id = bytesKey(message.id);
    const attempt = this.attempt(id, message.attempt);
    const { coordinator } = this.lives.get(id)!;
    assert.ok(message.attempt < this.bounds.attemptsMax, 'more attempts than allowed');
    switch (message.kind) {
      case 'prepare':
        assert.equal(from, coordinator);
        assert.ok(!attempt.asked.has(to), 'asked twice in one attempt');
        for (const [number, { asked, told, acked }] of this.lives.get(id)!.attempts) {
          if (number === message.attempt) continue;
          assert.ok(number < message.attempt, 'attempts go up');
          for (const [shard, answer] of asked) assert.ok(told.has(shard) ? acked.has(shard) : answer !== undefined && answer !== 'yes', 'a new attempt before the last one ended');
        }
        attempt.asked.set(to, undefined);
        this.count(from, to, 1);
        break;
      case 'vote':
        assert.equal(to, coordinator);
        assert.ok(attempt.asked.has(from) && attempt.asked.get(from) === undefined, 'a vote that nobody asked for');
        attempt.asked.set(from, message.answer.kind);
        break;
      case 'decision':
        assert.equal(from, coordinator);
        assert.ok(attempt.asked.has(to) && !attempt.told.has(to), 'told twice, or never asked');
        attempt.told.set(to, message.commit);
        assert.ok([...attempt.told.values()].every((commit) => commit === message.commit), 'mixed decisions');
        if (message.commit) for (const shard of attempt.asked.keys()) assert.equal(attempt.heard.get(shard), 'yes', 'commit without every yes');
        break;
      case 'ack':
        assert.equal(to, coordinator);
        assert.equal(attempt.told.get(from), message.commit, 'an Ack of something else');
        assert.ok(!attempt.acked.has(from), 'two Acks');
        attempt.acked.set(from, message.commit);
        break;
    }
  }

  private settled(shard: number, settlement: Settlement): void {
    const { record, commit, gasUsed } = settlement;
    const life = this.lives.get(bytesKey(record.id));
    assert.ok(life !== undefined && life.settlement === undefined && life.coordinator === shard, 'settled twice, or elsewhere');
    life.settlement = settlement;
    const { intent, attempts } = life;
    assert.ok(gasUsed <= intent.gasLimit && gasUsed >= Math.min(intent.gasLimit, intent.intrinsicGas), `gas ${gasUsed} of ${intent.gasLimit}`);
    const committed = [...attempts.values()].filter(({ told }) => [...told.values()].includes(true));
    assert.equal(committed.length, commit ? 1 : 0, 'the receipt says what was decided');
    assert.equal(record.reason === 'none', commit);
    for (const { asked, told, acked } of attempts.values()) {
      for (const participant of asked.keys()) assert.equal(told.has(participant), acked.has(participant), 'settled before all acknowledged');
    }
    this.add(shard, intent.sender, -(commit ? intent.value : 0n) - BigInt(gasUsed) * intent.gasPrice);
    if (!commit) return;
    for (const { shard: at, operation } of record.participants) {
      if (operation.kind === 'transfer') this.add(at, operation.to, operation.value);
      if (operation.kind === 'call') this.called(at, operation);
    }
    const carried = record.participants.reduce((sum, each) => sum + each.operation.value, 0n);
    assert.equal(carried, intent.value, 'merged or moved, the parts share out the value');
    settlement.logs.forEach((logs, at) => {
      const { operation } = record.participants[at]!;
      assert.equal(logs.length > 0, operation.kind === 'call' && operation.calls.some((call) => call.data.length > 0), 'each participant\'s logs, in order');
    });
  }

  private add(at: number, address: Uint8Array, amount: bigint): void {
    const balances = this.expected[at]!;
    balances.set(bytesKey(address), (balances.get(bytesKey(address)) ?? 0n) + amount);
  }

  /** What a committed part's toy calls come to, wherever the credits end: they are counted by address. */
  private called(at: number, { calls }: CallOperation): void {
    for (const { to, value, data } of calls) {
      const call = data.length === 0 ? undefined : decodeToyCall(data);
      const gift = value > 0n ? call?.gift : undefined;
      this.add(at, to, gift === undefined ? value : value - 1n);
      if (gift !== undefined) this.add(at, gift, 1n);
      if (call === undefined) continue;
      const key = `${at} ${call.slot}`;
      this.slots.set(key, (this.slots.get(key) ?? 0) + call.add);
    }
  }

  /** Holds between any two blocks; `shard` made the last one. */
  always(replicas: readonly ModelReplica[], shard: number): void {
    let supply = 0n;
    for (const replica of replicas) {
      for (const balance of replica.balances.values()) supply += balance;
      supply += replica.escrowed + replica.burned;
      replica.sent.forEach((amount, other) => (supply += amount - replicas[other]!.received[replica.shard]!));
    }
    this.checkRecords(replicas[shard]!);
    assert.equal(supply, this.genesis, 'balances + escrow + in flight + burned = genesis');
  }

  /** Escrow is what the records hold; no two of them hold what excludes each other; nobody waits for an older one. */
  private checkRecords(replica: ModelReplica): void {
    let escrow = 0n;
    let waiting = 0;
    const held: Held[] = [];
    const wanted: Held[] = [];
    for (const { namespace, value } of replica.records.values()) {
      if (namespace === 'parked') escrow += decodeParkedCredit(value);
      if (namespace === 'coordinator') {
        const { id, ageMs, locks, phase, escrowValue, escrowFee, prepared } = decodeCoordinatorRecord(value);
        escrow += escrowValue + escrowFee;
        const fresh = prepared.height === replica.now.height;
        if (phase !== 'retrying') for (const { key, mode } of locks) held.push({ id: bytesKey(id), ageMs, key, mode, fresh });
      }
      if (namespace === 'participant') {
        const { id, ageMs, locks, status, coordinator, since } = decodeParticipantRecord(value);
        const fresh = coordinator === replica.shard && since.height === replica.now.height;
        if (status === 'waiting') waiting++;
        for (const { key, mode } of locks) (status === 'waiting' ? wanted : held).push({ id: bytesKey(id), ageMs, key, mode, fresh });
      }
    }
    assert.equal(replica.escrowed, escrow, 'escrow stands in records');
    assert.ok(waiting <= this.bounds.lockWaitersMax, 'waiters are bounded');
    held.forEach((a, at) => {
      for (const b of held.slice(at + 1)) assert.ok(a.key !== b.key || share(a.mode, b.mode), 'two holders that exclude each other');
      for (const b of wanted) if (a.key === b.key && !share(a.mode, b.mode) && !a.fresh) assert.ok(isOlder(b, a), 'somebody waits for an older one');
    });
    assert.equal(replica.protocol.counts().locksHeld, new Set(held.map(({ id, key }) => `${id} ${key}`)).size, 'locks are what records say');
  }

  /** Holds when nothing is under way any more. */
  atRest(replicas: readonly ModelReplica[]): void {
    for (const { settlement } of this.lives.values()) assert.ok(settlement !== undefined, 'a transaction that never ended');
    for (const [pair, open] of this.open) assert.equal(open, 0, `open Prepares of pair ${pair}`);
    for (const replica of replicas) {
      assert.deepEqual([...replica.records.keys()], [], 'records are left');
      const { ignoredMessages: _, ...counts } = replica.protocol.counts();
      assert.deepEqual(counts, { coordinating: 0, participating: 0, waiting: 0, retrying: 0, locksHeld: 0, parked: 0 });
      assert.deepEqual(replica.protocol.nextDue(), { timestampMs: undefined, height: undefined });
      assert.equal(replica.escrowed, 0n);
      for (const [slot, value] of replica.slots) assert.equal(value, this.slots.get(`${replica.shard} ${slot}`), 'no update is lost, none happens twice');
    }
    const written = replicas.reduce((sum, replica) => sum + replica.slots.size, 0);
    assert.equal(written, this.slots.size, 'all or nothing');
    assert.deepEqual(byHolder(replicas.map(({ balances }) => balances)), byHolder(this.expected), 'every account has what its transactions come to');
  }

  /** What the runs came to, so that a test can see that it saw something. */
  outcomes(): Map<string, number> {
    const outcomes = new Map<string, number>();
    for (const { settlement } of this.lives.values()) {
      const outcome = settlement!.record.reason;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    return outcomes;
  }
}

