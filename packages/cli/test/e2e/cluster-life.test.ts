import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test, type TestContext } from 'node:test';
import type { Cluster } from '../../src/cluster/cluster-file.ts';
import { signalNode, waitUntilGone } from '../../src/cluster/node-process.ts';
import { assertPortsFree } from '../../src/cluster/ports.ts';
import { findNodeProcess } from '../../src/cluster/process-identity.ts';
import { killNodes, stopCluster } from '../../src/cluster/change-cluster.ts';
import { Bench, FAKE_NODE, processesOf, type Ran } from './cli-harness.ts';

function cluster(bench: Bench): Cluster {
  return JSON.parse(readFileSync(join(bench.dataDir, 'cluster.json'), 'utf8')) as Cluster;
}

function json(ran: Ran): Record<string, unknown> {
  return JSON.parse(ran.out.trim().split('\n').at(-1)!) as Record<string, unknown>;
}

const UP = ['up', '--shards', '2', '--accounts', '12', '--base-port', '0', '--detach'];

/** The first of six ports in a row that were free a moment ago, below those that the operating system gives out itself. */
async function freePorts(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const base = 20_000 + ((process.pid * 7 + attempt * 61) % 10_000);
    try {
      await assertPortsFree([0, 1, 2, 3, 4, 5].map((offset) => base + offset), 'try others');
      return base;
    } catch {
      continue;
    }
  }
  throw new Error('no six free ports in a row');
}

function assertOneLine(ran: Ran, code: number, pattern: RegExp): void {
  assert.equal(ran.code, code, ran.err);
  assert.match(ran.err, pattern);
  assert.match(ran.err, /^shardlab: [^\n]+\n$/, 'exactly one line on stderr');
}

test('up starts every node, prints ten accounts, resumes, and down leaves no process', async (t: TestContext) => {
  const bench = new Bench(t);
  const up = await bench.run(UP);
  assert.equal(up.code, 0, up.err);
  assert.match(up.out, /3 nodes run/);
  assert.match(up.out, /\(9\) 0x[0-9a-f]{40} {2}shard [01] /);
  assert.match(up.out, /\(9\) 0x[0-9a-f]{64}\n/);
  assert.match(up.out, /chain id {3}1337/);
  const first = cluster(bench);
  assert.deepEqual(first.nodes.map((node) => [node.id, node.role, node.shard]), [['beacon', 'beacon', null], ['shard-0', 'shard', 0], ['shard-1', 'shard', 1]]);
  assert.equal(processesOf(bench.dataDir)?.length ?? 3, 3);
  const config = JSON.parse(readFileSync(first.nodes[1]!.configFile, 'utf8')) as { bootstrap: string[]; validatorSecretKey: string };
  assert.deepEqual(config.bootstrap, [first.nodes[0]!.p2p]);

  const again = await bench.run(['up', '--detach', '--json']);
  assert.equal(again.code, 0, again.err);
  assert.deepEqual(json(again)['started'], []);
  assert.deepEqual(cluster(bench), first);

  const victim = findNodeProcess(first.nodes[2]!.pid, first.nodes[2]!.configFile)!;
  signalNode(victim, 'SIGKILL');
  assert.deepEqual(await waitUntilGone([victim], 5_000), []);
  const resumed = await bench.run(['up', '--detach', '--json']);
  assert.equal(resumed.code, 0, resumed.err);
  assert.equal(json(resumed)['resumed'], true);
  assert.deepEqual(json(resumed)['started'], ['shard-1']);
  const second = cluster(bench);
  assert.equal(second.nodes[2]!.rpcUrl, first.nodes[2]!.rpcUrl, 'the same port again');
  assert.notEqual(second.nodes[2]!.pid, first.nodes[2]!.pid);
  assert.equal(second.nodes[1]!.pid, first.nodes[1]!.pid);

  const down = await bench.run(['down', '--json']);
  assert.deepEqual(json(down), { ok: true, stopped: ['beacon', 'shard-0', 'shard-1'], killed: [] });
  assert.deepEqual(processesOf(bench.dataDir) ?? [], []);
  assert.match((await bench.run(['down'])).out, /no node was running/);
  assertOneLine(await bench.run(['status']), 2, /no cluster is running in .*shardlab up/);

  const back = await bench.run(['up', '--detach', '--json']);
  assert.equal(back.code, 0, back.err);
  assert.deepEqual(cluster(bench).nodes.map((node) => node.rpcUrl), first.nodes.map((node) => node.rpcUrl));
});

test('kill ends one process, --restart brings it back on its ports', async (t: TestContext) => {
  const bench = new Bench(t);
  assert.equal((await bench.run(UP)).code, 0);
  const before = cluster(bench).nodes[1]!;
  const killed = await bench.run(['kill', 'shard-0', '--json']);
  assert.equal(json(killed)['killedPid'], before.pid);
  assert.equal(cluster(bench).nodes[1]!.pid, null);
  assert.equal(processesOf(bench.dataDir)?.length ?? 2, 2);
  assertOneLine(await bench.run(['kill', 'shard-0']), 2, /shard-0 is not running: .*--restart/);
  assertOneLine(await bench.run(['kill', 'shard-9']), 2, /no node shard-9: give beacon, or shard-0 to shard-1/);

  const status = await bench.run(['status', '--json']);
  assert.equal(status.code, 1, 'a node is down');
  const nodes = json(status)['nodes'] as { id: string; healthy: boolean; reason?: string; pid: number | null }[];
  assert.deepEqual(nodes.map((node) => [node.id, node.healthy]), [['beacon', true], ['shard-0', false], ['shard-1', true]]);
  assert.equal(nodes[1]!.reason, 'not running');

  const restarted = await bench.run(['kill', 'shard-0', '--restart']);
  assert.equal(restarted.code, 0, restarted.err);
  assert.equal(cluster(bench).nodes[1]!.rpcUrl, before.rpcUrl);
  const twice = await bench.run(['kill', 'beacon', '--restart', '--json']);
  assert.equal(twice.code, 0, twice.err);
  assert.notEqual(json(twice)['pid'], json(twice)['killedPid']);
  assert.equal((await bench.run(['status'])).code, 0);
});

const COMMITTEES = ['up', '--shards', '2', '--validators', '4', '--beacon-validators', '1', '--accounts', '12', '--base-port', '0', '--detach'];

test('committees: a process for each validator, killed and started again one by one or all at once', async (t: TestContext) => {
  const bench = new Bench(t);
  const up = await bench.run(COMMITTEES);
  assert.equal(up.code, 0, up.err);
  assert.match(up.out, /9 nodes run/);
  assert.match(up.out, /shards {5}2 of 4 validators, 9 processes/);
  const { validators, beaconValidators, nodes } = cluster(bench);
  assert.deepEqual([validators, beaconValidators], [4, 1]);
  assert.deepEqual(nodes.map((node) => node.id), ['beacon', ...['shard-0', 'shard-1'].flatMap((id) => [id, `${id}.1`, `${id}.2`, `${id}.3`])]);
  const config = JSON.parse(readFileSync(nodes[7]!.configFile, 'utf8')) as Record<string, unknown>;
  assert.deepEqual([config['id'], config['shard'], config['validator'], config['bootstrap']], ['shard-1.2', 1, 2, [nodes[0]!.p2p]]);
  assert.equal(processesOf(bench.dataDir)?.length ?? 9, 9);
  assertOneLine(await bench.run(['up', '--validators', '7', '--detach', '--json']), 2, /has committees of 4, not 7: leave out --validators/);
  assertOneLine(await bench.run(['up', '--beacon-validators', '4', '--detach', '--json']), 2, /has a beacon of 1, not 4/);

  const killed = await bench.run(['kill', 'shard-1.2', '--json']);
  assert.equal(json(killed)['killedPid'], nodes[7]!.pid);
  assertOneLine(await bench.run(['kill', 'shard-1.4']), 2, /no node shard-1\.4: give beacon, or shard-0 to shard-1\.3/);
  assert.equal((await bench.run(['kill', 'shard-1', '--json'])).code, 0);
  const status = await bench.run(['status', '--json']);
  const { chains } = json(status) as { chains: { chain: string; stands?: string }[] };
  assert.deepEqual(chains.map(({ chain, stands }) => [chain, stands]), [['beacon', undefined], ['shard-0', undefined], ['shard-1', '2 of 4 validators answer, agreement takes 3']]);
  assert.match((await bench.run(['status'])).out, /\nshard-1 makes no blocks: 2 of 4 validators answer, agreement takes 3\n/);
  assert.equal((await bench.run(['kill', 'shard-1.2', '--restart'])).code, 0);
  assert.equal(json(await bench.run(['status', '--json']))['chains'] !== undefined, true);

  const all = await bench.run(['kill', '--all', '--json']);
  assert.equal((json(all)['nodes'] as { killedPid: number | null }[]).filter((node) => node.killedPid !== null).length, 8);
  assert.deepEqual(processesOf(bench.dataDir) ?? [], []);
  assertOneLine(await bench.run(['kill', '--all']), 2, /no node is running: start it with "shardlab up" or "shardlab kill --all --restart"/);
  const back = await bench.run(['kill', '--all', '--restart']);
  assert.equal(back.code, 0, back.err);
  assert.equal(back.out.trim().split('\n').at(-1), `shard-1.3 was not running and runs again: pid ${cluster(bench).nodes[8]!.pid}, ${nodes[8]!.rpcUrl}`);
  assert.deepEqual(json(await bench.run(['down', '--json']))['killed'], []);
  assert.deepEqual(processesOf(bench.dataDir) ?? [], []);
});

test('a start waits for connections: to a quorum of every chain, and of those that ran before', async (t: TestContext) => {
  const bench = new Bench(t);
  assert.equal((await bench.run(UP)).code, 0);
  const launch = { command: [process.execPath, FAKE_NODE] as const, env: { ...bench.env, FAKE_ALONE: 'shard-1' } };
  const options = { dataDir: bench.dataDir, ids: ['shard-1'], restart: true, launch, timeoutMs: 3_000 };
  await assert.rejects(killNodes(options), { code: 'cluster/start-timeout', message: /^shard-1 did not become ready in time: connected to 0 of beacon's 1 running validators, 1 are needed; see / });
  assert.equal(processesOf(bench.dataDir)?.length ?? 2, 2, 'and it is stopped again');
  const [report] = await killNodes({ ...options, until: 'ready' });
  assert.notEqual(report!.node.pid, null);
  // shard-1 now tells of nobody: whoever comes back waits for it in vain, and goes on to run.
  const waits = killNodes({ ...options, ids: ['shard-0'], launch: { ...launch, env: bench.env } });
  await assert.rejects(waits, { code: 'cluster/start-timeout', message: /^shard-0 runs again, but shard-1 is not connected to it: see / });
  assert.equal(processesOf(bench.dataDir)?.length ?? 3, 3);
});

test('a node that cannot start is named with its own words, and nothing is left running', async (t: TestContext) => {
  const bench = new Bench(t);
  bench.env['FAKE_FAILS'] = 'shard-1';
  assertOneLine(await bench.run([...UP, '--json']), 2, /shard-1 could not start: the database is damaged: key 17/);
  assert.deepEqual(processesOf(bench.dataDir) ?? [], []);
  delete bench.env['FAKE_FAILS'];
  bench.env['FAKE_CRASHES'] = 'beacon';
  assertOneLine(await bench.run(['up', '--detach', '--json']), 2, /beacon could not start: it ended at once \(exit code 7\), see /);
  delete bench.env['FAKE_CRASHES'];
  assert.equal((await bench.run(['up', '--detach'])).code, 0, 'and the same directory starts once the cause is gone');
});

test('down kills what does not stop when asked', async (t: TestContext) => {
  const bench = new Bench(t);
  bench.env['FAKE_STUBBORN'] = 'shard-1';
  assert.equal((await bench.run(UP)).code, 0);
  assert.deepEqual(await stopCluster(bench.dataDir, 300), { stopped: ['beacon', 'shard-0'], killed: ['shard-1'] });
  assert.deepEqual(processesOf(bench.dataDir) ?? [], []);
});

test('a pid that now belongs to another program is never signalled', async (t: TestContext) => {
  const bench = new Bench(t);
  assert.equal((await bench.run(UP)).code, 0);
  assert.equal((await bench.run(['down'])).code, 0);
  const file = join(bench.dataDir, 'cluster.json');
  const stopped = cluster(bench);
  // This very test: were it signalled, nobody would report.
  writeFileSync(file, JSON.stringify({ ...stopped, nodes: stopped.nodes.map((node) => ({ ...node, pid: process.pid })) }));
  assert.match((await bench.run(['down'])).out, /no node was running/);
  assertOneLine(await bench.run(['kill', 'beacon']), 2, /beacon is not running/);
});

test('ports: a fixed base is used, a taken one is named', async (t: TestContext) => {
  const base = (await freePorts()) + 2;
  const bench = new Bench(t);
  const up = await bench.run(['up', '--shards', '1', '--accounts', '2', '--base-port', String(base), '--detach']);
  assert.equal(up.code, 0, up.err);
  assert.deepEqual(cluster(bench).nodes.map((node) => node.rpcUrl), [`http://127.0.0.1:${base}`, `http://127.0.0.1:${base + 1}`]);
  const other = new Bench(t);
  assertOneLine(await other.run(['up', '--shards', '1', '--base-port', String(base), '--detach', '--json']), 2, new RegExp(`port ${base} is taken: choose another --base-port`));
  const shifted = await other.run(['up', '--shards', '1', '--base-port', String(base - 2), '--detach', '--json']);
  assertOneLine(shifted, 2, new RegExp(`port ${base} is taken`));
  assertOneLine(await other.run(['up', '--base-port', '65530', '--detach', '--json']), 2, /5 nodes need 10 ports .* up to 65526, or 0/);
});

test('directories: foreign, damaged, contradicted', async (t: TestContext) => {
  const bench = new Bench(t);
  mkdirSync(bench.dataDir);
  writeFileSync(join(bench.dataDir, 'thesis.tex'), 'precious');
  assertOneLine(await bench.run([...UP, '--json']), 2, /is not empty and holds no Shardlab network: choose another --data-dir/);
  assertOneLine(await bench.run(['status']), 2, /holds no Shardlab network/);

  const file = new Bench(t);
  writeFileSync(file.dataDir, 'a file');
  assertOneLine(await file.run([...UP, '--json']), 2, /is not a directory/);

  const own = new Bench(t);
  assert.equal((await own.run(UP)).code, 0);
  for (const [flags, pattern] of [
    [['--shards', '3'], /has 2 shards, not 3: leave out --shards/],
    [['--seed', '9'], /has seed 1, not 9/],
    [['--accounts', '13'], /has 12 derived accounts, not 13/],
    [['--base-port', '9000'], /has base port \d+, not 9000/],
    [['--trace', 'trace.csv'], /has 12 derived accounts, not those of the trace with sha-256 [0-9a-f]{64}/],
  ] as const) {
    writeFileSync(join(own.root, 'trace.csv'), 'hash\n');
    assertOneLine(await own.run(['up', ...flags, '--detach', '--json']), 2, pattern);
  }
  const genesisFile = join(own.dataDir, 'genesis.json');
  const genesis = readFileSync(genesisFile, 'utf8');
  writeFileSync(genesisFile, genesis.replace('"1000000000000000000000000"', '"1000000000000000000000001"'));
  assertOneLine(await own.run(['up', '--detach', '--json']), 2, /genesis\.json is damaged \(it is not the genesis that cluster\.json names\)/);
  writeFileSync(genesisFile, '{');
  assertOneLine(await own.run(['up', '--detach', '--json']), 2, /genesis\.json is damaged/);
  writeFileSync(genesisFile, genesis);
  const text = readFileSync(join(own.dataDir, 'cluster.json'), 'utf8');
  writeFileSync(join(own.dataDir, 'cluster.json'), text.slice(0, 100));
  assertOneLine(await own.run(['up', '--detach', '--json']), 2, /cluster\.json is damaged \(not JSON\)/);
  assertOneLine(await own.run(['down']), 2, /cluster\.json is damaged/);
  writeFileSync(join(own.dataDir, 'cluster.json'), text);
});

test('two ups at once: one starts the network, the other finds it running', async (t: TestContext) => {
  const bench = new Bench(t);
  const [a, b] = await Promise.all([bench.run([...UP, '--json']), bench.run([...UP, '--json'])]);
  assert.deepEqual([a.code, b.code], [0, 0], a.err + b.err);
  assert.deepEqual([json(a)['started'], json(b)['started']].map((started) => (started as string[]).length).sort((x, y) => x - y), [0, 3]);
  assert.equal(processesOf(bench.dataDir)?.length ?? 3, 3);
});

test('equal options give an equal genesis; a trace names itself in it', async (t: TestContext) => {
  const [one, two, traced] = [new Bench(t), new Bench(t), new Bench(t)];
  await Promise.all([one.run(UP), two.run(UP)]);
  const genesis = readFileSync(join(one.dataDir, 'genesis.json'), 'utf8');
  assert.equal(genesis, readFileSync(join(two.dataDir, 'genesis.json'), 'utf8'));
  writeFileSync(join(traced.root, 'trace.csv'), 'hash\n');
  const up = await traced.run(['up', '--shards', '1', '--base-port', '0', '--trace', 'trace.csv', '--detach']);
  assert.equal(up.code, 0, up.err);
  assert.match(up.out, /trace: 5 rows, 3 can be replayed; 1 contract creations and 1 of type 3 are left out/);
  assertOneLine(await traced.run(['load']), 2, /funds the senders of a trace \(sha-256 [0-9a-f]{64}\): give that file by --trace/);
  writeFileSync(join(traced.root, 'other.csv'), 'hash,nonce\n');
  assertOneLine(await traced.run(['load', '--trace', 'other.csv']), 2, /is not the trace of this network/);
  assertOneLine(await one.run(['load', '--trace', join(traced.root, 'trace.csv')]), 2, /funds derived accounts: leave out --trace/);
  const load = await traced.run(['load', '--trace', 'trace.csv', '--json']);
  assert.equal(load.code, 0, load.err);
  const sent = await traced.run(['send', '--from', '2', '--to', `0x${'ab'.repeat(20)}`, '--value', '5', '--json']);
  assert.equal(sent.code, 0, sent.err);
  assertOneLine(await traced.run(['send', '--from', '3', '--to', `0x${'ab'.repeat(20)}`, '--value', '5']), 2, /kept the keys of 3: give --from 0 to 2/);
});
