import assert from 'node:assert/strict';
import test from 'node:test';
import type { Hash32, ShardId } from '../../src/primitives.ts';
import { backoffBlocks } from '../../src/xtx/coordinator.ts';
import { balanceLock } from '../../src/xtx/locks.ts';
import type { VoteAnswer } from '../../src/xtx/messages.ts';
import { LOCKS_MAX } from '../../src/xtx/records.ts';
import { Prng } from '../../src/prng.ts';
import type { ModelResult } from '../sim/xtx-replica.ts';
import { SCRIPT, scripted, senderOf, slotLock } from '../sim/xtx-replica.ts';
import { Bench, FUNDS, idOf, intentOf, kinds, prepareOf } from './xtx-kit.ts';

const sent = (result: ModelResult): string[] => result.sent.map(({ destination, message }) => `${destination} ${kinds([message])[0]}`);
const YES: VoteAnswer = { kind: 'yes' };

test('the good life: Prepares, votes, Decisions that carry the value, Acks, one settlement', () => {
  const bench = new Bench();
  const id = bench.begin(intentOf(1, [1, 2]));
  assert.deepEqual([bench.balance(senderOf(0, 0)), bench.replica.escrowed], [FUNDS - 10_010n, 10_010n]);
  assert.deepEqual(sent(bench.vote(1, id, YES, 0, 30)), []);
  assert.deepEqual(sent(bench.vote(2, id, YES, 0, 40)), ['1 commit', '2 commit']);
  assert.deepEqual([bench.replica.escrowed, bench.replica.sent], [10_000n, [0n, 5n, 5n, 0n]]);
  assert.deepEqual(bench.ack(2, id, true).settled, []);
  const { settled } = bench.ack(1, id, true);
  assert.deepEqual(settled.map(({ commit, gasUsed, record }) => [commit, gasUsed, record.reason]), [[true, 170, 'none']]);
  assert.deepEqual([bench.balance(senderOf(0, 0)), bench.replica.burned, bench.replica.escrowed], [FUNDS - 10n - 340n, 340n, 0n]);
  assert.equal(bench.replica.records.size, 0);
});

test('one no is the end: whoever may hold something hears of it, the value goes back, the fee does not', () => {
  const bench = new Bench();
  const id = bench.begin(intentOf(1, [1, 2, 3]));
  bench.vote(1, id, YES, 0, 7);
  assert.deepEqual(sent(bench.vote(2, id, { kind: 'no', reason: 'reverted' }, 0, 8)), ['1 abort', '3 abort'], 'who voted no holds nothing');
  bench.ack(1, id, false);
  const { settled } = bench.ack(3, id, false);
  // Shard 3's vote never came: its whole limit is charged (R18).
  assert.deepEqual(settled.map(({ commit, gasUsed, record }) => [commit, gasUsed, record.reason]), [[false, 100 + 7 + 8 + 1_000, 'reverted']]);
  assert.equal(bench.balance(senderOf(0, 0)), FUNDS - 2n * 1_115n);
});

test('a late vote after the abort only says what it used', () => {
  const bench = new Bench();
  const id = bench.begin(intentOf(1, [1, 2]));
  bench.vote(1, id, { kind: 'no', reason: 'refused' });
  assert.deepEqual(sent(bench.vote(2, id, YES, 0, 33)), []);
  assert.deepEqual(bench.ack(2, id, false).settled.map(({ gasUsed, commit }) => [gasUsed, commit]), [[133, false]]);
});

test('only block time past the deadline aborts, after the inbox of that block', () => {
  const bench = new Bench();
  const id = bench.begin(intentOf(1, [1]));
  const { deadlineMs } = bench.coordinating[0]!;
  assert.equal(deadlineMs, 1_010);
  assert.deepEqual(bench.replica.protocol.nextDue(), { timestampMs: deadlineMs, height: undefined });
  assert.deepEqual(sent(bench.block({ timestampMs: deadlineMs })), []);
  assert.deepEqual(sent(bench.block({ timestampMs: deadlineMs + 1 })), ['1 abort']);
  assert.deepEqual(sent(bench.block({ timestampMs: deadlineMs + 99_999 })), [], 'once');
  assert.deepEqual(bench.ack(1, id, false).settled.map(({ record }) => record.reason), ['deadline']);

  const just = new Bench();
  const other = just.begin(intentOf(2, [1]));
  const vote = { kind: 'vote' as const, id: other, attempt: 0, answer: YES, gasUsed: 0 };
  assert.deepEqual(sent(just.block({ inbox: [[1, vote]], timestampMs: 99_999 })), ['1 commit'], 'a vote in the inbox of the late block counts');
  assert.deepEqual(sent(just.block({ timestampMs: 199_999 })), [], 'what is decided has no deadline');
});

test('conflict, busy and moved are tried again, after the backoff, a bounded number of times', () => {
  const bench = new Bench(0, { attemptsMax: 3 });
  const id = bench.begin(intentOf(1, [1]));
  const answers: VoteAnswer[] = [{ kind: 'conflict' }, { kind: 'moved', shard: 2 as ShardId }];
  let asked = 1;
  answers.forEach((answer, attempt) => {
    bench.vote(asked, id, answer, attempt);
    const from = bench.replica.now.height;
    const wait = backoffBlocks(id, attempt + 1);
    assert.deepEqual(bench.replica.protocol.nextDue(), { timestampMs: undefined, height: from + wait });
    for (let blocks = 1; blocks < wait; blocks++) assert.deepEqual(sent(bench.block()), []);
    if (answer.kind === 'moved') asked = answer.shard;
    assert.deepEqual(sent(bench.block()), [`${asked} prepare ${attempt + 1}`]);
    assert.equal(bench.coordinating[0]!.ageMs, 10, 'the age is the first attempt\'s');
    assert.equal(bench.coordinating[0]!.deadlineMs, bench.replica.now.timestampMs + 1_000, 'the deadline is its own');
  });
  const { settled } = bench.vote(2, id, { kind: 'busy' }, 2);
  assert.deepEqual(settled.map(({ commit, record }) => [commit, record.reason]), [[false, 'busy']]);
  assert.equal(bench.balance(senderOf(0, 0)), FUNDS - 200n);
});

test('backoff before attempt k is 2^k to 2^(k+1) - 1 blocks, and spreads', () => {
  const prng = new Prng(5);
  for (let attempt = 1; attempt < 12; attempt++) {
    const waits = new Set(Array.from({ length: 200 }, () => backoffBlocks(prng.bytes(32) as Hash32, attempt)));
    for (const wait of waits) assert.ok(wait >= 2 ** attempt && wait < 2 ** (attempt + 1), `${attempt}: ${wait}`);
    assert.ok(waits.size >= Math.min(2 ** attempt, 64) / 2, `${attempt}: ${waits.size} different`);
  }
  assert.ok(backoffBlocks(prng.bytes(32) as Hash32, 255) < 2 ** 17, 'bounded for every attempt');
});

test('a no is final, whatever reason it borrows; so is a need of nothing, or of a shard that does not exist', () => {
  const cases: [VoteAnswer, string][] = [
    [{ kind: 'no', reason: 'conflict' }, 'refused'],
    [{ kind: 'no', reason: 'none' }, 'refused'],
    [{ kind: 'no', reason: 'out-of-gas' }, 'out-of-gas'],
    [{ kind: 'needs', accounts: [] }, 'refused'],
    [{ kind: 'needs', accounts: [{ shard: 9 as ShardId, address: senderOf(1, 1) }] }, 'refused'],
  ];
  for (const [answer, reason] of cases) {
    const bench = new Bench();
    const id = bench.begin(intentOf(1, [1]));
    assert.deepEqual(bench.vote(1, id, answer).settled.map(({ record, commit }) => [record.reason, commit]), [[reason, false]]);
  }
});

test('moved to a shard that does not exist, or to the coordinator, ends it', () => {
  for (const [shard, reason] of [[4, 'refused'], [200, 'refused'], [0xffff, 'refused'], [0, 'moved']] as const) {
    const bench = new Bench();
    const id = bench.begin(intentOf(1, [1, 2]));
    bench.vote(1, id, { kind: 'moved', shard: shard as ShardId });
    assert.deepEqual(bench.ack(2, id, false).settled.map(({ record }) => record.reason), [reason], `moved to ${shard}`);
  }
});

test('gas is capped: a vote by its operation\'s limit, all attempts by the transaction\'s', () => {
  const bench = new Bench(0, { attemptsMax: 200 });
  const id = bench.begin(intentOf(1, [1], { gasLimit: 2_500 }));
  bench.vote(1, id, { kind: 'conflict' }, 0, Number.MAX_SAFE_INTEGER);
  assert.equal(bench.coordinating[0]!.gasCharged, 1_100);
  for (let attempt = 1; attempt < 3; attempt++) {
    while (bench.coordinating[0]!.phase === 'retrying') bench.block();
    bench.vote(1, id, { kind: 'conflict' }, attempt, 900);
  }
  assert.equal(bench.coordinating[0]!.gasCharged, 2_500);
  while (bench.coordinating[0]!.phase === 'retrying') bench.block();
  bench.vote(1, id, YES, 3, 900);
  assert.deepEqual(bench.ack(1, id, true, 3).settled.map(({ gasUsed }) => gasUsed), [2_500]);
});

test('R19: a full pair takes no more Prepares, new or again; votes, Decisions and Acks always go', () => {
  const bench = new Bench(0, { openPreparesMax: 2 });
  const first = bench.begin(intentOf(1, [1]));
  const second = bench.begin(intentOf(2, [1, 2]));
  const before = bench.state();
  assert.deepEqual(bench.block({ intents: [intentOf(3, [1]), intentOf(4, [3, 1])] }).begun, ['busy', 'busy']);
  assert.equal(bench.state(), before, 'who is refused has changed nothing');
  bench.begin(intentOf(5, [2]));
  assert.deepEqual(bench.block({ intents: [intentOf(6, [2])] }).begun, ['busy']);
  // The first backs off, and another takes its place: the retry has to wait, and does not count as an attempt.
  bench.vote(1, first, { kind: 'conflict' });
  bench.begin(intentOf(7, [1]));
  for (let blocks = 0; blocks < 20; blocks++) assert.deepEqual(sent(bench.block()), []);
  assert.equal(bench.coordinating.find(({ attempt }) => attempt === 1)!.phase, 'retrying');
  assert.deepEqual(sent(bench.vote(2, second, { kind: 'busy' })), ['1 abort']);
  assert.deepEqual(sent(bench.ack(1, second, false)), ['1 prepare 1'], 'an Ack makes room at once');
});

test('its own part: a lock in its way leaves it in the pool; who backs off lets go, and asks again before it asks others', () => {
  const bench = new Bench(0, { attemptsMax: 3 });
  const own = { locks: [{ key: balanceLock(senderOf(0, 0)), mode: 'delta' as const }] };
  const id = bench.begin(intentOf(1, [1], own));
  assert.equal(bench.replica.protocol.forbids(balanceLock(senderOf(0, 0)), 'read'), true);
  bench.vote(1, id, { kind: 'conflict' });
  assert.equal(bench.replica.protocol.forbids(balanceLock(senderOf(0, 0)), 'read'), false, 'wait-die: the dead hold nothing');
  assert.deepEqual(kinds(bench.feed(2, prepareOf(2, 7, { to: scripted(SCRIPT.readBalance, 0) }))), ['vote yes']);
  assert.deepEqual(bench.block({ intents: [intentOf(2, [1], own)] }).begun, ['locked']);
  assert.equal(bench.coordinating.length, 1);
  while (bench.coordinating[0]!.attempt === 1) assert.deepEqual(sent(bench.block()), []);
  assert.deepEqual([bench.coordinating[0]!.attempt, bench.coordinating[0]!.phase], [2, 'retrying'], 'a held lock costs an attempt');
  bench.feed(2, { kind: 'decision', id: idOf(2, 7), attempt: 0, commit: false, value: 0n });
  let asked: string[] = [];
  while (asked.length === 0) asked = sent(bench.block());
  assert.deepEqual(asked, ['1 prepare 2']);
  assert.equal(bench.replica.protocol.forbids(balanceLock(senderOf(0, 0)), 'read'), true);
});

test('what begins must fit into a record, name each shard once, and share out its value', () => {
  const bad = [intentOf(1, [1, 1]), intentOf(1, [1], { value: 6n }), intentOf(1, [1], { locks: Array.from({ length: LOCKS_MAX + 1 }, (_, at) => ({ key: slotLock(at), mode: 'write' as const })) })];
  for (const intent of bad) assert.throws(() => new Bench().block({ intents: [intent] }), { code: 'invariant' });
});
