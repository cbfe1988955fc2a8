/** Chaos against real node processes: what it breaks, what it refuses, and that nothing of it is left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readCluster } from '../../src/cluster/cluster-file.ts';
import { readControlToken } from '../../src/cluster/control-token.ts';
import { isNodeProcess } from '../../src/cluster/process-identity.ts';
import { waitFor } from '../../src/cluster/wait.ts';
import { systemModules } from '../../src/commands/modules.ts';
import { runCli } from '../../src/commands/program.ts';
import { interrupted } from '../../src/output/cli-error.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import { memoryOutput, processesOf, type Ran } from './cli-harness.ts';

const NODE_MAIN = fileURLToPath(new URL('process/main.ts', import.meta.resolve('@shardlab/node')));
const PROGRAM = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'shardlab-chaos-'));
const dataDir = join(root, 'data');

/** The program with real nodes, as its own `main.ts` runs it; `interrupt` is Ctrl-C. */
async function run(args: readonly string[], interrupt: AbortSignal = new AbortController().signal, directory = dataDir): Promise<Ran> {
  const [stdout, stderr] = [memoryOutput(), memoryOutput()];
  const code = await runCli([...args, '--data-dir', directory], {
    env: { ...process.env, XDG_STATE_HOME: join(root, 'state') },
    cwd: root,
    stdout,
    stderr,
    nodeCommand: [process.execPath, NODE_MAIN],
    modules: systemModules,
    interruptible: (task) => task(interrupt),
  });
  return { code, out: stdout.text(), err: stderr.text() };
}

function clientOf(id: string): RpcClient {
  return new RpcClient({ url: readCluster(dataDir).nodes.find((node) => node.id === id)!.rpcUrl, attempts: 1 });
}

/** Time of a call that shard-0 has to ask shard-1 for: one request between nodes. */
async function pingMs(client: RpcClient): Promise<number> {
  const startedMs = performance.now();
  await client.call('/shard/1', 'eth_blockNumber', []);
  return performance.now() - startedMs;
}

async function fastestMs(client: RpcClient): Promise<number> {
  let fastest = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 5; n++) fastest = Math.min(fastest, await pingMs(client));
  return fastest;
}

async function metric(id: string, pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${readCluster(dataDir).nodes.find((node) => node.id === id)!.rpcUrl}/metrics`)).text();
  return [...text.matchAll(pattern)].reduce((sum, found) => sum + Number(found[1]), 0);
}

before(async () => {
  const up = await run(['up', '--shards', '2', '--accounts', '200', '--base-port', '0', '--detach']);
  assert.equal(up.code, 0, up.err);
});

after(async () => {
  await run(['down']);
  assert.deepEqual(processesOf(dataDir) ?? [], []);
  rmSync(root, { recursive: true, force: true });
});

test('a latency raises the ping between nodes, belongs to one run at a time, and is gone after Ctrl-C', async () => {
  const client = clientOf('shard-0');
  const quickMs = await fastestMs(client);
  assert.ok(quickMs < 100, `${quickMs} ms without faults`);
  const interrupt = new AbortController();
  const chaos = run(['chaos', '--latency', 'constant:150ms', '--for', '5m', '--json'], interrupt.signal);
  assert.ok(await waitFor(async () => ((await fastestMs(client)) >= 300 ? true : undefined), 20_000), 'there and back take 300 ms');
  const second = await run(['chaos', '--loss', '0.1']);
  assert.equal(second.code, 2);
  assert.match(second.err, /^shardlab: another shardlab command \(pid \d+\)[^\n]*\n$/);
  interrupt.abort(interrupted());
  const ended = await chaos;
  assert.equal(ended.code, 130, ended.err);
  const report = JSON.parse(ended.out.trim().split('\n').at(-1)!) as { ok: boolean; faults: object };
  assert.deepEqual([report.ok, report.faults], [true, { delay: 1 }]);
  assert.ok((await fastestMs(client)) < 100, 'healed');
  assert.equal(await metric('shard-0', /^shardlab_chaos_faulted_links\{[^}]*\} (\d+)$/gm), 0);
  client.close();
});

test('the control call: a wrong or absent token is refused and counted, bad faults get one line, and faults of a dead session expire', async () => {
  const client = clientOf('shard-0');
  const set = (token: unknown, links: unknown, ttlMs = 400): Promise<unknown> => client.call('/', 'shardlab_setFaults', [token, { session: 'test', seed: 1, ttlMs, links }]);
  const token = readControlToken(dataDir)!;
  await assert.rejects(set('0'.repeat(64), []), /not the cluster's control token/);
  await assert.rejects(set(undefined, []), /parameter 1 must be the control token of the cluster/);
  await assert.rejects(set(token, [{ to: ['shard-7'], cut: true }]), /there is no other node shard-7/);
  await assert.rejects(set(token, [{ to: ['shard-0'], cut: true }]), /there is no other node shard-0/, 'nobody is cut off from itself');
  await assert.rejects(client.call('/shard/1', 'shardlab_setFaults', [token, {}]), /does not exist here/, 'faults are not passed on');
  assert.equal(await metric('shard-0', /^shardlab_chaos_controls_total\{outcome="refused"[^}]*\} (\d+)$/gm), 1);
  await set(token, [{ to: ['shard-1'], cut: true }]);
  const tookMs = await pingMs(client);
  assert.ok(tookMs > 200, `${tookMs} ms: held until the faults expired`);
  client.close();
});

test('load through kills, pauses, partitions, loss and a narrow network: every transaction ends, the audit is clean, the log tells all', async () => {
  const faults = ['--kill', '10', '--pause', '10', '--partition', '12', '--loss', '0.05', '--bandwidth', '2MB/s', '--latency', 'normal:10ms±3ms'];
  const loading = run(['load', '--rate', '100', '--duration', '10', '--json']);
  // A load wants its network whole to begin with.
  assert.ok(await waitFor(() => (readdirSync(join(dataDir, 'ledgers')).length > 0 ? true : undefined), 30_000), 'the load has begun');
  const chaos = await run(['chaos', ...faults, '--beyond-f', '--seed', '11', '--for', '12s', '--json']);
  const load = await loading;
  assert.equal(chaos.code, 0, chaos.err + chaos.out);
  const report = JSON.parse(chaos.out) as { ok: boolean; faults: Record<string, number>; planned: number; skipped: number; logFile: string };
  for (const kind of ['kill', 'pause', 'partition', 'loss', 'bandwidth', 'delay']) assert.ok(report.faults[kind]! >= 1, `${kind} struck`);
  assert.equal(Object.values(report.faults).reduce((sum, count) => sum + count, 0) + report.skipped, report.planned);
  assert.equal(load.code, 0, load.err + load.out);
  const { ok, submitted, committed, pending, audit } = JSON.parse(load.out.trim().split('\n').at(-1)!) as Record<string, unknown> & { audit: { ok: boolean } };
  assert.deepEqual([ok, submitted, committed, pending, audit.ok], [true, 1_000, 1_000, 0, true]);
  const lines = readFileSync(report.logFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { event: string });
  const events = lines.map(({ event }) => event);
  assert.equal(events[0], 'chaos.started');
  assert.deepEqual(events.slice(1, report.planned + 1), Array.from({ length: report.planned }, () => 'chaos.scheduled'), 'the schedule comes first');
  assert.equal(events.at(-1), 'chaos.healed');
  assert.ok((await metric('shard-0', /^shardlab_chaos_messages_total\{kind="gossip",outcome="lost"[^}]*\} (\d+)$/gm)) > 0, 'gossip was lost');
  assert.match((await run(['status'])).out, /3 of 3 nodes healthy/);
});

test('Ctrl-C in the middle of kills and pauses: the program of its own leaves a whole and running cluster', async () => {
  const child = spawn(process.execPath, [PROGRAM, 'chaos', '--kill', '60', '--pause', '60', '--beyond-f', '--for', '5m', '--data-dir', dataDir], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const begun = (kind: string): boolean => new RegExp(`^${kind}: `, 'm').test(out);
  assert.ok(await waitFor(() => (begun('kill') && begun('pause') ? true : undefined), 30_000), out + err);
  child.kill('SIGINT');
  assert.equal(await ended, 130, out + err);
  assert.equal(err, 'shardlab: interrupted\n');
  for (const { pid, configFile, id } of readCluster(dataDir).nodes) {
    assert.ok(isNodeProcess(pid, configFile), `${id} runs`);
    if (process.platform === 'linux') assert.doesNotMatch(readFileSync(`/proc/${pid}/stat`, 'utf8'), /\) T /, `${id} is not stopped`);
  }
  assert.ok(await waitFor(async () => ((await run(['status'])).out.includes('3 of 3 nodes healthy') ? true : undefined), 30_000));
});

test('without a cluster, or without all of it: one line, exit code 2, nothing changed', async () => {
  assert.equal((await run(['kill', 'shard-1'])).code, 0);
  const entries = readdirSync(join(dataDir, 'chaos'));
  const partial = await run(['chaos', '--loss', '0.1']);
  assert.deepEqual([partial.code, partial.err], [2, 'shardlab: shard-1 is not running: chaos wants a whole cluster, "shardlab up" starts it\n']);
  assert.deepEqual(readdirSync(join(dataDir, 'chaos')), entries);
  assert.equal((await run(['up', '--detach'])).code, 0);
  for (const [args, pattern] of [
    [[], /nothing to do: give at least one of --kill/],
    [['--kill', '6'], /bear no failure \(f = 0\)[^\n]*--beyond-f/],
    [['--latency', 'slow'], /no latency model: slow \(give none, lan, wan/],
    [['--loss', '1'], /Give a probability from 0 to below 1/],
    [['--for', 'long'], /Give a duration/],
    [['--seed', 'x'], /Give a whole number/],
  ] as const) {
    const bad = await run(['chaos', ...args]);
    assert.equal(bad.code, 2, args.join(' '));
    assert.match(bad.err, pattern);
    assert.equal(bad.err.split('\n').length, 2, 'one line');
  }
});

test('demo --chaos: load, faults and the clean audit in one run', async () => {
  const demo = await run(['demo', '--chaos', '--shards', '2', '--rate', '50', '--duration', '3', '--json'], undefined, join(root, 'demo'));
  assert.equal(demo.code, 0, demo.err + demo.out);
  const report = JSON.parse(demo.out.trim().split('\n').at(-1)!) as { ok: boolean; pending: number; faults: unknown; audit: { ok: boolean } };
  assert.deepEqual([report.ok, report.pending, report.audit.ok, report.faults], [true, 0, true, { delay: 1, loss: 1 }]);
});
