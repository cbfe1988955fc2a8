import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShardId } from '@shardlab/crosslink';
import { spreadLoad } from './load.ts';
import { testNetwork } from './network-kit.ts';
import { Scenario, shardNode, THE_BEACON } from './scenario.ts';

test('an idle network makes heartbeat blocks and nothing else', async () => {
  const network = await testNetwork({ shards: 3, accounts: 6 });
  const scenario = new Scenario({ network, seed: 51 });
  scenario.runFor(5_000);
  const before = new Map(scenario.blocks);
  const events = scenario.cluster.world.scheduler.events;
  scenario.runFor(60_000);
  for (let shard = 0; shard < 3; shard++) {
    const made = scenario.blocks.get(`shard-${shard}`)! - before.get(`shard-${shard}`)!;
    assert.ok(made >= 58 && made <= 60, `shard ${shard} made ${made} blocks in 60 heartbeats`);
  }
  // Its work are the shards' heartbeats, at most one block for each and one a block interval.
  const beacon = scenario.blocks.get('beacon')! - before.get('beacon')!;
  assert.ok(beacon >= 55 && beacon <= 180, `the beacon made ${beacon} blocks`);
  const perSecond = (scenario.cluster.world.scheduler.events - events) / 60;
  assert.ok(perSecond < 400, `${perSecond} events a second: something turns in a circle`);
  scenario.check();
});

test('sixteen shards settle what crosses all of them', async (t) => {
  const network = await testNetwork({ shards: 16, accounts: 96 });
  const scenario = new Scenario({ network, seed: 52 });
  spreadLoad(scenario, { seed: 52, count: 600, fromMs: 300, toMs: 5_000 });
  const began = performance.now();
  scenario.settle(60_000);
  const rate = scenario.nowMs / (performance.now() - began);
  t.diagnostic(`sixteen shards: ${rate.toFixed(1)} virtual seconds per wall second`);
  assert.equal(scenario.outcomes()['cross/1']! + scenario.outcomes()['local/1']!, 600);
});

test('a sender with 500 nonces and a recipient for everybody do not serialise', async () => {
  const network = await testNetwork({ shards: 3, accounts: 30 });
  const scenario = new Scenario({ network, seed: 53 });
  const [sender, recipient] = [0, network.accounts.findIndex(({ home }) => home !== network.accounts[0]!.home)];
  scenario.at(300, () => {
    for (let i = 0; i < 500; i++) scenario.send(sender, recipient, BigInt(i + 1));
    for (let from = 1; from < 30; from++) if (from !== recipient) for (let i = 0; i < 5; i++) scenario.send(from, recipient, 3n);
  });
  scenario.settle(60_000);
  const outcomes = scenario.outcomes();
  assert.equal((outcomes['cross/1'] ?? 0) + (outcomes['local/1'] ?? 0), scenario.submitted, JSON.stringify(outcomes));
  assert.ok(scenario.nowMs < 15_000, `it took ${scenario.nowMs} virtual ms`);
});

test('a pair whose budget is one Prepare still moves everything', async () => {
  const network = await testNetwork({ shards: 2, accounts: 12, parameters: { openPreparesMax: 1, lockWaitersMax: 1 } });
  const scenario = new Scenario({ network, seed: 54 });
  spreadLoad(scenario, { seed: 54, count: 30, fromMs: 300, toMs: 600 });
  scenario.settle(120_000);
  assert.equal(scenario.receipts.size, 30);
});

test('blocks too small for what they are asked vote busy, and the retries end', async () => {
  // Two transfers or Prepares a block: most Prepares find a block that is full.
  const network = await testNetwork({ shards: 2, accounts: 16, parameters: { blockGasLimit: 42_000, deadlineMs: 60_000 } });
  const scenario = new Scenario({ network, seed: 57 });
  spreadLoad(scenario, { seed: 57, count: 40, fromMs: 300, toMs: 500 });
  scenario.at(1_500, () => scenario.crash(shardNode(1), 400));
  scenario.settle(300_000);
  const { ended, retries } = scenario.checkers.atomicity;
  assert.ok(retries > 0, 'nothing was tried again');
  assert.equal(ended.committed + ended.aborted + ended.local, 40);
  for (const { status, reason } of scenario.receipts.values()) assert.equal(reason, status === 1 ? 'none' : 'busy');
});

test('the real cryptography gives the same network', async () => {
  const network = await testNetwork({ shards: 3, accounts: 12, real: true });
  const scenario = new Scenario({ network, seed: 55 });
  spreadLoad(scenario, { seed: 55, count: 40, fromMs: 300, toMs: 2_000 });
  scenario.at(900, () => scenario.crash(shardNode(2), 250));
  scenario.at(1_200, () => scenario.crash(THE_BEACON, 250));
  scenario.settle(60_000);
  assert.equal(scenario.receipts.size, 40);
  assert.ok((scenario.outcomes()['cross/1'] ?? 0) > 10);
  assert.ok(scenario.cluster.shard(0 as ShardId).replica.counters.batchesGossip > 0);
});

test('one shard alone needs no other', async () => {
  const network = await testNetwork({ shards: 1, accounts: 5 });
  const scenario = new Scenario({ network, seed: 56 });
  spreadLoad(scenario, { seed: 56, count: 40, fromMs: 300, toMs: 1_000 });
  scenario.at(700, () => scenario.crash(shardNode(0), 200));
  scenario.settle(30_000);
  assert.deepEqual(scenario.outcomes(), { 'local/1': 40 });
});
