import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Block, decodeBlock, type Hash32, type Height, type ShardId, ShardlabError } from '@shardlab/crosslink';
import { type FlatEntry, ShardState, type Snapshot } from '@shardlab/shard';
import type { Storage, StorageEntry } from '../../src/ports.ts';
import { type RecoveredShard, recoverShard } from '../../src/storage/chain-store.ts';
import { PinnedStates } from '../../src/storage/chain-store-pins.ts';
import { ChainReader } from '../../src/storage/chain-store-reader.ts';
import { BLOCKS, type KeyRange, PROPOSALS, STATE, UNDO } from '../../src/storage/key-space.ts';
import { accountsOf, addressOf, CHAIN_ID, CRYPTO, ManualClock, outcome, pumpedStorage, store, storeSnapshot, testGenesis, TestShard, transfer } from './chain-store-support.ts';

const GENESIS = testGenesis(2, 24);
const HERE = accountsOf(GENESIS, 0, 6);
const THERE = accountsOf(GENESIS, 1, 6);

const all = (storage: Storage, range: KeyRange): Promise<readonly StorageEntry[]> => outcome((done) => storage.range({ ...range, entriesMax: 10_000, bytesMax: 1 << 26 }, done));
const recover = async (storage: Storage): Promise<RecoveredShard> => (await outcome<RecoveredShard | undefined>((done) => recoverShard(storage, done)))!;
const outboxOf = ({ outbox }: RecoveredShard): number[][] => outbox.map(({ destination, entry }) => [destination, entry.firstSequence, entry.lastSequence, entry.height]);
const fails = (code: string, what: RegExp) => (error: unknown): boolean => error instanceof ShardlabError && error.code === code && what.test(error.message);

interface Peers {
  readonly shard: TestShard;
  /** Has everything. */
  readonly whole: Storage;
  /** Has the first `behindMax` blocks. */
  readonly behind: Storage;
}

/** Two stores of one chain of `heights` blocks, a cross-shard transaction in each. */
async function peers(heights: number, behindMax: number): Promise<Peers> {
  const shard = new TestShard(GENESIS, 0);
  const [whole, behind] = [pumpedStorage(1).storage, pumpedStorage(2).storage];
  for (const storage of [whole, behind]) await outcome<void>((done) => storage.commit(shard.genesisBatch(), done));
  for (let n = 0; n < heights; n++) {
    const record = await shard.next([transfer(HERE[n % 3]!, addressOf(THERE[0]!), Math.floor(n / 3)), transfer(HERE[3]!, addressOf(HERE[4]!), n)]);
    await store(whole, record);
    if (record.block.header.height <= behindMax) await store(behind, record);
  }
  return { shard, whole, behind };
}

async function snapshotOf(storage: Storage, height: number, olderFrom: number): Promise<Snapshot> {
  const blocks = (await all(storage, BLOCKS.all())).map(({ value }): Block => decodeBlock(value));
  const entries = (await all(storage, STATE.all())).map(({ key, value }): FlatEntry => ({ key: key.subarray(1), value }));
  const { head } = await recover(storage);
  assert.equal(head.header.height, height);
  return { block: blocks[height]!, hash: head.hash, entries, older: blocks.slice(olderFrom, height) };
}

test('a far behind store goes on from a snapshot: state, outbox and head are replaced, blocks and votes stay', async () => {
  const { shard, whole, behind } = await peers(9, 3);
  // What is only in the old state must not survive: a stray account in place of one of the snapshot.
  const stray = { key: STATE.key(new Uint8Array(33).fill(0xfe)), value: Uint8Array.of(1) };
  await outcome<void>((done) => behind.commit({ puts: [stray], deletes: [] }, done));
  const change = (height: number) => ({ height, proposal: { header: Uint8Array.of(height), body: Uint8Array.of() } });
  await store(behind, { kind: 'votes', state: Uint8Array.of(5), proposals: [change(4), change(9), change(10)] });
  const snapshot = await snapshotOf(whole, 9, 7);
  await storeSnapshot(behind, snapshot);

  const start = await recover(behind);
  assert.equal(start.snapshotHeight, 9);
  assert.deepEqual(start.head.hash, snapshot.hash);
  assert.deepEqual(start.head.certificate, snapshot.block.certificate);
  assert.deepEqual(new ShardState(CRYPTO).load(start.entries), snapshot.block.header.stateRoot);
  assert.deepEqual(start.votes, { state: Uint8Array.of(5), proposals: [{ height: 10, proposal: change(10).proposal }] });
  assert.deepEqual(outboxOf(start), [1, 2, 3, 7, 8, 9].map((height) => [1, height, height, height]));
  assert.deepEqual(await all(behind, UNDO.all()), []);
  assert.equal((await all(behind, PROPOSALS.all())).length, 1);
  assert.deepEqual((await all(behind, BLOCKS.all())).map(({ key }) => BLOCKS.parse(key)), [0, 1, 2, 3, 7, 8, 9]);

  await store(behind, await shard.next([transfer(HERE[3]!, addressOf(HERE[4]!), 9)]));
  const later = await recover(behind);
  assert.deepEqual([later.head.header.height, later.snapshotHeight], [10, 9]);
  assert.deepEqual(new ShardState(CRYPTO).load(later.entries), shard.executor.head.header.stateRoot);
  await outcome<void>((done) => behind.commit({ puts: [], deletes: [UNDO.key(10 as Height)] }, done));
  await assert.rejects(recover(behind), fails('storage/damaged', /undo record of block 10 is missing/));
});

test('an empty store starts from a snapshot; a second one replaces the first', async () => {
  const { shard, whole } = await peers(4, 0);
  const { storage } = pumpedStorage(3);
  await storeSnapshot(storage, await snapshotOf(whole, 4, 4));
  assert.deepEqual(outboxOf(await recover(storage)), [[1, 4, 4, 4]]);
  for (let n = 0; n < 3; n++) await store(whole, await shard.next([]));
  await storeSnapshot(storage, await snapshotOf(whole, 7, 5));
  const start = await recover(storage);
  assert.deepEqual([start.head.header.height, start.snapshotHeight], [7, 7]);
  assert.deepEqual(new ShardState(CRYPTO).load(start.entries), shard.executor.head.header.stateRoot);
});

test('a snapshot that is not above the head is refused, and changes nothing', async () => {
  const { whole } = await peers(3, 0);
  const snapshot = await snapshotOf(whole, 3, 3);
  await assert.rejects(storeSnapshot(whole, snapshot), fails('invariant', /above the head/));
  assert.equal((await recover(whole)).snapshotHeight, 0);
});

test('history below a snapshot is absent for readers and pins, not damage', async () => {
  const { shard, whole, behind } = await peers(9, 3);
  const snapshot = await snapshotOf(whole, 9, 9);
  await storeSnapshot(behind, snapshot);
  const reader = new ChainReader({ chain: 0 as ShardId, chainId: CHAIN_ID }, { storage: behind, hasher: CRYPTO });
  await reader.start();
  assert.equal(reader.snapshotHeight, 9);
  assert.deepEqual(reader.head?.hash, snapshot.hash);
  assert.equal((await reader.headAt(3))?.header.height, 3);
  assert.equal(await reader.headAt(6), undefined);
  assert.equal(await reader.block(6), undefined);
  assert.equal(await reader.accountAt(addressOf(HERE[3]!), 6), undefined);
  assert.equal((await reader.account(addressOf(HERE[3]!))).nonce, 9);
  const absent = reader.missingBlock(6);
  assert.equal(absent.code, 'chain/history');
  assert.match(absent.message, /started from a snapshot of height 9/);
  assert.equal(reader.missingBlock(10).code, 'storage/damaged');

  const pins = new PinnedStates({ storage: behind, clock: new ManualClock() });
  await assert.rejects(pins.pin(3), fails('pin/height', /below the snapshot that this node started from, 9/));
  await store(behind, await shard.next([]));
  const pin = await pins.pin(9);
  assert.deepEqual(pin.stateRoot, snapshot.block.header.stateRoot as Hash32);
  assert.equal((await reader.accountAt(addressOf(HERE[3]!), 9))?.nonce, 9);
  pins.close();
});

test('a reader that is told of a snapshot takes its block for the head; votes tell it nothing', async () => {
  const { whole, behind } = await peers(5, 1);
  const reader = new ChainReader({ chain: 0 as ShardId, chainId: CHAIN_ID }, { storage: behind, hasher: CRYPTO });
  await reader.start();
  let heard = 0;
  reader.onStored(() => heard++);
  reader.stored({ kind: 'votes', state: Uint8Array.of(1), proposals: [] });
  assert.equal(heard, 0);
  const snapshot = await snapshotOf(whole, 5, 5);
  await storeSnapshot(behind, snapshot);
  reader.stored({ kind: 'snapshot', snapshot });
  assert.deepEqual([heard, reader.head?.header.height, reader.snapshotHeight], [1, 5, 5]);
  assert.deepEqual(reader.head?.hash, snapshot.hash);
});
