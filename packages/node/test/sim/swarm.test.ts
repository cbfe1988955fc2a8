import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { FAULT_KINDS, runSwarm, type SeedResult, SWARM_DEFAULTS, type SwarmOptions, SwarmTally } from '../../src/sim/swarm/simulator.ts';

/** Seeds that every run of the suite tries, and how many new ones. */
const FIXED = 200;
const NEW = 100;
/** Seeds that once failed, with what they found; they stay. */
const REGRESSIONS: readonly { readonly seed: number; readonly found: string; readonly options?: Partial<SwarmOptions> }[] = [
  { seed: 4, found: 'changes of a block in another order, where the proposer had tried a transaction that it left out', options: { txs: 150, contracts: 1 } },
  { seed: 228, found: 'the same, under faults of every kind and the usual load' },
];

function* range(first: number, last: number): Generator<number> {
  for (let seed = first; seed <= last; seed++) yield seed;
}

async function swarm(seeds: Iterable<number>, options: SwarmOptions = SWARM_DEFAULTS): Promise<{ readonly tally: SwarmTally; readonly failures: readonly SeedResult[] }> {
  const tally = new SwarmTally();
  const failures: SeedResult[] = [];
  await runSwarm({
    options,
    seeds,
    workers: Math.max(1, Math.min(4, availableParallelism())),
    onResult: (result) => {
      tally.add(result);
      if (!result.ok) failures.push(result);
    },
  });
  return { tally, failures };
}

function explain(failures: readonly SeedResult[]): string {
  return failures.map(({ seed, found }) => `npx shardlab sim --seed ${seed}: ${found.join('; ')}`).join('\n');
}

for (const { seed, found, options } of REGRESSIONS) {
  test(`seed ${seed}, which once found: ${found}`, async () => {
    const { failures } = await swarm([seed], { ...SWARM_DEFAULTS, ...options });
    assert.equal(explain(failures), '');
  });
}

// A minute on an idle machine of two cores; a busy one took four.
test(`the fixed seeds 1..${FIXED}, with every fault`, { timeout: 500_000 }, async (t) => {
  const began = performance.now();
  const { tally, failures } = await swarm(range(1, FIXED));
  const { faults, committed, crossShard, aborted, virtualSeconds, realSignatures } = tally.summary(performance.now() - began);
  t.diagnostic(`${committed} committed, ${crossShard} cross-shard, ${aborted} aborted, ${realSignatures} seeds with real signatures, ${virtualSeconds} virtual seconds; ${JSON.stringify(faults)}`);
  assert.equal(explain(failures), '');
  assert.deepEqual(FAULT_KINDS.filter((kind) => (faults[kind] ?? 0) === 0), [], 'every kind of fault has struck');
  assert.ok(crossShard > 0 && aborted > 0 && realSignatures > 0);
});

test(`${NEW} seeds that nobody has tried`, async (t) => {
  // New ones each time, by the clock: what they find is played again by its number.
  const first = 1_000_000 + (Math.floor(Date.now() / 1_000) % 1_000_000_000);
  t.diagnostic(`seeds ${first}..${first + NEW - 1}`);
  const { failures } = await swarm(range(first, first + NEW - 1));
  assert.equal(explain(failures), '');
});

test('committees of one, seven and ten, other latencies, and no fault at all', async () => {
  const cases: Partial<SwarmOptions>[] = [
    { validators: 1 },
    { validators: 7, shards: 2, txs: 100 },
    { validators: 10, shards: 1, txs: 60 },
    { latency: 'constant:20ms', txs: 100 },
    { latency: 'wan', txs: 100 },
    { faults: [], txs: 100 },
    { crossShard: 1, txs: 200 },
  ];
  for (const options of cases) {
    const { failures } = await swarm(range(1, 4), { ...SWARM_DEFAULTS, ...options });
    assert.equal(explain(failures), '', JSON.stringify(options));
  }
});
