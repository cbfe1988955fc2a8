import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesKey } from '@shardlab/crosslink';
import fc from 'fast-check';
import { Candidates } from '../../src/mempool/candidates.ts';
import { Mempool, type MempoolOptions } from '../../src/mempool/mempool.ts';
import type { Pooled } from '../../src/mempool/sender-queue.ts';
import type { PoolTransaction } from '../../src/transaction/types.ts';
import { testCrypto } from '../support/crypto.ts';
import { poolTransfer, testAddress } from '../support/transactions.ts';

const crypto = testCrypto();
const SENDERS = 4;
const addresses = Array.from({ length: SENDERS }, (_, index) => testAddress(crypto, index));
const BALANCE = 10n ** 18n;

/** Accounts as admission sees them. */
class Accounts {
  readonly byKey = new Map(addresses.map((address) => [bytesKey(address), { nonce: 0, balance: BALANCE }]));

  account(key: string): { nonce: number; balance: bigint } | undefined {
    return this.byKey.get(key);
  }
}

interface Choice {
  readonly from: number;
  readonly nonce: number;
  readonly tip: number;
  readonly cap: number;
  readonly value: bigint;
}

function transferOf({ from, nonce, tip, cap, value }: Choice): PoolTransaction {
  const prices = { maxFeePerGas: BigInt(Math.max(cap, tip)), maxPriorityFeePerGas: BigInt(tip) };
  return poolTransfer(crypto, { from: addresses[from]!, to: addresses[0]!, nonce, value, ...prices });
}

const cost = (tx: PoolTransaction): bigint => tx.value + BigInt(tx.gasLimit) * tx.maxFeePerGas;
const room: MempoolOptions = { capacity: 100, nonceAheadMax: 20 };

/** The pool as one list: slow and plain. */
class Model {
  txs: { tx: PoolTransaction; arrival: number; blocked: number }[] = [];
  taken: PoolTransaction[] = [];
  baseFee = 0n;
  private arrivals = 0;
  private blocks = 0;
  private readonly options: MempoolOptions;
  private readonly accounts: Accounts;

  constructor(options: MempoolOptions, accounts: Accounts) {
    this.options = options;
    this.accounts = accounts;
  }

  private of(senderKey: string): Model['txs'] {
    return this.txs.filter(({ tx }) => tx.senderKey === senderKey);
  }

  private has(senderKey: string, nonce: number): boolean {
    return this.of(senderKey).some(({ tx }) => tx.nonce === nonce);
  }

  /** First nonce from the account's on that is not here. */
  pendingNonce(senderKey: string): number {
    let nonce = this.accounts.account(senderKey)!.nonce;
    while (this.has(senderKey, nonce)) nonce++;
    return nonce;
  }

  gapped(): number {
    return this.txs.filter(({ tx }) => tx.nonce > this.pendingNonce(tx.senderKey)).length;
  }

  add(tx: PoolTransaction): string | undefined {
    if (this.txs.some((each) => each.tx.hashKey === tx.hashKey)) return 'already-known';
    const { nonce, balance } = this.accounts.account(tx.senderKey)!;
    if (tx.nonce < nonce) return 'nonce-too-low';
    if (tx.nonce > nonce + this.options.nonceAheadMax) return 'nonce-too-high';
    if (tx.maxFeePerGas < this.baseFee) return 'underpriced';
    const own = this.of(tx.senderKey);
    const old = own.find((each) => each.tx.nonce === tx.nonce);
    const others = own.filter((each) => each !== old).reduce((sum, each) => sum + cost(each.tx), 0n);
    if (balance < others + cost(tx)) return 'insufficient-funds';
    if (old !== undefined) {
      const bump = (now: bigint, then: bigint): boolean => 10n * now >= 11n * then;
      const enough = bump(tx.maxFeePerGas, old.tx.maxFeePerGas) && bump(tx.maxPriorityFeePerGas, old.tx.maxPriorityFeePerGas);
      if (!enough || this.taken.includes(old.tx)) return 'replacement-underpriced';
      this.txs[this.txs.indexOf(old)] = { tx, arrival: old.arrival, blocked: 0 };
      return undefined;
    }
    if (this.txs.length >= this.options.capacity) return 'pool-full';
    if (tx.nonce > this.pendingNonce(tx.senderKey) && this.gapped() >= Math.floor(this.options.capacity / 4)) return 'pool-full';
    this.txs.push({ tx, arrival: this.arrivals++, blocked: 0 });
    return undefined;
  }

  /** Heads of the senders' queues that fit the base fee. */
  private heads(): Model['txs'] {
    const isHead = (tx: PoolTransaction): boolean => {
      const { nonce } = this.accounts.account(tx.senderKey)!;
      let next = nonce;
      while (this.taken.some((each) => each.senderKey === tx.senderKey && each.nonce === next)) next++;
      return tx.nonce === next;
    };
    return this.txs.filter(({ tx }) => isHead(tx) && tx.maxFeePerGas >= this.baseFee);
  }

  get fresh(): boolean {
    return this.heads().some(({ blocked }) => blocked === 0);
  }

  take(gasMax: number, countMax: number): PoolTransaction[] {
    // What the base fee has overtaken waits for that instead.
    for (const each of this.txs) if (each.tx.maxFeePerGas < this.baseFee && each.blocked > 0) each.blocked = 0;
    const blocked = this.heads().filter((each) => each.blocked > 0).sort((a, b) => a.blocked - b.blocked);
    const waiting = new Set(blocked.map(({ tx }) => tx.senderKey));
    const chosen: PoolTransaction[] = [];
    const full = (gas: number, count: number): boolean => chosen.length * 21_000 >= gas || chosen.length >= count;
    const choose = (tx: PoolTransaction): void => {
      chosen.push(tx);
      this.taken.push(tx);
    };
    while (blocked.length > 0 && !full(gasMax / 4, Math.ceil(countMax / 4))) choose(blocked.shift()!.tx);
    while (!full(gasMax, countMax)) {
      const [best] = this.heads()
        .filter((each) => each.blocked === 0 && !waiting.has(each.tx.senderKey))
        .sort((a, b) => Number(b.tx.maxPriorityFeePerGas - a.tx.maxPriorityFeePerGas) || a.arrival - b.arrival);
      if (best === undefined) break;
      choose(best.tx);
    }
    while (blocked.length > 0 && !full(gasMax, countMax)) choose(blocked.shift()!.tx);
    return chosen;
  }

  settle(included: readonly PoolTransaction[], dropped: readonly PoolTransaction[], blocked: readonly PoolTransaction[]): void {
    for (const each of this.txs) if (this.taken.includes(each.tx)) each.blocked = 0;
    this.taken = [];
    const gone = new Set([...included, ...dropped]);
    this.txs = this.txs.filter(({ tx }) => !gone.has(tx) && tx.nonce >= this.accounts.account(tx.senderKey)!.nonce);
    // In the order in which they were taken.
    for (const tx of blocked) for (const each of this.txs) if (each.tx === tx) each.blocked = ++this.blocks;
  }
}

type Step =
  | { kind: 'add'; choice: Choice }
  | { kind: 'block'; count: number; gas: number; during: Choice[]; fates: number[] }
  | { kind: 'baseFee'; wei: number }
  | { kind: 'elsewhere'; from: number };

const choices: fc.Arbitrary<Choice> = fc.record({
  from: fc.nat(SENDERS - 1),
  nonce: fc.nat(7),
  tip: fc.integer({ min: 1, max: 12 }),
  cap: fc.integer({ min: 1, max: 30 }),
  value: fc.constantFrom(0n, 1n, BALANCE / 3n),
});
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('add' as const), choice: choices }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('block' as const),
      count: fc.integer({ min: 1, max: 9 }),
      gas: fc.integer({ min: 1, max: 9 }),
      during: fc.array(choices, { maxLength: 3 }),
      fates: fc.array(fc.nat(9), { minLength: 9, maxLength: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('baseFee' as const), wei: fc.nat(25) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('elsewhere' as const), from: fc.nat(SENDERS - 1) }) },
);

interface World {
  readonly accounts: Accounts;
  readonly pool: Mempool;
  readonly model: Model;
}

/** Decides, as a block's execution would, what becomes of what was taken: a sender's later nonces can only follow its earlier ones. */
function fatesOf({ accounts }: World, taken: readonly PoolTransaction[], fates: readonly number[]): Record<'included' | 'dropped' | 'later' | 'blocked', PoolTransaction[]> {
  const out = { included: [] as PoolTransaction[], dropped: [] as PoolTransaction[], later: [] as PoolTransaction[], blocked: [] as PoolTransaction[] };
  taken.forEach((tx, index) => {
    const account = accounts.account(tx.senderKey)!;
    const fate = fates[index % fates.length]!;
    if (tx.nonce > account.nonce) out.later.push(tx);
    else if (fate < 5) {
      out.included.push(tx);
      account.nonce++;
    } else if (fate < 7) out.blocked.push(tx);
    else if (fate < 8) out.dropped.push(tx);
    else out.later.push(tx);
  });
  return out;
}

function run(world: World, step: Step): void {
  const { accounts, pool, model } = world;
  const add = (choice: Choice): void => {
    const tx = transferOf(choice);
    assert.equal(pool.add(tx)?.code, model.add(tx));
  };
  switch (step.kind) {
    case 'add':
      return add(step.choice);
    case 'baseFee':
      model.baseFee = BigInt(step.wei);
      return pool.setBaseFee(model.baseFee);
    case 'elsewhere': {
      // A nonce that was used by a block that this pool did not fill.
      accounts.account(bytesKey(addresses[step.from]!))!.nonce++;
      const later = model.txs.map(({ tx }) => tx).filter((tx) => tx.senderKey === bytesKey(addresses[step.from]!));
      pool.settle([], [], later);
      return model.settle([], [], []);
    }
    case 'block': {
      const taken = pool.take(step.gas * 21_000, step.count);
      assert.deepEqual(taken.map((tx) => tx.hashKey), model.take(step.gas * 21_000, step.count).map((tx) => tx.hashKey));
      for (const choice of step.during) add(choice);
      const { included, dropped, later, blocked } = fatesOf(world, taken, step.fates);
      pool.settle(included, dropped, later, blocked);
      model.settle(included, dropped, blocked);
    }
  }
}

function check({ pool, model }: World): void {
  assert.equal(pool.size, model.txs.length);
  for (const { tx } of model.txs) assert.equal(pool.get(tx.hashKey), tx);
  for (const address of addresses) assert.equal(pool.pendingNonce(bytesKey(address)), model.pendingNonce(bytesKey(address)));
  assert.equal(pool.ready, model.fresh, 'ready never lies');
}

test('any use of the pool: the same as of a plain list', () => {
  const capacities = fc.constantFrom(6, 12, 100);
  fc.assert(
    fc.property(capacities, fc.array(steps, { maxLength: 60 }), (capacity, list) => {
      const accounts = new Accounts();
      const options = { capacity, nonceAheadMax: 6 };
      const world = { accounts, pool: new Mempool(options, accounts), model: new Model(options, accounts) };
      for (const step of list) {
        run(world, step);
        check(world);
      }
    }),
    { numRuns: 600, seed: 9 },
  );
});

test('best tip first, arrival among equals, each sender in order of nonce', () => {
  const pool = new Mempool(room, new Accounts());
  const make = (from: number, nonce: number, tip: number): PoolTransaction => transferOf({ from, nonce, tip, cap: 20, value: 0n });
  const list = [make(0, 1, 9), make(0, 0, 1), make(1, 0, 5), make(2, 0, 5), make(3, 0, 7)];
  for (const tx of list) assert.equal(pool.add(tx), undefined);
  assert.deepEqual(pool.take(1e9, 100), [list[4], list[2], list[3], list[1], list[0]]);
  assert.equal(pool.ready, false);
});

test('a blocked transaction makes no blocks by itself, gets its turn, and keeps nobody else out', () => {
  const pool = new Mempool(room, new Accounts());
  const stuck = [0, 1, 2].map((from) => transferOf({ from, nonce: 0, tip: 9, cap: 20, value: 0n }));
  for (const tx of stuck) pool.add(tx);
  pool.settle([], [], [], pool.take(1e9, 100));
  assert.equal(pool.ready, false, 'an idle shard does not spin');
  const local = transferOf({ from: 3, nonce: 0, tip: 1, cap: 20, value: 0n });
  pool.add(local);
  assert.equal(pool.ready, true);
  assert.deepEqual(pool.take(4 * 21_000, 2), [stuck[0], local], 'a quarter of a block is theirs');
  pool.settle([], [], [local], [stuck[0]!]);
  assert.deepEqual(pool.take(1e9, 100), [stuck[1], stuck[2], stuck[0], local], 'each in turn, and all if there is room');
  pool.settle([local], [], [], [stuck[1]!, stuck[2]!, stuck[0]!]);
  pool.retryBlocked();
  assert.equal(pool.ready, true, 'what may have ended the block counts as work once');
  pool.settle([], [], [], pool.take(1e9, 100));
  assert.equal(pool.ready, false);
});

test('a cap below the base fee waits without making blocks until the fee falls', () => {
  const pool = new Mempool(room, new Accounts());
  const low = transferOf({ from: 0, nonce: 0, tip: 1, cap: 10, value: 0n });
  const high = transferOf({ from: 1, nonce: 0, tip: 1, cap: 20, value: 0n });
  pool.add(low);
  pool.add(high);
  pool.setBaseFee(15n);
  assert.deepEqual(pool.take(1e9, 100), [high]);
  pool.settle([], [], [high]);
  pool.setBaseFee(21n);
  assert.equal(pool.ready, false);
  pool.setBaseFee(10n);
  assert.equal(pool.ready, true);
  assert.deepEqual(new Set(pool.take(1e9, 100)), new Set([low, high]));
});

test('transactions behind a nonce gap never fill the pool', () => {
  const accounts = new Accounts();
  const pool = new Mempool({ capacity: 8, nonceAheadMax: 100 }, accounts);
  const make = (from: number, nonce: number): PoolTransaction => transferOf({ from, nonce, tip: 1, cap: 2, value: 0n });
  assert.equal(pool.add(make(0, 5)), undefined);
  assert.equal(pool.add(make(0, 6)), undefined);
  assert.match(pool.add(make(0, 7))!.message, /nonce gap/);
  assert.equal(pool.add(make(1, 0)), undefined);
  for (let nonce = 0; nonce < 5; nonce++) assert.equal(pool.add(make(0, nonce)), undefined);
  assert.equal(pool.size, 8);
  assert.equal(pool.add(make(1, 1))!.code, 'pool-full');
  assert.equal(pool.take(1e9, 100).length, 8, 'the gap is filled: all can run');
});

test('replacing over and over leaves the pool with one transaction for each nonce', () => {
  const accounts = new Accounts();
  const pool = new Mempool(room, accounts);
  const last: PoolTransaction[] = [];
  addresses.forEach((from, index) => {
    accounts.account(bytesKey(from))!.balance = 10n ** 60n;
    let tip = 1n + BigInt(index);
    for (let i = 0; i < 600; i++) {
      last[index] = poolTransfer(crypto, { from, to: addresses[1]!, nonce: 0, maxFeePerGas: 4n * tip, maxPriorityFeePerGas: tip });
      assert.equal(pool.add(last[index]!), undefined);
      tip = (tip * 11n) / 10n + 1n;
    }
  });
  assert.equal(pool.size, SENDERS);
  assert.deepEqual(new Set(pool.take(1e9, 100)), new Set(last));
  pool.settle([], last, []);
  assert.equal(pool.size, 0);
  assert.equal(pool.ready, false);
});

test('outdated candidates are cleaned away when they outnumber the senders', () => {
  let head: Pooled | undefined;
  const candidates = new Candidates((pooled) => pooled === head);
  for (let nonce = 0; nonce < 5_000; nonce++) {
    head = { tx: transferOf({ from: 0, nonce, tip: 1, cap: 2, value: 0n }), arrival: nonce, where: undefined };
    candidates.place(head);
    candidates.place(head);
    candidates.compact(1);
    assert.ok(candidates.size < 1_100);
  }
  assert.equal(candidates.pop(), head);
  assert.equal(candidates.pop(), undefined);
});

test('what waits behind a gap is there when something else than a transaction of its sender closes the gap', () => {
  const accounts = new Accounts();
  const pool = new Mempool(room, accounts);
  const early = transferOf({ from: 1, nonce: 1, tip: 1, cap: 10, value: 1n });
  assert.equal(pool.add(early), undefined);
  assert.deepEqual(pool.take(1e9, 10), []);
  // An authorization (EIP-7702) that another account has brought.
  accounts.byKey.get(bytesKey(addresses[1]!))!.nonce = 1;
  pool.settle([], [], []);
  assert.ok(pool.ready);
  assert.deepEqual(pool.take(1e9, 10), [early]);
  // The block is undone: the gap is there again, and closes again.
  accounts.byKey.get(bytesKey(addresses[1]!))!.nonce = 0;
  pool.settle([], [], [early]);
  assert.deepEqual(pool.take(1e9, 10), []);
  accounts.byKey.get(bytesKey(addresses[1]!))!.nonce = 2;
  pool.settle([], [], []);
  assert.equal(pool.size, 0);
});
