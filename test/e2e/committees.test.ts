/** Committees as processes: what one validator's death costs, what more than f cost, and that everybody agrees in the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoadAnswer, startNetwork, type StatusAnswer } from '../support/e2e-network.ts';

test('a committee goes on without its leader, stands without a quorum and says so, and agrees when all are back', { timeout: 240_000 }, async (t) => {
  const network = await startNetwork(t, { shards: 2, validators: 4, beaconValidators: 1, accounts: 400 });
  const status = await network.meshed();
  assert.equal(status.nodes.length, 9);
  assert.ok(status.chains.every((chain) => chain.stands === undefined && chain.answering === chain.validators));
  const { leader } = status.nodes.find((node) => node.id === 'shard-0')!.consensus!;
  const [victim, second] = [leader, (leader + 1) % 4].map((index) => (index === 0 ? 'shard-0' : `shard-0.${index}`)) as [string, string];

  const command = ['load', '--rate', '60', '--duration', '8', '--cross-shard', '0.3', '--json'] as const;
  const load = network.start(...command);
  await network.until('the load is on its way', async () => {
    const { nodes } = await network.status();
    return nodes.some((node) => node.shard === 0 && node.receiptBatches.gossip > 0);
  });
  assert.equal((await network.run('kill', victim)).code, 0);
  const report = network.lastLine<LoadAnswer>(command, await load.done);
  assert.deepEqual([report.committed + report.aborted, report.pending, report.rejected], [report.submitted, 0, 0], 'nothing is lost with the leader');
  network.assertBalanced(report.audit);
  assert.equal(report.audit!.validators.forks, 0);

  assert.equal((await network.run('kill', second)).code, 0);
  const short = JSON.parse((await network.run('status', '--json')).out) as StatusAnswer;
  assert.equal(short.chains.find((chain) => chain.chain === 'shard-0')!.stands, '2 of 4 validators answer, agreement takes 3');
  assert.equal(short.chains.find((chain) => chain.chain === 'shard-1')!.stands, undefined);
  const survivor = short.nodes.find((node) => node.shard === 0 && node.id !== victim && node.id !== second)!;
  assert.match(survivor.reason!, /^no quorum: 2 of 4 validators are connected here, agreement takes 3$/);

  for (const id of [victim, second]) {
    const restarted = await network.run('kill', id, '--restart');
    assert.equal(restarted.code, 0, `${id}: ${restarted.out}${restarted.err}\n${network.diagnosis()}`);
  }
  const whole = await network.meshed();
  assert.ok(whole.chains.every((chain) => chain.stands === undefined));
  const again = await network.json<LoadAnswer>('load', '--rate', '40', '--duration', '3', '--seed', '9');
  assert.equal(again.pending + again.rejected, 0);
  const audit = await network.audit();
  assert.deepEqual(audit.validators, { compared: 8, forks: 0 });
});
