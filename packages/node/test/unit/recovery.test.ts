import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Worker } from 'node:worker_threads';

import { concatBytes, Prng } from '@shardlab/crosslink';
import { AdmissionBatch, recoverBatch } from '@shardlab/shard';
import fc from 'fast-check';

import { createCrypto } from '../../src/crypto/create-crypto.ts';
import { InlineRecovery } from '../../src/recovery/inline-recovery.ts';
import { RecoveryPool, type RecoveryPoolOptions } from '../../src/recovery/recovery-pool.ts';
import { RECOVER_MAX, type SenderRecovery } from '../../src/recovery/sender-recovery.ts';
import { sliceRequest, SliceQueue } from '../../src/recovery/slice-queue.ts';
import { packRaws, unpackRaws } from '../../src/recovery/wire.ts';
import { mustFail, mustRecover, POLICY, recovered, signedTransfers } from './recovery-support.ts';

const crypto = await createCrypto();
const RAWS = signedTransfers(700, 42, crypto);
const EXPECTED = recoverBatch(RAWS, crypto, POLICY);

async function startPool(context: TestContext, options: Partial<RecoveryPoolOptions> = {}): Promise<RecoveryPool> {
  const pool = new RecoveryPool({ policy: POLICY, workers: 2, ...options });
  context.after(() => pool.stop());
  await pool.start();
  return pool;
}

function startInline(): SenderRecovery {
  return new InlineRecovery({ policy: POLICY, library: crypto.names.secp256k1 }, { primitives: crypto, defer: queueMicrotask });
}

/** What both implementations of the port must do. */
async function complies(recovery: SenderRecovery): Promise<void> {
  const damaged = RAWS[3]!.slice(0, 50);
  const batch = await mustRecover(recovery, [...RAWS.slice(0, 3), damaged, ...RAWS.slice(4)]);
  assert.equal(batch.error(3), 'tx/rlp', 'one bad transaction is an entry, not a failure');
  assert.equal(batch.error(4), undefined);
  assert.deepEqual((await mustRecover(recovery, RAWS)).records, EXPECTED);
  assert.equal((await mustRecover(recovery, [])).count, 0);
  assert.equal(await mustFail(recovery, Array.from({ length: RECOVER_MAX + 1 }, () => RAWS[0]!)), 'recovery/oversized');
  let returned = false;
  await new Promise<void>((resolve) => {
    recovery.recover([], () => {
      assert.ok(returned, 'the answer comes after the call has returned');
      resolve();
    });
    returned = true;
  });
  assert.equal(recovery.library, crypto.names.secp256k1);
  await recovery.stop();
  assert.equal(await mustFail(recovery, RAWS), 'recovery/stopped');
}

test('the inline implementation complies', async () => {
  const inline = startInline();
  await inline.start();
  await complies(inline);
});

test('the pool complies, with records equal to the inline ones byte for byte', async (context) => {
  await complies(await startPool(context));
});

test('the pool runs on the portable libraries alike', async (context) => {
  const pool = await startPool(context, { workers: 1, libraries: 'portable' });
  assert.match(pool.library, /@noble\/curves/);
  const few = RAWS.slice(0, 40);
  assert.deepEqual((await mustRecover(pool, few)).records, recoverBatch(few, crypto, POLICY));
});

test('many small calls at once each get their own answer', async (context) => {
  const pool = await startPool(context);
  const answers = await Promise.all(RAWS.map((raw) => mustRecover(pool, [raw])));
  assert.deepEqual(concatBytes(...answers.map((answer) => answer.records)), EXPECTED);
  assert.equal(pool.pending, 0);
});

test('a full queue refuses with busy, takes nothing, and takes again when it has drained', async (context) => {
  const pool = await startPool(context, { workers: 1, queueMax: 800 });
  const first = mustRecover(pool, RAWS);
  assert.equal(await mustFail(pool, RAWS.slice(0, 101)), 'recovery/busy');
  const fits = mustRecover(pool, RAWS.slice(0, 100));
  assert.deepEqual((await first).records, EXPECTED);
  assert.equal((await fits).count, 100);
  assert.deepEqual((await mustRecover(pool, RAWS)).records, EXPECTED);
  assert.equal(await mustFail(pool, [...RAWS, ...RAWS]), 'recovery/oversized');
});

test('the queue is bounded in bytes too', async (context) => {
  const pool = await startPool(context, { workers: 1, queueBytesMax: 250_000 });
  const large = [new Uint8Array(131_072)];
  const first = mustRecover(pool, large);
  assert.equal(await mustFail(pool, large), 'recovery/busy');
  assert.equal((await first).error(0), 'tx/type-unknown');
  assert.equal(await mustFail(pool, [...large, ...large]), 'recovery/oversized');
});

/** The threads that are started from now on, as Node itself reports them. */
function watchWorkers(context: TestContext, onStart: (worker: Worker) => void = () => undefined): Worker[] {
  const workers: Worker[] = [];
  const onWorker = (worker: Worker): void => {
    workers.push(worker);
    onStart(worker);
  };
  process.on('worker', onWorker);
  context.after(() => process.off('worker', onWorker));
  return workers;
}

test('workers that die are replaced, and nothing is lost or mixed up', async (context) => {
  const workers = watchWorkers(context);
  const reasons: string[] = [];
  const pool = new RecoveryPool({ policy: POLICY, workers: 2 }, { onWorkerLost: (reason) => reasons.push(reason) });
  context.after(() => pool.stop());
  await pool.start();
  const calls = Array.from({ length: 8 }, () => mustRecover(pool, RAWS));
  await workers[0]!.terminate();
  for (const answer of await Promise.all(calls)) assert.deepEqual(answer.records, EXPECTED);
  assert.equal(reasons.length, 1);
  assert.equal(workers.length, 3);
  assert.deepEqual((await mustRecover(pool, RAWS)).records, EXPECTED, 'the pool goes on');
});

test('a call over which three workers die fails; the pool goes on', async (context) => {
  // The pool has listened first: when this listener hears that a worker is ready, that worker has its messages.
  const workers = watchWorkers(context, (worker) => {
    if (workers.length <= 3) worker.once('message', () => queueMicrotask(() => void worker.terminate()));
  });
  const pool = new RecoveryPool({ policy: POLICY, workers: 1 });
  context.after(() => pool.stop());
  const started = pool.start();
  assert.equal(await mustFail(pool, RAWS), 'recovery/failed');
  await started;
  assert.deepEqual((await mustRecover(pool, RAWS)).records, EXPECTED);
  assert.equal(workers.length, 4);
  assert.equal(pool.pending, 0);
});

test('a pool whose workers never come up says so instead of trying for ever', async (context) => {
  const workers = watchWorkers(context, (worker) => void worker.terminate());
  const pool = new RecoveryPool({ policy: POLICY, workers: 1 });
  context.after(() => pool.stop());
  await assert.rejects(pool.start(), { code: 'recovery/failed' });
  assert.equal(await mustFail(pool, RAWS), 'recovery/failed');
  assert.equal(workers.length, 5);
});

test('stop fails what is open by name, and leaves no thread', async (context) => {
  const workers = watchWorkers(context);
  const pool = new RecoveryPool({ policy: POLICY, workers: 2 });
  await pool.start();
  const open = recovered(pool, RAWS);
  await pool.stop();
  const result = await open;
  assert.equal(!result.ok && result.error.code, 'recovery/stopped');
  assert.equal(workers.length, 2);
  for (const worker of workers) assert.equal(worker.threadId, -1, 'the thread has ended');
  await pool.stop();
});

test('packing and unpacking give the same transactions', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 50 }), (raws) => {
      assert.deepEqual(unpackRaws(packRaws(raws)), raws);
    }),
    { numRuns: 50 },
  );
});

test('slices cover a request without gaps, and stay within their bounds', () => {
  const random = new Prng(3);
  const raws = Array.from({ length: 500 }, (_, i) => new Uint8Array(i % 50 === 0 ? 131_072 : random.below(200)));
  const request = { raws, records: new Uint8Array(0), bytes: 0, done: () => undefined, missing: raws.length, closed: false };
  const slices = sliceRequest(request);
  let next = 0;
  for (const { from, to } of slices) {
    assert.equal(from, next);
    assert.ok(to > from && to - from <= 64);
    const bytes = raws.slice(from, to).reduce((sum, raw) => sum + raw.length, 0);
    assert.ok(bytes < 262_144 + 131_072);
    next = to;
  }
  assert.equal(next, raws.length);
  const queue = new SliceQueue();
  queue.push(slices);
  const front = queue.take(2);
  queue.unshift(front);
  assert.equal(queue.length, slices.length);
  assert.equal(queue.take(1)[0], slices[0]);
  request.closed = true;
  assert.deepEqual(queue.take(1_000), [], 'slices of a closed request are dropped');
});

test('an admission batch refuses records that are not its own', () => {
  assert.throws(() => new AdmissionBatch(RAWS.slice(1), EXPECTED), { code: 'decode/truncated' });
  const other = EXPECTED.slice();
  other[0] = 9;
  assert.throws(() => new AdmissionBatch(RAWS, other), { code: 'decode/version' });
});
