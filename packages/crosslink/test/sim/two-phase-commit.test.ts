import assert from 'node:assert/strict';
import test from 'node:test';
import { Prng } from '../../src/prng.ts';
import { XtxModel, type ModelOptions } from './xtx-model.ts';
import { SCRIPT } from './xtx-replica.ts';

const ALL = Object.values(SCRIPT);
const { credit, write, read, writeTwo, readThenWrite } = SCRIPT;
/** Longer than any run: nothing is saved by a deadline. */
const NEVER_MS = 2 ** 40;

interface Tally {
  readonly outcomes: Map<string, number>;
  transactions: number;
  blocks: number;
  crashes: number;
}

/** Runs seeds `from` to `from + count - 1`; a failure names its seed. */
function runs(from: number, count: number, options: (prng: Prng) => Omit<ModelOptions, 'seed'>): Tally {
  const tally: Tally = { outcomes: new Map(), transactions: 0, blocks: 0, crashes: 0 };
  for (let seed = from; seed < from + count; seed++) {
    const model = new XtxModel({ seed, ...options(new Prng(seed).fork()) });
    try {
      model.run();
    } catch (cause) {
      throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
    tally.transactions += model.checker.lives.size;
    tally.blocks += model.blocks;
    tally.crashes += model.crashes;
    for (const [outcome, times] of model.checker.outcomes()) tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + times);
  }
  return tally;
}

function mixed(prng: Prng): Omit<ModelOptions, 'seed'> {
  return {
    shards: 2 + prng.below(3),
    transactions: 10 + prng.below(25),
    deadlineMs: 200 + prng.below(4_000),
    attemptsMax: 1 + prng.below(5),
    openPreparesMax: 1 + prng.below(6),
    lockWaitersMax: prng.below(4),
    scripts: ALL,
    slots: 1 + prng.below(4),
    ownSlotShare: 0.4,
    callShare: 0.4,
    ownPartShare: 0.3,
    delayMaxMs: 1 + prng.below(400),
    cuts: prng.below(2) === 0,
    twin: false,
  };
}

test('everything at once: each invariant holds after each block, and every transaction ends', () => {
  const { outcomes, transactions } = runs(1, 900, mixed);
  // A run that never commits, or never aborts for some reason, would prove nothing about it.
  for (const outcome of ['none', 'reverted', 'deadline', 'conflict', 'busy', 'moved', 'needs']) assert.ok((outcomes.get(outcome) ?? 0) > 50, `${outcome}: ${outcomes.get(outcome)}`);
  assert.ok(transactions > 15_000);
});

test('replicas that crash, or take blocks back, do what one does that never did', () => {
  const { crashes, transactions } = runs(100_001, 300, (prng) => ({ ...mixed(prng), twin: true }));
  assert.ok(crashes > 10_000 && transactions > 4_000);
});

test('no deadlock: exclusive locks on both sides, no deadline to break a wait, and everything ends', () => {
  const { outcomes } = runs(200_001, 300, (prng) => ({
    ...mixed(prng),
    transactions: 15 + prng.below(15),
    deadlineMs: NEVER_MS,
    attemptsMax: 2 + prng.below(5),
    lockWaitersMax: 2 + prng.below(30),
    scripts: [write, writeTwo, read, readThenWrite],
    slots: 1 + prng.below(3),
    ownSlotShare: 0.8,
    callShare: 0,
    ownPartShare: 0,
  }));
  assert.deepEqual([...outcomes.keys()].sort(), ['conflict', 'none']);
  assert.ok(outcomes.get('none')! > outcomes.get('conflict')!, 'contention is not a standstill');
});

test('hot accounts do not serialise: credits alone never conflict', () => {
  const { outcomes, transactions } = runs(300_001, 100, (prng) => ({ ...mixed(prng), deadlineMs: NEVER_MS, scripts: [credit], slots: 1, ownSlotShare: 0, callShare: 0, ownPartShare: 0, attemptsMax: 1 }));
  assert.deepEqual([...outcomes], [['none', transactions]]);
});

test('one seed, one life', () => {
  const trace = (): unknown => {
    const model = new XtxModel({ seed: 77, ...mixed(new Prng(77)), twin: true });
    model.run();
    return [model.blocks, model.replicas.map(({ balances, burned, now }) => [[...balances], burned, now])];
  };
  assert.deepEqual(trace(), trace());
});
