import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { assignmentHash, type EpochAssignment } from '../../src/assignment.ts';
import { beaconHash } from '../../src/beacon.ts';
import { receiptRoot, txRoot } from '../../src/block.ts';
import { voteMessage } from '../../src/certificate.ts';
import { genesisHash, parseGenesis } from '../../src/genesis.ts';
import { encodeHeader, headerHash } from '../../src/header.ts';
import { emptyListRoot, listRoot } from '../../src/merkle/list.ts';
import { emptyPairTable, pairRoot } from '../../src/pairs.ts';
import { BEACON, type Height, type ShardId, toHex, txHash } from '../../src/primitives.ts';
import { outRoot } from '../../src/receipt.ts';
import { crossShardId } from '../../src/xtx/identity.ts';
import { encodeMessage } from '../../src/xtx/messages.ts';
import { account, filled, HASHER, SAMPLE_HEADER } from '../unit/kit.ts';
import { SAMPLE_GENESIS } from '../unit/genesis-sample.ts';

const shard = (index: number): ShardId => index as ShardId;
const tx = txHash(new Uint8Array(32).fill(0x77));

const ASSIGNMENT: EpochAssignment = {
  genesisHash: filled(1),
  epoch: 3,
  shards: 2,
  beaconValidators: [filled(2)],
  shardValidators: [[filled(3)], [filled(4), filled(5), filled(6), filled(7)]],
  overrides: [{ address: account(8), shard: shard(1) }],
  previousHash: filled(9),
};

const PREPARE = {
  kind: 'prepare' as const,
  id: filled(1),
  attempt: 2,
  txHash: tx,
  ageMs: 1_700_000_000_000,
  deadlineMs: 1_700_000_030_000,
  gasPrice: 1_000_000_007n,
  operation: { kind: 'transfer' as const, from: account(2), to: account(3), value: 10n ** 18n, gasLimit: 0 },
};

/** Everything that is hashed or signed, over fixed values. */
const computed: Record<string, Uint8Array> = {
  header: encodeHeader(SAMPLE_HEADER),
  headerHash: headerHash(HASHER, SAMPLE_HEADER),
  assignmentHash: assignmentHash(HASHER, ASSIGNMENT),
  genesisHash: genesisHash(HASHER, parseGenesis(JSON.stringify(SAMPLE_GENESIS))),
  emptyListRoot: emptyListRoot(HASHER),
  listRootOf5: listRoot(HASHER, [1, 2, 3, 4, 5].map(filled)),
  outRoot: outRoot(HASHER, [
    { destination: shard(0), firstSequence: 1, messages: [Uint8Array.of(1), Uint8Array.of(2, 3)] },
    { destination: shard(2), firstSequence: 41, messages: [encodeMessage(PREPARE)] },
  ]),
  pairRoot: pairRoot(HASHER, emptyPairTable(shard(1), 4)),
  txRoot: txRoot(
    HASHER,
    [{ source: shard(2), sourceHeight: 4 as Height, sourceHash: filled(5), sourceTimestampMs: 6, firstSequence: 7, messages: [Uint8Array.of(8)] }],
    [filled(9)],
  ),
  receiptRoot: receiptRoot(HASHER, [
    {
      txHash: tx,
      type: 2,
      status: 1,
      crossShard: true,
      reason: 'none',
      from: account(1),
      to: account(2),
      gasUsed: 21_000,
      cumulativeGasUsed: 42_000,
      effectiveGasPrice: 1_000_000_007n,
      contractAddress: account(3),
      logs: [{ address: account(4), topics: [filled(5)], data: Uint8Array.of(6) }],
      bodyHeight: 5 as Height,
      bodyIndex: 6,
    },
  ]),
  beaconHash: beaconHash(HASHER, {
    chainId: 31337,
    height: 9 as Height,
    parentHash: filled(1),
    epoch: 2,
    proposer: 0,
    timestampMs: 1_700_000_000_000,
    crosslinkRoot: filled(3),
    epochCertificateHash: filled(4),
  }),
  voteMessage: voteMessage({ genesisHash: filled(1), chain: BEACON, epoch: 2, height: 3, phase: 'commit', blockHash: filled(4) }, 5),
  crossShardId: crossShardId(HASHER, 31337, shard(3), tx),
  prepareMessage: encodeMessage(PREPARE),
};

test('formats stand as they were committed: a change of one wants a new version byte, not a new vector', () => {
  const committed = JSON.parse(readFileSync(new URL('./formats.json', import.meta.url), 'utf8')) as Record<string, string>;
  assert.deepEqual(Object.fromEntries(Object.entries(computed).map(([name, bytes]) => [name, toHex(bytes)])), committed);
});

test('the list root is SSZ\'s: leaves padded to a power of two, the count mixed in', () => {
  const pair = (a: Uint8Array, b: Uint8Array): Uint8Array => HASHER.sha256(Uint8Array.of(...a, ...b));
  const zero = new Uint8Array(32);
  const count = new Uint8Array(32);
  count[31] = 3;
  const [a, b, c] = [filled(1), filled(2), filled(3)];
  assert.deepEqual(listRoot(HASHER, [a, b, c]), pair(pair(pair(a, b), pair(c, zero)), count));
});
