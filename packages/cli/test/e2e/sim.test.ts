import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Bench } from './cli-harness.ts';

const SMALL = ['--shards', '1', '--validators', '1', '--txs', '5', '--workers', '2'];
const BIN = fileURLToPath(new URL('../../bin/shardlab.js', import.meta.url));

interface Summary {
  readonly ok: boolean;
  readonly seedsRun: number;
  readonly interrupted?: boolean;
  readonly failed: readonly number[];
  readonly committed: number;
  readonly crossShard: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly failures?: readonly { readonly seed: number; readonly found: readonly string[]; readonly again: string }[];
}

function last(out: string): Summary {
  return JSON.parse(out.trimEnd().split('\n').at(-1)!) as Summary;
}

/** A plan under which a network of one validator can never end: its disk is full for an hour. */
function hopeless(): string {
  const event = { kind: 'disk-full', atMs: 100, untilMs: 3_600_000, nodes: ['shard-0'], percent: 0, ms: 0, effect: 0, before: true };
  return JSON.stringify({ seed: 9, healMs: 1_000, events: [event], transfers: [{ atMs: 500, from: 0, to: 1, value: 7 }] });
}

test('the last line has the summary, and the results do not depend on the number of threads', async (t) => {
  const bench = new Bench(t);
  const [one, two] = [
    await bench.run(['sim', '--seeds', '1..4', ...SMALL, '--json', '--workers', '1']),
    await bench.run(['sim', '--seeds', '1..4', ...SMALL, '--json', '--workers', '3']),
  ];
  assert.equal(one.code, 0, one.err);
  const keys = ['ok', 'seedsRun', 'failed', 'faults', 'committed', 'crossShard', 'virtualSeconds', 'wallSeconds'];
  assert.deepEqual(Object.keys(last(one.out)).slice(0, keys.length), keys);
  assert.deepEqual({ ...last(one.out), wallSeconds: 0 }, { ...last(two.out), wallSeconds: 0 });
  assert.deepEqual([last(one.out).ok, last(one.out).seedsRun, last(one.out).failed, last(one.out).crossShard], [true, 4, [], 0]);
  const plain = await bench.run(['sim', '--seed', '50', ...SMALL, '--faults', 'none']);
  assert.match(plain.out, /1 seeds \(1 with real signatures/);
});

test('a failure says what, where, and the one command that does it again; exit code 1', async (t) => {
  const bench = new Bench(t);
  writeFileSync(join(bench.root, 'plan.json'), hopeless());
  const failed = await bench.run(['sim', '--plan', 'plan.json', ...SMALL]);
  assert.equal(failed.code, 1);
  assert.match(failed.out, /FAILED seed 9 at commit \S+/);
  assert.match(failed.out, /it does not end: 1 of 1 without a receipt/);
  assert.match(failed.out, /again: npx shardlab sim --plan plan\.json --shards 1 --validators 1 --txs 5/);
  const json = await bench.run(['sim', '--plan', 'plan.json', ...SMALL, '--json']);
  assert.equal(json.code, 1);
  const { ok, failed: seeds, failures } = last(json.out);
  assert.deepEqual([ok, seeds, failures?.length], [false, [9], 1]);
  assert.match(failures![0]!.found[0]!, /it does not end/);
  assert.match(failures![0]!.again, /--plan plan\.json/);
});

test('a long range is run in parts, whatever a kill has left of the file', async (t) => {
  const bench = new Bench(t);
  const file = join(bench.root, 'parts.jsonl');
  const run = (seeds: string, ...more: string[]) => bench.run(['sim', '--seeds', seeds, ...SMALL, '--json', '--resume', 'parts.jsonl', ...more]);
  const first = last((await run('1..3')).out);
  assert.equal(first.seedsRun, 3);
  appendFileSync(file, '{"seed":4,"ok":tr');
  const lines = readFileSync(file, 'utf8').split('\n').length;
  const both = last((await run('1..5')).out);
  assert.deepEqual([both.seedsRun, both.committed > first.committed], [5, true]);
  const whole = last((await bench.run(['sim', '--seeds', '1..5', ...SMALL, '--json'])).out);
  assert.deepEqual({ ...both, wallSeconds: 0 }, { ...whole, wallSeconds: 0 });
  // Two seeds and the end of the part; the torn line is gone.
  assert.equal(readFileSync(file, 'utf8').split('\n').length, lines + 3);
  const other = await run('1..5', '--txs', '6');
  assert.deepEqual([other.code, other.out], [2, '']);
  assert.match(other.err, /^shardlab: .*parts\.jsonl holds seeds of other options or another commit.*\n$/);
  const edited = readFileSync(file, 'utf8');
  writeFileSync(file, edited.replace(/"commit":"[^"]*"/, '"commit":"0123456789ab"'));
  assert.deepEqual((await run('1..5')).code, 2, 'another program has made them');
  writeFileSync(file, edited);
  appendFileSync(file, 'null\n');
  const damaged = await run('1..5');
  assert.equal(damaged.code, 2);
  assert.match(damaged.err, /^shardlab: line 9 of .*parts\.jsonl is no result of a seed.*\n$/);
});

test('a trace is written before it can be lost, and bad input costs one line', async (t) => {
  const bench = new Bench(t);
  const traced = await bench.run(['sim', '--seed', '3', ...SMALL, '--trace-out', 'trace.json']);
  assert.equal(traced.code, 0, traced.err);
  assert.ok((JSON.parse(readFileSync(join(bench.root, 'trace.json'), 'utf8')) as { traceEvents: unknown[] }).traceEvents.length > 10);
  const plan = (change: object): string => JSON.stringify({ ...(JSON.parse(hopeless()) as object), ...change });
  const event = (JSON.parse(hopeless()) as { events: object[] }).events[0]!;
  const plans: Record<string, readonly [string, RegExp]> = {
    text: ['no json', /it is no JSON/],
    list: ['[]', /it is no object/],
    seed: [plan({ seed: 'x' }), /seed is no whole number/],
    kind: [plan({ events: [{ ...event, kind: 'earthquake' }] }), /event 0: kind is none of delay, loss/],
    node: [plan({ events: [{ ...event, nodes: ['shard-7'] }] }), /event 0: there is no such node/],
    nobody: [plan({ events: [{ ...event, kind: 'crash', nodes: [] }] }), /event 0: no node is named/],
    account: [plan({ transfers: [{ atMs: 1, from: 0, to: 99, value: 1 }] }), /transfer 0: to is no whole number from 0 to 11/],
  };
  for (const [name, [content]] of Object.entries(plans)) writeFileSync(join(bench.root, `${name}.json`), content);
  const bad: (readonly [readonly string[], RegExp])[] = [
    [[], /name what to run/],
    [['--seed', 'x'], /"x" is no seed/],
    [['--seeds', '9..3'], /range 9\.\.3 is empty/],
    [['--seed', '1', '--seeds', '1..2'], /cannot be used with/],
    [['--seed', '1', '--faults', 'quake'], /there is no fault "quake"/],
    [['--seed', '1', '--latency', 'moon'], /no latency model: moon/],
    [['--seed', '1', '--validators', '5'], /3f \+ 1/],
    [['--seed', '1', '--shards', '0'], /whole number from 1 to 256/],
    [['--seed', '1', '--resume', 'no/such/file'], /no\/such\/file can not be written \(ENOENT\)/],
    [['--seed', '1', '--trace-out', 'no/such/file'], /no\/such\/file can not be written \(ENOENT\)/],
    [['--seeds', '1..2', '--trace-out', 'f'], /give --seed/],
    [['--plan', 'nowhere.json'], /no plan at .*nowhere\.json \(ENOENT\)/],
    ...Object.entries(plans).map(([name, [, expected]]) => [['--plan', `${name}.json`, '--shards', '1', '--validators', '1'], expected] as const),
  ];
  for (const [args, expected] of bad) {
    const { code, out, err } = await bench.run(['sim', ...args]);
    assert.deepEqual([code, out], [2, ''], args.join(' '));
    assert.match(err, /^shardlab: [^\n]*\n$/, args.join(' '));
    assert.match(err, expected, args.join(' '));
  }
});

test('Ctrl-C prints what was done, keeps it for the next part, and exits with 130', { skip: process.platform === 'win32' }, async (t) => {
  const bench = new Bench(t);
  const args = ['sim', '--seeds', '1..100000', '--shards', '1', '--validators', '1', '--txs', '5', '--json', '--resume', join(bench.root, 'parts.jsonl')];
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd: bench.root });
  t.after(() => child.kill('SIGKILL'));
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  const rows = (): number => {
    try {
      return readFileSync(join(bench.root, 'parts.jsonl'), 'utf8').split('\n').length - 2;
    } catch {
      return 0;
    }
  };
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  while (rows() < 3 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill('SIGINT');
  assert.equal(await ended, 130, err);
  assert.match(err, /^shardlab: interrupted after \d+ of 100000 seeds\n$/);
  const { seedsRun, ok, interrupted } = last(out);
  assert.ok(ok && seedsRun >= 3);
  assert.equal(interrupted, true);
  // One row a seed, and one for the part.
  assert.equal(rows(), seedsRun + 1);
});
