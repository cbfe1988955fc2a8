import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusView } from '../../src/commands/status.ts';
import { statusLines } from '../../src/output/status-view.ts';
import type { NetworkStatus, NodeStatus } from '../../src/rpc/methods.ts';
import { memoryOutput } from '../e2e/cli-harness.ts';

function node(id: string, fields: Record<string, unknown> = {}): NodeStatus {
  const shard = /^shard-(\d+)/.exec(id)?.[1];
  return { id, role: shard === undefined ? 'beacon' : 'shard', shard: shard === undefined ? undefined : Number(shard), healthy: true, height: 7, rpcUrl: `http://${id}`, ...fields };
}

function network(nodes: readonly NodeStatus[]): NetworkStatus {
  const rest = { genesisHash: '0x', chainId: 1, shards: 1, validators: 4, baseFeePerGas: 1n, workload: { seed: 1, accounts: 1, trace: undefined } };
  return { ...rest, beacon: { height: 3, epoch: 0 }, nodes };
}

const consensus = (fields: object = {}): object => ({ consensus: { view: 4, active: true, leader: 1, voted: [], quorum: 3, ...fields } });
const SILENT = { healthy: false, height: null, reason: 'shard-0.3 cannot be reached (network/unreachable)' };

test('one row a node with role and view; a chain without a quorum is named with the reason', () => {
  const down = { healthy: false, reason: 'no quorum: 2 of 4 validators are connected here, agreement takes 3' };
  const nodes = [
    node('beacon'),
    node('shard-0', { ...consensus(), ...down }),
    node('shard-0.1', { ...consensus({ active: false }), ...down }),
    node('shard-0.2', SILENT),
    node('shard-0.3', SILENT),
  ];
  const view = statusView(network(nodes), undefined);
  assert.deepEqual(view.chains, [
    { chain: 'beacon', validators: 1, quorum: 1, answering: 1 },
    { chain: 'shard-0', validators: 4, quorum: 3, answering: 2, stands: '2 of 4 validators answer, agreement takes 3' },
  ]);
  const lines = statusLines(view, memoryOutput());
  assert.match(lines[0]!, /^node +role +view +height +state root +peers +mempool/);
  assert.match(lines[2]!, /^shard-0 +follower +4 +7 .* no quorum: 2 of 4/);
  assert.match(lines[3]!, /^shard-0\.1 +electing +4 +7 /);
  assert.match(lines[4]!, /^shard-0\.2 +- +- +- /);
  assert.equal(lines.filter((line) => line.includes('makes no blocks')).join(), 'shard-0 makes no blocks: 2 of 4 validators answer, agreement takes 3');
});

test('validators that answer but do not agree: the chain stands for the reason that they give', () => {
  const reason = 'no block for 61 s, one every 1000 ms is due: 1 (0) of 3 votes for the next block in view 5, whose leader is validator 1';
  const nodes = ['shard-0', 'shard-0.1', 'shard-0.2', 'shard-0.3'].map((id, at) => node(id, { ...consensus(), ...(at < 2 ? { healthy: false, reason } : {}) }));
  assert.equal(statusView(network(nodes), undefined).chains[0]!.stands, reason);
  const [sick, ...well] = nodes;
  assert.equal(statusView(network([sick!, ...well.map((each) => ({ ...each, healthy: true }))]), undefined).chains[0]!.stands, undefined, 'a quorum is well');
});

test('a network without committees has neither role nor view', () => {
  const view = statusView(network([node('beacon'), node('shard-0')]), undefined);
  assert.match(statusLines(view, memoryOutput())[0]!, /^node +height +state root/);
});
