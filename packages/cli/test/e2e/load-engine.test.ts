import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesKey } from '@shardlab/crosslink';
import { type EngineOptions, type EngineResult, LoadEngine } from '../../src/load/engine.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import { ShardEndpoints } from '../../src/rpc/endpoints.ts';
import { KeepAliveTransport } from '../../src/rpc/http.ts';
import type { SignedLoad } from '../../src/workload/signed-load.ts';
import { decodeFake, type FakeLoadOptions, makeFakeLoad } from './load-fake-load.ts';
import { FakeNetwork } from './load-fake-network.ts';

const SHARDS = 3;
const ACCOUNTS = 60;

function fakeLoad(count: number, crossShardRatio: number, zipf: FakeLoadOptions['zipf'] = 0): SignedLoad {
  return makeFakeLoad({ count, crossShardRatio, zipf, shards: SHARDS, accounts: ACCOUNTS });
}

interface Scenario {
  readonly load: SignedLoad;
  readonly options?: Partial<EngineOptions>;
  readonly before?: (network: FakeNetwork) => void;
  /** Runs beside the load. */
  readonly during?: (network: FakeNetwork, progressed: (committed: number) => Promise<void>) => Promise<void>;
  /** Ways to each shard: its own node and shard 0's, or only the latter. */
  readonly viaShard0?: boolean;
  /** Every server is a validator of every shard. */
  readonly committees?: boolean;
}

async function run(scenario: Scenario): Promise<{ result: EngineResult; network: FakeNetwork }> {
  const network = new FakeNetwork({ shards: SHARDS, decode: decodeFake });
  await network.start();
  const http = new KeepAliveTransport();
  try {
    scenario.before?.(network);
    const clients = network.urls.map((url) => new RpcClient({ url }, { http }));
    const endpoints = clients.map((client) => {
      if (scenario.committees === true) return new ShardEndpoints(clients, { direct: SHARDS, live: SHARDS });
      return new ShardEndpoints(scenario.viaShard0 === true ? [clients[0]!] : [client, clients[0]!]);
    });
    const waiters: { committed: number; resolve: () => void }[] = [];
    const engine = new LoadEngine(
      scenario.load,
      { ratePerSecond: 2000, outstandingPerSender: 16, resubmitAfterMs: 1000, drainTimeoutMs: 20_000, fromHeights: [0, 0, 0], ...scenario.options },
      {
        http,
        endpoints,
        nowMs: () => performance.timeOrigin + performance.now(),
        onProgress: ({ committed }) => waiters.filter((waiter) => committed >= waiter.committed).forEach((waiter) => waiter.resolve()),
      },
    );
    const progressed = (committed: number): Promise<void> => new Promise((resolve) => waiters.push({ committed, resolve }));
    const [result] = await Promise.all([engine.run(), scenario.during?.(network, progressed)]);
    return { result, network };
  } finally {
    http.close();
    await network.stop();
  }
}

/** Waits for a condition, and fails after ten seconds. */
async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!condition()) {
    assert.ok(Date.now() < deadlineMs, `not within ten seconds: ${String(condition)}`);
    await sleep(5);
  }
}

/** What the fake network executed is what the book says, exactly once each. */
function assertTrue({ result, network }: { result: EngineResult; network: FakeNetwork }): void {
  const { book } = result;
  const { submitted, committed, aborted, rejected, pending } = book.check();
  assert.equal(submitted, committed + aborted + rejected + pending);
  for (let i = 0; i < submitted; i++) {
    const fate = network.shards[book.load.fromShard[i]!]!.fates.get(bytesKey(book.load.hashes.subarray(32 * i, 32 * i + 32)));
    const outcome = ['pending', 'committed', 'aborted', 'rejected'][book.outcomes[i]!];
    if (outcome === 'committed' || outcome === 'aborted') assert.deepEqual([fate?.outcome, fate?.executions], [outcome, 1], `transaction ${i}`);
    else assert.equal(fate, undefined, `transaction ${i} is ${outcome}, the chain has it`);
  }
}

describe('LoadEngine', () => {
  test('committees: submissions are spread over the validators of each shard', async () => {
    const ran = await run({ load: fakeLoad(3_000, 0.3), committees: true });
    assertTrue(ran);
    assert.equal(ran.result.book.check().committed, 3_000);
    assert.equal(ran.result.resubmitted, 0, 'in order of nonces, so nothing has to go again');
    for (const server of [0, 1, 2]) for (const shard of [0, 1, 2]) assert.ok((ran.network.batches.get(`${server}>${shard}`) ?? 0) > 0, `server ${server}, shard ${shard}`);
  });

  test('committees: a validator that is cut off takes transactions and hears of nothing: others get them, and tell', async () => {
    const ran = await run({ load: fakeLoad(1_200, 0.3), committees: true, before: (network) => void network.cutOff.add(0) });
    assertTrue(ran);
    assert.equal(ran.result.book.check().committed, 1_200);
    assert.ok(ran.result.resubmitted > 0);
  });

  test('on a healthy network everything commits, with all phases in order, counted from the intended time', async () => {
    const run1 = await run({ load: fakeLoad(2000, 0.25) });
    assertTrue(run1);
    const { book } = run1.result;
    assert.deepEqual(book.totals(), { submitted: 2000, committed: 2000, aborted: 0, rejected: 0, pending: 0 });
    assert.equal(run1.result.resubmitted, 0);
    let crossShard = 0;
    for (let i = 0; i < 2000; i++) {
      const phases = book.isCrossShard(i) ? (['prepared', 'voted', 'decided', 'applied', 'acked'] as const) : (['applied'] as const);
      crossShard += phases.length > 1 ? 1 : 0;
      // The participant's poll may bring its blocks later than the coordinator's.
      for (const phase of phases) assert.ok(book.phaseTimes(phase, i).seenMs > 0, `${phase} of ${i}`);
      const own = phases.filter((phase) => phase !== 'voted' && (phase !== 'applied' || phases.length === 1)).map((phase) => book.phaseTimes(phase, i).seenMs);
      assert.deepEqual(own, own.toSorted((a, b) => a - b));
      assert.equal(own.at(-1), book.endMs[i]);
      assert.ok(book.endMs[i]! >= book.intendedMs(i));
      assert.ok(book.submittedMs[i]! >= book.intendedMs(i) - 1);
    }
    assert.equal(crossShard, 500);
  });

  for (const viaShard0 of [false, true]) {
    test(`nothing is lost when nodes crash with full pools and return${viaShard0 ? ', seen only through another node' : ''}`, async () => {
      const emptied: number[] = [];
      const outcome = await run({
        load: fakeLoad(4000, 0.2),
        viaShard0,
        during: async (network, progressed) => {
          for (const at of viaShard0 ? [1, 2] : [1, 2, 0]) {
            const shard = network.shards[at]!;
            await progressed(500 * (at + 1));
            // The shard stops making blocks, so that its pool holds something when it dies.
            shard.blockMax = 0;
            await until(() => shard.pool.size >= 30);
            emptied.push(shard.pool.size);
            await network.crash(at);
            await progressed(500 * (at + 1) + 50);
            shard.blockMax = 1000;
            await network.restart(at);
          }
        },
      });
      assertTrue(outcome);
      assert.equal(outcome.result.book.totals().committed, 4000);
      const lost = emptied.reduce((sum, size) => sum + size, 0);
      assert.ok(outcome.result.resubmitted >= lost, `${lost} forgotten, ${outcome.result.resubmitted} sent again`);
    });
  }

  test('what is executed but never told is looked up: nonce-too-low is not a rejection', async () => {
    const outcome = await run({
      load: fakeLoad(600, 0.3),
      options: { resubmitAfterMs: 300 },
      before: (network) => network.shards.forEach((shard) => (shard.hidesBlock = (height) => height % 3 === 1)),
    });
    assertTrue(outcome);
    assert.equal(outcome.result.book.totals().committed, 600);
  });

  test('full pools and overloaded nodes are waited out, and the wait counts as latency', async () => {
    const outcome = await run({
      load: fakeLoad(1500, 0.2),
      before: (network) => {
        network.overload = 429;
        network.shards.forEach((shard) => Object.assign(shard, { poolMax: 20, blockMax: 20 }));
        setTimeout(() => (network.overload = 503), 300);
        setTimeout(() => (network.overload = undefined), 600);
      },
    });
    assertTrue(outcome);
    const { book } = outcome.result;
    assert.equal(book.totals().committed, 1500);
    assert.ok(book.endMs[0]! - book.intendedMs(0) > 500, `the first took ${book.endMs[0]} ms`);
  });

  test('rejections are counted by code, and block their senders by name', async () => {
    const outcome = await run({
      load: fakeLoad(600, 0.2),
      before: (network) => network.shards.forEach((shard) => (shard.refuse = ({ sender, nonce }) => (sender === '7' && nonce === 2 ? 'insufficient-funds' : undefined))),
    });
    assertTrue(outcome);
    const { book } = outcome.result;
    const ofSender7 = [...book.load.sender.keys()].filter((i) => book.load.sender[i] === 7);
    assert.ok(ofSender7.length > 4);
    assert.deepEqual(ofSender7.map((i) => book.reason(i)), ['', '', 'insufficient-funds', ...ofSender7.slice(3).map(() => 'predecessor-rejected')]);
    assert.equal(book.totals().rejected, ofSender7.length - 2);
    assert.equal(book.totals().pending, 0);
  });

  test('aborts are told with their reason', async () => {
    const outcome = await run({
      load: fakeLoad(300, 1),
      before: (network) => network.shards.forEach((shard) => (shard.aborts = ({ nonce }) => nonce % 2 === 1)),
    });
    assertTrue(outcome);
    const { book } = outcome.result;
    assert.ok(book.totals().aborted > 50);
    for (let i = 0; i < 300; i++) assert.equal(book.reason(i), book.outcomes[i] === 2 ? 'conflict' : '');
  });

  test('a hot sender stays within its window, whatever is due', async () => {
    let most = 0;
    const outcome = await run({
      load: fakeLoad(800, 0, 3),
      options: { outstandingPerSender: 8 },
      before: (network) =>
        network.shards.forEach((shard) => {
          const { submit } = shard;
          shard.submit = (raw) => {
            const { sender } = decodeFake(raw);
            const waiting = [...shard.pool.values()].filter((pooled) => pooled.sender === sender).length + 1;
            most = Math.max(most, waiting);
            return submit.call(shard, raw);
          };
        }),
    });
    assertTrue(outcome);
    assert.equal(outcome.result.book.totals().committed, 800);
    assert.ok(most > 1 && most <= 8, `${most} at once`);
  });

  test('a shard that stays down leaves its transactions pending, and the others end', async () => {
    const outcome = await run({
      load: fakeLoad(600, 0),
      options: { drainTimeoutMs: 1000 },
      before: (network) => void network.crash(2),
    });
    assertTrue(outcome);
    const { book } = outcome.result;
    const onShard2 = book.load.fromShard.filter((shard) => shard === 2).length;
    assert.deepEqual(book.totals(), { submitted: 600, committed: 600 - onShard2, aborted: 0, rejected: 0, pending: onShard2 });
  });

  test('an aborted run offers no more, and what it offered still adds up', async () => {
    const stop = new AbortController();
    const outcome = await run({
      load: fakeLoad(100_000, 0.2),
      options: { signal: stop.signal },
      during: async (_, progressed) => {
        await progressed(200);
        stop.abort();
      },
    });
    const { submitted, committed } = outcome.result.book.check();
    assert.ok(submitted < 20_000 && committed >= 200, `${submitted} submitted, ${committed} committed`);
  });

  test('a node that refuses batches for good ends the run with one line', async () => {
    await assert.rejects(
      run({ load: fakeLoad(100, 0), before: (network) => (network.overload = 400) }),
      { code: 'load/refused', message: /refuses batches: HTTP status 400/ },
    );
  });
});
