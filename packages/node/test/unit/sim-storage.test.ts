import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ascii, bytesKey, Prng } from '@shardlab/crosslink';
import fc from 'fast-check';

import type { StorageBatch, StorageEntry } from '../../src/ports.ts';
import { type DiskFaults, SimDisk } from '../../src/sim/disk.ts';
import { Incarnation } from '../../src/sim/incarnation.ts';
import { Scheduler } from '../../src/sim/scheduler.ts';
import { SortedMap, type SortedView } from '../../src/sim/sorted-map.ts';
import { SIM_STORAGE_LIMITS, SimStorage } from '../../src/sim/storage.ts';
import { TraceHash } from '../../src/sim/trace-hash.ts';

type Model = Map<string, string>;

function entriesOf(view: SortedView, gte = '', lt = '￿'): string[] {
  const found: string[] = [];
  view.ascend(gte, lt, (key, value) => found.push(`${key}=${bytesKey(value)}`) > 0);
  return found;
}

function sorted(model: Model): string[] {
  return [...model.keys()].sort().map((key) => `${key}=${model.get(key)}`);
}

describe('sorted map', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('set' as const), key: fc.integer({ min: 0, max: 1500 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key: fc.integer({ min: 0, max: 1500 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('view' as const), key: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('fill' as const), key: fc.integer({ min: 0, max: 1500 }) }) },
  );

  test('is a map in order, and its views keep their moment', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const map = new SortedMap();
        const model: Model = new Map();
        const views: { view: SortedView; expected: string[] }[] = [];
        const write = (key: string, value: string): void => {
          map.set(key, ascii(value));
          model.set(key, value);
        };
        for (const [index, { kind, key }] of steps.entries()) {
          const name = `${10_000 + key}`;
          if (kind === 'set') write(name, `${index}`);
          else if (kind === 'delete') assert.equal(map.delete(name), model.delete(name));
          else if (kind === 'view') views.push({ view: map.view(), expected: sorted(model) });
          else for (let i = 0; i < 300; i++) write(`${10_000 + key + i}`, `${index}`);
          assert.equal(map.size, model.size);
          assert.equal(map.live().get(name) === undefined, !model.has(name));
        }
        assert.deepEqual(entriesOf(map.live()), sorted(model));
        for (const { view, expected } of views) assert.deepEqual(entriesOf(view), expected);
      }),
      { numRuns: 60 },
    );
  });

  test('ranges both ways agree with a filter', () => {
    const map = new SortedMap();
    const prng = new Prng(3);
    const keys = new Set<string>();
    for (let i = 0; i < 3000; i++) {
      const key = `${prng.below(100_000)}`;
      keys.add(key);
      map.set(key, ascii(key));
    }
    for (let i = 0; i < 300; i++) {
      const [gte, lt] = [`${prng.below(100_000)}`, `${prng.below(100_000)}`];
      const expected = [...keys].filter((key) => key >= gte && key < lt).sort();
      const up: string[] = [];
      const down: string[] = [];
      map.live().ascend(gte, lt, (key) => up.push(key) > 0);
      map.live().descend(gte, lt, (key) => down.push(key) > 0);
      assert.deepEqual(up, expected);
      assert.deepEqual(down, [...expected].reverse());
    }
  });
});

interface Rig {
  readonly scheduler: Scheduler;
  readonly disk: SimDisk;
  readonly boot: () => { storage: SimStorage; incarnation: Incarnation };
}

function rig(seed: number, faults?: DiskFaults): Rig {
  const scheduler = new Scheduler({}, { trace: new TraceHash() });
  const disk = new SimDisk({ name: 'd' }, { scheduler, prng: new Prng(seed), ...(faults === undefined ? {} : { faults }) });
  let lives = 0;
  return {
    scheduler,
    disk,
    boot: () => {
      const incarnation = new Incarnation(`d#${++lives}`, scheduler);
      return { storage: new SimStorage({}, { disk, incarnation }), incarnation };
    },
  };
}

function applyTo(model: Model, batch: StorageBatch): void {
  for (const key of batch.deletes) model.delete(bytesKey(key));
  for (const { key, value } of batch.puts) model.set(bytesKey(key), bytesKey(value));
}

describe('simulated disk', () => {
  const batch = fc
    .record({
      puts: fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { maxLength: 5 }),
      deletes: fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { maxLength: 3 }),
    })
    .map(({ puts, deletes }) => ({ puts, deletes: deletes.filter((key) => !puts.includes(key)) }));
  const action = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('commit' as const), batch }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('run' as const), events: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), survivors: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('range' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot' as const) }) },
  );

  test('after any crash the disk is the state after some prefix of the commits, with all that were confirmed', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(action, { maxLength: 80 }), (seed, actions) => {
        let share = 0;
        const { scheduler, disk, boot } = rig(seed, { survivors: (pending) => share % (pending + 1) });
        let life = boot();
        let state: Model = new Map();
        let pending: StorageBatch[] = [];
        let confirmed = 0;
        // The states that are possible now: after 0, 1, … of the pending batches.
        const prefixes = (): string[][] => {
          const model: Model = new Map(state);
          return [sorted(model), ...pending.map((next) => (applyTo(model, next), sorted(model)))];
        };
        const ghosts = new Set<Incarnation>();
        for (const [index, act] of actions.entries()) {
          const { storage, incarnation } = life;
          if (act.kind === 'commit') {
            const written: StorageBatch = {
              puts: act.batch.puts.map((key) => ({ key: ascii(`k${key}`), value: ascii(`${index}`) })),
              deletes: act.batch.deletes.map((key) => ascii(`k${key}`)),
            };
            pending.push(written);
            storage.commit(written, (result) => {
              assert.ok(result.ok && !ghosts.has(incarnation), 'a dead life was called back');
              assert.equal(pending.shift(), written, 'order of commits');
              applyTo(state, written);
              confirmed++;
            });
          } else if (act.kind === 'run') {
            scheduler.run({ eventsMax: act.events });
          } else if (act.kind === 'crash') {
            share = act.survivors;
            incarnation.kill();
            ghosts.add(incarnation);
            const now = entriesOf(disk.live());
            const at = prefixes().findIndex((expected) => expected.join() === now.join());
            assert.notEqual(at, -1, `not a state after whole batches: ${now.join()}`);
            state = new Map(now.map((entry) => entry.split('=') as [string, string]));
            pending = [];
            life = boot();
          } else {
            const reader = act.kind === 'range' ? storage : storage.snapshot();
            const possible = prefixes();
            reader.range({ gte: ascii('k'), lt: ascii('l'), entriesMax: 100, bytesMax: 1 << 20 }, (result) => {
              assert.ok(result.ok && !ghosts.has(incarnation), 'a dead life was called back');
              const found = result.value.map((entry) => `${bytesKey(entry.key)}=${bytesKey(entry.value)}`).join();
              assert.ok(possible.some((expected) => expected.join() === found), `torn: ${found}`);
            });
          }
        }
        scheduler.run({ eventsMax: 10_000 });
        assert.deepEqual(entriesOf(disk.live()), sorted(state));
        assert.equal(pending.length, 0);
        const { commits, survived } = disk.counters;
        assert.ok(commits >= confirmed && commits >= survived);
      }),
      { numRuns: 300 },
    );
  });

  test('by default a crash loses exactly what was not synced, whole', () => {
    const { scheduler, disk, boot } = rig(1);
    const first = boot();
    const told: number[] = [];
    for (let i = 0; i < 10; i++) {
      const puts: StorageEntry[] = [{ key: ascii(`a${i}`), value: ascii('x') }, { key: ascii(`b${i}`), value: ascii('x') }];
      first.storage.commit({ puts, deletes: [] }, () => told.push(i));
    }
    scheduler.run({ eventsMax: 1000, until: () => told.length === 4 });
    first.incarnation.kill();
    assert.equal(disk.size, 8);
    assert.deepEqual({ ...disk.counters, bytes: 0 }, { commits: 4, bytes: 0, lost: 6, survived: 0 });
    scheduler.run({ eventsMax: 1000 });
    assert.deepEqual(told, [0, 1, 2, 3]);
    assert.equal(disk.size, 8, 'a dead life has written');
  });

  test('between a sync and its confirmation a crash leaves what nobody was told of', () => {
    const { scheduler, disk, boot } = rig(1);
    const { storage, incarnation } = boot();
    let told = false;
    storage.commit({ puts: [{ key: ascii('a'), value: ascii('x') }], deletes: [] }, () => (told = true));
    scheduler.run({ eventsMax: 1000, until: () => disk.size === 1 });
    incarnation.kill();
    scheduler.run({ eventsMax: 1000 });
    assert.deepEqual([disk.size, told], [1, false]);
  });

  test('one life at a time has the disk, and a dead one does nothing', () => {
    const { scheduler, disk, boot } = rig(1);
    const first = boot();
    assert.throws(boot, { code: 'storage/locked' });
    first.incarnation.kill();
    const second = boot();
    const never = (): never => assert.fail('a dead life was called back');
    first.storage.get(ascii('a'), never);
    first.storage.range({ gte: ascii('a'), lt: ascii('b'), entriesMax: 1, bytesMax: 1 }, never);
    first.storage.commit({ puts: [{ key: ascii('a'), value: ascii('x') }], deletes: [] }, never);
    first.storage.snapshot().get(ascii('a'), never);
    first.storage.close(never);
    scheduler.run({ eventsMax: 100 });
    assert.equal(disk.size, 0);
    let closed = false;
    second.storage.close(() => (closed = true));
    scheduler.run({ eventsMax: 100, until: () => closed });
    boot();
  });

  test('what waits is bounded, and a refused commit is the last', () => {
    const { scheduler, disk } = rig(1);
    const limits = { ...SIM_STORAGE_LIMITS, commitsMax: 3, readsMax: 2, snapshotsMax: 1 };
    const storage = new SimStorage({ limits }, { disk, incarnation: new Incarnation('d#1', scheduler) });
    const codes: string[] = [];
    const note = (result: { ok: boolean; error?: { code: string } }): void => void codes.push(result.ok ? 'ok' : result.error!.code);
    for (let i = 0; i < 5; i++) storage.commit({ puts: [{ key: ascii(`k${i}`), value: ascii('x') }], deletes: [] }, note);
    scheduler.run({ eventsMax: 100 });
    assert.deepEqual(codes.sort(), ['ok', 'ok', 'ok', 'storage/overload', 'storage/overload']);
    codes.length = 0;
    storage.commit({ puts: [], deletes: [] }, note);
    for (let i = 0; i < 3; i++) storage.get(ascii('k0'), note);
    scheduler.run({ eventsMax: 100 });
    assert.deepEqual(codes.sort(), ['ok', 'ok', 'storage/overload', 'storage/overload']);
    const snapshot = storage.snapshot();
    assert.throws(() => storage.snapshot(), { code: 'storage/overload' });
    assert.equal(storage.snapshotsOpen, 1);
    snapshot.release();
    storage.snapshot().release();
  });
});
