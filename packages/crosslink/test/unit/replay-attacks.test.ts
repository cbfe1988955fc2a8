/**
 * Replay attacks on cross-shard consensus (Sonnino, Bano, Al-Bassam, Danezis, arXiv 1901.11218), and other messages that do not belong. Sequences drop a message that
 * comes twice before it gets here; what is left is a shard whose whole committee lies. It must not be able to touch others' transactions.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { CrossShardMessage, Vote } from '../../src/xtx/messages.ts';
import { SCRIPT, scripted, slotLock } from '../sim/xtx-replica.ts';
import { messages as arbitraryMessages } from './kit.ts';
import { Bench, idOf, intentOf, kinds, prepareOf } from './xtx-kit.ts';

const vote = (tx: number, attempt = 0, kind: 'yes' | 'conflict' = 'yes'): Vote => ({ kind: 'vote', id: idOf(0, tx), attempt, answer: { kind }, gasUsed: 0 });
const ack = (tx: number, commit: boolean, attempt = 0): CrossShardMessage => ({ kind: 'ack', id: idOf(0, tx), attempt, commit, logs: new Uint8Array(0) });

/** Feeds `message` and asserts that it was ignored: nothing sent, nothing changed. */
function harmless(bench: Bench, source: number, message: CrossShardMessage, what: string): void {
  const [before, ignored] = [bench.state(), bench.ignored];
  assert.deepEqual(bench.feed(source, message), [], what);
  assert.equal(bench.state(), before, what);
  assert.equal(bench.ignored, ignored + 1, what);
}

test('first phase, prepared(T, commit) replayed: a yes of an earlier attempt does not count for a later one', () => {
  const bench = new Bench();
  const id = bench.begin(intentOf(1, [1, 2]));
  bench.feed(1, vote(1));
  bench.vote(2, id, { kind: 'conflict' });
  harmless(bench, 1, vote(1), 'a second vote of the aborting attempt');
  bench.ack(1, id, false);
  // The shortest backoff is two blocks: this one falls into it.
  harmless(bench, 1, vote(1, 1), 'a vote of an attempt that has not begun');
  while (bench.coordinating[0]!.phase === 'retrying') bench.block();
  harmless(bench, 1, vote(1), 'during the next attempt');
  harmless(bench, 2, vote(1, 0, 'conflict'), 'nor does an old no');
  assert.deepEqual(kinds(bench.feed(1, vote(1, 1))), []);
  assert.deepEqual(kinds(bench.feed(2, vote(1, 1))), ['commit', 'commit']);
});

test('first phase, prepared(T, abort) replayed or forged: by a stranger, or twice', () => {
  const bench = new Bench();
  bench.begin(intentOf(1, [1, 2]));
  harmless(bench, 3, vote(1, 0, 'conflict'), 'a shard that takes no part');
  bench.feed(1, vote(1));
  harmless(bench, 1, vote(1, 0, 'conflict'), 'who said yes can not unsay it');
  harmless(bench, 1, vote(1), 'nor say it twice');
  harmless(bench, 2, { ...vote(1), id: idOf(2, 1) }, 'the same transaction under another coordinator');
  harmless(bench, 2, { ...vote(1), id: idOf(0, 1).with(31, 0) as never }, 'an id that shares only its record\'s place');
  assert.deepEqual(kinds(bench.feed(2, vote(1))), ['commit', 'commit'], 'the transaction is as if nothing had been');
});

test('second phase, accept(T, commit) replayed: a second Decision applies nothing, and mints nothing', () => {
  const bench = new Bench();
  bench.feed(1, prepareOf(1, 1));
  const decision: CrossShardMessage = { kind: 'decision', id: idOf(1, 1), attempt: 0, commit: true, value: 5n };
  bench.feed(1, decision);
  assert.deepEqual(kinds(bench.feed(1, decision)), ['ack commit']);
  // Its wei were counted as sent by a lying coordinator: they are counted as burned here.
  assert.deepEqual([bench.balance(scripted(0)), bench.replica.burned, bench.replica.escrowed, bench.replica.received[1]], [5n, 5n, 0n, 10n]);
  assert.equal(bench.ignored, 1);
});

test('second phase, accept(T, abort) or accept(T, commit) by a shard that does not coordinate: the prepared part stays', () => {
  for (const commit of [true, false]) {
    const bench = new Bench();
    bench.feed(1, prepareOf(1, 1, { to: scripted(SCRIPT.write, 1) }));
    for (const [source, id, attempt] of [[2, idOf(1, 1), 0], [2, idOf(2, 1), 0], [1, idOf(1, 1), 1], [1, idOf(1, 2), 0], [1, idOf(1, 1).with(31, 0), 0]] as const) {
      bench.feed(source, { kind: 'decision', id: id as never, attempt, commit, value: commit ? 9n : 0n });
      assert.equal(bench.participating[0]?.status, 'prepared');
      assert.equal(bench.replica.protocol.forbids(slotLock(1), 'read'), true);
      assert.equal(bench.balance(scripted(SCRIPT.write, 1)), 0n);
      assert.equal(bench.replica.escrowed, 0n);
    }
    assert.deepEqual(kinds(bench.feed(1, { kind: 'decision', id: idOf(1, 1), attempt: 0, commit: true, value: 5n })), ['ack commit']);
    assert.equal(bench.balance(scripted(SCRIPT.write, 1)), 5n);
  }
});

test('a commit of what only waits is not applied, and the wait goes on', () => {
  const bench = new Bench();
  bench.feed(1, prepareOf(1, 5, { to: scripted(SCRIPT.write, 1) }));
  bench.feed(2, prepareOf(2, 3, { to: scripted(SCRIPT.write, 1) }));
  bench.feed(2, { kind: 'decision', id: idOf(2, 3), attempt: 0, commit: true, value: 5n });
  assert.deepEqual([bench.replica.protocol.counts().waiting, bench.replica.burned, bench.replica.escrowed], [1, 5n, 0n]);
});

test('an Ack before the Decision, of the other outcome, twice, or by a stranger settles nothing', () => {
  const bench = new Bench();
  bench.begin(intentOf(1, [1, 2]));
  for (const commit of [true, false]) harmless(bench, 1, ack(1, commit), 'before the Decision');
  bench.feed(1, vote(1));
  bench.feed(2, vote(1));
  harmless(bench, 1, ack(1, false), 'of an abort');
  harmless(bench, 3, ack(1, true), 'by a stranger');
  harmless(bench, 1, ack(1, true, 1), 'of another attempt');
  bench.feed(1, ack(1, true));
  harmless(bench, 1, ack(1, true), 'twice: it is not the other participant\'s');
  assert.equal(bench.coordinating.length, 1);
  assert.deepEqual(bench.ack(2, idOf(0, 1), true).settled.map(({ commit }) => commit), [true]);
  harmless(bench, 2, ack(1, true), 'after the end');
});

test('a Prepare under an id that its sender can not coordinate is ignored: nobody takes another\'s place', () => {
  const bench = new Bench();
  bench.begin(intentOf(1, [1], { locks: [{ key: slotLock(1), mode: 'write' }] }));
  // Shard 2 names a transaction that this very shard coordinates: its locks must not pass for the forger's own.
  harmless(bench, 2, { ...prepareOf(2, 1, { to: scripted(SCRIPT.write, 1) }), id: idOf(0, 1) }, 'this shard\'s own transaction');
  harmless(bench, 2, { ...prepareOf(2, 1), id: idOf(1, 1) }, 'another coordinator\'s transaction');
  harmless(bench, 1, { ...prepareOf(1, 1), id: idOf(1, 2) }, 'an id of another transaction hash');
  assert.deepEqual(kinds(bench.feed(1, prepareOf(1, 1))), ['vote yes'], 'the place is free for whom it belongs to');
  assert.deepEqual(kinds(bench.feed(1, vote(1))), ['commit']);
  bench.feed(1, ack(1, true));
  assert.equal(bench.replica.protocol.counts().locksHeld, 1);
});

test('any messages of lying shards: nothing throws, the books balance, honest transactions end as they would have', () => {
  const ids = [idOf(0, 1), idOf(0, 2), idOf(3, 3), idOf(2, 9)];
  const lie = fc.record({ message: arbitraryMessages, which: fc.nat(4), attempt: fc.nat(2), source: fc.constantFrom(2, 3), small: fc.nat(1_000) });
  fc.assert(
    fc.property(fc.array(lie, { maxLength: 40 }), (lies) => {
      const bench = new Bench();
      bench.begin(intentOf(1, [1]));
      bench.feed(1, prepareOf(1, 7, { to: scripted(SCRIPT.write, 1) }));
      for (const { message, which, attempt, source, small } of lies) {
        if (message.kind === 'credit') {
          bench.feed(source, { ...message, value: BigInt(small) });
          continue;
        }
        const id = ids[which] ?? message.id;
        const bounded = message.kind === 'decision' ? { ...message, value: message.commit ? BigInt(small) : 0n } : message;
        const ended = bounded.kind === 'prepare' ? { ...prepareOf(source, small % 3), ...(which === 4 ? {} : { id }), attempt } : { ...bounded, id, attempt };
        bench.feed(source, ended);
      }
      const { replica } = bench;
      const supply = [...replica.balances.values()].reduce((sum, each) => sum + each, replica.escrowed + replica.burned);
      assert.equal(supply + replica.sent.reduce((a, b) => a + b), 1_000_000n + replica.received.reduce((a, b) => a + b));
      assert.deepEqual(kinds(bench.feed(1, vote(1))), ['commit']);
      assert.equal(bench.ack(1, idOf(0, 1), true).settled.length, 1);
      assert.deepEqual(kinds(bench.feed(1, { kind: 'decision', id: idOf(1, 7), attempt: 0, commit: true, value: 5n })).slice(0, 1), ['ack commit']);
      assert.equal(bench.balance(scripted(SCRIPT.write, 1)), 5n);
    }),
    { numRuns: 300 },
  );
});

