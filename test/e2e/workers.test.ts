/** Nodes with execution threads: blocks of contracts' calls come to what the audit expects, threads take part, and a resumed node has them again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { test } from 'node:test';
import { threadFlags } from '../../packages/node/src/execution/v8-flags.ts';
import { type LoadAnswer, startNetwork, type TestNetwork } from '../support/e2e-network.ts';

interface WorkloadAnswer extends LoadAnswer {
  readonly workload: { readonly name: string; readonly invariants: Readonly<Record<string, boolean>> };
}

/** Calls in a node's blocks since it started, by what threads had found out. */
async function calls(network: TestNetwork, id: string): Promise<Record<'taken' | 'stale' | 'unknown', number>> {
  const text = await (await fetch(new URL('/metrics', network.node(id).rpcUrl))).text();
  const read = (how: string): number => Number(new RegExp(`^shardlab_execution_calls_total\\{[^}]*beforehand="${how}"[^}]*\\} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { taken: read('taken'), stale: read('stale'), unknown: read('unknown') };
}

async function drive(network: TestNetwork, workload: string, ...args: readonly string[]): Promise<WorkloadAnswer> {
  const report = await network.json<WorkloadAnswer>('load', '--workload', workload, '--rate', '800', '--duration', '6', ...args);
  const { submitted, committed, aborted, pending } = report;
  assert.deepEqual([pending, submitted], [0, committed + aborted], JSON.stringify(report));
  assert.deepEqual(Object.entries(report.workload.invariants).filter(([, good]) => !good), []);
  network.assertBalanced(report.audit);
  return report;
}

test('two execution threads a node under contracts, within shards and across; one node is killed and comes back with its threads', async (t) => {
  const network = await startNetwork(t, { workers: 2, accounts: 6_000 });
  if (process.platform === 'linux') {
    const commandLine = readFileSync(`/proc/${network.node('shard-0').pid}/cmdline`, 'utf8').split('\0');
    for (const flag of threadFlags(2)) assert.ok(commandLine.includes(flag), `${flag} is not in ${commandLine.join(' ')}`);
  }
  await drive(network, 'erc20');
  const first = await Promise.all(['shard-0', 'shard-1'].map((id) => calls(network, id)));
  assert.ok(first.some(({ taken }) => taken > 0), `threads took no part: ${JSON.stringify(first)}`);
  assert.equal((await network.run('kill', 'shard-0', '--restart')).code, 0);
  await network.meshed();
  await drive(network, 'erc20', '--cross-shard', '0.2', '--seed', '2');
  const again = await calls(network, 'shard-0');
  assert.ok(Number.isInteger(again.taken) && again.taken + again.stale + again.unknown > 0, JSON.stringify(again));
  await network.audit();
});
