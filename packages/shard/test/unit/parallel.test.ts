import { deepEqual, equal, notEqual, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, type Hash32, Prng } from '@shardlab/crosslink';
import fc from 'fast-check';
import type { EvmTransaction } from '../../src/execution/evm/transaction.ts';
import { ConflictGraph } from '../../src/execution/parallel/conflict-graph.ts';
import { ACCESS } from '../../src/execution/parallel/access.ts';
import { AccessPredictor } from '../../src/execution/parallel/predictor.ts';
import type { SampledSlot } from '../../src/execution/parallel/run-result.ts';
import { keccak } from './evm/map-source.ts';
import { DEFAULT_PARALLEL, ParallelBlock } from '../../src/execution/parallel/parallel-block.ts';
import { addressOf } from './evm/transaction-lab.ts';
import { applyToAccounts, Bench, BlockMaker, randomBlock, resultText, SEED, senderAt, sourceOf, startAccounts, TOKEN, transferData, words } from './parallel-support.ts';

/** Blocks as small as these are worth no thread: the tests ask for it nevertheless. */
const ALWAYS = { transactionsMin: 1, serialAbove: 1 };

test('parallel execution gives what serial execution gives, for random blocks, any number of workers and any order of answers', () => {
  let parallel = 0;
  let trusted = 0;
  let repeats = 0;
  fc.assert(
    fc.property(
      fc.record({ seed: fc.nat(), places: fc.constantFrom(1, 3, 8, 24), workers: fc.integer({ min: 1, max: 8 }), trusting: fc.boolean(), feePolicy: fc.constantFrom('ethereum' as const, 'burn' as const), fork: fc.constantFrom('cancun' as const, 'prague' as const) }),
      ({ seed, places, workers, trusting, feePolicy, fork }) => {
        const accounts = startAccounts();
        const source = sourceOf(accounts);
        const bench = new Bench({ ...ALWAYS, workers, seed, trusting, rules: { feePolicy, fork } }, source);
        for (let block = 0; block < 3; block++) {
          const transactions = randomBlock(accounts, seed + block, 40, places);
          const expected = bench.serial(source, transactions);
          const { result, serial, counts } = bench.parallel(source, transactions);
          deepEqual(resultText(result), resultText(expected));
          if (serial === undefined) {
            parallel++;
            if (trusting) trusted++;
          }
          repeats += counts.repeats;
          applyToAccounts(accounts, expected.changes());
        }
      },
    ),
    { numRuns: 100 },
  );
  ok(parallel > 40, `only ${parallel} blocks went in parallel to their end`);
  ok(trusted > 15, `only ${trusted} of them without looking at single transactions first`);
  ok(repeats > 20, `only ${repeats} rounds of losers`);
});

test('independent transfers go in parallel at once, once the token is known, and dependent ones into one run', () => {
  const accounts = startAccounts(80);
  const source = sourceOf(accounts);
  const bench = new Bench({ transactionsMin: 1, workers: 4, seed: 1 }, source);
  for (let block = 0; block < 4; block++) {
    const maker = new BlockMaker(accounts);
    // Sender i pays i + 40, or a neighbour's recipient: components of two.
    for (let i = 0; i < 40; i++) maker.add(senderAt(i), { to: TOKEN, data: transferData(senderAt(40 + (i & ~1)), BigInt(1 + block)) });
    const expected = bench.serial(source, maker.transactions);
    const { result, serial, counts } = bench.parallel(source, maker.transactions);
    equal(serial, undefined);
    if (block > 0) deepEqual(counts, { runs: 4, repeats: 0, repeated: 0 });
    deepEqual(resultText(result), resultText(expected));
    applyToAccounts(accounts, expected.changes());
  }
});

test('a contended block is executed serially as soon as it is known to be one', () => {
  const accounts = startAccounts(80);
  const source = sourceOf(accounts);
  const bench = new Bench({ transactionsMin: 1, workers: 4, seed: 2 }, source);
  const reasons: (string | undefined)[] = [];
  for (let block = 0; block < 3; block++) {
    const maker = new BlockMaker(accounts);
    for (let i = 0; i < 60; i++) maker.add(senderAt(i), { to: TOKEN, data: transferData(addressOf(0x77), 1n) });
    const expected = bench.serial(source, maker.transactions);
    const { result, serial, counts } = bench.parallel(source, maker.transactions);
    reasons.push(serial);
    if (serial === 'predicted-conflicts') equal(counts.runs, 0);
    deepEqual(resultText(result), resultText(expected));
    applyToAccounts(accounts, expected.changes());
  }
  deepEqual(reasons, ['conflicts', 'predicted-conflicts', 'predicted-conflicts']);
});

test('of a large block a part is looked at first: one that is contended as a whole is executed serially, one that is contended in places is not', () => {
  const accounts = startAccounts(240);
  const source = sourceOf(accounts);
  const bench = new Bench({ workers: 4, seed: 6 }, source);
  const orders = [(i: number) => i % 240, (i: number) => Math.floor(i / 5)];
  // Which senders pay the one, in which order they come.
  const blocks = [{ isHot: () => true, order: 0 }, { isHot: (i: number) => i % 2 === 0, order: 0 }, { isHot: (i: number) => i < 80, order: 1 }, { isHot: () => true, order: 1 }];
  const reasons = blocks.map(({ isHot, order }) => {
    const maker = new BlockMaker(accounts);
    for (let i = 0; i < 1_200; i++) {
      const sender = orders[order]!(i);
      maker.add(senderAt(sender), { to: TOKEN, data: transferData(isHot(sender) ? addressOf(0x77) : addressOf(0x55, sender), 1n) });
    }
    const expected = bench.serial(source, maker.transactions);
    const { result, serial } = bench.parallel(source, maker.transactions);
    deepEqual(resultText(result), resultText(expected));
    applyToAccounts(accounts, expected.changes());
    return serial;
  });
  deepEqual(reasons, ['conflicts', undefined, undefined, 'predicted-conflicts']);
  const maker = new BlockMaker(accounts);
  for (let i = 0; i < 1_200; i++) maker.add(senderAt(i % 240), { to: TOKEN, data: transferData(addressOf(0x77), 1n) });
  const asked = new Set<number>();
  const footprints = { words: new Int32Array(0), at: (index: number) => (asked.add(index), -1) };
  const block = new ParallelBlock({ ...DEFAULT_PARALLEL, workers: 4 }, { predictor: bench.predictor, graph: new ConflictGraph(), footprints }, maker.transactions);
  deepEqual(block.start(), { kind: 'serial', reason: 'predicted-conflicts' });
  equal(asked.size, 75);
});

test('value for one account, and fees, are no conflict', () => {
  const accounts = startAccounts(60);
  const source = sourceOf(accounts);
  const bench = new Bench({ transactionsMin: 1, workers: 2, seed: 3 }, source);
  const maker = new BlockMaker(accounts);
  for (let i = 0; i < 60; i++) maker.add(senderAt(i), { to: addressOf(0x66), value: 3n });
  const { result, serial, counts } = bench.parallel(source, maker.transactions);
  equal(serial, undefined);
  equal(counts.repeats, 0);
  deepEqual(resultText(result), resultText(bench.serial(source, maker.transactions)));
  const paid = result.changes().accounts.find(({ address }) => address.every((byte) => byte === 0x66));
  equal(paid?.balance, 180n);
});

test('small blocks are not spread', () => {
  const source = sourceOf(startAccounts());
  const bench = new Bench({ workers: 2, seed: 4 }, source);
  const maker = new BlockMaker(new Map());
  maker.add(senderAt(0), { to: addressOf(0x66), value: 1n });
  equal(bench.parallel(source, maker.transactions).serial, 'small');
});

test('what touches one place in order is one component, what only adds or only reads is not', () => {
  const graph = new ConflictGraph();
  graph.clear(6, 8);
  graph.add(1, 1, 0, ACCESS.SLOT_READ);
  graph.add(1, 1, 1, ACCESS.SLOT_READ);
  graph.add(2, 2, 1, ACCESS.BALANCE_ADD);
  graph.add(2, 2, 2, ACCESS.BALANCE_ADD);
  equal(graph.solve(), false);
  graph.add(3, 3, 2, ACCESS.BALANCE_ADD);
  graph.add(3, 3, 5, ACCESS.BALANCE_READ);
  graph.add(3, 4, 3, ACCESS.SLOT_READ);
  graph.add(3, 4, 5, ACCESS.SLOT_READ | ACCESS.SLOT_WRITE);
  equal(graph.solve(), true);
  deepEqual([0, 1, 2, 3, 4, 5].map((owner) => graph.root(owner)), [0, 1, 2, 2, 4, 2]);
  notEqual(graph.root(0), graph.root(2));
  for (let place = 10; place < 14; place++) graph.add(place, 0, 0, ACCESS.SLOT_READ);
  throws(() => graph.add(99, 0, 0, ACCESS.SLOT_READ), { code: 'invariant' });
});

test('slots of nested mappings are predicted from one call, and what nothing explains costs no more hashes than one slot', () => {
  let hashes = 0;
  const keccak256 = (data: Uint8Array): Hash32 => {
    hashes++;
    return keccak.keccak256(data);
  };
  const place = (key: Uint8Array, of: Uint8Array): Uint8Array => keccak.keccak256(concatBytes(new Uint8Array(32 - key.length), key, of));
  const position = new Uint8Array(32).with(31, 3);
  const maker = new BlockMaker(startAccounts(3));
  for (let i = 0; i < 2; i++) maker.add(senderAt(i), { to: TOKEN, data: words(Uint8Array.of(1, 2, 3, 4), 7n, 8n, senderAt(i + 1), 9n, 10n, 11n) });
  const [one, other] = maker.transactions as [EvmTransaction, EvmTransaction];
  const slotOf = ({ sender, data }: EvmTransaction): SampledSlot => ({ address: TOKEN, key: place(data.subarray(4 + 64, 4 + 96), place(sender, position)), bits: ACCESS.SLOT_READ });
  const after = (tx: EvmTransaction): AccessPredictor => {
    const predictor = new AccessPredictor({ seed: SEED }, { hasher: { keccak256 } });
    predictor.learn(tx, [slotOf(tx)], 50_000);
    return predictor;
  };
  deepEqual(after(one).footprint(other), after(other).footprint(other));
  const prng = new Prng(1);
  hashes = 0;
  new AccessPredictor({ seed: SEED }, { hasher: { keccak256 } }).learn(one, Array.from({ length: 64 }, () => ({ address: TOKEN, key: prng.bytes(32), bits: ACCESS.SLOT_READ })), 50_000);
  // 12 mappings with 7 words as keys, and with two of them.
  equal(hashes, 12 * 7 + 12 * 7 * 7);
});
