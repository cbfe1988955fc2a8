import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { BEACON } from '@shardlab/crosslink';
import { nodeLabel } from '../../src/network/names.ts';
import type { NodeName } from '../../src/ports.ts';
import type { NetworkFaults } from '../../src/sim/network-faults.ts';
import type { SimClusterHooks } from '../../src/sim/cluster.ts';
import type { DiskFaults } from '../../src/sim/disk.ts';
import { START_MS, testNetwork, type TestNetwork } from './network-kit.ts';
import { Scenario } from './scenario.ts';

const SEED = 11;
/**
 * Between these moments nothing gets from shard 1 to shard 0. What 0 coordinates is voted for, and the votes do not come: it runs into its deadline with the other
 * side prepared. What 1 coordinates is not even heard of.
 */
const CUT_FROM_MS = 900;
const CUT_TO_MS = 2_400;
const SETTLE_MS = 60_000;

let network: TestNetwork;

before(async () => {
  network = await testNetwork({ shards: 2, accounts: 8, parameters: { deadlineMs: 1_000 } });
});

const CUT: NetworkFaults = {
  linked: (from, to) => {
    const now = clock() - START_MS;
    return now < CUT_FROM_MS || now >= CUT_TO_MS || from.chain !== 1 || to.chain !== 0;
  },
  copies: () => [0],
};

/** The run's virtual time, for the one fault of the script. */
let clock: () => number = () => START_MS;

interface Variant {
  readonly hooks?: Pick<SimClusterHooks, 'beforeEffect' | 'afterEffect'>;
  readonly disk?: DiskFaults;
}

/** The script: local and cross-shard transfers both ways, before, in and after the cut. */
function script(variant: Variant): Scenario {
  const faults = { network: CUT, ...(variant.disk === undefined ? {} : { disk: () => variant.disk! }) };
  const scenario = new Scenario({ network, seed: SEED, faults, ...(variant.hooks === undefined ? {} : { hooks: variant.hooks }) });
  clock = () => scenario.cluster.world.scheduler.nowMs();
  const of = (shard: number): number[] => network.accounts.flatMap(({ home }, index) => (home === shard ? [index] : []));
  const [a, b] = of(0);
  const [x, y] = of(1);
  assert.ok(a !== undefined && b !== undefined && x !== undefined && y !== undefined, 'both shards have two accounts');
  scenario.at(300, () => {
    scenario.send(a, x, 5n);
    scenario.send(a, b, 7n);
    scenario.send(y, b, 11n);
  });
  scenario.at(850, () => {
    scenario.send(b, y, 13n);
    scenario.send(x, a, 17n);
  });
  return scenario;
}

/** Every effect of every node in a run without crashes. */
function countEffects(): { readonly effects: number; readonly commits: ReadonlyMap<string, number>; readonly names: readonly NodeName[]; readonly aborts: number } {
  let effects = 0;
  const scenario = script({ hooks: { beforeEffect: () => ++effects > 0 } });
  scenario.settle(SETTLE_MS);
  const names = scenario.cluster.names();
  const commits = new Map(names.map((name) => [nodeLabel(name), scenario.cluster.world.disk(name).counters.commits]));
  return { effects, commits, names, aborts: scenario.outcomes()['cross/0'] ?? 0 };
}

/** 50 to 500 virtual ms, different from point to point. */
function downMs(point: number): number {
  return 50 + ((point * 137) % 451);
}

/** One run in which the node of effect `point` dies there. Returns whether that point was reached. */
function crashAt(point: number, when: 'before' | 'after', disk?: DiskFaults): boolean {
  let effects = 0;
  let hit = false;
  const strike = (name: NodeName): boolean => {
    if (effects !== point || hit) return true;
    hit = true;
    scenario.restart(name, downMs(point));
    return false;
  };
  const hooks: Variant['hooks'] = {
    beforeEffect: (name) => {
      effects++;
      return when === 'after' || strike(name);
    },
    ...(when === 'after' ? { afterEffect: strike } : {}),
  };
  const scenario = script({ hooks, ...(disk === undefined ? {} : { disk }) });
  try {
    scenario.settle(SETTLE_MS);
  } catch (error) {
    throw new Error(`crash ${when} effect ${point} of seed ${SEED}: ${(error as Error).message}`, { cause: error });
  }
  return hit;
}

const VARIANTS = [
  { name: 'before the effect', run: (point: number) => crashAt(point, 'before') },
  { name: 'after the effect, unsynced writes lost', run: (point: number) => crashAt(point, 'after') },
  { name: 'after the effect, unsynced writes on the disk', run: (point: number) => crashAt(point, 'after', { survivors: (pending) => pending }) },
] as const;

for (const { name, run } of VARIANTS) {
  test(`kill -9 at every step between two effects, ${name}`, (t) => {
    const { effects, aborts } = countEffects();
    assert.ok(aborts > 0, 'the script has an abort');
    let points = 0;
    for (let point = 1; point <= effects; point++) if (run(point)) points++;
    t.diagnostic(`crash points: ${points} of ${effects} (${name})`);
    assert.equal(points, effects);
  });
}

test('kill -9 between every sync and its confirmation', (t) => {
  const { commits, names } = countEffects();
  let total = 0;
  let points = 0;
  for (const name of names) {
    const ofNode = commits.get(nodeLabel(name))!;
    total += ofNode;
    for (let commit = 1; commit <= ofNode; commit++) {
      crashAtSync(name, commit);
      points++;
    }
  }
  t.diagnostic(`crash points: ${points} of ${total} (between sync and confirmation)`);
  assert.equal(points, total);
});

function crashAtSync(name: NodeName, commit: number): void {
  const scenario = script({});
  const disk = scenario.cluster.world.disk(name);
  // Asked before each event, so the first one after the sync, while its confirmation still waits in the queue.
  scenario.runUntil(() => disk.counters.commits === commit, SETTLE_MS);
  // The first write of a shard is its genesis, which is no record.
  const genesis = name.chain === BEACON ? 0 : 1;
  const told = scenario.told.get(nodeLabel(name)) ?? 0;
  assert.equal(told, Math.max(0, commit - genesis - 1), 'the node does not know of this write yet');
  scenario.crash(name, downMs(commit));
  try {
    scenario.settle(SETTLE_MS);
  } catch (error) {
    throw new Error(`crash of ${nodeLabel(name)} after the sync of its write ${commit}, seed ${SEED}: ${(error as Error).message}`, { cause: error });
  }
}
