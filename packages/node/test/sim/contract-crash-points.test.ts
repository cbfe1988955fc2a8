import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Address, AssignmentTable, bytesKey, toHex } from '@shardlab/crosslink';
import type { NodeName } from '../../src/ports.ts';
import { addressMadeBy } from '../../src/sim/checkers/contract-model.ts';
import { INITCODE, words } from '../../src/sim/contracts/bytecode.ts';
import type { NetworkFaults } from '../../src/sim/network-faults.ts';
import type { SimClusterHooks } from '../../src/sim/cluster.ts';
import { kitBatch, kitCall } from '../../src/sim/network-kit.ts';
import { START_MS, testNetwork, type TestNetwork } from './network-kit.ts';
import { Scenario } from './scenario.ts';

const SEED = 12;
/** The contracts are there by then; from here on nodes die. */
const CALLS_MS = 2_500;
/** Nothing gets from shard 1 to shard 0 for longer than the deadline: what is sent as it begins is prepared there, and its vote comes too late. */
const CUT_FROM_MS = 5_000;
const CUT_TO_MS = 7_200;
const SETTLE_MS = 60_000;
const NO_DATA = new Uint8Array(0);

let network: TestNetwork;
let table: AssignmentTable;

before(async () => {
  network = await testNetwork({ shards: 2, accounts: 12, parameters: { deadlineMs: 1_500 } });
  table = new AssignmentTable(network.crypto, { shards: 2, overrides: [] });
});

let clock: () => number = () => START_MS;
const CUT: NetworkFaults = {
  linked: (from, to) => {
    const now = clock() - START_MS;
    return now < CUT_FROM_MS || now >= CUT_TO_MS || from.chain !== 1 || to.chain !== 0;
  },
  copies: () => [0],
};

/** A run of the script: what became of each of its transactions, by name, and where its counters are. */
interface Script {
  readonly scenario: Scenario;
  readonly hashes: Record<string, string>;
  readonly counters: readonly Address[];
  /** What each counter gains if the transaction commits, by its name. */
  readonly adds: Record<string, readonly [number, number]>;
}

function script(hooks: Pick<SimClusterHooks, 'beforeEffect' | 'afterEffect'> = {}): Script {
  const scenario = new Scenario({ network, seed: SEED, faults: { network: CUT }, hooks, crossing: true });
  clock = () => scenario.cluster.world.scheduler.nowMs();
  const of = (shard: number): number[] => network.accounts.flatMap(({ home }, index) => (home === shard ? [index] : []));
  const [near, far] = [of(0), of(1)];
  const makers = [near[0]!, far[0]!];
  // The first counter's address is its own shard's or not, as it comes; a stub leads to it then.
  const counters = makers.map((index) => addressMadeBy(network.crypto, network.accounts[index]!.address, 0));
  const hashes: Script['hashes'] = {};
  const adds: Record<string, [number, number]> = {};
  const create = (index: number): string =>
    scenario.sign(index, (account, nonce) => ({ ...kitCall(network, account, nonce, { to: undefined, value: 0n, data: INITCODE.counter }), value: 0n, gains: [] }));
  const call = (name: string, from: number, counter: number, add: number, gas?: number): void => {
    adds[name] = counter === 0 ? [add, 0] : [0, add];
    const to = counters[counter]!;
    const data = words(add);
    const options = gas === undefined ? { to, value: 7n, data } : { to, value: 7n, data, gas };
    hashes[name] = scenario.sign(from, (account, nonce) => ({ ...kitCall(network, account, nonce, options), value: 7n, gains: [] }));
  };
  const batch = (name: string, from: number, first: number, second: number, friend: number): void => {
    adds[name] = [first, second];
    const { address } = network.accounts[friend]!;
    const calls = [
      { to: counters[0]!, value: 0n, data: words(first) },
      { to: counters[1]!, value: 0n, data: words(second) },
      { to: address, value: 5n, data: NO_DATA },
    ];
    hashes[name] = scenario.sign(from, (account, nonce) => ({ ...kitBatch(network, account, nonce, calls), value: 5n, gains: [{ toKey: bytesKey(address), value: 5n }] }));
  };
  scenario.at(300, () => makers.forEach(create));
  scenario.at(CALLS_MS, () => {
    call('good', near[1]!, 1, 2);
    call('reverts', near[2]!, 1, 3);
    call('starves', near[3]!, 1, 4, 2_000);
    batch('batch', near[4]!, 10, 20, far[1]!);
    batch('bad batch', far[2]!, 100, 201, near[1]!);
    call('local', far[3]!, 1, 40);
  });
  scenario.at(CUT_FROM_MS, () => call('late', near[2]!, 1, 1_000));
  return { scenario, hashes, counters, adds };
}

/** Settles under all checkers, and looks at each counter: it is what the receipts of success add up to, and nothing of the rest is left but fees. */
function settle({ scenario, hashes, counters, adds }: Script): Record<string, string> {
  scenario.settle(SETTLE_MS);
  const ends: Record<string, string> = {};
  const wanted = [0, 0];
  for (const [name, hash] of Object.entries(hashes)) {
    const receipt = scenario.receipts.get(hash)!;
    ends[name] = receipt.reason;
    if (receipt.status === 0) {
      assert.equal(receipt.logs.length, 0, name);
      assert.ok(receipt.gasUsed >= 21_000, name);
    } else {
      wanted[0]! += adds[name]![0];
      wanted[1]! += adds[name]![1];
      assert.equal(receipt.logs.length, adds[name]!.filter((add) => add > 0).length, name);
    }
  }
  counters.forEach((address, shard) => {
    const slot = new Uint8Array(32);
    scenario.cluster.shard(shard as NodeName['chain']).state.storage(bytesKey(address), slot, slot);
    assert.equal(BigInt(toHex(slot)), BigInt(wanted[shard]!), `counter of shard ${shard}, ${JSON.stringify(ends)}`);
  });
  return ends;
}

test('without a crash each ends as it must', () => {
  const run = script();
  const ends = settle(run);
  const { late, ...rest } = ends;
  assert.deepEqual(rest, { good: 'none', reverts: 'reverted', starves: 'out-of-gas', batch: 'none', 'bad batch': 'reverted', local: 'none' });
  assert.equal(late, 'deadline');
  assert.ok(run.scenario.checkers.atomicity.ended.aborted >= 4);
  assert.ok(run.counters.some((address, shard) => table.shardOf(address) !== shard) || run.counters.every((address, shard) => table.shardOf(address) === shard));
});

/** Effects of all nodes from the first call on, in a run without crashes. */
function countEffects(): number {
  let effects = 0;
  const run = script({ beforeEffect: () => (run.scenario.nowMs >= CALLS_MS ? ++effects > 0 : true) });
  settle(run);
  return effects;
}

/** 50 to 500 virtual ms, different from point to point. */
function downMs(point: number): number {
  return 50 + ((point * 137) % 451);
}

/** One run in which the node of effect `point` dies there. Returns whether that point was reached. */
function crashAt(point: number, when: 'before' | 'after'): boolean {
  let effects = 0;
  let hit = false;
  const strike = (name: NodeName): boolean => {
    if (effects !== point || hit) return true;
    hit = true;
    run.scenario.restart(name, downMs(point));
    return false;
  };
  const run: Script = script({
    beforeEffect: (name) => {
      if (run.scenario.nowMs < CALLS_MS) return true;
      effects++;
      return when === 'after' || strike(name);
    },
    ...(when === 'after' ? { afterEffect: strike } : {}),
  });
  try {
    const ends = settle(run);
    assert.deepEqual([ends['reverts'], ends['starves'], ends['bad batch']].filter((reason) => reason === 'none'), [], 'what fails never commits');
  } catch (error) {
    throw new Error(`crash ${when} effect ${point} of seed ${SEED}: ${(error as Error).message}`, { cause: error });
  }
  return hit;
}

for (const when of ['before', 'after'] as const) {
  test(`a call that reverts, starves, or whose shard dies ${when} any effect leaves no trace but its fee`, (t) => {
    const effects = countEffects();
    let points = 0;
    for (let point = 1; point <= effects; point++) if (crashAt(point, when)) points++;
    t.diagnostic(`crash points: ${points} of ${effects} (${when} the effect)`);
    assert.equal(points, effects);
  });
}
