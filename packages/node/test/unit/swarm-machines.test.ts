import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '@shardlab/crosslink';
import { PlannedDisk, unsyncedNeeded } from '../../src/sim/swarm/machines.ts';
import { type FaultKind, SWARM_DEFAULTS } from '../../src/sim/swarm/options.ts';
import type { FaultEvent, Plan } from '../../src/sim/swarm/plan.ts';
import { SeedRunner } from '../../src/sim/swarm/seed-runner.ts';
import { Strikes } from '../../src/sim/swarm/strikes.ts';

const NAME = { chain: 0, validator: 0 } as never;

function crashOf(kind: FaultKind): FaultEvent {
  return { kind, atMs: 100, untilMs: 200, nodes: ['shard-0'], percent: 0, ms: 50, effect: 1, before: true };
}

function diskOf(event: FaultEvent): { readonly disk: PlannedDisk; readonly strikes: Strikes; now: number } {
  const plan: Plan = { seed: 1, healMs: 1_000, events: [event], transfers: [], calls: [] };
  const strikes = new Strikes();
  const made = { strikes, now: 0, disk: undefined as unknown as PlannedDisk };
  made.disk = new PlannedDisk(plan, NAME, { prng: new Prng(1), strikes, nowMs: () => made.now });
  return made;
}

test('a crash leaves of unsynced writes what its kind says, once; the next crash is an ordinary one', () => {
  const kept: Partial<Record<FaultKind, Set<number>>> = {};
  for (const kind of ['lost-write', 'torn-write', 'misordered-write'] as const) {
    const event = crashOf(kind);
    const { disk, strikes } = diskOf(event);
    const seen = new Set<number>();
    for (let i = 0; i < 200; i++) {
      disk.strike(event);
      seen.add(disk.survivors(4));
    }
    kept[kind] = seen;
    assert.equal(strikes.counts.get(kind), 200);
    const ordinary = new Set(Array.from({ length: 200 }, () => disk.survivors(4)));
    assert.deepEqual([...ordinary].toSorted((a, b) => a - b), [0, 1, 2, 3, 4]);
    assert.equal(strikes.counts.get(kind), 200);
    assert.ok(disk.survivors(unsyncedNeeded(kind)) >= 0);
  }
  assert.deepEqual([...kept['lost-write']!], [0]);
  assert.deepEqual([...kept['torn-write']!].toSorted((a, b) => a - b), [0, 1, 2, 3], 'one at least is torn');
  assert.deepEqual([...kept['misordered-write']!].toSorted((a, b) => a - b), [0, 1, 2], 'one at least is missing, and one behind it was there');
});

test('a disk stalls from the time of such a crash on until it has come, and no longer than planned', () => {
  const event = crashOf('torn-write');
  const run = diskOf(event);
  const stalls = (): boolean => Array.from({ length: 20 }, () => run.disk.stallUs()).some((us) => us > 0);
  const at = (ms: number): boolean => {
    run.now = ms;
    return stalls();
  };
  assert.deepEqual([at(99), at(100), at(199), at(200)], [false, true, true, false]);
  run.disk.strike(event);
  assert.equal(at(150), false);
  assert.equal(diskOf(crashOf('crash')).disk.stallUs(), 0);
});

test('most planned storage faults find writes to lose, tear and put out of order', async () => {
  const faults = ['lost-write', 'torn-write', 'misordered-write'] as const;
  const runner = new SeedRunner({ ...SWARM_DEFAULTS, txs: 200, faults });
  const [planned, struck]: [Record<string, number>, Record<string, number>] = [{}, {}];
  for (let seed = 1; seed <= 16; seed++) {
    const plan = await runner.plan(seed);
    for (const { kind } of plan.events) planned[kind] = (planned[kind] ?? 0) + 1;
    const result = await runner.play(plan);
    assert.deepEqual(result.found, [], `seed ${seed}`);
    for (const [kind, count] of Object.entries(result.faults)) struck[kind] = (struck[kind] ?? 0) + count;
  }
  for (const kind of faults) assert.ok((struck[kind] ?? 0) >= 0.4 * planned[kind]!, `${kind}: ${struck[kind]} of ${planned[kind]}`);
});
