import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Height, InvariantError, ShardlabError } from '@shardlab/crosslink';
import type { Proposal, ProposalChange } from '@shardlab/shard';
import type { Storage } from '../../src/ports.ts';
import { batchOf, type RecoveredBeacon, type RecoveredShard, type RecoveredVotes, recoverBeacon, recoverShard } from '../../src/storage/chain-store.ts';
import { PROPOSAL_BODY_BYTES_MAX, PROPOSAL_HEADER_BYTES_MAX, VOTES_STATE_BYTES_MAX } from '../../src/storage/chain-store-records.ts';
import { META, PROPOSALS } from '../../src/storage/key-space.ts';
import { outcome, pumpedStorage, store, TestBeacon, testGenesis, TestShard } from './chain-store-support.ts';

const GENESIS = testGenesis(2, 8);

const proposal = (tag: number): Proposal => ({ header: Uint8Array.of(1, tag), body: Uint8Array.of(2, tag, tag) });
const votes = (state: number, ...proposals: readonly ProposalChange[]) => ({ kind: 'votes' as const, state: Uint8Array.of(state), proposals });
const put = (storage: Storage, key: Uint8Array, value: Uint8Array): Promise<void> => outcome((done) => storage.commit({ puts: [{ key, value }], deletes: [] }, done));
const ofShard = async (storage: Storage): Promise<RecoveredVotes> => (await outcome<RecoveredShard | undefined>((done) => recoverShard(storage, done)))!.votes;
const ofBeacon = async (storage: Storage): Promise<RecoveredVotes> => (await outcome<RecoveredBeacon>((done) => recoverBeacon(storage, done))).votes;

async function shardStore(): Promise<{ storage: Storage; shard: TestShard }> {
  const { storage } = pumpedStorage();
  const shard = new TestShard(GENESIS, 0);
  await outcome<void>((done) => storage.commit(shard.genesisBatch(), done));
  return { storage, shard };
}

test('votes and proposals of a shard come back, until their blocks are final', async () => {
  const { storage, shard } = await shardStore();
  assert.deepEqual(await ofShard(storage), { state: undefined, proposals: [] });
  await store(storage, votes(7, { height: 1, proposal: proposal(1) }, { height: 2, proposal: proposal(2) }));
  assert.deepEqual(await ofShard(storage), {
    state: Uint8Array.of(7),
    proposals: [
      { height: 1, proposal: proposal(1) },
      { height: 2, proposal: proposal(2) },
    ],
  });
  await store(storage, await shard.next([]));
  assert.deepEqual(await ofShard(storage), { state: Uint8Array.of(7), proposals: [{ height: 2, proposal: proposal(2) }] });
  assert.equal(await outcome((done) => storage.get(PROPOSALS.key(1 as Height), done)), undefined);
  // A later view replaces one, and gives up another; the last change of a height holds.
  await store(storage, votes(8, { height: 3, proposal: proposal(3) }, { height: 2, proposal: undefined }, { height: 2, proposal: proposal(9) }));
  await store(storage, votes(9, { height: 3, proposal: undefined }));
  assert.deepEqual(await ofShard(storage), { state: Uint8Array.of(9), proposals: [{ height: 2, proposal: proposal(9) }] });
});

test('a proposal at or below the head is left out', async () => {
  const { storage, shard } = await shardStore();
  await store(storage, await shard.next([]));
  await store(storage, votes(1, { height: 1, proposal: proposal(1) }, { height: 2, proposal: proposal(2) }));
  assert.deepEqual((await ofShard(storage)).proposals, [{ height: 2, proposal: proposal(2) }]);
});

test('a beacon has the same, before its first block and after', async () => {
  const { storage } = pumpedStorage();
  await store(storage, votes(3, { height: 1, proposal: proposal(1) }), 'beacon');
  assert.deepEqual(await ofBeacon(storage), { state: Uint8Array.of(3), proposals: [{ height: 1, proposal: proposal(1) }] });
  await store(storage, new TestBeacon(GENESIS).next([]), 'beacon');
  assert.deepEqual(await ofBeacon(storage), { state: Uint8Array.of(3), proposals: [] });
  assert.equal(await outcome((done) => storage.get(PROPOSALS.key(1 as Height), done)), undefined);
});

test("a beacon block that a shard's node follows leaves the shard's proposals alone", async () => {
  const { storage } = await shardStore();
  await store(storage, votes(3, { height: 1, proposal: proposal(1) }));
  await store(storage, new TestBeacon(GENESIS).next([]));
  assert.equal((await ofShard(storage)).proposals.length, 1);
});

test('damage is named, and what would not be read is not written', async () => {
  const damage = (what: RegExp) => (error: unknown): boolean => error instanceof ShardlabError && error.code === 'storage/damaged' && what.test(error.message);
  for (const [key, what] of [
    [META.key('votes'), /record of the votes can not be read/],
    [PROPOSALS.key(1 as Height), /proposal of height 1 can not be read/],
    [META.key('snapshot'), /record of the snapshot can not be read/],
  ] as const) {
    const { storage } = await shardStore();
    await store(storage, votes(1, { height: 1, proposal: proposal(1) }));
    await put(storage, key, Uint8Array.of(1, 0));
    await assert.rejects(ofShard(storage), damage(what));
  }
  const { storage } = await shardStore();
  await put(storage, META.key('snapshot'), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 9));
  await assert.rejects(ofShard(storage), damage(/the head, block 0, is below the snapshot of height 9/));

  assert.throws(() => batchOf({ kind: 'votes', state: new Uint8Array(VOTES_STATE_BYTES_MAX + 1), proposals: [] }, 'shard'), InvariantError);
  const long = { header: new Uint8Array(PROPOSAL_HEADER_BYTES_MAX + 1), body: new Uint8Array(0) };
  const large = { header: new Uint8Array(0), body: new Uint8Array(PROPOSAL_BODY_BYTES_MAX + 1) };
  for (const each of [long, large]) assert.throws(() => batchOf(votes(1, { height: 1, proposal: each }), 'shard'), InvariantError);
});
