import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkSizes,
  ChromeTrace,
  FAULT_KINDS,
  parseFaults,
  parseSeeds,
  type Plan,
  runSwarm,
  SeedRunner,
  shrink,
  SWARM_DEFAULTS,
  type SwarmOptions,
} from '../../src/sim/swarm/simulator.ts';

const SMALL: SwarmOptions = { ...SWARM_DEFAULTS, shards: 2, txs: 20 };
const code = (expected: string) => ({ code: expected });

test('options: seeds, faults and sizes, and one clear error for each that is wrong', () => {
  assert.deepEqual(parseSeeds('7'), { first: 7, last: 7 });
  assert.deepEqual(parseSeeds('1..100'), { first: 1, last: 100 });
  for (const bad of ['', 'x', '1..', '-1', '1.5', '9..3', '1..99999999999']) assert.throws(() => parseSeeds(bad), code('sim/seeds'), bad);
  assert.deepEqual(parseFaults('all'), FAULT_KINDS);
  assert.deepEqual(parseFaults('none'), []);
  assert.deepEqual(parseFaults('loss, delay'), ['delay', 'loss']);
  assert.throws(() => parseFaults('loss,earthquake'), { code: 'sim/faults', message: /earthquake.*loss/ });
  for (const validators of [0, 2, 3, 5, 13]) assert.throws(() => checkSizes({ shards: 1, validators }), { code: 'sim/validators', message: /1, 4, 7 or 10/ });
  assert.throws(() => checkSizes({ shards: 257, validators: 4 }), code('sim/shards'));
});

test('a seed gives one plan and one run, in any thread and any order', async () => {
  const runner = new SeedRunner(SMALL);
  assert.deepEqual(await runner.plan(5), await new SeedRunner(SMALL).plan(5));
  assert.notDeepEqual((await runner.plan(5)).events, (await runner.plan(6)).events);
  const alone = [await runner.run(3), await runner.run(4), await runner.run(5)];
  const pooled: typeof alone = [];
  await runSwarm({ options: SMALL, seeds: [3, 4, 5], workers: 2, onResult: (result) => pooled.push(result) });
  assert.deepEqual(pooled, alone);
  const traced = async (seed: number): Promise<string> => {
    const another = new SeedRunner(SMALL);
    return (await another.play(await another.plan(seed), { traced: true })).digest;
  };
  assert.equal(await traced(5), await traced(5));
  assert.notEqual(await traced(5), await traced(6));
});

test('a plan without faults finds nothing and strikes nothing', async () => {
  const result = await new SeedRunner({ ...SMALL, faults: [] }).run(1);
  // Twenty transfers, and a tenth as many transactions with contracts.
  assert.deepEqual([result.ok, result.faults, result.committed + result.aborted], [true, {}, 22]);
});

test('shrinking finds the events that a failure needs, and no others', async () => {
  const { events, ...rest } = await new SeedRunner({ ...SMALL, shards: 3 }).plan(4);
  const plan: Plan = { ...rest, events };
  assert.ok(events.length > 6);
  const needed = [events[1]!, events[5]!];
  const fails = async (tried: Plan): Promise<boolean> => needed.every((event) => tried.events.includes(event));
  const shrunk = await shrink(plan, fails);
  assert.deepEqual(shrunk.plan.events, needed);
  assert.ok(shrunk.minimal);
  assert.deepEqual((await shrink(plan, async () => true)).plan.events, [], 'a failure that needs no fault');
});

test('a trace opens in Perfetto: every flow begins and ends, rows have names, time runs forward', async () => {
  const runner = new SeedRunner({ ...SMALL, crossShard: 0.5 });
  const trace = new ChromeTrace();
  await runner.play(await runner.plan(2), trace);
  const { traceEvents } = JSON.parse(trace.toJson()) as { traceEvents: { ph: string; ts: number; id?: string; pid: number; tid: number; dur?: number; name: string }[] };
  const flows = new Map<string, string>();
  let before = 0;
  for (const { ph, ts, id, dur } of traceEvents) {
    assert.ok(ts >= before);
    before = ts;
    if (ph === 'X') assert.ok(dur! > 0);
    if (id !== undefined) flows.set(id, (flows.get(id) ?? '') + ph);
  }
  assert.ok(flows.size > 2);
  for (const phases of flows.values()) assert.match(phases, /^st*f$/);
  const named = new Set(traceEvents.filter(({ name }) => name === 'thread_name').map(({ tid }) => tid));
  for (const { ph, tid } of traceEvents) assert.ok(ph === 'i' || named.has(tid), 'rows have names');
});
