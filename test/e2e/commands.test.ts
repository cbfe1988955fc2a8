/** Every command, as a user runs it, on one network of real processes; and what each says to bad input. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { type Output, runCli, streamOutput, systemModules } from '@shardlab/cli';
import { type LoadAnswer, nodeProcesses, startNetwork, TestNetwork } from '../support/e2e-network.ts';
import type { Ran } from '../support/e2e-program.ts';

const EVERY_PHASE = ['prepared', 'voted', 'decided', 'applied', 'acked'];

interface TraceAnswer {
  readonly hash: string;
  readonly kind: string;
  readonly outcome: string;
  readonly phases: readonly { readonly phase: string; readonly shard: number; readonly height: number; readonly timeMs: number }[];
}

/** An output that says it is a terminal: what no pipe can show. */
function terminal(): Output & { text(): string } {
  let all = '';
  return { ...streamOutput(process.stdout, { NO_COLOR: '1' }), isTerminal: true, columns: 120, write: (text) => void (all += text), text: () => all };
}

/** Runs a command in this process, as on a terminal. */
async function onTerminal(network: TestNetwork, ...args: readonly string[]): Promise<string> {
  const stdout = terminal();
  const stderr = terminal();
  const context = { env: process.env, cwd: network.root, stdout, stderr, nodeCommand: [process.execPath, ''] as const, modules: systemModules };
  const code = await runCli([...args, '--data-dir', network.dataDir], { ...context, interruptible: (task) => task(new AbortController().signal) });
  assert.equal(code, 0, stderr.text());
  return stdout.text();
}

/** A URL at which nobody listens. */
async function unusedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return `http://127.0.0.1:${port}`;
}

/** One line on stderr, nothing on stdout, exit code 2. */
function assertRefused(ran: Ran, pattern: RegExp): void {
  assert.equal(ran.code, 2, `${ran.out}${ran.err}`);
  assert.match(ran.err, pattern);
  assert.match(ran.err, /^shardlab: [^\n]+\n$/);
  assert.equal(ran.out, '');
}

test('every command, on a network that starts, works, stops and goes on', async (t) => {
  const network = await startNetwork(t, { logLevel: 'debug' });
  const rpc = network.network.rpcUrl;
  let crossShardHash = '';

  await t.test('up: ten accounts with key, shard and URL; the cluster file', async () => {
    const { accounts, chainId, genesisHash } = network.network;
    assert.deepEqual([accounts.length, chainId], [10, 1337]);
    for (const { address, secretKey, shard, url } of accounts) {
      assert.match(address, /^0x[0-9a-f]{40}$/);
      assert.match(secretKey, /^0x[0-9a-f]{64}$/);
      assert.equal(url, `${network.node(`shard-${shard}`).rpcUrl}/shard/${shard}`);
    }
    const { cluster } = network;
    assert.deepEqual(cluster.nodes.map((node) => node.id), ['beacon', 'shard-0', 'shard-1']);
    assert.equal(cluster.genesisHash, genesisHash);
    assert.ok(cluster.nodes.every((node) => existsSync(node.logFile) && node.p2p.includes('/p2p/')));
    assert.deepEqual(nodeProcesses(network.dataDir).sort((a, b) => a - b), cluster.nodes.map((node) => node.pid!).sort((a, b) => a - b));
    const again = await network.run('up', '--detach');
    assert.match(again.out, /all 3 nodes run already/);
    assert.equal(again.out.match(/0x[0-9a-f]{64}\n/g)?.length, 11, 'ten keys and the genesis hash');
  });

  await t.test('status: every node, healthy, connected to all others; the same from any node', async () => {
    const { nodes, beacon } = await network.meshed();
    assert.deepEqual(nodes.map(({ id, role, shard, healthy }) => [id, role, shard, healthy]), [
      ['beacon', 'beacon', null, true],
      ['shard-0', 'shard', 0, true],
      ['shard-1', 'shard', 1, true],
    ]);
    assert.ok(nodes.every((node) => node.pid > 0 && node.height >= 0 && (node.role === 'beacon' || /^0x[0-9a-f]{64}$/.test(node.stateRoot ?? ''))));
    assert.ok(beacon.height >= 0 && beacon.epoch >= 0);
    for (const { rpcUrl } of nodes) {
      const remote = await network.runPlain('status', '--json', '--rpc', rpcUrl);
      assert.equal(remote.code, 0, remote.err);
      assert.deepEqual((JSON.parse(remote.out) as { nodes: { id: string }[] }).nodes.map((node) => node.id).sort(), ['beacon', 'shard-0', 'shard-1']);
    }
    assert.match((await network.run('status')).out, /3 of 3 nodes healthy/);
  });

  await t.test('send, then trace: every phase, in order; a sequence diagram on a terminal', async () => {
    const [home] = network.accountsOn(0, 1);
    const from = network.network.accounts.findIndex((account) => account.shard === 1);
    const sent = await network.json<TraceAnswer>('send', '--from', String(from), '--to', home!.address, '--value', '12345');
    crossShardHash = sent.hash;
    const trace = await network.json<TraceAnswer>('trace', sent.hash);
    assert.deepEqual([trace.hash, trace.kind, trace.outcome], [sent.hash, 'crossShard', 'committed']);
    const phases = trace.phases.map(({ phase }) => phase).filter((phase) => phase !== 'submitted');
    assert.deepEqual(phases, EVERY_PHASE);
    const shards = new Map(trace.phases.map(({ phase, shard }) => [phase, shard]));
    assert.deepEqual(EVERY_PHASE.map((phase) => shards.get(phase)), [1, 0, 1, 0, 1]);
    assert.ok(trace.phases.every(({ height, timeMs }, at, all) => height > 0 && timeMs >= (all[at - 1]?.timeMs ?? 0)));
    const remote = await network.runPlain('trace', sent.hash, '--json', '--rpc', network.node('shard-0').rpcUrl);
    assert.deepEqual((JSON.parse(remote.out) as TraceAnswer).phases.length, trace.phases.length, 'another node tells the same');

    const diagram = await onTerminal(network, 'trace', sent.hash);
    for (const line of [/shard 1 \(coordinator\) +shard 0/, /├── Prepare ─+▶/, /◀─+ Vote ─+┤/, /├── Decision: commit ─+▶/, /◀─+ Ack ─+┤/, /● acked #\d+/]) assert.match(diagram, line);

    const other = network.network.accounts.findLastIndex((account) => account.shard === 1);
    const local = await network.run('send', '--from', String(from), '--to', network.network.accounts[other]!.address, '--value', '1');
    assert.match(local.out, /intra-shard, committed/);
    assert.equal((await network.run('trace', `0x${'00'.repeat(32)}`)).code, 1);
  });

  await t.test('load: the identity, the exact ratio, a row for each transaction, a clean audit', async () => {
    const out = join(network.root, 'rows.csv');
    const report = await network.json<LoadAnswer>('load', '--rate', '150', '--count', '600', '--cross-shard', '0.35', '--zipf', '0.8', '--out', out);
    const { submitted, committed, aborted, rejected, pending } = report;
    assert.deepEqual([submitted, committed + aborted + rejected + pending, pending, rejected], [600, 600, 0, 0], JSON.stringify(report));
    assert.deepEqual(report.crossShard, { count: 210, ratio: 0.35 });
    assert.ok(report.latencyMs.intraShard.p50! > 0 && report.latencyMs.crossShard.p50! > report.latencyMs.intraShard.p50!);
    network.assertBalanced(report.audit);
    const [header, ...rows] = readFileSync(out, 'utf8').trim().split('\n');
    assert.equal(rows.length, 600);
    const columns = header!.split(',');
    const records = rows.map((row) => Object.fromEntries(row.split(',').map((value, at) => [columns[at], value])));
    assert.equal(new Set(records.map((record) => record['hash'])).size, 600);
    assert.equal(records.filter((record) => record['kind'] === 'crossShard').length, 210);
    assert.ok(records.every((record) => (record['kind'] === 'crossShard') === (record['fromShard'] !== record['toShard'])));
    assert.equal(records.filter((record) => record['outcome'] === 'committed').length, committed);
    const late = records.filter((record) => record['kind'] === 'crossShard' && record['outcome'] === 'committed');
    assert.ok(late.every((record) => ['prepared', 'voted', 'decided', 'applied', 'acked'].every((phase) => record[`${phase}BlockMs`] !== '')), 'every phase has a time');
    const remote = await network.runPlain('load', '--rpc', rpc, '--rate', '100', '--count', '50', '--json');
    assert.equal(remote.code, 0, remote.err + remote.out);
  });

  await t.test('audit: from the directory, and by URL from another node', async () => {
    const audit = await network.audit();
    assert.ok(audit.proofs.batchesChecked > 0 && audit.atomicity.checked > 200, JSON.stringify(audit));
    const remote = await network.runPlain('audit', '--json', '--rpc', network.node('shard-1').rpcUrl);
    assert.equal(remote.code, 0, remote.err + remote.out);
    assert.match((await network.run('audit')).out, /^audit: the books balance\n/m);
  });

  await t.test('logs: NDJSON of all nodes in order of time, filtered', async () => {
    const lines = async (...filter: string[]): Promise<Record<string, unknown>[]> => {
      const { out, err, code } = await network.run('logs', ...filter);
      assert.equal(code, 0, err);
      return out.trim().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
    };
    const all = await lines('--level', 'info');
    assert.ok(all.every((line) => typeof line['event'] === 'string' && line['event'] !== ''), 'every line has an event');
    assert.equal(all.filter((line) => line['event'] === 'node.ready').length, 3);
    const times = all.map((line) => new Date(line['time'] as number | string).getTime());
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
    assert.ok((await lines('--shard', '1', '--level', 'info')).every((line) => line['shard'] === 1));
    const blocks = await lines('--event', 'block.*');
    assert.ok(blocks.length > 10 && blocks.every((line) => String(line['event']).startsWith('block.')));
    const life = await lines('--tx', crossShardHash);
    assert.deepEqual(new Set(life.map((line) => line['event']).filter((event) => String(event).startsWith('tx.'))), new Set(EVERY_PHASE.map((phase) => `tx.${phase}`)));
  });

  await t.test('health and metrics over HTTP', async () => {
    for (const { rpcUrl } of network.cluster.nodes) {
      assert.equal((await fetch(`${rpcUrl}/healthz`)).status, 200);
      const metrics = await (await fetch(`${rpcUrl}/metrics`)).text();
      for (const line of metrics.split('\n')) if (line.startsWith('shardlab_')) assert.match(line, /^shardlab_[a-z0-9]+_[a-z0-9_]+(\{.*\})? [-+0-9.eInfa]+$/);
      assert.match(metrics, /^shardlab_network_nodes(?:\{.*\})? 2$/m);
    }
  });

  await t.test('down leaves no process; up goes on where it stopped', async () => {
    const balances = async (): Promise<string[]> => Promise.all(network.network.accounts.map(({ address }) => network.call<string>('eth_getBalance', [address, 'latest'])));
    const before = { balances: await balances(), status: await network.status() };
    const down = await network.run('down');
    assert.match(down.out, /^3 nodes stopped, no process is left\n$/);
    assert.deepEqual(nodeProcesses(network.dataDir), []);
    assertRefused(await network.run('status'), /no cluster is running in .*: start it with "shardlab up"/);
    const { resumed, started } = await network.resume();
    assert.deepEqual([resumed, started.length], [true, 3]);
    assert.deepEqual(await balances(), before.balances);
    const { nodes } = await network.status();
    nodes.forEach((node, at) => assert.ok(node.height >= before.status.nodes[at]!.height, `${node.id} has lost blocks`));
    const sent = await network.json<TraceAnswer>('send', '--from', '0', '--to', network.network.accounts[1]!.address, '--value', '1');
    assert.equal(sent.outcome, 'committed');
    await network.audit();
  });

  await t.test('bad input to a network that runs', async () => {
    const to = network.network.accounts[0]!.address;
    for (const [args, pattern] of [
      [['load', '--cross-shard', '1.5'], /--cross-shard.*Give a number from 0 to 1/],
      [['load', '--rate', '0'], /--rate.*Give a number above 0/],
      [['load', '--trace', 'no-such-file.csv'], /no-such-file\.csv: cannot be read: no such file/],
      [['load', '--duration', '5', '--count', '5'], /exclude each other/],
      [['load', '--sideways'], /unknown option '--sideways'/],
      [['send', '--from', '40', '--to', to, '--value', '1'], /there is no account 40: this network funds 40, from 0 on/],
      [['kill', 'shard-9'], /there is no node shard-9: give beacon, or shard-0 to shard-1/],
      [['trace', '0x12'], /Give a transaction hash: 0x and 64 hex digits/],
      [['logs', '--shard', '7'], /there is no shard 7: this network has 2 shards/],
      [['up', '--shards', '3', '--detach'], /has 2 shards, not 3/],
      [['up', '--seed', '9', '--detach'], /has seed 1, not 9/],
    ] as const) {
      assertRefused(await network.run(...args), pattern);
    }
    const nobody = await unusedUrl();
    for (const command of ['status', 'audit', 'load']) assertRefused(await network.runPlain(command, '--json', '--rpc', nobody), new RegExp(`no node answers at ${nobody}`));
  });
});

test('bad input to what does not run yet', async (t) => {
  const network = new TestNetwork(t);
  for (const [args, pattern] of [
    [['up', '--shards', '0'], /--shards.*Give a whole number from 1 to 256/],
    [['up', '--shards', '300'], /--shards.*Give a whole number from 1 to 256/],
    [['up', '--validators', '5'], /--validators must be 3f \+ 1: 1, 4, 7 or 10, not 5\n$/],
    [['compose', '--beacon-validators', '2'], /--beacon-validators must be 3f \+ 1: 1, 4, 7 or 10, not 2\n$/],
    [['up', '--trace', 'absent.csv'], /absent\.csv: cannot be read: no such file/],
    [['status'], /no cluster in .*: start one with "shardlab up", or name a network by --rpc URL/],
    [['down'], /no cluster in/],
    [['audit'], /no cluster in/],
    [['launch'], /unknown command 'launch'/],
  ] as const) {
    assertRefused(await network.run(...args), pattern);
  }
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  assertRefused(await network.run('up', '--shards', '1', '--base-port', String(port), '--detach'), new RegExp(`port ${port} is taken: choose another --base-port`));
  assert.deepEqual(nodeProcesses(network.dataDir), []);
});
