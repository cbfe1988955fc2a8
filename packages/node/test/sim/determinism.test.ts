import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng, toHex } from '@shardlab/crosslink';
import { badNetwork } from './faults.ts';
import { spreadLoad } from './load.ts';
import { testNetwork, type TestNetwork } from './network-kit.ts';
import { Scenario, shardNode, THE_BEACON } from './scenario.ts';

/** A run with loss, duplicates, kills and load, to its end; all of it drawn from the seed. */
function eventful(network: TestNetwork, seed: number): { readonly digest: string; readonly events: number; readonly heads: string[] } {
  const scenario = prepare(network, seed);
  scenario.settle(120_000);
  return result(scenario);
}

function prepare(network: TestNetwork, seed: number): Scenario {
  const faults = { network: badNetwork(new Prng(seed), { lost: 5, doubled: 10, late: 20, lateMsMax: 400 }) };
  const scenario = new Scenario({ network, seed, faults });
  spreadLoad(scenario, { seed, count: 60, fromMs: 300, toMs: 3_000 });
  scenario.at(1_000, () => scenario.crash(shardNode(1), 300));
  scenario.at(1_500, () => scenario.crash(THE_BEACON, 300));
  return scenario;
}

function result(scenario: Scenario): { readonly digest: string; readonly events: number; readonly heads: string[] } {
  const { scheduler } = scenario.cluster.world;
  const heads = [0, 1, 2].map((shard) => toHex(scenario.cluster.node(shardNode(shard))!.shard!.replica.head.hash));
  return { digest: toHex(scheduler.trace.digest()), events: scheduler.events, heads };
}

test('one seed gives one run: equal hashes of all effects, blocks and events; another seed gives another', async () => {
  const network = await testNetwork({ shards: 3, accounts: 20 });
  const first = eventful(network, 41);
  const other = eventful(network, 42);
  // Run after another one in the same process, and on a network made anew: nothing is left over between runs.
  const second = eventful(await testNetwork({ shards: 3, accounts: 20 }), 41);
  assert.deepEqual(second, first);
  assert.notEqual(other.digest, first.digest);
});

test('two runs that take turns in one process do not disturb each other', async () => {
  const network = await testNetwork({ shards: 3, accounts: 20 });
  const alone = eventful(network, 43);
  const [a, b] = [prepare(network, 43), prepare(network, 44)];
  while (!a.settled) {
    a.cluster.world.scheduler.step();
    b.cluster.world.scheduler.step();
  }
  assert.deepEqual(result(a), alone);
});

test('a run neither reads the wall clock nor draws from the process', async (t) => {
  const network = await testNetwork({ shards: 3, accounts: 20 });
  const before = eventful(network, 45);
  t.mock.method(Date, 'now', () => assert.fail('the wall clock was read'));
  t.mock.method(performance, 'now', () => assert.fail('the process clock was read'));
  t.mock.method(Math, 'random', () => assert.fail('Math.random was drawn'));
  assert.deepEqual(eventful(network, 45), before);
});

test('the hash covers what effects carry, not only their kinds', async () => {
  const network = await testNetwork({ shards: 3, accounts: 20 });
  const digest = (value: bigint): string => {
    const scenario = new Scenario({ network, seed: 46 });
    scenario.at(300, () => scenario.send(0, 1, value));
    scenario.runUntil(() => scenario.receipts.size === 1, 30_000);
    return toHex(scenario.cluster.world.scheduler.trace.digest());
  };
  assert.equal(digest(5n), digest(5n));
  assert.notEqual(digest(5n), digest(6n));
});
