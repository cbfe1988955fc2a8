import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Hash32 } from '../../src/primitives.ts';
import { compareAge, compatible, GRANTS_IN_ROW_MAX, type Lock, type LockMode, LockTable } from '../../src/xtx/locks.ts';
import { filled } from './kit.ts';

const MODES: readonly LockMode[] = ['read', 'write', 'delta'];
const age = (id: number, timestampMs = id) => ({ timestampMs, id: filled(id) });
const want = (key: string, mode: LockMode = 'write') => [{ key, mode }];

function granted(table: LockTable, id: number, requests: readonly { key: string; mode: LockMode }[]): readonly Lock[] {
  const outcome = table.acquire(filled(id), age(id), requests);
  assert.equal(outcome.kind, 'granted');
  return outcome.kind === 'granted' ? outcome.locks : [];
}

test('deltas share with deltas, reads with reads, and nothing else shares', () => {
  for (const a of MODES) for (const b of MODES) assert.equal(compatible(a, b), a === b && a !== 'write', `${a} ${b}`);
});

test('older is earlier, then the smaller id; the order is total', () => {
  assert.ok(compareAge(age(9, 1), age(1, 2)) < 0);
  assert.ok(compareAge(age(1, 5), age(2, 5)) < 0 && compareAge(age(2, 5), age(1, 5)) > 0);
  assert.equal(compareAge(age(3), age(3)), 0);
});

test('a set of locks is granted whole or not at all', () => {
  const table = new LockTable();
  granted(table, 1, want('b'));
  assert.deepEqual(table.acquire(filled(2), age(2), [...want('a'), ...want('b'), ...want('c')]), { kind: 'held', older: false });
  assert.equal(table.held, 1);
  granted(table, 3, [...want('a'), ...want('c')]);
});

test('wait-die: only who is older than every holder in its way may wait', () => {
  const table = new LockTable();
  granted(table, 5, want('k', 'read'));
  granted(table, 7, want('k', 'read'));
  const ask = (id: number, mode: LockMode) => table.acquire(filled(id), age(id), want('k', mode));
  assert.deepEqual(ask(4, 'write'), { kind: 'held', older: true });
  assert.deepEqual(ask(6, 'write'), { kind: 'held', older: false }, 'older than one, younger than the other');
  assert.deepEqual(ask(8, 'delta'), { kind: 'held', older: false });
  assert.equal(ask(8, 'read').kind, 'granted', 'what shares does not wait');
  assert.equal(table.judge(filled(4), age(4), want('k')), 'may-wait');
  assert.equal(table.judge(filled(6), age(6), want('k')), 'must-die');
  assert.equal(table.judge(filled(6), age(6), want('free')), 'free');
});

test('a key that is both read and changed is held alone, once', () => {
  for (const [a, b] of [['read', 'write'], ['write', 'read'], ['read', 'delta'], ['delta', 'write']] as const) {
    const table = new LockTable();
    const locks = granted(table, 1, [...want('k', a), ...want('other', 'delta'), ...want('k', b)]);
    assert.deepEqual(locks.map(({ key, mode }) => [key, mode]), [['k', 'write'], ['other', 'delta']]);
    for (const mode of MODES) assert.equal(table.forbids('k', mode), true);
    table.release(filled(1), locks);
    assert.deepEqual([table.held, table.exclusive], [0, 0]);
  }
});

test('after eight grants in a row a lock rests until local transactions have run', () => {
  const table = new LockTable();
  for (let run = 1; run <= GRANTS_IN_ROW_MAX; run++) {
    const locks = granted(table, run, want('k'));
    assert.equal(locks[0]!.run, run);
    // Held over the local transactions of its block: they had no turn at this key.
    table.endBlock();
    table.release(filled(run), locks);
  }
  assert.deepEqual(table.acquire(filled(9), age(9), want('k')), { kind: 'held', older: true }, 'who meets a rest may wait, however young');
  assert.equal(table.forbids('k', 'write'), false, 'local transactions may');
  assert.equal(table.acquire(filled(9), age(9), want('other')).kind, 'granted');
  table.endBlock();
  assert.equal(granted(table, 9, want('k'))[0]!.run, 1);
});

test('a key that was free while local transactions ran starts counting anew', () => {
  const table = new LockTable();
  for (let round = 0; round < 3 * GRANTS_IN_ROW_MAX; round++) {
    const locks = granted(table, 1 + round, want('k'));
    assert.equal(locks[0]!.run, 1);
    table.release(filled(1 + round), locks);
    table.endBlock();
  }
});

test('deltas never rest: hot accounts go on', () => {
  const table = new LockTable();
  for (let round = 1; round < 5 * GRANTS_IN_ROW_MAX; round++) table.release(filled(round), granted(table, round, want('hot', 'delta')));
});

test('a release of what is not held is a bug, and says so', () => {
  const table = new LockTable();
  const locks = granted(table, 1, want('k'));
  assert.throws(() => table.release(filled(2), locks), { code: 'invariant' });
  table.release(filled(1), locks);
  assert.throws(() => table.release(filled(1), locks), { code: 'invariant' });
});

test('any history: the table agrees with a list of holders, and adopting its grants elsewhere gives the same table', () => {
  const step = fc.record({ id: fc.integer({ min: 1, max: 6 }), keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }), mode: fc.constantFrom(...MODES), release: fc.boolean(), end: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new LockTable();
      const held = new Map<number, readonly Lock[]>();
      const conflicting = (id: number, requests: readonly Pick<Lock, 'key' | 'mode'>[]): number[] =>
        [...held].filter(([other, locks]) => other !== id && locks.some((a) => requests.some((b) => a.key === b.key && !compatible(a.mode, b.mode)))).map(([other]) => other);
      for (const { id, keys, mode, release, end } of steps) {
        const own = held.get(id);
        if (own !== undefined) {
          if (release) {
            table.release(filled(id), own);
            held.delete(id);
          }
        } else {
          const requests = keys.map((key) => ({ key, mode }));
          const outcome = table.acquire(filled(id), age(id), requests);
          const against = conflicting(id, requests);
          if (outcome.kind === 'granted') {
            assert.deepEqual(against, []);
            held.set(id, outcome.locks);
          } else if (against.length > 0) assert.equal(outcome.older, against.every((other) => id < other));
          else assert.equal(outcome.older, true, 'a rest');
        }
        if (end) table.endBlock();
      }
      const copy = new LockTable();
      for (const [id, locks] of [...held].reverse()) copy.adopt(filled(id), age(id), locks);
      table.endBlock();
      assert.deepEqual([copy.held, copy.exclusive], [table.held, table.exclusive]);
      assert.equal(table.held, [...held.values()].reduce((sum, locks) => sum + locks.length, 0));
      for (const key of ['a', 'b', 'c']) {
        for (const mode of MODES) {
          assert.equal(table.forbids(key, mode), conflicting(0, [{ key, mode }]).length > 0);
          for (const id of [1, 3, 9]) assert.deepEqual(copy.judge(filled(id) as Hash32, age(id), want(key, mode)), table.judge(filled(id), age(id), want(key, mode)));
        }
      }
    }),
    { numRuns: 300 },
  );
});
