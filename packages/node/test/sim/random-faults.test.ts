import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Prng } from '@shardlab/crosslink';
import type { DiskFaults } from '../../src/sim/disk.ts';
import { badNetwork, SwitchedFaults } from './faults.ts';
import { spreadLoad } from './load.ts';
import { testNetwork, type TestNetwork } from './network-kit.ts';
import { Scenario } from './scenario.ts';

const SHARDS = 4;
/** How many seeds every run of the suite tries. */
const SEEDS = 30;
/** Seeds that once found something; they stay. 10: the beacon crosslinked a header again that was in the block being stored. */
const REGRESSIONS: readonly number[] = [10];
const STORM_MS = 15_000;

let network: TestNetwork;

before(async () => {
  network = await testNetwork({ shards: SHARDS, accounts: 24, parameters: { deadlineMs: 4_000, epochLength: 12, openPreparesMax: 6, lockWaitersMax: 3 } });
});

/** A disk on which a crash leaves any number of the writes that were under way. */
function unsureDisk(prng: Prng): DiskFaults {
  return { survivors: (pending) => prng.below(pending + 1) };
}

/** A storm of kills, loss, delay, duplicates and cuts, then quiet: everything must have ended then, once, and the books must be right. */
function storm(seed: number): Scenario {
  const prng = new Prng(seed);
  const faults = new SwitchedFaults();
  const disks = prng.fork();
  const scenario = new Scenario({ network, seed, faults: { network: faults, disk: () => unsureDisk(disks.fork()) } });
  spreadLoad(scenario, { seed, count: 80, fromMs: 300, toMs: STORM_MS });
  faults.faults = badNetwork(prng.fork(), { lost: prng.below(30), doubled: prng.below(30), late: prng.below(50), lateMsMax: 1 + prng.below(2_000) });
  const names = scenario.cluster.names();
  const kills = 3 + prng.below(12);
  for (let i = 0; i < kills; i++) {
    const name = names[prng.below(names.length)]!;
    const downMs = 50 + prng.below(3_000);
    scenario.at(prng.below(STORM_MS), () => scenario.crash(name, downMs));
  }
  const [a, b] = [prng.below(SHARDS), prng.below(SHARDS)];
  const weather = faults.faults;
  scenario.at(prng.below(STORM_MS / 2), () => {
    faults.faults = { linked: (from, to) => !(from.chain === a && to.chain === b), copies: (message) => weather.copies(message) };
  });
  scenario.at(STORM_MS, () => (faults.faults = undefined));
  try {
    scenario.settle(300_000);
    assert.equal(scenario.receipts.size, 80);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
  return scenario;
}

for (const seed of REGRESSIONS) test(`the storm of seed ${seed}, which once found something`, () => void storm(seed));

test('after any storm of kills, loss and cuts everything ends', (t) => {
  let virtualMs = 0;
  const sums = { committed: 0, aborted: 0, local: 0, retries: 0 };
  const began = performance.now();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const scenario = storm(seed);
    const { ended, retries } = scenario.checkers.atomicity;
    virtualMs += scenario.nowMs;
    sums.committed += ended.committed;
    sums.aborted += ended.aborted;
    sums.local += ended.local;
    sums.retries += retries;
  }
  const rate = virtualMs / (performance.now() - began);
  t.diagnostic(`${SEEDS} storms, ${JSON.stringify(sums)}, ${rate.toFixed(0)} virtual seconds per wall second`);
  assert.ok(sums.committed > 0 && sums.aborted > 0 && sums.local > 0, 'storms reach every outcome');
});
