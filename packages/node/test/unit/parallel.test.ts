import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Address } from '@shardlab/crosslink';
import { blockOf, EMPTY_HASH, execute, expected, Ledger, textOf, withPool } from './parallel-support.ts';

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

test('transactions that were prepared go to threads from the arena, the others in messages, and while a block is open its own are not overwritten', async () => {
  const ledger = new Ledger();
  // Room for some thirty.
  await withPool({ workers: 2, arenaBytes: 1 << 12 }, async (pool) => {
    let missing = 0;
    for (let block = 0; block < 6; block++) {
      const transactions = blockOf(ledger, 200 + block, 60, 250);
      const prepared = transactions.slice(0, 20 + 8 * block).map((tx) => pool.prepare(tx));
      const done = execute(pool, ledger, transactions, prepared);
      await Promise.resolve();
      // Others come in meanwhile, and find room, or none.
      for (const tx of blockOf(ledger, 300 + block, 60, 250)) if (pool.prepare(tx) === undefined) missing++;
      const { path, result } = await done;
      equal(path.kind, 'parallel');
      deepEqual(textOf(result), textOf((await expected(ledger, transactions)).result));
      const changes = result.changes();
      ledger.apply(changes);
      pool.applied(changes, ledger);
    }
    ok(missing > 0, 'there was no room at times');
  });
});
