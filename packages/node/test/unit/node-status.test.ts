import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEACON, type ShardId } from '@shardlab/crosslink';
import type { ConsensusStatus } from '@shardlab/shard';
import { nodeStatus, type StatusSources } from '../../src/process/node-status.ts';
import type { NodeName } from '../../src/ports.ts';
import { testGenesis } from './chain-store-support.ts';

const NOW_MS = 1_800_000_000_000;
const VOTING: ConsensusStatus = { view: 5, active: true, leader: 1, voted: [2, 0], quorum: 3 };

interface Situation {
  readonly validators: number;
  readonly peers?: readonly NodeName[];
  readonly silentMs?: number;
  readonly consensus?: ConsensusStatus;
  readonly beacon?: boolean;
}

/** A node's sources, as far as health rests on them. */
function statusIn({ validators, peers = [], silentMs = 0, consensus = VOTING, beacon = false }: Situation): ReturnType<typeof nodeStatus> {
  const genesis = testGenesis(1, 1);
  const committee = Array.from({ length: validators }, () => genesis.beaconValidators[0]!);
  const epoch = { assignment: { epoch: 3 } };
  const shard = {
    replica: { epoch, consensus, counters: { batchesGossip: 0, batchesPull: 0 }, mempool: { size: 0, capacity: 1 }, inbox: { size: 0 } },
    protocol: { counts: () => ({ coordinating: 0, participating: 0, locksHeld: 0 }) },
    outbox: { size: 0 },
  };
  const sources = {
    name: { chain: beacon ? BEACON : (0 as ShardId), validator: 0 },
    genesis: { ...genesis, beaconValidators: committee, shardValidators: [committee] },
    chain: {
      head: { header: { timestampMs: NOW_MS - silentMs, height: 9, stateRoot: new Uint8Array(32) }, hash: new Uint8Array(32) },
      beaconHead: { timestampMs: NOW_MS - silentMs, height: 9, hash: new Uint8Array(32) },
    },
    network: { connected: () => peers },
    crypto: { hashPairs: 'x', keccak256: 'y' },
    recoveryLibrary: () => 'z',
    rpcUrl: () => 'http://127.0.0.1:1',
    nowMs: () => NOW_MS,
    shard: beacon ? undefined : shard,
    beacon: beacon ? { epochs: { latest: epoch }, consensusStatus: consensus } : undefined,
  };
  return nodeStatus(sources as unknown as StatusSources);
}

const peer = (validator: number, chain = 0): NodeName => ({ chain: chain as ShardId, validator });

test('one validator alone: healthy while it makes blocks, and silent about agreement', () => {
  const well = statusIn({ validators: 1, silentMs: 10_000 });
  assert.deepEqual([well.healthy, well.consensus, well.reason], [true, undefined, undefined]);
  assert.equal(statusIn({ validators: 1, silentMs: 12_000 }).reason, 'no block for 12 s, one every 1000 ms is due');
});

test('without a quorum the node says so at once; validators of other chains do not count', () => {
  const { healthy, reason } = statusIn({ validators: 4, peers: [peer(1), peer(2, 7), peer(3, BEACON)] });
  assert.deepEqual([healthy, reason], [false, 'no quorum: 2 of 4 validators are connected here, agreement takes 3']);
  const status = statusIn({ validators: 4, peers: [peer(1), peer(3)] });
  assert.deepEqual([status.healthy, status.consensus], [true, VOTING]);
  assert.equal(statusIn({ validators: 4, beacon: true, peers: [peer(1, BEACON), peer(2, BEACON)] }).healthy, true);
  assert.equal(statusIn({ validators: 4, beacon: true, peers: [peer(1), peer(2)] }).healthy, false);
});

test('a committee that stands says what it waits for', () => {
  const peers = [peer(1), peer(2)];
  const reason = (consensus: ConsensusStatus): string | undefined => statusIn({ validators: 4, peers, silentMs: 61_000, consensus }).reason;
  const due = 'no block for 61 s, one every 1000 ms is due';
  assert.equal(reason(VOTING), `${due}: 2 (0, 2) of 3 votes for the next block in view 5, whose leader is validator 1`);
  assert.equal(reason({ ...VOTING, active: false, view: 6, voted: [] }), `${due}: 0 of 3 validators ask for view 6`);
});
