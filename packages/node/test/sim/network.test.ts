import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng, type ShardId } from '@shardlab/crosslink';
import { supplyOf, testCluster, testNetwork, transfer } from './network-kit.ts';

test('a network of three shards settles local and cross-shard transfers, and the books balance', async () => {
  const network = await testNetwork({ shards: 3, accounts: 30 });
  const outcomes: string[] = [];
  const cluster = testCluster(network, 1, {
    stored: (_node, record) => {
      if (record.kind === 'shard-block') for (const receipt of record.block.receipts) outcomes.push(`${receipt.crossShard ? 'cross' : 'local'}/${receipt.status}`);
    },
  });
  cluster.startAll();
  const { scheduler } = cluster.world;
  const ready = (): boolean => [0, 1, 2].every((shard) => (cluster.node({ chain: shard as ShardId, validator: 0 })?.shard?.replica.epoch !== undefined));
  assert.equal(scheduler.run({ eventsMax: 100_000, until: ready }), 'until');
  const prng = new Prng(7);
  const nonces = new Map<number, number>();
  let submitted = 0;
  for (let i = 0; i < 200; i++) {
    const from = prng.below(30);
    const to = (from + 1 + prng.below(29)) % 30;
    const nonce = nonces.get(from) ?? 0;
    nonces.set(from, nonce + 1);
    const { raw } = transfer(network, network.accounts[from]!, network.accounts[to]!.address, nonce, 5n);
    cluster.submit({ chain: network.accounts[from]!.home, validator: 0 }, [raw], ([result]) => {
      assert.equal(result!.rejection, undefined);
      submitted++;
    });
  }
  assert.equal(scheduler.run({ eventsMax: 1_000_000, until: () => outcomes.length === 200 }), 'until', `${submitted} submitted, ${outcomes.length} settled`);
  assert.ok(outcomes.filter((outcome) => outcome === 'cross/1').length > 80);
  assert.ok(outcomes.filter((outcome) => outcome === 'local/1').length > 40);
  assert.equal(supplyOf(cluster, 3), network.supply);
});
