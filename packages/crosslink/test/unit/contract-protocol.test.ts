/** Two-phase commit of contract calls: the coordinator's own shard as a participant, stubs, credits that are sent on, and what a lying shard can not do. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesKey, type ShardId } from '../../src/primitives.ts';
import type { CrossShardMessage, Decision } from '../../src/xtx/messages.ts';
import { type CallOperation, keepStubs, type Operation } from '../../src/xtx/operations.ts';
import type { CrossShardIntent } from '../../src/xtx/types.ts';
import { encodeToyCall, type ToyCall } from '../sim/toy-contracts.ts';
import { madeOf, scripted, SCRIPT, senderOf, slotLock, toyOf } from '../sim/xtx-replica.ts';
import { Bench, FUNDS, idOf, intentOf, kinds, prepareOf, txOf } from './xtx-kit.ts';

const shard = (index: number): ShardId => index as ShardId;
const YES = { kind: 'yes' as const };

function toyCall(at: number, from: number, over: Partial<ToyCall> = {}, value = 5n): CallOperation {
  const data = encodeToyCall({ slot: 1, add: 3, gift: undefined, makes: undefined, fails: false, ...over });
  return { kind: 'call', from: senderOf(from, 0), value, gasLimit: 100, calls: [{ to: toyOf(at), value, gasLimit: 100, data }], stubs: [], granted: [] };
}

function intent(tx: number, parts: readonly (readonly [number, Operation])[]): CrossShardIntent {
  const operations = parts.map(([at, operation]) => ({ shard: shard(at), operation }));
  return { ...intentOf(tx, []), operations, value: operations.reduce((sum, { operation }) => sum + operation.value, 0n) };
}

const decision = (coordinator: number, tx: number, value = 5n): Decision => ({ kind: 'decision', id: idOf(coordinator, tx), attempt: 0, commit: true, value });
const money = ({ replica }: Bench): bigint =>
  [...replica.balances.values()].reduce((a, b) => a + b, replica.escrowed + replica.burned) + replica.sent.reduce((a, b) => a + b) - replica.received.reduce((a, b) => a + b);

test('the own shard takes part: it votes, applies and acknowledges without a message, in the blocks in which it is asked', () => {
  const bench = new Bench();
  const { begun, sent } = bench.block({ intents: [intent(1, [[0, toyCall(0, 0)], [1, toyCall(1, 0)]])] });
  assert.deepEqual([begun, sent.map(({ destination }) => destination)], [['begun'], [1]]);
  assert.equal(bench.participating[0]?.coordinator, 0);
  assert.ok(bench.replica.protocol.forbids(slotLock(1), 'read'));
  const id = idOf(0, 1);
  assert.deepEqual(kinds(bench.vote(1, id, YES, 0, 40).sent.map(({ message }) => message)), ['commit']);
  assert.deepEqual([bench.replica.slots.get(1), bench.balance(toyOf(0)), bench.participating], [3, 5n, []]);
  const logs = Uint8Array.of(1);
  const { settled } = bench.block({ inbox: [[1, { kind: 'ack', id, attempt: 0, commit: true, logs: Uint8Array.of(9) }]] });
  assert.deepEqual(settled.map((each) => [each.commit, each.gasUsed, each.logs]), [[true, 100 + 40 + 40, [logs, Uint8Array.of(9)]]]);
  assert.deepEqual([money(bench), bench.replica.records.size, bench.replica.protocol.counts().locksHeld], [FUNDS, 0, 0]);
});

test('the own part fails: the others hear of it in the same block, and it leaves only the fee', () => {
  const bench = new Bench();
  const { sent } = bench.block({ intents: [intent(1, [[1, toyCall(1, 0)], [0, toyCall(0, 0, { fails: true })]])] });
  assert.deepEqual(kinds(sent.map(({ message }) => message)), ['prepare 0', 'abort']);
  assert.deepEqual(bench.vote(1, idOf(0, 1), YES, 0, 40).sent, []);
  assert.deepEqual(bench.ack(1, idOf(0, 1), false).settled.map(({ gasUsed, record }) => [gasUsed, record.reason]), [[180, 'reverted']]);
  assert.deepEqual([bench.replica.slots.size, bench.replica.records.size, bench.balance(senderOf(0, 0))], [0, 0, FUNDS - 360n]);
});

test('the own part waits for a younger holder, and dies for an older one; the deadline frees both halves', () => {
  const bench = new Bench();
  bench.feed(2, prepareOf(2, 900, { operation: toyCall(0, 2), ageMs: 5_000 }));
  bench.begin(intent(1, [[0, toyCall(0, 0)], [1, toyCall(1, 0)]]));
  assert.equal(bench.replica.protocol.counts().waiting, 1, 'older: it waits');
  const late = bench.block({ timestampMs: 9_000 });
  assert.deepEqual(kinds(late.sent.map(({ message }) => message)), ['abort']);
  assert.equal(bench.replica.protocol.counts().waiting, 0);
  assert.deepEqual(bench.ack(1, idOf(0, 1), false).settled.map(({ record }) => record.reason), ['deadline']);

  const { sent } = bench.block({ intents: [intent(2, [[0, toyCall(0, 0)], [1, toyCall(1, 0)]])] });
  assert.deepEqual(kinds(sent.map(({ message }) => message)), ['prepare 0', 'abort'], 'younger: a conflict');
  bench.ack(1, idOf(0, 2), false);
  bench.feed(2, { ...decision(2, 900), commit: false, value: 0n });
  let again: CrossShardMessage[] = [];
  while (again.length === 0) again = bench.block().sent.map(({ message }) => message);
  assert.deepEqual(kinds(again), ['prepare 1']);
  bench.vote(1, idOf(0, 2), YES, 1);
  assert.deepEqual(bench.ack(1, idOf(0, 2), true, 1).settled.map(({ commit }) => commit), [true]);
  assert.equal(bench.replica.slots.get(1), 3, 'once');
});

test('needs, stubs, granted: the keeper takes part, and what was sent to the address before follows it', () => {
  const bench = new Bench();
  const address = madeOf(2, 1);
  bench.begin(intent(1, [[1, toyCall(1, 0, { makes: address })]]));
  bench.vote(1, idOf(0, 1), { kind: 'needs', accounts: [{ shard: shard(2), address }] });
  let sent: CrossShardMessage[] = [];
  while (sent.length === 0) sent = bench.block().sent.map(({ message }) => message);
  const [maker, keeper] = sent.map((message) => (message.kind === 'prepare' ? (message.operation as CallOperation) : undefined));
  assert.deepEqual([maker!.granted, keeper], [[address], keepStubs(senderOf(0, 0), [{ address, home: shard(1) }])]);
  bench.vote(2, idOf(0, 1), YES, 1);
  bench.vote(1, idOf(0, 1), YES, 1);
  bench.ack(1, idOf(0, 1), true, 1);
  assert.equal(bench.ack(2, idOf(0, 1), true, 1).settled.length, 1);

  const side = new Bench(2);
  side.replica.balances.set(bytesKey(address), 70n);
  assert.deepEqual(kinds(side.feed(0, prepareOf(0, 1, { operation: keeper! }))), ['vote yes']);
  assert.deepEqual(side.feed(3, { kind: 'credit', txHash: txOf(8), to: address, value: 4n }), [], 'parked: the address is locked');
  const told = side.block({ inbox: [[0, decision(0, 1, 0n)]] }).sent;
  assert.deepEqual(told.map(({ destination, message }) => [destination, kinds([message])[0]]), [[1, 'credit 70'], [0, 'ack commit'], [1, 'credit 4']]);
  assert.deepEqual(side.block({ inbox: [[3, { kind: 'credit', txHash: txOf(9), to: address, value: 6n }]] }).sent.map(({ destination }) => destination), [1]);
  assert.deepEqual([side.balance(address), side.replica.escrowed, money(side), side.replica.records.size], [0n, 0n, FUNDS + 70n, 0]);
});

test('a credit that a stub sent on is not sent back: it would travel for ever', () => {
  const bench = new Bench(1);
  assert.deepEqual(bench.feed(2, { kind: 'credit', txHash: txOf(1), to: madeOf(2, 1), value: 4n }), []);
  assert.equal(bench.balance(madeOf(2, 1)), 4n);
  assert.deepEqual(kinds(bench.feed(3, { kind: 'credit', txHash: txOf(2), to: madeOf(2, 2), value: 4n })), ['credit 4']);
});

test('a lying coordinator: other wei than prepared are burned and nothing else happens; impossible wei are not even booked', () => {
  const bench = new Bench();
  bench.feed(1, prepareOf(1, 1, { operation: toyCall(0, 1) }));
  assert.deepEqual(kinds(bench.feed(1, decision(1, 1, 6n))), ['ack commit']);
  assert.deepEqual([bench.replica.slots.size, bench.replica.burned, bench.balance(toyOf(0)), money(bench)], [0, 6n, 0n, FUNDS]);
  const before = bench.state();
  bench.replica.receiveValue = () => false;
  const wei = (1n << 128n) - 1n;
  assert.deepEqual(bench.feed(1, { kind: 'credit', txHash: txOf(1), to: senderOf(0, 0), value: wei }, decision(1, 2, wei)), []);
  assert.equal(bench.state(), before);
});

test('a lying coordinator may not act as an account that lives here, make a contract from afar, or have a stub kept that leads nowhere', () => {
  const stub = (home: number) => ({ address: madeOf(0, 1), home: shard(home) });
  const creation: Operation = { kind: 'create', from: senderOf(1, 0), nonce: 0, value: 0n, gasLimit: 9, initcode: new Uint8Array(1), stubs: [], granted: [] };
  const lies = [toyCall(0, 0), creation, keepStubs(senderOf(1, 0), [stub(0)]), keepStubs(senderOf(1, 0), [stub(9)]), keepStubs(senderOf(1, 0), [stub(1), stub(2)])];
  for (const operation of lies) {
    const bench = new Bench();
    const answer = bench.feed(1, prepareOf(1, 1, { operation }));
    assert.deepEqual(answer.map((message) => message.kind === 'vote' && message.answer), [{ kind: 'no', reason: 'refused' }]);
    assert.equal(bench.replica.records.size, 0);
  }
  const bench = new Bench();
  assert.deepEqual(kinds(bench.feed(1, prepareOf(1, 1, { operation: keepStubs(senderOf(1, 0), [stub(1)]) }))), ['vote yes']);
  assert.deepEqual(kinds(bench.feed(1, prepareOf(1, 2, { to: scripted(SCRIPT.credit) }))), ['vote yes']);
});
