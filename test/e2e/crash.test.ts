/** kill -9 on each process in turn, in the middle of cross-shard load: nothing is lost, nothing applied twice. */
import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { type LoadAnswer, nodeProcesses, startNetwork, type StatusAnswer, type TestNetwork } from '../support/e2e-network.ts';

const LOAD = ['load', '--rate', '120', '--duration', '45', '--cross-shard', '0.5', '--json'];

/** Cross-shard transactions that are open on some shard now; 0 while a node that has just come back is not connected yet, which status tells by exit code 1. */
async function openNow(network: TestNetwork): Promise<number> {
  const { code, out } = await network.run('status', '--json');
  if (code !== 0) return 0;
  const { nodes } = JSON.parse(out) as StatusAnswer;
  return nodes.reduce((sum, { crossShard }) => sum + crossShard.coordinating + crossShard.participating, 0);
}

function assertNothingLost(report: LoadAnswer): void {
  const { submitted, committed, aborted, pending, rejected } = report;
  assert.deepEqual([pending, rejected], [0, 0], JSON.stringify(report));
  assert.equal(submitted, committed + aborted);
  assert.ok(committed > submitted * 0.9, `only ${committed} of ${submitted} committed`);
}

test('kill -9 of each process in turn under cross-shard load; then of all at once', async (t) => {
  const network = await startNetwork(t);
  const load = network.start(...LOAD);
  for (const { id } of network.cluster.nodes) {
    await network.until(`cross-shard transactions are under way before ${id} dies`, async () => load.ended() || (await openNow(network)) > 0);
    assert.equal(load.ended(), false, `the load has ended before ${id} was killed`);
    const { pid } = network.node(id);
    const killed = await network.json<{ ok: boolean; killedPid: number; pid: number }>('kill', id, '--restart');
    assert.deepEqual([killed.ok, killed.killedPid], [true, pid]);
    assert.notEqual(killed.pid, pid);
  }
  assert.equal(load.ended(), false, 'the load has ended before all were killed');
  const report = network.lastLine<LoadAnswer>(LOAD, await load.done);
  assertNothingLost(report);
  network.assertBalanced(report.audit);
  await network.meshed();

  await t.test('all at once', async () => {
    const again = network.start('load', '--rate', '120', '--duration', '12', '--cross-shard', '0.5', '--seed', '2', '--json');
    await network.until('cross-shard transactions are under way', async () => again.ended() || (await openNow(network)) > 0);
    const pids = network.cluster.nodes.map((node) => node.pid!);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await network.until('all are dead', () => nodeProcesses(network.dataDir).length === 0);
    assert.equal(again.ended(), false, 'the load has ended before all were killed');
    const { started } = await network.resume();
    assert.equal(started.length, 3);
    const second = network.lastLine<LoadAnswer>(['load'], await again.done);
    assertNothingLost(second);
    network.assertBalanced(second.audit);
  });

  await t.test('with the beacon dead the shards go on, and / says that it stands still', async () => {
    assert.equal((await network.run('kill', 'beacon')).code, 0);
    const url = network.node('shard-0').rpcUrl;
    const [from] = network.accountsOn(0, 1);
    const nonce = await network.call<string>('eth_getTransactionCount', [from!.address, 'latest'], '/', url);
    const rate = await network.runPlain('load', '--rpc', url, '--rate', '60', '--count', '120', '--cross-shard', '0.5', '--seed', '3', '--no-audit', '--json');
    const report = JSON.parse(rate.out.trim().split('\n').at(-1)!) as LoadAnswer;
    assertNothingLost(report);
    assert.ok(Number(await network.call<string>('eth_getTransactionCount', [from!.address, 'latest'], '/', url)) >= Number(nonce));
    const status = await network.run('status', '--json');
    assert.equal(status.code, 1);
    assert.match(status.out, /"id":"beacon"[^}]*"healthy":false/);
    assert.equal((await network.run('kill', 'beacon', '--restart')).code, 0);
  });
  await network.meshed();
  await network.audit();
});
