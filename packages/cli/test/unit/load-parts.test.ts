import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LoadBook } from '../../src/load/book.ts';
import { HashIndex } from '../../src/load/hash-index.ts';
import { checkLoadOptions } from '../../src/load/options.ts';
import { Pacer } from '../../src/load/pacer.ts';
import type { SignedLoad } from '../../src/workload/signed-load.ts';

function loadOf(senders: readonly number[], shards = 2): SignedLoad {
  const hashes = new Uint8Array(32 * senders.length);
  senders.forEach((_, i) => hashes.set(createHash('sha256').update(String(i)).digest(), 32 * i));
  const fromShard = Uint16Array.from(senders, (sender) => sender % shards);
  const sender = Uint32Array.from(senders);
  return { count: senders.length, shards, sender, senders: Math.max(0, ...senders) + 1, fromShard, toShard: fromShard, hashes, frame: () => hashes.subarray(0, 4) };
}

describe('HashIndex', () => {
  test('finds every hash at its place, and no other', () => {
    const { hashes } = loadOf(new Array<number>(5000).fill(0));
    // A few that share their first bytes, and so their slot.
    for (let i = 0; i < 50; i++) hashes.fill(7, 32 * i, 32 * i + 31);
    for (let i = 0; i < 50; i++) hashes[32 * i + 31] = i;
    const index = new HashIndex(hashes);
    for (let i = 0; i < 5000; i++) assert.equal(index.find(hashes.subarray(32 * i, 32 * i + 32)), i);
    assert.equal(index.find(new Uint8Array(32)), -1);
    assert.equal(index.find(new Uint8Array(32).fill(7).fill(99, 31)), -1);
  });
});

describe('Pacer', () => {
  test('whatever happens: nonce order within each sender, never more than the window, and everything is released in the end', () => {
    const action = fc.constantFrom('due', 'accept', 'end', 'crash', 'stale');
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 40 }), fc.array(action, { maxLength: 120 }), fc.integer({ min: 1, max: 5 }), (senders, actions, window) => {
        const load = loadOf(senders);
        const queue: number[] = [];
        const open = new Set<number>();
        const first: number[] = [];
        const taken: number[] = [];
        const pacer = new Pacer(load, { window }, (index) => {
          queue.push(index);
          open.add(index);
          if (!first.includes(index)) first.push(index);
          const ofSender = [...open].filter((other) => load.sender[other] === load.sender[index]);
          assert.ok(ofSender.length <= window, 'window exceeded');
        });
        let offered = 0;
        let now = 0;
        const end = (): void => {
          const index = taken.shift();
          if (index === undefined) return;
          open.delete(index);
          pacer.ended(index);
        };
        const accept = (): void => {
          const index = queue.shift();
          if (index === undefined) return;
          assert.ok(pacer.wantsSending(index));
          pacer.accepted(index, now);
          taken.push(index);
        };
        for (const what of actions) {
          now += 10;
          if (what === 'due' && offered < load.count) pacer.due(offered++);
          else if (what === 'accept') accept();
          else if (what === 'end') end();
          else if (what === 'crash') assert.equal(pacer.rewindShard(0), taken.splice(0, taken.length, ...taken.filter((i) => load.fromShard[i] !== 0)).filter((i) => load.fromShard[i] === 0).length);
          else if (what === 'stale' && pacer.rewindStale(now, 1e9) !== 0) assert.fail('nothing is that old');
        }
        while (offered < load.count) pacer.due(offered++);
        for (let step = 0; step < 10 * load.count; step++) {
          accept();
          end();
        }
        assert.equal(first.length, load.count);
        assert.equal(open.size, 0);
        for (let sender = 0; sender < load.senders; sender++) {
          const order = first.filter((index) => load.sender[index] === sender);
          assert.deepEqual(order, order.toSorted((a, b) => a - b));
        }
      }),
    );
  });

  test('stale transactions go again with all that follow them, and each time later', () => {
    const released: number[] = [];
    const pacer = new Pacer(loadOf([0, 0, 1]), { window: 4 }, (index) => released.push(index));
    for (const index of [0, 1, 2]) {
      pacer.due(index);
      pacer.accepted(index, index === 2 ? 900 : 0);
    }
    assert.equal(pacer.rewindStale(3999, 1000), 0);
    assert.equal(pacer.rewindStale(4000, 1000), 2);
    assert.deepEqual(released, [0, 1, 2, 0, 1]);
    pacer.accepted(0, 4000);
    pacer.accepted(1, 4000);
    pacer.ended(2);
    assert.equal(pacer.rewindStale(11_999, 1000), 0);
    assert.equal(pacer.rewindStale(12_000, 1000), 2);
  });

  test('what blocks have overtaken goes again soon, what is in a block or behind a full pool does not', () => {
    const released: number[] = [];
    // Senders 0 and 2 live on shard 0, sender 1 on shard 1.
    const pacer = new Pacer(loadOf([0, 0, 2, 1, 2]), { window: 4 }, (index) => released.push(index));
    const sent = [100, 110, 120, 100, 500];
    sent.forEach((nowMs, index) => {
      pacer.due(index);
      pacer.accepted(index, nowMs);
    });
    released.length = 0;
    // Transaction 0 is prepared and waits for another shard; 2 came later and is in a block too; 1 and 4 are in none.
    pacer.included(0);
    pacer.included(2);
    assert.equal(pacer.rewindStale(1109, 1000), 0);
    assert.equal(pacer.rewindStale(1600, 1000), 1);
    assert.deepEqual(released, [1], 'not 0 and 2, which are safe, nor 4, whose turn may come, nor 3, of whose shard nothing is known');
    // A block that takes nothing from the pool shows that it holds nothing of ours.
    pacer.blockWithout(1, 1700);
    pacer.blockWithout(0, 400);
    assert.equal(pacer.rewindStale(1700, 1000), 1);
    assert.deepEqual(released, [1, 3]);
  });
});

describe('Pacer windows', () => {
  test('a transaction in a block makes room for the next, once, and can still be asked for again', () => {
    const released: number[] = [];
    const pacer = new Pacer(loadOf([0, 0, 0, 0]), { window: 2 }, (index) => released.push(index));
    for (const index of [0, 1, 2, 3]) pacer.due(index);
    assert.deepEqual(released, [0, 1]);
    pacer.accepted(0, 0);
    pacer.included(0);
    pacer.included(0);
    assert.deepEqual(released, [0, 1, 2]);
    pacer.ended(0);
    assert.deepEqual(released, [0, 1, 2], 'its end makes no room again');
    pacer.accepted(1, 0);
    pacer.included(1);
    assert.deepEqual(released, [0, 1, 2, 3]);
    assert.equal(pacer.rewindShard(0), 1, 'its end may have been missed');
    assert.deepEqual(released, [0, 1, 2, 3, 1]);
  });
});

describe('LoadBook', () => {
  test('the chain overrules a pool, never the other way round, and the sums always hold', () => {
    const book = new LoadBook(loadOf([0, 0, 1, 1]), { startMs: 1000, ratePerSecond: 2 });
    for (let i = 0; i < 3; i++) book.offer();
    assert.equal(book.intendedMs(3), 1500);
    assert.ok(book.settle(0, 'rejected', 'pool', 1100));
    assert.ok(book.settle(0, 'committed', '', 1200));
    assert.ok(!book.settle(0, 'aborted', 'late', 1300));
    assert.ok(!book.settle(0, 'rejected', 'late', 1300));
    assert.ok(book.settle(1, 'aborted', 'deadline', 1400));
    assert.deepEqual(book.check(), { submitted: 3, committed: 1, aborted: 1, rejected: 0, pending: 1 });
    assert.equal(book.reason(0), '');
    assert.equal(book.reason(1), 'deadline');
    assert.equal(book.endMs[0], 200);
    assert.throws(() => book.settle(3, 'committed', '', 1), /before it was offered/);
  });

  test('a node that invents reasons does not fill memory', () => {
    const book = new LoadBook(loadOf(new Array<number>(1000).fill(0)), { startMs: 0, ratePerSecond: 1 });
    for (let i = 0; i < 1000; i++) {
      book.offer();
      book.settle(i, 'rejected', `code-${i}`, 1);
    }
    assert.equal(book.reason(0), 'code-0');
    assert.equal(book.reason(999), 'other');
  });
});

describe('checkLoadOptions', () => {
  const good = { rpcUrl: 'http://127.0.0.1:1', rate: 100, count: 10 };
  for (const [change, message] of [
    [{ rate: 0 }, /the rate is above 0/],
    [{ rate: Number.NaN }, /the rate/],
    [{ durationMs: 1000 }, /a count or a duration, not both/],
    [{ count: 1.5 }, /the count is an integer above 0, not 1\.5/],
    [{ outstandingPerSender: 0 }, /1 to 4096/],
    [{ trace: 'x.csv', zipf: 1 }, /a trace has its own senders/],
  ] as const) {
    test(`refuses ${JSON.stringify(change)} in one line`, () => {
      assert.throws(() => checkLoadOptions({ ...good, ...change }), { code: 'load/options', message });
    });
  }
  test('wants a count or a duration unless there is a trace', () => {
    const { count: _, ...rest } = good;
    assert.throws(() => checkLoadOptions(rest), /give a count or a duration/);
    checkLoadOptions({ ...rest, trace: 'x.csv' });
    checkLoadOptions({ ...rest, durationMs: 1 });
  });
});
