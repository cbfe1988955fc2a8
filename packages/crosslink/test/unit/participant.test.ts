import assert from 'node:assert/strict';
import test from 'node:test';
import { encodeRecord, RECORD_BYTES_MAX } from '../../src/state/record.ts';
import { decodeCoordinatorRecord, decodeTombstone, encodeCoordinatorRecord, encodeParticipantRecord, encodeTombstone, LOCKS_MAX } from '../../src/xtx/records.ts';
import { EFFECTS_BYTES_MAX, PARTICIPANTS_MAX } from '../../src/xtx/types.ts';
import { balanceLock, GRANTS_IN_ROW_MAX } from '../../src/xtx/locks.ts';
import { ACK_LOGS_BYTES_MAX, type Decision, NEEDS_MAX } from '../../src/xtx/messages.ts';
import { CALL_DATA_BYTES_MAX, CALLS_MAX, STUBS_MAX } from '../../src/xtx/operations.ts';
import type { ShardId } from '../../src/primitives.ts';
import { SCRIPT, scripted, senderOf, slotLock } from '../sim/xtx-replica.ts';
import { Bench, FUNDS, idOf, intentOf, kinds, prepareOf } from './xtx-kit.ts';

const decisionOf = (coordinator: number, tx: number, commit: boolean, over: Partial<Decision> = {}): Decision => ({
  kind: 'decision',
  id: idOf(coordinator, tx),
  attempt: 0,
  commit,
  value: commit ? 5n : 0n,
  ...over,
});
const write = (slot: number) => scripted(SCRIPT.write, slot);

test('prepare, yes, commit: the value is there with the Decision, the locks go, an Ack answers', () => {
  const bench = new Bench();
  assert.deepEqual(kinds(bench.feed(1, prepareOf(1, 1))), ['vote yes']);
  assert.equal(bench.replica.protocol.forbids(balanceLock(scripted(0)), 'read'), true);
  assert.equal(bench.replica.protocol.forbids(balanceLock(scripted(0)), 'delta'), false);
  assert.deepEqual(kinds(bench.feed(1, decisionOf(1, 1, true))), ['ack commit']);
  assert.deepEqual([bench.balance(scripted(0)), bench.replica.received[1], bench.replica.escrowed], [5n, 5n, 0n]);
  assert.equal(bench.replica.records.size, 0);
  assert.equal(bench.replica.protocol.counts().locksHeld, 0);
});

test('after a yes it waits, however long', () => {
  const bench = new Bench();
  bench.feed(1, prepareOf(1, 1));
  assert.deepEqual(bench.block({ timestampMs: 10 ** 12 }).sent, []);
  assert.equal(bench.participating[0]!.status, 'prepared');
  assert.deepEqual(bench.replica.protocol.nextDue(), { timestampMs: undefined, height: undefined });
});

test('whoever does not vote yes holds nothing', () => {
  const cases: [Uint8Array, string][] = [
    [scripted(SCRIPT.refuse), 'vote no'],
    [scripted(SCRIPT.busy, 1), 'vote busy'],
    [scripted(SCRIPT.moved, 2), 'vote moved'],
    [scripted(SCRIPT.needs, 3), 'vote needs'],
  ];
  for (const [to, vote] of cases) {
    const bench = new Bench();
    assert.deepEqual(kinds(bench.feed(1, prepareOf(1, 1, { to }))), [vote]);
    assert.deepEqual([bench.replica.records.size, bench.replica.protocol.counts().locksHeld], [0, 0]);
    assert.deepEqual(kinds(bench.feed(1, decisionOf(1, 1, false))), ['ack abort'], 'an abort that crossed the vote is acknowledged all the same');
  }
});

test('older waits, younger dies, and a full queue is a conflict', () => {
  const bench = new Bench(0, { lockWaitersMax: 2 });
  assert.deepEqual(kinds(bench.feed(1, prepareOf(1, 5, { to: write(1) }))), ['vote yes']);
  assert.deepEqual(kinds(bench.feed(2, prepareOf(2, 6, { to: write(1) }))), ['vote conflict']);
  assert.deepEqual(kinds(bench.feed(2, prepareOf(2, 3, { to: write(1) }), prepareOf(2, 4, { to: write(1) }))), []);
  assert.deepEqual(kinds(bench.feed(3, prepareOf(3, 2, { to: write(1) }))), ['vote conflict'], 'the queue is full');
  // The release judges both anew: the older gets it, and the other would now wait for an older one.
  const out = bench.feed(1, decisionOf(1, 5, false));
  assert.deepEqual(kinds(out), ['ack abort', 'vote yes', 'vote conflict']);
  assert.deepEqual(out.slice(1).map((message) => (message.kind === 'vote' ? message.id : undefined)), [idOf(2, 3), idOf(2, 4)]);
});

test('an abort takes a waiting Prepare away: Ack, no Vote', () => {
  const bench = new Bench();
  bench.feed(1, prepareOf(1, 5, { to: write(1) }));
  bench.feed(2, prepareOf(2, 3, { to: write(1) }));
  assert.equal(bench.replica.protocol.counts().waiting, 1);
  assert.deepEqual(kinds(bench.feed(2, decisionOf(2, 3, false))), ['ack abort']);
  assert.deepEqual(kinds(bench.feed(1, decisionOf(1, 5, false))), ['ack abort']);
  assert.equal(bench.replica.records.size, 0);
});

test('a wait that goes on writes nothing and executes nothing', () => {
  const bench = new Bench();
  bench.feed(1, prepareOf(1, 5, { to: write(1) }));
  bench.feed(2, prepareOf(2, 3, { to: write(1) }));
  bench.replica.execute = () => assert.fail('executed again');
  bench.replica.putRecord = () => assert.fail('written again');
  bench.block();
  bench.feed(3, decisionOf(3, 9, false));
});

test('a reader that joins older than a waiter kills it: nobody waits for an older one', () => {
  const bench = new Bench();
  bench.feed(1, prepareOf(1, 5, { to: scripted(SCRIPT.read, 1) }));
  assert.deepEqual(kinds(bench.feed(2, prepareOf(2, 3, { to: write(1) }))), []);
  assert.deepEqual(kinds(bench.feed(3, prepareOf(3, 2, { to: scripted(SCRIPT.read, 1) }))), ['vote yes', 'vote conflict']);
});

test('after eight grants in a row waiters rest for one block of local transactions, and a block is due for them', () => {
  const bench = new Bench();
  bench.feed(1, prepareOf(1, 100, { to: write(1) }));
  for (let tx = 99; tx > 100 - GRANTS_IN_ROW_MAX; tx--) {
    assert.deepEqual(kinds(bench.feed(1, prepareOf(1, tx, { to: write(1) }))), []);
    assert.deepEqual(kinds(bench.feed(1, decisionOf(1, tx + 1, false))), ['ack abort', 'vote yes']);
  }
  const [last, next] = [101 - GRANTS_IN_ROW_MAX, 100 - GRANTS_IN_ROW_MAX];
  bench.feed(1, prepareOf(1, next, { to: write(1) }));
  assert.deepEqual(kinds(bench.feed(1, decisionOf(1, last, false))), ['ack abort'], 'it rests');
  assert.equal(bench.replica.protocol.forbids(slotLock(1), 'write'), false);
  assert.deepEqual(bench.replica.protocol.nextDue(), { timestampMs: undefined, height: 0 });
  assert.deepEqual(kinds(bench.block().sent.map(({ message }) => message)), ['vote yes']);
});

test('credits never conflict: one that meets a read of the balance is parked as escrow until the read is gone', () => {
  const bench = new Bench();
  const sender = senderOf(0, 0);
  const id = bench.begin(intentOf(1, [1]));
  bench.vote(1, id, { kind: 'conflict' });
  assert.deepEqual(kinds(bench.feed(2, prepareOf(2, 7, { to: scripted(SCRIPT.readBalance, 0) }))), ['vote yes']);
  // The attempt's end finds the sender's balance read-locked. Retries do not need it: they run out on votes.
  let attempt = 1;
  while (bench.coordinating.length > 0) {
    const sent = bench.block().sent;
    if (sent.length > 0) bench.vote(1, id, { kind: 'busy' }, attempt++);
  }
  assert.deepEqual([bench.balance(sender), bench.replica.escrowed, bench.replica.protocol.counts().parked], [FUNDS - 10_005n, 9_805n, 1]);
  bench.feed(2, decisionOf(2, 7, true));
  assert.deepEqual([bench.balance(sender), bench.replica.escrowed, bench.replica.protocol.counts().parked], [FUNDS - 200n, 0n, 0]);
  assert.equal(bench.replica.records.size, 0);
});

test('a coordinator gets no more open Prepares than its budget; others are not concerned', () => {
  const bench = new Bench(0, { openPreparesMax: 2 });
  assert.deepEqual(kinds(bench.feed(1, prepareOf(1, 1), prepareOf(1, 2), prepareOf(1, 3))), ['vote yes', 'vote yes', 'vote busy']);
  assert.deepEqual(kinds(bench.feed(2, prepareOf(2, 1))), ['vote yes']);
  assert.deepEqual(kinds(bench.feed(1, decisionOf(1, 1, true), prepareOf(1, 4))), ['ack commit', 'vote yes']);
});

test('what does not fit into a record or a vote is a no, not a standstill', () => {
  const locks = Array.from({ length: LOCKS_MAX + 1 }, (_, at) => ({ key: slotLock(at), mode: 'write' as const }));
  const accounts = Array.from({ length: 65 }, () => ({ shard: 1 as ShardId, address: scripted(1) }));
  for (const outcome of [{ kind: 'yes' as const, gasUsed: 1, locks, effects: undefined }, { kind: 'yes' as const, gasUsed: 1, locks: [], effects: new Uint8Array(EFFECTS_BYTES_MAX + 1) }, { kind: 'needs' as const, gasUsed: 1, accounts }]) {
    const bench = new Bench();
    bench.replica.execute = () => outcome;
    assert.deepEqual(kinds(bench.feed(1, prepareOf(1, 1))), ['vote no']);
  }
});

test('the largest records fit under the state root', () => {
  const bench = new Bench();
  bench.begin(intentOf(1, [1]));
  bench.feed(1, prepareOf(1, 2));
  const moment = bench.replica.now;
  const locks = Array.from({ length: LOCKS_MAX }, (_, at) => ({ key: slotLock(at), mode: 'write' as const, run: 8 }));
  const coordinator = bench.coordinating[0]!;
  // Call data is bounded over all calls by what a raw transaction holds; all else may be at its bound in each participant at once.
  const data = new Uint8Array(CALL_DATA_BYTES_MAX / PARTICIPANTS_MAX / CALLS_MAX);
  const calls = Array.from({ length: CALLS_MAX }, () => ({ to: scripted(0), value: 0n, gasLimit: 1, data }));
  const stubs = Array.from({ length: STUBS_MAX }, () => ({ address: scripted(1), home: 1 as ShardId }));
  const operation = { kind: 'call' as const, from: scripted(0), value: 0n, gasLimit: CALLS_MAX, calls, stubs, granted: stubs.map((stub) => stub.address) };
  const needs = Array.from({ length: NEEDS_MAX }, () => ({ shard: 1 as ShardId, address: scripted(1) }));
  const participant = { ...coordinator.participants[0]!, operation, needs, logs: new Uint8Array(ACK_LOGS_BYTES_MAX), gasUsed: 1, movedTo: 1 as ShardId };
  const participants = Array.from({ length: PARTICIPANTS_MAX }, () => participant);
  const largest = encodeCoordinatorRecord({ ...coordinator, participants, locks, voted: moment, decided: moment, applied: moment });
  assert.ok(largest.length > RECORD_BYTES_MAX * 0.7, 'the bounds use the room that there is');
  const waiting = { ...operation, calls: [{ ...calls[0]!, gasLimit: CALLS_MAX, data: new Uint8Array(CALL_DATA_BYTES_MAX) }] };
  const prepared = encodeParticipantRecord({ ...bench.participating[0]!, operation: waiting, effects: new Uint8Array(EFFECTS_BYTES_MAX), locks });
  const settlement = { record: decodeCoordinatorRecord(largest), commit: true, gasUsed: 1, acked: moment, logs: [] };
  assert.ok(decodeTombstone(encodeTombstone(settlement)).record.participants.length === PARTICIPANTS_MAX);
  for (const record of [largest, prepared]) assert.ok(encodeRecord(record).length > 0);
});
