import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ShardlabError } from '@shardlab/crosslink';
import { parseLatencyModel } from '@shardlab/node';
import fc from 'fast-check';
import { linkFaults } from '../../src/chaos/link-faults.ts';
import { chaosLineText, chaosReportLines } from '../../src/chaos/lines.ts';
import { type ChaosEvent, type ChaosNode, type ChaosOptions, chaosSchedule, faultsBorne } from '../../src/chaos/schedule.ts';
import { bandwidth, duration, rate } from '../../src/chaos/values.ts';
import { controlTokenHash, ensureControlToken, readControlToken } from '../../src/cluster/control-token.ts';

function network(shards: number, validators: number): ChaosNode[] {
  const committee = (chain: string): ChaosNode[] => Array.from({ length: validators }, (_, index) => ({ id: index === 0 ? chain : `${chain}.${index}`, chain }));
  return [committee('beacon'), ...Array.from({ length: shards }, (_, shard) => committee(`shard-${shard}`))].flat();
}

const ids = (nodes: readonly ChaosNode[]): string[] => nodes.map(({ id }) => id);
const coded = (code: string) => (error: unknown): boolean => error instanceof ShardlabError && error.code === code && !error.message.includes('\n');

test('rates, durations and bandwidths', () => {
  assert.deepEqual(['6', '0.5/s', '12/min'].map(rate), [6, 30, 12]);
  assert.deepEqual(['60s', '90', '1500ms', '5m', '1h'].map(duration), [60_000, 90_000, 1_500, 300_000, 3_600_000]);
  assert.deepEqual(['200kB/s', '1.5MB', '5000', '2kB'].map(bandwidth), [200_000, 1_500_000, 5_000, 2_000]);
  for (const text of ['', '0', '-1', '1e3', '601', '11/s', 'often', '6/h']) assert.throws(() => rate(text), /Give events a minute/, text);
  for (const text of ['', '0s', '999ms', '25h', 'long', '1d']) assert.throws(() => duration(text), /Give a duration from 1s to 24h/, text);
  for (const text of ['', '0', '999', '-5MB', '1TB/s', 'fast']) assert.throws(() => bandwidth(text), /Give bytes a second/, text);
});

test('a schedule is a pure function of seed, options and nodes', () => {
  const options: ChaosOptions = { seed: 5, durationMs: 60_000, kill: 12, pause: 6, partition: 6, latency: { kind: 'wan' }, loss: 0.1, bandwidth: 1_000_000 };
  const nodes = network(2, 4);
  const events = chaosSchedule(options, nodes);
  assert.deepEqual(events, chaosSchedule(options, nodes));
  assert.notDeepEqual(events, chaosSchedule({ ...options, seed: 6 }, nodes));
  // Pinned, so that a seed in a report means the same tomorrow.
  const shown = events.filter(({ kind }) => kind !== 'delay').slice(0, 6).map(({ atMs, kind, nodes: struck, untilMs, parameters }) => [atMs, kind, kind === 'loss' || kind === 'bandwidth' ? struck.length : struck, untilMs, parameters]);
  assert.deepEqual(shown, PINNED);
  assert.deepEqual(events.slice(0, 3).map(({ kind, atMs, untilMs }) => [kind, atMs, untilMs]), [['delay', 0, 60_000], ['loss', 0, 60_000], ['bandwidth', 0, 60_000]]);
});

const PINNED: readonly unknown[] = [
  [0, 'loss', 12, 60_000, { probability: 0.1 }],
  [0, 'bandwidth', 12, 60_000, { bytesPerSecond: 1_000_000 }],
  [2_200, 'kill', ['shard-0.3'], 5_322, {}],
  [6_724, 'partition', ['beacon', 'shard-1.1'], 13_359, { direction: 'in' }],
  [11_573, 'pause', ['shard-0.1'], 15_316, {}],
  [15_681, 'partition', ['beacon.2'], 17_974, { direction: 'both' }],
];

test('no committee ever has more than f validators disturbed, and every fault ends within the run', () => {
  const arbitrary = fc.record({
    seed: fc.nat(),
    durationMs: fc.integer({ min: 1_000, max: 300_000 }),
    kill: fc.option(fc.double({ min: 0.1, max: 60, noNaN: true }), { nil: undefined }),
    pause: fc.option(fc.double({ min: 0.1, max: 60, noNaN: true }), { nil: undefined }),
    partition: fc.double({ min: 0.1, max: 60, noNaN: true }),
    validators: fc.constantFrom(4, 7, 10),
    shards: fc.integer({ min: 1, max: 4 }),
  });
  let most = 0;
  fc.assert(
    fc.property(arbitrary, ({ validators, shards, ...options }) => {
      const nodes = network(shards, validators);
      const chainOf = new Map(nodes.map(({ id, chain }) => [id, chain]));
      const events = chaosSchedule(options, nodes);
      const changes = events.flatMap(({ atMs, untilMs, nodes: struck }) => struck.flatMap((id) => [{ atMs, id, by: 1 }, { atMs: untilMs, id, by: -1 }]));
      // At one moment beginnings count before ends: the stricter order.
      changes.sort((a, b) => a.atMs - b.atMs || b.by - a.by);
      const down = new Map<string, number>();
      for (const { id, by } of changes) {
        const chain = chainOf.get(id)!;
        down.set(chain, (down.get(chain) ?? 0) + by);
        assert.ok(down.get(chain)! <= faultsBorne(validators), 'more than f');
        most = Math.max(most, down.get(chain)!);
      }
      for (const { atMs, untilMs } of events) assert.ok(atMs >= 0 && untilMs > atMs && untilMs <= options.durationMs);
    }),
    { numRuns: 300 },
  );
  assert.ok(most >= 2, 'the property was put to the test');
});

test('rates hold: one event in each interval, where there is room', () => {
  const events = chaosSchedule({ seed: 1, durationMs: 600_000, kill: 2, beyondF: true }, network(3, 1));
  assert.ok(events.length >= 18 && events.length <= 20, `${events.length} kills in ten minutes at 2 a minute`);
  assert.deepEqual(chaosSchedule({ seed: 1, durationMs: 600_000, kill: 2, pause: 5, beyondF: true }, network(3, 7)).filter(({ kind }) => kind === 'kill').map(({ atMs }) => atMs), events.map(({ atMs }) => atMs), 'another rate leaves the moments');
});

test('what cannot be is refused with one line', () => {
  const nodes = network(2, 1);
  const run = { seed: 1, durationMs: 60_000 };
  assert.throws(() => chaosSchedule(run, nodes), coded('chaos/nothing'));
  assert.throws(() => chaosSchedule({ ...run, loss: 0 }, nodes), coded('chaos/nothing'));
  assert.throws(() => chaosSchedule({ ...run, kill: 6 }, nodes), coded('chaos/beyond-f'));
  assert.throws(() => chaosSchedule({ ...run, durationMs: 86_400_000, kill: 600 }, nodes), coded('chaos/too-many'));
  assert.equal(chaosSchedule({ ...run, kill: 6, beyondF: true }, nodes).every(({ nodes: struck }) => struck.length === 1), true);
});

test('faults of links: what is cut, in which direction, and what stands on all links', () => {
  const nodes = ['beacon', 'shard-0', 'shard-1'];
  const event = (kind: ChaosEvent['kind'], struck: readonly string[], parameters: ChaosEvent['parameters'] = {}): ChaosEvent => ({ atMs: 0, untilMs: 1, kind, nodes: struck, parameters });
  const cuts = (direction: string): Record<string, readonly string[]> =>
    Object.fromEntries(nodes.map((from) => [from, linkFaults(from, nodes, [event('partition', ['shard-0'], { direction })]).flatMap(({ to }) => to)]));
  assert.deepEqual(cuts('both'), { beacon: ['shard-0'], 'shard-0': ['beacon', 'shard-1'], 'shard-1': ['shard-0'] });
  assert.deepEqual(cuts('out'), { beacon: [], 'shard-0': ['beacon', 'shard-1'], 'shard-1': [] });
  assert.deepEqual(cuts('in'), { beacon: ['shard-0'], 'shard-0': [], 'shard-1': ['shard-0'] });
  const standing = [event('loss', nodes, { probability: 0.1 }), event('bandwidth', nodes, { bytesPerSecond: 9_000 }), event('delay', nodes, { model: 'constant:5ms' })];
  assert.deepEqual(linkFaults('beacon', nodes, [...standing, event('partition', ['shard-1'], { direction: 'both' })]), [
    { to: ['shard-0'], delay: 'constant:5ms', loss: 0.1, bytesPerSecond: 9_000 },
    { to: ['shard-1'], cut: true, delay: 'constant:5ms', loss: 0.1, bytesPerSecond: 9_000 },
  ]);
  assert.deepEqual(linkFaults('beacon', nodes, []), []);
  const [delay] = chaosSchedule({ seed: 4, durationMs: 1_000, latency: { kind: 'wan' } }, network(2, 4));
  const all = ids(network(2, 4));
  for (const from of all) for (const { delay: model } of linkFaults(from, all, [delay!])) assert.doesNotThrow(() => parseLatencyModel(model!));
  assert.ok(linkFaults('beacon', all, [delay!]).length > 1, 'regions differ');
});

test('the control token is drawn once, for its owner alone; damage is named', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-chaos-'));
  try {
    assert.equal(readControlToken(directory), undefined);
    const token = ensureControlToken(directory);
    assert.match(token, /^[0-9a-f]{64}$/);
    assert.equal(ensureControlToken(directory), token);
    assert.equal(statSync(join(directory, 'control-token')).mode & 0o777, 0o600);
    assert.match(controlTokenHash(token), /^0x[0-9a-f]{64}$/);
    writeFileSync(join(directory, 'control-token'), 'short');
    assert.throws(() => readControlToken(directory), coded('cluster/damaged'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('lines for people', () => {
  assert.equal(chaosLineText({ event: 'chaos.scheduled', atMs: 1_250, untilMs: 4_000, kind: 'kill', nodes: ['shard-0.1'] }), '     1.3 s to    4.0 s  kill      shard-0.1');
  assert.equal(chaosLineText({ event: 'chaos.begun', kind: 'partition', nodes: ['a', 'b'], direction: 'in' }), 'partition: a, b direction=in');
  const report = { ok: true, seed: 1, faults: { kill: 2, loss: 1 }, planned: 3, skipped: 0, errors: [], seconds: 5, logFile: 'x' };
  assert.deepEqual(chaosReportLines(report), ['chaos: 2 kill, 1 loss in 5 s; everything is healed']);
  assert.match(chaosReportLines({ ...report, ok: false, errors: ['kill of shard-0: it did'] }).join('\n'), /1 thing went wrong:\n {2}kill of shard-0: it did/);
});
