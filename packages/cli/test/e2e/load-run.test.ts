import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromHex, toHex } from '@shardlab/crosslink';
import { type Hex, keccak256, parseTransaction } from 'viem';
import { runLoad } from '../../src/load/run-load.ts';
import { readLedger } from '../../src/report/ledger.ts';
import { deriveAccounts, addressAt, homeShards } from '../../src/workload/account-set.ts';
import type { KeyFamily } from '../../src/workload/key-labels.ts';
import { SigningPool } from '../../src/workload/signing-pool.ts';
import { readTrace } from '../../src/workload/trace.ts';
import { FakeNetwork } from './load-fake-network.ts';

const SHARDS = 3;

/** A fake network whose accounts are the family's: it knows senders by trying hashes, so that real signatures need no recovery here. */
async function networkOf(family: KeyFamily, workload: object): Promise<FakeNetwork> {
  const pool = new SigningPool({ workers: 1 });
  const accounts = await deriveAccounts(family, pool);
  await pool.stop();
  const homes = homeShards(accounts, SHARDS, new Map());
  const shardOf = new Map(Array.from(homes, (shard, index) => [toHex(addressAt(accounts, index)), shard]));
  const { recoverTransactionAddress } = await import('viem');
  const senders = new Map<string, string>();
  const network = new FakeNetwork({
    shards: SHARDS,
    workload,
    decode: (raw) => {
      const { nonce = 0, to } = parseTransaction(toHex(raw) as `0x02${string}`);
      return { sender: senders.get(toHex(raw))!, nonce, toShard: shardOf.get(to!.toLowerCase())! };
    },
  });
  // Recovery is asynchronous in viem: it is done before the fake looks at a batch.
  const { start } = network;
  network.start = async () => {
    await start.call(network);
    network.beforeBatch = async (raws) => {
      for (const raw of raws) {
        const serialized = toHex(raw) as `0x02${string}`;
        senders.set(serialized, (await recoverTransactionAddress({ serializedTransaction: serialized })).toLowerCase());
      }
    };
    for (const shard of network.shards) shard.hashOf = (raw) => fromHex(keccak256(toHex(raw) as Hex));
  };
  return network;
}

describe('runLoad', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'shardlab-load-'));
  });
  after(() => rm(directory, { recursive: true }));

  test('derived accounts: signs, sends, reports, writes CSV and ledger; a second run goes on with the nonces', async () => {
    const network = await networkOf({ kind: 'derived', seed: 2, count: 30 }, { seed: 2, accounts: 30 });
    await network.start();
    try {
      const out = join(directory, 'out.csv');
      const stages = new Set<string>();
      const options = { rpcUrl: network.urls[0]!, rate: 200, signingThreads: 1, drainTimeoutMs: 20_000 };
      const report = await runLoad({ ...options, durationMs: 500, crossShardRatio: 0.3, out, dataDir: directory }, { onProgress: ({ stage }) => stages.add(stage) });
      assert.deepEqual([report.ok, report.submitted, report.committed, report.crossShard], [true, 100, 100, { count: 30, ratio: 0.3 }]);
      assert.deepEqual([report.shards, report.validators, report.offeredTps], [SHARDS, 1, 200]);
      assert.ok(report.latencyMs.crossShard.p50! > 0 && report.latencyMs.intraShard.max! > 0);
      assert.deepEqual([...stages], ['accounts', 'nonces', 'signing', 'sending']);
      const rows = (await readFile(out, 'utf8')).trimEnd().split('\n');
      assert.equal(rows.length, 101);
      const [ledger] = await readdir(join(directory, 'ledgers'));
      let committed = 0;
      const header = await readLedger(join(directory, 'ledgers', ledger!), ([, outcome]) => (committed += outcome === 'committed' ? 1 : 0));
      assert.deepEqual([header.count, committed], [100, 100]);
      await assert.rejects(runLoad({ ...options, count: 50 }, { signal: AbortSignal.abort() }), { code: 'load/cancelled' });
      const again = await runLoad({ ...options, count: 50, zipf: 1 });
      assert.deepEqual([again.ok, again.committed, again.crossShard.count], [true, 50, 10]);
    } finally {
      await network.stop();
    }
  });

  test('a trace: replays what can be replayed, names the rest, and wants the network that was funded for it', async () => {
    const file = join(directory, 'trace.csv');
    const address = (index: number): string => `0x${index.toString(16).padStart(2, '0').repeat(20)}`;
    const rows = Array.from({ length: 60 }, (_, i) => `${address(i % 3 === 0 ? 1 : i % 20)},${address((i * 7) % 25)},${i},2`);
    await writeFile(file, ['from_address,to_address,value,transaction_type', ...rows, `${address(1)},,5,0`, `${address(1)},${address(2)},5,3`].join('\n'));
    const trace = await readTrace(file);
    const family: KeyFamily = { kind: 'trace', seed: 6, addresses: trace.addresses };
    const network = await networkOf(family, { seed: 6, trace: trace.digest });
    await network.start();
    try {
      const options = { rpcUrl: network.urls[1]!, rate: 300, trace: file, signingThreads: 1, drainTimeoutMs: 20_000 };
      const report = await runLoad(options);
      assert.deepEqual([report.ok, report.submitted, report.committed, report.leftOut], [true, 60, 60, { creation: 1, type3: 1 }]);
      await assert.rejects(runLoad({ ...options, count: 61 }), { code: 'load/options', message: /the trace has 60 transactions to replay, not 61/ });
      await writeFile(file, `from_address,to_address,value\n${address(1)},${address(2)},1\n`);
      await assert.rejects(runLoad(options), { code: 'load/network', message: /funded for another trace .*shardlab up --trace/ });
      const { trace: _, ...derived } = options;
      await assert.rejects(runLoad({ ...derived, count: 5 }), { code: 'load/network', message: /add --trace FILE/ });
    } finally {
      await network.stop();
    }
  });

  test('no network, or an output that cannot be written: told before anything is sent', async () => {
    await assert.rejects(runLoad({ rpcUrl: 'http://127.0.0.1:1', rate: 1, count: 1 }), { code: 'rpc/unreachable', message: /no node answers at/ });
    const network = new FakeNetwork({ shards: 1, decode: () => assert.fail('nothing may be sent'), workload: { seed: 1, accounts: 5 } });
    await network.start();
    try {
      const options = { rpcUrl: network.urls[0]!, rate: 10, count: 10 };
      await assert.rejects(runLoad({ ...options, out: join(directory, 'absent/x.csv') }), { code: 'report/unwritable' });
      await assert.rejects(runLoad({ ...options, crossShardRatio: 0.5 }), { code: 'load/options', message: /all 5 live on shard 0/ });
    } finally {
      await network.stop();
    }
  });
});
