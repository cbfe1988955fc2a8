import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Prng, type ShardId } from '@shardlab/crosslink';
import { badNetwork, NO_GOSSIP, SwitchedFaults } from './faults.ts';
import { spreadLoad } from './load.ts';
import { testNetwork, type TestNetwork } from './network-kit.ts';
import { Scenario, shardNode, THE_BEACON } from './scenario.ts';

const SHARDS = 3;
let network: TestNetwork;

before(async () => {
  network = await testNetwork({ shards: SHARDS, accounts: 24 });
});

function batches(scenario: Scenario): { gossip: number; pull: number } {
  const sum = { gossip: 0, pull: 0 };
  for (let shard = 0; shard < SHARDS; shard++) {
    const { counters } = scenario.cluster.shard(shard as ShardId).replica;
    sum.gossip += counters.batchesGossip;
    sum.pull += counters.batchesPull;
  }
  return sum;
}

/** Outgoing entries that nodes still keep: with everything consumed and said so, none. */
function outboxes(scenario: Scenario): number {
  let size = 0;
  for (let shard = 0; shard < SHARDS; shard++) size += scenario.cluster.shard(shard as ShardId).outbox.size;
  return size;
}

test('on a healthy network nearly all batches come by gossip, and outboxes empty themselves', () => {
  const scenario = new Scenario({ network, seed: 21 });
  spreadLoad(scenario, { seed: 1, count: 150, fromMs: 300, toMs: 4_000 });
  scenario.settle(30_000);
  const { gossip, pull } = batches(scenario);
  assert.ok(gossip > 9 * pull && gossip > 50, `${gossip} by gossip, ${pull} by pull`);
  assert.equal(scenario.receipts.size, 150);
  scenario.runFor(3_000);
  assert.equal(outboxes(scenario), 0, 'outboxes keep what was consumed');
});

test('without any gossip everything comes by pull', () => {
  const scenario = new Scenario({ network, seed: 22, faults: { network: NO_GOSSIP } });
  spreadLoad(scenario, { seed: 2, count: 100, fromMs: 300, toMs: 4_000 });
  scenario.settle(120_000);
  const { gossip, pull } = batches(scenario);
  assert.equal(gossip, 0);
  assert.ok(pull > 20, `${pull} by pull`);
  assert.equal(scenario.receipts.size, 100);
  const heights = (): number[] => [0, 1, 2].map((shard) => scenario.checkers.beacon.crosslinkedHeight(shard));
  scenario.runUntil(() => heights().every((height, shard) => height >= scenario.blocks.get(`shard-${shard}`)! - 10), 20_000);
});

test('gossip doubled, lost and reordered changes nothing', () => {
  const weather = { lost: 20, doubled: 30, late: 40, lateMsMax: 900 };
  const scenario = new Scenario({ network, seed: 23, faults: { network: badNetwork(new Prng(23), weather) } });
  spreadLoad(scenario, { seed: 3, count: 150, fromMs: 300, toMs: 4_000 });
  scenario.settle(120_000);
  assert.equal(scenario.receipts.size, 150);
  const { gossip, pull } = batches(scenario);
  assert.ok(gossip > 0 && pull > 0, `${gossip} by gossip, ${pull} by pull`);
});

test('a shard that is away for a minute costs deadlines, and nothing else', async () => {
  const short = await testNetwork({ shards: SHARDS, accounts: 24, parameters: { deadlineMs: 5_000 } });
  const scenario = new Scenario({ network: short, seed: 24 });
  spreadLoad(scenario, { seed: 4, count: 120, fromMs: 300, toMs: 40_000 });
  scenario.at(3_000, () => scenario.crash(shardNode(1), 60_000));
  scenario.settle(200_000);
  const outcomes = scenario.outcomes();
  assert.ok((outcomes['cross/0'] ?? 0) > 5, JSON.stringify(outcomes));
  assert.ok((outcomes['cross/1'] ?? 0) > 5, JSON.stringify(outcomes));
  assert.equal(scenario.receipts.size, 120);
});

test('two shards that can not reach each other go on with the others', async () => {
  const short = await testNetwork({ shards: SHARDS, accounts: 24, parameters: { deadlineMs: 3_000 } });
  const faults = new SwitchedFaults();
  const scenario = new Scenario({ network: short, seed: 25, faults: { network: faults } });
  spreadLoad(scenario, { seed: 5, count: 150, fromMs: 300, toMs: 20_000 });
  scenario.at(2_000, () => (faults.faults = { linked: (from, to) => from.chain + to.chain !== 1, copies: () => [0] }));
  scenario.at(14_000, () => (faults.faults = undefined));
  scenario.settle(120_000);
  assert.ok((scenario.outcomes()['cross/0'] ?? 0) > 5);
  assert.equal(scenario.receipts.size, 150);
});

test('all nodes killed at once, again and again, lose nothing', () => {
  const scenario = new Scenario({ network, seed: 26 });
  spreadLoad(scenario, { seed: 6, count: 150, fromMs: 300, toMs: 9_000 });
  for (const ms of [500, 1_111, 2_345, 5_007]) {
    scenario.at(ms, () => scenario.cluster.names().forEach((name, index) => scenario.crash(name, 100 + 30 * index)));
  }
  scenario.settle(120_000);
  assert.equal(scenario.receipts.size, 150);
});

test('with the beacon dead from its first epoch on, shards go on, also through their own restarts', () => {
  const scenario = new Scenario({ network, seed: 27 });
  const ready = (): boolean => [0, 1, 2].every((shard) => scenario.cluster.node(shardNode(shard))?.shard?.replica.epoch !== undefined);
  scenario.runUntil(ready, 10_000);
  const stood = scenario.checkers.beacon.height;
  scenario.cluster.kill(THE_BEACON);
  spreadLoad(scenario, { seed: 7, count: 120, fromMs: 300, toMs: 6_000 });
  scenario.at(2_000, () => scenario.crash(shardNode(0), 400));
  scenario.at(3_000, () => scenario.crash(shardNode(2), 400));
  scenario.runUntil(() => scenario.receipts.size === 120, 60_000);
  scenario.runUntil(() => scenario.checkers.quiet, 10_000);
  scenario.check();
  assert.ok(scenario.checkers.beacon.height <= stood + 1);
  const missed = scenario.blocks.get('shard-1')! - scenario.checkers.beacon.crosslinkedHeight(1);
  assert.ok(missed > 10, `${missed} blocks wait for a crosslink`);
  scenario.cluster.start(THE_BEACON);
  scenario.runUntil(() => [0, 1, 2].every((shard) => scenario.checkers.beacon.crosslinkedHeight(shard) >= scenario.blocks.get(`shard-${shard}`)! - 8), 20_000);
  scenario.settle(10_000);
});

test('a beacon killed in the middle of load crosslinks every block, none twice', () => {
  const scenario = new Scenario({ network, seed: 28 });
  spreadLoad(scenario, { seed: 8, count: 150, fromMs: 300, toMs: 10_000 });
  for (const ms of [700, 2_222, 3_003, 6_660]) scenario.at(ms, () => scenario.crash(THE_BEACON, 1_100));
  scenario.settle(60_000);
  const due = [0, 1, 2].map((shard) => scenario.blocks.get(`shard-${shard}`)!);
  scenario.runUntil(() => due.every((height, shard) => scenario.checkers.beacon.crosslinkedHeight(shard) >= height), 20_000);
  scenario.check();
});

test('epochs change under load, and restarts fall into the change', async () => {
  const quick = await testNetwork({ shards: SHARDS, accounts: 24, parameters: { epochLength: 5 } });
  const scenario = new Scenario({ network: quick, seed: 29 });
  spreadLoad(scenario, { seed: 9, count: 200, fromMs: 300, toMs: 20_000 });
  scenario.at(4_000, () => scenario.crash(shardNode(1), 3_000));
  scenario.at(9_000, () => scenario.crash(THE_BEACON, 800));
  scenario.at(13_000, () => scenario.crash(shardNode(2), 2_000));
  scenario.settle(60_000);
  assert.ok(scenario.checkers.beacon.epochNumber! >= 8, `epoch ${scenario.checkers.beacon.epochNumber}`);
  for (let shard = 0; shard < SHARDS; shard++) {
    const own = scenario.cluster.shard(shard as ShardId).replica.epoch!.assignment.epoch;
    assert.ok(own >= scenario.checkers.beacon.epochNumber! - 1, `shard ${shard} is in epoch ${own}`);
  }
});

test('a shard that slept through an epoch learns it from its peers when the beacon is gone', async () => {
  const quick = await testNetwork({ shards: SHARDS, accounts: 24, parameters: { epochLength: 5 } });
  const scenario = new Scenario({ network: quick, seed: 30 });
  scenario.runUntil(() => scenario.checkers.beacon.epochNumber === 0 && scenario.checkers.beacon.height >= 2, 10_000);
  scenario.cluster.kill(shardNode(2));
  scenario.runUntil(() => scenario.checkers.beacon.epochNumber! >= 2, 30_000);
  scenario.runFor(1_000);
  scenario.cluster.kill(THE_BEACON);
  // Sent while shard 2 sleeps: its gossip is gone when it wakes.
  spreadLoad(scenario, { seed: 10, count: 60, fromMs: scenario.nowMs, toMs: scenario.nowMs + 2_000 });
  scenario.runFor(4_000);
  scenario.cluster.start(shardNode(2));
  scenario.runUntil(() => scenario.receipts.size === 60 && scenario.checkers.quiet, 60_000);
  scenario.check();
  assert.ok(scenario.cluster.shard(2 as ShardId).replica.epoch!.assignment.epoch >= 2);
});
