import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type BlockEnvironment, type EvmTransaction, recoverBatch, type Speculation, validates } from '@shardlab/shard';
import { createCrypto } from '../../src/crypto/create-crypto.ts';
import { ExecutionPool } from '../../src/execution/execution-pool.ts';
import { BLOCK, blockOf, crypto, EMPTY_HASH, execute, expected, Ledger, textOf, withPool } from './parallel-support.ts';
import { mustFail, mustRecover, POLICY, signedTransfers } from './recovery-support.ts';

const signing = await createCrypto();
const RAWS = signedTransfers(400, 42, signing);
const RECORDS = recoverBatch(RAWS, signing, POLICY);

function speculate(pool: ExecutionPool, ledger: Ledger, transactions: readonly EvmTransaction[], block: BlockEnvironment = BLOCK): Promise<Speculation> {
  return new Promise((resolve, reject) => {
    pool.speculate({ block, transactions, source: ledger }, (result) => (result.ok ? resolve(result.value) : reject(result.error)));
  });
}

test('a block that takes what threads found out beforehand, where it still holds, comes to what serial execution comes to', async () => {
  const ledger = new Ledger();
  await withPool({ workers: 2 }, async (pool) => {
    let taken = 0;
    for (let block = 0; block < 3; block++) {
      const transactions = blockOf(ledger, 20 + block, 80, 400);
      const speculation = await speculate(pool, ledger, transactions);
      const { result } = await expected(ledger, transactions);
      for (const [index, transaction] of transactions.entries()) {
        const known = speculation.at(index);
        ok(known !== undefined, 'all are known');
        if (validates(known.reads, ledger, EMPTY_HASH)) {
          taken++;
          deepEqual(known.outcome, { ...result.outcome(index), output: new Uint8Array(0) });
          // As differences, as a shard's state takes them.
          const accounts = known.changes.accounts.map((change) => {
            const before = ledger.account(change.address)?.balance ?? 0n;
            return { ...change, balance: before + change.balance - change.balanceBefore, balanceBefore: before };
          });
          const changes = { ...known.changes, accounts };
          ledger.apply(changes);
          pool.applied(changes, ledger);
        } else {
          const alone = await expected(ledger, [transaction]);
          deepEqual(alone.result.outcome(0), result.outcome(index));
          const changes = alone.result.changes();
          ledger.apply(changes);
          pool.applied(changes, ledger);
        }
      }
      equal(validates(speculation.at(0)!.reads, ledger, EMPTY_HASH), false, 'its nonce is used');
    }
    ok(taken > 120, `${taken} of 240 were taken`);
  });
});

test('speculation knows nothing without threads, or where they die, and is refused like execution', async (context) => {
  const ledger = new Ledger();
  const transactions = blockOf(ledger, 5, 60, 100);
  await withPool({ workers: 0 }, async (pool) => equal((await speculate(pool, ledger, transactions)).at(0), undefined));
  const post = Worker.prototype.postMessage;
  context.mock.method(Worker.prototype, 'postMessage', function (this: Worker, ...args: Parameters<typeof post>) {
    post.apply(this, args);
    void this.terminate();
  });
  await withPool({ workers: 1 }, async (pool, lost) => {
    equal((await speculate(pool, ledger, transactions)).at(0), undefined);
    equal(lost.length, 1, 'it is not tried again');
    // The thread that comes in its place is not waited for.
    equal((await speculate(pool, ledger, transactions)).at(0), undefined);
    equal(lost.length, 1);
    await pool.stop();
    await rejects(speculate(pool, ledger, transactions), { code: 'execution/stopped' });
  });
});

test('of more candidates than a block has gas for, the first are executed beforehand', async () => {
  const ledger = new Ledger();
  await withPool({ workers: 2 }, async (pool) => {
    const transactions = blockOf(ledger, 5, 400, 400);
    // Before any is known, each is taken for 60,000 gas.
    const found = await speculate(pool, ledger, transactions, { ...BLOCK, gasLimit: 8_000_000n });
    deepEqual(transactions.map((_, index) => found.at(index) !== undefined), transactions.map((_, index) => index < 166));
  });
});

test('senders are recovered on the threads that execute blocks, at the same time, and again if one dies over them', async (context) => {
  const ledger = new Ledger();
  await withPool({ workers: 2, admission: POLICY }, async (pool, lost) => {
    const recovery = pool.recovery()!;
    await recovery.start();
    equal(recovery.library, signing.names.secp256k1);
    const transactions = blockOf(ledger, 30, 80, 100);
    const [one, execution, two] = await Promise.all([mustRecover(recovery, RAWS), execute(pool, ledger, transactions), mustRecover(recovery, RAWS)]);
    deepEqual([one.records, two.records], [RECORDS, RECORDS]);
    deepEqual(textOf(execution.result), textOf((await expected(ledger, transactions)).result));
    const post = Worker.prototype.postMessage;
    let deaths = 0;
    context.mock.method(Worker.prototype, 'postMessage', function (this: Worker, ...args: Parameters<typeof post>) {
      post.apply(this, args);
      if (deaths++ < 2) void this.terminate();
    });
    deepEqual((await mustRecover(recovery, RAWS)).records, RECORDS);
    ok(lost.length >= 1);
    await recovery.stop();
    equal(await mustFail(recovery, RAWS), 'recovery/stopped');
  });
  await withPool({ workers: 1 }, async (pool) => equal(pool.recovery(), undefined));
});

test('what kills every thread that gets it fails alone: the others go on', async (context) => {
  const ledger = new Ledger();
  await withPool({ workers: 1, admission: POLICY }, async (pool) => {
    const recovery = pool.recovery()!;
    await recovery.start();
    const post = Worker.prototype.postMessage;
    const mock = context.mock.method(Worker.prototype, 'postMessage', function (this: Worker, ...args: Parameters<typeof post>) {
      post.apply(this, args);
      void this.terminate();
    });
    equal(await mustFail(recovery, RAWS.slice(0, 10)), 'recovery/failed');
    mock.mock.restore();
    deepEqual((await mustRecover(recovery, RAWS)).records, RECORDS);
    const { path } = await execute(pool, ledger, blockOf(ledger, 9, 60, 60));
    equal(path.kind, 'parallel');
  });
});

test('a pool that is stopped while its threads load ends them when they have', async () => {
  const pool = new ExecutionPool({ fork: 'prague', feePolicy: 'burn', workers: 2, size: { accountsLog2: 6, slotsLog2: 6 } }, { crypto });
  const started = rejects(pool.start(), { code: 'execution/stopped' });
  await pool.stop();
  await started;
});
