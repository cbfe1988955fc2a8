import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Address, type Hash32, Prng, toHex } from '@shardlab/crosslink';
import type { BlockEnvironment, BlockResult, EvmTransaction, SourceAccount, StateSource, WorldChanges } from '@shardlab/shard';
import { createEvmCrypto } from '../../src/crypto/create-evm-crypto.ts';
import { type Execution, ExecutionPool, type ExecutionPoolOptions } from '../../src/execution/execution-pool.ts';

const crypto = await createEvmCrypto();
const EMPTY_HASH = crypto.keccak256(new Uint8Array(0));
const addressOf = (first: number, last: number): Address => Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? last : first)) as Address;
/** [w0] := [w0] + 1, and a log. */
const COUNTER_CODE = Uint8Array.from([0x5f, 0x35, 0x80, 0x54, 0x60, 0x01, 0x01, 0x81, 0x55, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xa0]);
const COUNTER = addressOf(0xcc, 0xcc);
const SIZE = { accountsLog2: 10, slotsLog2: 10 };
const SENDERS = 40;

const BLOCK: BlockEnvironment = {
  chainId: 7n, number: 300n, timestamp: 1_000n, gasLimit: 1_000_000_000n, coinbase: addressOf(0xcb, 0xcb), prevRandao: new Uint8Array(32) as Hash32,
  baseFeePerGas: 7n, blobBaseFee: 1n, blockHash: (number) => new Uint8Array(32).fill(Number(number % 251n)) as Hash32,
};

/** A state of senders and one contract that counts. */
class Ledger implements StateSource {
  readonly accounts = new Map<string, SourceAccount>();
  readonly slots = new Map<string, Uint8Array>();
  questions = 0;

  constructor() {
    for (let i = 0; i < SENDERS; i++) this.accounts.set(toHex(addressOf(1, i)), { nonce: 0n, balance: 10n ** 18n, codeHash: EMPTY_HASH });
    this.accounts.set(toHex(COUNTER), { nonce: 1n, balance: 0n, codeHash: crypto.keccak256(COUNTER_CODE) });
  }
  account(address: Address): SourceAccount | undefined {
    return this.accounts.get(toHex(address));
  }
  code(): Uint8Array {
    this.questions++;
    return COUNTER_CODE;
  }
  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    this.questions++;
    out.set(this.slots.get(toHex(address) + toHex(key)) ?? new Uint8Array(32));
  }
  hasStorage(): boolean {
    return this.slots.size > 0;
  }
  homeOf(): number {
    return -1;
  }
  apply({ accounts, slots }: WorldChanges): void {
    for (const { address, nonce, balance, codeHash } of accounts) this.accounts.set(toHex(address), { nonce, balance, codeHash });
    for (const { address, key, value } of slots) this.slots.set(toHex(address) + toHex(key), value.slice());
  }
}

/** Calls of the counter at random places of `places`, and plain transfers. */
function blockOf(ledger: Ledger, seed: number, count: number, places: number): EvmTransaction[] {
  const prng = new Prng(seed);
  const nonces = new Map<number, bigint>();
  return Array.from({ length: count }, () => {
    const from = prng.below(SENDERS);
    const sender = addressOf(1, from);
    const nonce = nonces.get(from) ?? ledger.account(sender)!.nonce;
    nonces.set(from, nonce + 1n);
    const data = new Uint8Array(32);
    data[31] = prng.below(places);
    const plain = prng.below(4) === 0;
    return {
      type: 2, sender, chainId: 7n, nonce, gasLimit: 100_000n, maxFeePerGas: 10n, maxPriorityFeePerGas: 1n, to: plain ? addressOf(2, prng.below(200)) : COUNTER,
      value: plain ? 5n : 0n, data: plain ? new Uint8Array(0) : data, accessList: [], blobHashes: [], maxFeePerBlobGas: 0n, authorizations: [],
    };
  });
}

function textOf(result: BlockResult): string[] {
  const show = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? toHex(value) : value);
  const { accounts, slots } = result.changes();
  const lines = [...accounts, ...slots].map((change) => JSON.stringify(change, show)).toSorted();
  return [`gas ${result.gasUsed}`, ...Array.from({ length: result.count }, (_, index) => JSON.stringify(result.outcome(index), show)), ...lines];
}

function execute(pool: ExecutionPool, ledger: Ledger, transactions: readonly EvmTransaction[]): Promise<Execution> {
  return new Promise((resolve, reject) => {
    pool.execute({ block: BLOCK, transactions, source: ledger }, (result) => (result.ok ? resolve(result.value) : reject(result.error)));
  });
}

async function withPool<T>(options: Partial<ExecutionPoolOptions> & { workers: number }, use: (pool: ExecutionPool, lost: string[]) => Promise<T>): Promise<T> {
  const lost: string[] = [];
  const pool = new ExecutionPool(
    { fork: 'prague', feePolicy: 'ethereum', size: SIZE, parallel: { transactionsMin: 1, serialAbove: 1, repeatsMax: 8 }, ...options },
    { crypto, onWorkerLost: (reason) => lost.push(reason) },
  );
  await pool.start();
  try {
    return await use(pool, lost);
  } finally {
    await pool.stop();
  }
}

async function expected(ledger: Ledger, transactions: readonly EvmTransaction[]): Promise<Execution> {
  return withPool({ workers: 0 }, (pool) => execute(pool, ledger, transactions));
}

test('threads give what the main thread gives, block after block, while what they share overflows again and again', async () => {
  const ledger = new Ledger();
  await withPool({ workers: 2, size: { accountsLog2: 6, slotsLog2: 5 } }, async (pool) => {
    for (let block = 0; block < 8; block++) {
      const transactions = blockOf(ledger, block, 120, block < 4 ? 250 : 3);
      const serial = await expected(ledger, transactions);
      const parallel = await execute(pool, ledger, transactions);
      equal(serial.path.kind, 'serial');
      equal(parallel.path.kind, 'parallel');
      deepEqual(textOf(parallel.result), textOf(serial.result));
      const changes = parallel.result.changes();
      ledger.apply(changes);
      pool.applied(changes, ledger);
    }
  });
});

test('what threads share follows the state: they ask for nothing that was written before', async () => {
  const ledger = new Ledger();
  await withPool({ workers: 1 }, async (pool) => {
    pool.sharedState!.markComplete();
    for (const [key, account] of ledger.accounts) pool.sharedState!.setAccount(Uint8Array.from(Buffer.from(key.slice(2), 'hex')) as Address, account, -1, EMPTY_HASH);
    for (let block = 0; block < 3; block++) {
      const transactions = blockOf(ledger, 50 + block, 60, 20);
      ledger.questions = 0;
      const parallel = await execute(pool, ledger, transactions);
      equal(parallel.path.kind, 'parallel');
      // The code, once.
      equal(ledger.questions, block === 0 ? 1 : 0);
      deepEqual(textOf(parallel.result), textOf((await expected(ledger, transactions)).result));
      const changes = parallel.result.changes();
      ledger.apply(changes);
      pool.applied(changes, ledger);
    }
    pool.forget();
    ledger.questions = 0;
    await execute(pool, ledger, blockOf(ledger, 99, 60, 20));
    ok(ledger.questions > 10, 'after forgetting, threads ask');
  });
});

test('a thread that dies in the middle of a run is replaced, and its run is executed again', async (context) => {
  const ledger = new Ledger();
  const post = Worker.prototype.postMessage;
  let deaths = 0;
  // The thread is told to execute, and ended before it can have answered.
  context.mock.method(Worker.prototype, 'postMessage', function (this: Worker, ...args: Parameters<typeof post>) {
    post.apply(this, args);
    if (deaths < 2 && deaths++ >= 0) void this.terminate();
  });
  await withPool({ workers: 2 }, async (pool, lost) => {
    const transactions = blockOf(ledger, 7, 80, 100);
    const parallel = await execute(pool, ledger, transactions);
    equal(parallel.path.kind, 'parallel');
    equal(deaths, 2);
    ok(lost.length >= 1, 'the loss was told');
    match(lost[0]!, /exit code 1/);
    deepEqual(textOf(parallel.result), textOf((await expected(ledger, transactions)).result));
  });
});

test('threads that die over every run are given up: the main thread executes, and says so', async (context) => {
  const ledger = new Ledger();
  const post = Worker.prototype.postMessage;
  context.mock.method(Worker.prototype, 'postMessage', function (this: Worker, ...args: Parameters<typeof post>) {
    post.apply(this, args);
    void this.terminate();
  });
  await withPool({ workers: 2 }, async (pool) => {
    for (let block = 0; block < 2; block++) {
      const transactions = blockOf(ledger, 8, 80, 100);
      const { path, result } = await execute(pool, ledger, transactions);
      deepEqual(path, { kind: 'serial', reason: 'workers-lost' });
      equal(result.count, 80);
    }
  });
});

test('blocks wait in a bounded queue and come back in order; a stopped pool answers everybody', async () => {
  const ledger = new Ledger();
  await withPool({ workers: 1 }, async (pool) => {
    const order: string[] = [];
    const all = Array.from({ length: 6 }, (_, index) =>
      execute(pool, ledger, blockOf(ledger, index, 10 + index, 50)).then(({ result }) => order.push(`${result.count}`), (error: { code: string }) => order.push(error.code)),
    );
    await Promise.all(all);
    deepEqual(order, ['execution/busy', 'execution/busy', '10', '11', '12', '13']);
    const late = execute(pool, ledger, blockOf(ledger, 1, 60, 50)).then(() => 'done', (error: { code: string }) => error.code);
    await pool.stop();
    equal(await late, 'execution/stopped');
    equal(await execute(pool, ledger, []).then(() => 'done', (error: { code: string }) => error.code), 'execution/stopped');
  });
});
