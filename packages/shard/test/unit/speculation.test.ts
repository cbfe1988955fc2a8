import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { bytesKey, Prng, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';
import { lockSetOf } from '../../src/execution/contracts/lock-set.ts';
import { CodeCache } from '../../src/execution/evm/code.ts';
import { Evm } from '../../src/execution/evm/evm.ts';
import { type AppliedTransaction, applyTransaction, type EvmTransaction, type TransactionOutcome } from '../../src/execution/evm/transaction.ts';
import type { StateSource } from '../../src/execution/evm/types.ts';
import { type WorldChanges, type WorldReads, WorldState } from '../../src/execution/evm/world-state.ts';
import { LayeredSource } from '../../src/execution/parallel/layered-source.ts';
import { packSpeculated, unpackSpeculated } from '../../src/execution/parallel/speculation-codec.ts';
import { type SpeculatedTransaction, type Speculation, validates } from '../../src/execution/parallel/speculation.ts';
import { SpeculativeExecutor } from '../../src/execution/parallel/speculative-executor.ts';
import type { ExecutionRules } from '../../src/execution/parallel/run-executor.ts';
import { hashOf, type MapSource, type ModelAccount } from './evm/map-source.ts';
import { accountWith, addressOf, BASE_FEE, BLOCK } from './evm/transaction-lab.ts';
import { applyToAccounts, BlockMaker, CRYPTO, randomBlock, SEED, senderAt, sourceOf, startAccounts, TOKEN, transferData, words } from './parallel-support.ts';

const RULES = { fork: 'prague', feePolicy: 'ethereum' } as const;
/** No block keeps what a transaction returned, so that nobody speculates about it. */
const NO_OUTPUT = new Uint8Array(0);
const NOBODY: ReadonlySet<number> = new Set();
const EMPTY_HASH = hashOf('');

/** Balances as differences, as the state of a shard takes them. */
function applyDifferences(accounts: Map<string, ModelAccount>, changes: WorldChanges): void {
  const absolute = changes.accounts.map((change) => {
    const balance = (accounts.get(bytesKey(change.address))?.balance ?? 0n) + change.balance - change.balanceBefore;
    return { ...change, balance };
  });
  applyToAccounts(accounts, { accounts: absolute, slots: changes.slots });
}

interface BlockEnd {
  readonly outcomes: TransactionOutcome[];
  /** Of each transaction that is valid: what it needs (R16). */
  readonly locks: string[];
  readonly accounts: Map<string, ModelAccount>;
  readonly taken: number;
}

interface BlockOptions {
  readonly rules?: ExecutionRules;
  /** Transactions whose changes are not applied: locks, or credits without room, left them out of the block. */
  readonly leftOut?: ReadonlySet<number>;
}

/** Executes a block in order as a shard does: a fresh overlay for each transaction, whose changes are applied at once; what is speculated and still holds is taken. */
function executeBlock(start: Map<string, ModelAccount>, transactions: readonly EvmTransaction[], speculation: Speculation | undefined, options: BlockOptions = {}): BlockEnd {
  const { rules = RULES, leftOut = NOBODY } = options;
  const accounts = new Map([...start].map(([key, account]) => [key, { ...account, storage: new Map(account.storage) }]));
  const source: MapSource = sourceOf(accounts);
  const world = new WorldState(source, CRYPTO, new CodeCache());
  const evm = new Evm({ fork: rules.fork }, { crypto: CRYPTO, world });
  const locks: string[] = [];
  let taken = 0;
  const end = (index: number, outcome: AppliedTransaction, reads: WorldReads, changes: WorldChanges): TransactionOutcome => {
    locks.push(text([index, lockSetOf(reads, changes, transactions[index]!.sender)]));
    if (!leftOut.has(index)) applyDifferences(accounts, changes);
    return { ...outcome, output: NO_OUTPUT };
  };
  const outcomes = transactions.map((tx, index): TransactionOutcome => {
    const known = speculation?.at(index);
    if (known !== undefined && validates(known.reads, source, EMPTY_HASH)) {
      taken++;
      return end(index, known.outcome, known.reads, known.changes);
    }
    world.reset(source);
    const outcome = applyTransaction(evm, world, BLOCK, tx, rules.feePolicy);
    return 'invalid' in outcome ? outcome : end(index, outcome, world.reads(), world.changes());
  });
  return { outcomes, locks, accounts, taken };
}

/** What threads would find out: transactions are given to groups at random, each over the block's start. */
function speculate(start: Map<string, ModelAccount>, transactions: readonly EvmTransaction[], groups: number, seed: number, rules: ExecutionRules = RULES): Speculation {
  const prng = new Prng(seed);
  const source = sourceOf(start);
  const found: (SpeculatedTransaction | undefined)[] = [];
  const groupOf = transactions.map(() => prng.below(groups));
  for (let group = 0; group < groups; group++) {
    const indices = groupOf.flatMap((each, index) => (each === group ? [index] : []));
    const executor = new SpeculativeExecutor({ ...rules, seed: SEED, compileAfter: 0 }, { crypto: CRYPTO, source });
    const results = unpackSpeculated(packSpeculated(executor.execute(source, BLOCK, indices.map((index) => transactions[index]!))));
    results.forEach((result, position) => (found[indices[position]!] = result));
  }
  return { at: (index) => found[index] };
}

function text(value: unknown): string {
  const show = (_: string, each: unknown): unknown => {
    if (each instanceof Map) return [...(each as Map<unknown, unknown>)].map(([key, entry]) => [String(key), entry]).toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
    return typeof each === 'bigint' ? `${each}n` : each instanceof Uint8Array ? toHex(each) : each;
  };
  return JSON.stringify(value, show);
}

const anyBlock = fc.record({
  seed: fc.nat(),
  places: fc.constantFrom(1, 3, 8, 24),
  groups: fc.integer({ min: 1, max: 4 }),
  rules: fc.record({ fork: fc.constantFrom('cancun' as const, 'prague' as const), feePolicy: fc.constantFrom('burn' as const, 'ethereum' as const) }),
  leftOut: fc.uniqueArray(fc.nat(39), { maxLength: 20 }),
});

test('a block with speculations comes to what it comes to without them, locks included, however wrong they are', () => {
  let [taken, dropped] = [0, 0];
  fc.assert(
    fc.property(anyBlock, ({ seed, places, groups, rules, leftOut }) => {
      const accounts = startAccounts();
      const transactions = randomBlock(accounts, seed, 40, places);
      const options = { rules, leftOut: new Set(leftOut) };
      const expected = executeBlock(accounts, transactions, undefined, options);
      const actual = executeBlock(accounts, transactions, speculate(accounts, transactions, groups, seed, rules), options);
      deepEqual(actual.outcomes.map(text), expected.outcomes.map(text));
      deepEqual(actual.locks, expected.locks);
      equal(text(actual.accounts), text(expected.accounts));
      taken += actual.taken;
      dropped += transactions.length - actual.taken;
    }),
    { numRuns: 120 },
  );
  ok(taken > 300, `only ${taken} were taken`);
  ok(dropped > 300, `only ${dropped} were executed again`);
});

test('the locks of who touches an account without wei are the same whether somebody was seen to have paid it or not', () => {
  const accounts = startAccounts(2);
  const maker = new BlockMaker(accounts);
  const nobody = addressOf(0x77);
  // Contract 2 calls w0 with w1 wei: the first pays, and is left out of the block; the second only touches.
  for (const [index, wei] of [3n, 0n].entries()) maker.add(senderAt(index), { to: addressOf(0xd2), data: words(new Uint8Array(0), nobody, wei, BigInt(index)) });
  const found = speculate(accounts, maker.transactions, 1, 1);
  const options = { leftOut: new Set([0]) };
  const actual = executeBlock(accounts, maker.transactions, found, options);
  equal(actual.taken, 2);
  deepEqual(actual.locks, executeBlock(accounts, maker.transactions, undefined, options).locks);
});

test('independent transfers are all taken, also where they pay one account', () => {
  const accounts = startAccounts(60);
  const maker = new BlockMaker(accounts);
  for (let i = 0; i < 30; i++) maker.add(senderAt(i), { to: TOKEN, data: transferData(senderAt(30 + i), 5n) });
  for (let i = 30; i < 60; i++) maker.add(senderAt(i), { to: addressOf(0x66), value: 2n });
  const { taken } = executeBlock(accounts, maker.transactions, speculate(accounts, maker.transactions, 3, 1));
  equal(taken, 60);
});

test('a speculation over another state is not taken where it read what differs', () => {
  const accounts = startAccounts(4);
  const maker = new BlockMaker(accounts);
  for (let i = 0; i < 2; i++) maker.add(senderAt(i), { to: TOKEN, data: transferData(senderAt(3), 5n) });
  const old = speculate(accounts, maker.transactions, 1, 1);
  const changed = startAccounts(4);
  const sender = changed.get(bytesKey(senderAt(1)))!;
  changed.set(bytesKey(senderAt(1)), { ...sender, balance: sender.balance + 1n });
  const { taken, outcomes } = executeBlock(changed, maker.transactions, old);
  equal(taken, 1);
  equal(outcomes.length, 2);
});

test('homes that were asked for are part of what was read, and an account that was made is here', () => {
  const foreign = addressOf(0xf0);
  const elsewhere = (home: number): StateSource => {
    const source = sourceOf(new Map());
    source.homeOf = (): number => home;
    return source;
  };
  const below = elsewhere(3);
  const layered = new LayeredSource(below);
  equal(layered.homeOf(foreign), 3);
  const reads = { accounts: [], slots: [], homes: layered.takeHomes(), unread: [] };
  deepEqual(layered.takeHomes(), []);
  ok(validates(reads, below, EMPTY_HASH));
  equal(validates(reads, elsewhere(-1), EMPTY_HASH), false);
  const made = { address: foreign, deleted: false, storageEmptied: false, nonce: 1n, nonceBefore: 0n, balance: 0n, balanceBefore: 0n, codeHash: EMPTY_HASH, code: undefined };
  layered.apply({ accounts: [made], slots: [] });
  equal(layered.homeOf(foreign), -1);
});

test('no more is executed beforehand than a block has gas for, whatever candidates claim', () => {
  const accounts = startAccounts(12);
  const burner = addressOf(0x88);
  accounts.set(bytesKey(burner), accountWith({ nonce: 1n, code: Uint8Array.of(0xfe) }));
  const maker = new BlockMaker(accounts);
  const gasLimit = BLOCK.gasLimit / 4n;
  for (let i = 0; i < 11; i++) maker.add(senderAt(i), { to: burner, gasLimit, maxFeePerGas: BASE_FEE, maxPriorityFeePerGas: 0n });
  maker.add(senderAt(11), { to: burner, gasLimit: BLOCK.gasLimit + 1n });
  const { at } = speculate(accounts, maker.transactions, 1, 1);
  deepEqual(maker.transactions.flatMap((_, index) => (at(index) === undefined ? [] : [index])), [0, 1, 2, 3]);
  // Claims count as long as they last: what uses less than it claims leaves room.
  const modest = new BlockMaker(accounts);
  for (let i = 0; i < 11; i++) modest.add(senderAt(i), { to: TOKEN, data: transferData(senderAt(0), 1n), gasLimit, maxFeePerGas: BASE_FEE });
  const found = speculate(accounts, modest.transactions, 1, 1);
  ok(modest.transactions.every((_, index) => found.at(index) !== undefined));
});

test('what a call returns does not travel', () => {
  const accounts = startAccounts(1);
  const maker = new BlockMaker(accounts);
  maker.add(senderAt(0), { to: TOKEN, data: transferData(senderAt(0), 1n) });
  equal(speculate(accounts, maker.transactions, 1, 1).at(0)!.outcome.output.length, 0);
});
