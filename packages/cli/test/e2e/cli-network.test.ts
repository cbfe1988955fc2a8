import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ShardlabError } from '@shardlab/crosslink';
import { readCluster } from '../../src/cluster/cluster-file.ts';
import { nodePaths } from '../../src/cluster/layout.ts';
import { waitFor } from '../../src/cluster/wait.ts';
import { runCli } from '../../src/commands/program.ts';
import { interrupted } from '../../src/output/cli-error.ts';
import { auditReport, Bench, memoryOutput, processesOf } from './cli-harness.ts';

const UP = ['up', '--shards', '2', '--accounts', '12', '--base-port', '0', '--detach'];
const DRIVER = fileURLToPath(new URL('cli-driver.ts', import.meta.url));
const HASH = `0x${'ab'.repeat(32)}`;

test('status, trace, send, load and audit against a running network', async (t: TestContext) => {
  const bench = new Bench(t);
  assert.equal((await bench.run(UP)).code, 0);
  const rpc = readCluster(bench.dataDir).nodes[2]!.rpcUrl;

  await t.test('status: JSON, table, and by --rpc alone', async () => {
    const status = await bench.run(['status', '--json']);
    assert.equal(status.code, 0, status.err);
    const view = JSON.parse(status.out) as { nodes: Record<string, unknown>[]; beacon: unknown };
    assert.deepEqual(view.beacon, { height: 42, epoch: 0 });
    const expected = { id: 'shard-1', role: 'shard', shard: 1, height: 7, peers: 2, healthy: true, rpcUrl: rpc, pid: readCluster(bench.dataDir).nodes[2]!.pid };
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(view.nodes[2]![name], value, name);
    const table = await bench.run(['status'], true);
    assert.match(table.out, /shard-1 +7 +0x22222222…2222 +2 +3 +2 +5 +1 +- +\d+ +http.* +healthy/);
    assert.match(table.out, /3 of 3 nodes healthy/);
    const remote = await bench.runPlain(['status', '--rpc', `${rpc}/`, '--json']);
    assert.equal((JSON.parse(remote.out) as { nodes: unknown[] }).nodes.length, 3);
  });

  await t.test('trace: JSON, diagram, list, unknown hash', async () => {
    const json = JSON.parse((await bench.run(['trace', HASH, '--json'])).out) as Record<string, unknown>;
    assert.deepEqual([json['hash'], json['kind'], json['outcome']], [HASH, 'crossShard', 'committed']);
    assert.deepEqual((json['phases'] as unknown[])[0], { phase: 'prepared', shard: 0, height: 5, timeMs: 1_000 });
    assert.match((await bench.run(['trace', HASH], true)).out, /├── Prepare ─+▶/);
    assert.match((await bench.run(['trace', HASH])).out, /voted +shard 1 +6 +1970-01-01T00:00:01\.250Z/);
    const unknown = await bench.run(['trace', `0x${'00'.repeat(32)}`]);
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /^shardlab: no transaction 0x00.*\n$/);
  });

  await t.test('send: waits for the receipt, prints the trace', async () => {
    const to = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
    const sent = await bench.run(['send', '--from', '3', '--to', to, '--value', '17', '--json']);
    assert.equal(sent.code, 0, sent.err);
    assert.equal((JSON.parse(sent.out) as { outcome: string }).outcome, 'committed');
    for (const [args, pattern] of [
      [['--from', '12', '--to', to, '--value', '1'], /there is no account 12: this network funds 12, from 0 on/],
      [['--from', '0', '--to', to.replace('5aA', '5Aa'), '--value', '1'], /wrong checksum \(EIP-55\)/],
    ] as const) {
      const bad = await bench.run(['send', ...args]);
      assert.equal(bad.code, 2);
      assert.match(bad.err, pattern);
    }
  });

  await t.test('load: options reach the generator, the report carries the audit', async () => {
    const load = await bench.run(['load', '--rate', '50', '--count', '10', '--cross-shard', '0.5', '--zipf', '1.1', '--seed', '4', '--out', 'rows.csv', '--json']);
    assert.equal(load.code, 0, load.err);
    const report = JSON.parse(load.out.trim().split('\n').at(-1)!) as Record<string, unknown>;
    assert.deepEqual([report['ok'], report['submitted'], report['audit']], [true, 10, auditReport(true)]);
    const [asked] = bench.script.loads as Record<string, unknown>[];
    const expected = { workload: 'transfer', rate: 50, count: 10, crossShardRatio: 0.5, callCrossShardRatio: 0, zipf: 1.1, seed: 4, out: join(bench.root, 'rows.csv'), dataDir: bench.dataDir };
    assert.deepEqual({ ...asked, rpcUrl: undefined }, { ...expected, rpcUrl: undefined });
    const audits = bench.script.audits.length;
    assert.equal((await bench.run(['load', '--duration', '2', '--no-audit'])).code, 0);
    assert.equal(bench.script.audits.length, audits, 'no audit was asked for');
    bench.script.auditOk = false;
    const unbalanced = await bench.run(['load', '--duration', '2', '--json']);
    assert.equal(unbalanced.code, 1);
    assert.equal((JSON.parse(unbalanced.out) as { ok: boolean }).ok, false);
  });

  await t.test('audit: gets the ledgers of the data directory, exit code 1 when the books do not balance', async () => {
    mkdirSync(join(bench.dataDir, 'ledgers'), { recursive: true });
    const ledgers = ['1767225600001', '1767225600000'].map((name) => join(bench.dataDir, 'ledgers', `${name}.ndjson`));
    for (const file of [...ledgers, join(bench.dataDir, 'ledgers', 'notes.txt')]) writeFileSync(file, '');
    const audit = await bench.run(['audit', '--json']);
    assert.equal(audit.code, 1);
    assert.deepEqual(JSON.parse(audit.out), auditReport(false));
    const shown = await bench.run(['audit']);
    assert.equal(shown.code, 1);
    assert.match(shown.out, /audit: 1 violation\n[^]*BAD supply +difference -1 wei\n[^]*supply: one wei too few\n/);
    assert.deepEqual(bench.script.audits.at(-1)!.ledgerFiles, ledgers.sort());
    bench.script.auditOk = true;
    assert.match((await bench.run(['audit'])).out, /the books balance\n[^]*ok {2}supply +difference 0 wei\n/);
    await bench.runPlain(['audit', '--rpc', rpc]);
    assert.deepEqual(bench.script.audits.at(-1)!.ledgerFiles, [], 'a network named by its URL has no ledgers here');
  });

  await t.test('nobody at the URL: one line, exit code 2', async () => {
    const ran = await bench.runPlain(['status', '--rpc', 'http://127.0.0.1:1']);
    assert.equal(ran.code, 2);
    assert.match(ran.err, /^shardlab: no node answers at http:\/\/127\.0\.0\.1:1\/: connection refused \(is that network up\? [^\n]*\)\n$/);
  });
});

test('logs: merged by time, filtered, passed through in a pipe, followed', async (t: TestContext) => {
  const bench = new Bench(t);
  assert.equal((await bench.run(UP)).code, 0);
  const all = (await bench.run(['logs'])).out.trim().split('\n');
  assert.equal(all.length, 6);
  const times = all.map((line) => (JSON.parse(line) as { time: number }).time);
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
  assert.equal((await bench.run(['logs', '--level', 'info'])).out.split('\n').length, 4);
  assert.match((await bench.run(['logs', '--shard', '1', '--event', 'node-*'])).out, /^\{"level":30,"time":\d+,"node":"shard-1".*\}\n$/);
  assert.equal((await bench.run(['logs', '--tx', HASH.toUpperCase().replace('0X', '0x')])).out.split('\n').length, 4);
  assert.match((await bench.run(['logs', '--shard', '1', '--level', 'info'], true)).out, /^\d\d:\d\d:\d\d\.\d{3} info {2}shard-1 {3}node-started rpcPort=\d+ bootstrap=1\n$/);
  const none = await bench.run(['logs', '--tx', `0x${'00'.repeat(32)}`]);
  assert.deepEqual([none.code, none.out], [0, '']);
  assert.match(none.err, /^shardlab: no line names this transaction: [^\n]*--log-level debug[^\n]*\n$/);
  const bad = await bench.run(['logs', '--shard', '2']);
  assert.deepEqual([bad.code, bad.err], [2, 'shardlab: there is no shard 2: this network has 2 shards, from 0 on\n']);

  const [stdout, stderr] = [memoryOutput(), memoryOutput()];
  const following = runCli(['logs', '--follow', '--event', 'new-*', '--data-dir', bench.dataDir], bench.context(stdout, stderr));
  const logFile = readCluster(bench.dataDir).nodes[1]!.logFile;
  appendFileSync(logFile, '{"level":30,"time":1,"event":"new-one"}\n{"level":30,"time":2,"event":"old"}\n{"level":30,"ti');
  assert.ok(await waitFor(() => (stdout.text().includes('new-one') ? true : undefined), 10_000));
  appendFileSync(logFile, 'me":3,"event":"new-two"}\n');
  assert.ok(await waitFor(() => (stdout.text().includes('new-two') ? true : undefined), 10_000), 'a line that came in two parts');
  bench.interrupt.abort();
  assert.equal(await following, 0);
  assert.equal(stdout.text().trim().split('\n').length, 2);
});

test('demo: up, load, audit, down, one JSON line at the end, nothing left', async (t: TestContext) => {
  const bench = new Bench(t);
  bench.env['TMPDIR'] = bench.root;
  const demo = await bench.run(['demo', '--shards', '2', '--duration', '1', '--json']);
  assert.equal(demo.code, 0, demo.err);
  const report = JSON.parse(demo.out) as { ok: boolean; audit: { ok: boolean } };
  assert.deepEqual([report.ok, report.audit.ok], [true, true]);
  assert.equal(bench.script.loads.length, 1);
  assert.deepEqual(processesOf(bench.dataDir) ?? [], []);
  const again = await bench.run(['demo']);
  assert.deepEqual([again.code, /holds a network already/.test(again.err)], [2, true]);

  const failing = new Bench(t);
  failing.script.loadFails = new ShardlabError('load/refused', 'the node refuses batches');
  const failed = await failing.run(['demo', '--shards', '1', '--json']);
  assert.deepEqual([failed.code, failed.err], [1, 'shardlab: the node refuses batches\n']);
  assert.deepEqual(processesOf(failing.dataDir) ?? [], [], 'torn down after a failure too');
});

interface Driven {
  readonly pid: number;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

function drive(bench: Bench, args: readonly string[], env: Record<string, string> = {}): Driven {
  const child = spawn(process.execPath, [DRIVER, ...args], { cwd: bench.root, env: { ...bench.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { pid: child.pid!, output: () => text, ended: new Promise((resolve) => child.once('close', (code) => resolve(code))) };
}

async function seen(driven: Driven, words: string): Promise<void> {
  assert.ok(await waitFor(() => (driven.output().includes(words) ? true : undefined), 30_000), `"${words}" in: ${driven.output()}`);
}

test('up in the foreground tells of deaths, and Ctrl-C stops all', async (t: TestContext) => {
  const bench = new Bench(t);
  const up = drive(bench, ['up', '--shards', '1', '--accounts', '2', '--base-port', '0', '--data-dir', bench.dataDir]);
  await seen(up, '2 of 2 nodes run');
  assert.equal((await bench.run(['kill', 'shard-0'])).code, 0);
  await seen(up, 'shard-0 is down');
  assert.equal((await bench.run(['kill', 'shard-0', '--restart'])).code, 0);
  await seen(up, 'shard-0 runs again');
  process.kill(up.pid, 'SIGINT');
  assert.equal(await up.ended, 0, up.output());
  assert.match(up.output(), /2 nodes stopped, no process is left/);
  assert.deepEqual(processesOf(bench.dataDir) ?? [], []);
});

test('up --detach returns although its nodes live on, and a pipe to it closes', async (t: TestContext) => {
  const bench = new Bench(t);
  const up = drive(bench, [...UP, '--data-dir', bench.dataDir]);
  assert.equal(await up.ended, 0, up.output());
  assert.equal(processesOf(bench.dataDir)?.length ?? 3, 3);
});

test('Ctrl-C while up starts, and while demo loads, leaves no process and no directory', async (t: TestContext) => {
  const bench = new Bench(t);
  const up = drive(bench, [...UP, '--data-dir', bench.dataDir], { FAKE_UNHEALTHY: 'shard-1' });
  // Ready but never healthy: the start waits for it until it is interrupted.
  const ready = join(nodePaths(bench.dataDir, 'shard-1').directory, 'ready.json');
  assert.ok(await waitFor(() => (existsSync(ready) ? true : undefined), 30_000), up.output());
  process.kill(up.pid, 'SIGINT');
  assert.equal(await up.ended, 130, up.output());
  assert.match(up.output(), /shardlab: interrupted\n$/);
  assert.deepEqual(processesOf(bench.dataDir) ?? [], []);

  const early = new Bench(t);
  early.script.onLoad = () => early.interrupt.abort(interrupted());
  early.script.loadFails = new ShardlabError('load/cancelled', 'cancelled before anything was sent');
  const cancelled = await early.run(['demo', '--shards', '1', '--json']);
  assert.deepEqual([cancelled.code, cancelled.err], [130, 'shardlab: interrupted\n']);

  const temporary = join(bench.root, 'tmp');
  mkdirSync(temporary);
  const demo = drive(bench, ['demo', '--shards', '1'], { TMPDIR: temporary, DRIVER_SLOW_LOAD: '1' });
  await seen(demo, 'loading');
  assert.equal(readdirSync(temporary).length, 1);
  process.kill(demo.pid, 'SIGINT');
  // As npm does: one Ctrl-C arrives twice.
  process.kill(demo.pid, 'SIGINT');
  assert.equal(await demo.ended, 130, demo.output());
  assert.deepEqual(readdirSync(temporary), []);
  assert.deepEqual(processesOf(temporary) ?? [], []);
});

test('the program itself starts, lists its commands, and answers bad words with one line', async () => {
  const bin = fileURLToPath(new URL('../../bin/shardlab.js', import.meta.url));
  assert.ok(existsSync(bin));
  const help = spawnSync(process.execPath, [bin, '--help'], { encoding: 'utf8' });
  assert.equal(help.status, 0, help.stderr);
  for (const name of ['demo', 'up', 'load', 'status', 'send', 'kill', 'trace', 'logs', 'audit', 'down']) assert.match(help.stdout, new RegExp(`^ {2}${name} `, 'm'));
  assert.doesNotMatch(help.stdout, /^ {2}node /m, 'the command of the containers is hidden');
  const bad = spawnSync(process.execPath, [bin, 'upp'], { encoding: 'utf8' });
  assert.equal(bad.status, 2);
  assert.match(bad.stderr, /^shardlab: unknown command 'upp'[^\n]*\n$/);
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  assert.equal(spawnSync(process.execPath, [bin, '--version'], { encoding: 'utf8' }).stdout, `${manifest.version}\n`);
});
