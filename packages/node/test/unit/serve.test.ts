import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANSWER_ITEM_BYTES_MAX, BEACON, decodeBatch, decodeBlockHead, decodeSnapshotHead, decodeSnapshotPage, equalBytes, type Height, type ShardId, SNAPSHOT_PAGE_BYTES, SNAPSHOT_PAGE_ENTRIES_MAX, type SnapshotEntry, type WireRequest } from '@shardlab/crosslink';
import { Outbox, ShardState, SnapshotFetch, type SnapshotStep } from '@shardlab/shard';
import type { Storage, StorageEntry } from '../../src/ports.ts';
import { serveFrom } from '../../src/runtime/serve.ts';
import { type RecoveredShard, recoverShard } from '../../src/storage/chain-store.ts';
import { BLOCKS, STATE } from '../../src/storage/key-space.ts';
import { SERVED_FRESH_MS, SERVED_MAX, SERVED_MS, ServedSnapshots } from '../../src/storage/served-snapshots.ts';
import { accountsOf, addressOf, CRYPTO, ManualClock, outcome, pumpedStorage, store, storeSnapshot, TestBeacon, testGenesis, TestShard, transfer } from './chain-store-support.ts';

const GENESIS = testGenesis(2, 4_000);
const HERE = accountsOf(GENESIS, 0, 6);
const THERE = accountsOf(GENESIS, 1, 6);
const SHARD = 0 as ShardId;

interface Server {
  readonly storage: Storage;
  readonly shard: TestShard;
  readonly clock: ManualClock;
  readonly snapshots: ServedSnapshots;
  ask(request: WireRequest): Promise<readonly Uint8Array[] | undefined>;
  grow(blocks: number): Promise<void>;
}

function serving(storage: Storage, clock: ManualClock, outbox: Outbox): Pick<Server, 'snapshots' | 'ask'> {
  const snapshots = new ServedSnapshots({ storage, clock });
  const serve = serveFrom(SHARD, { storage, hasher: CRYPTO, outbox, snapshots, forwarded: (_request, done) => done(undefined) });
  return { snapshots, ask: (request) => new Promise((resolve) => serve(request, resolve)) };
}

async function server(blocks: number): Promise<Server> {
  const { storage } = pumpedStorage();
  const shard = new TestShard(GENESIS, 0);
  const clock = new ManualClock();
  const outbox = new Outbox();
  await outcome<void>((done) => storage.commit(shard.genesisBatch(), done));
  let made = 0;
  const grow = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++, made++) {
      const record = await shard.next([transfer(HERE[0]!, addressOf(HERE[1]!), made), transfer(HERE[2 + (made % 3)]!, addressOf(THERE[0]!), Math.floor(made / 3))]);
      await store(storage, record);
      outbox.add(record.block.header.height, record.block.outgoing);
    }
  };
  await grow(blocks);
  return { storage, shard, clock, grow, ...serving(storage, clock, outbox) };
}

const heights = (items: readonly Uint8Array[] | undefined): number[] => items!.map((item) => decodeBlockHead(item).header.height);
const from = (height: number): WireRequest => ({ kind: 'blocks', fromHeight: height as Height });
const page = (height: number, cursor: Uint8Array = new Uint8Array(0)): WireRequest => ({ kind: 'snapshot-page', height: height as Height, cursor });

test('certified blocks are served from a height on, without genesis', async () => {
  const { ask } = await server(5);
  assert.deepEqual(heights(await ask(from(3))), [3, 4, 5]);
  assert.deepEqual(heights(await ask(from(0))), [1, 2, 3, 4, 5]);
  assert.deepEqual(await ask(from(6)), []);
});

test('an answer is as long as the transport carries, and no item longer than its bound', async () => {
  const lengths = async (...sizes: readonly number[]): Promise<number[]> => {
    const { storage } = pumpedStorage();
    const puts = sizes.map((size, at) => ({ key: BLOCKS.key((1 + at) as Height), value: new Uint8Array(size) }));
    await outcome<void>((done) => storage.commit({ puts, deletes: [] }, done));
    return (await serving(storage, new ManualClock(), new Outbox()).ask(from(1)))!.map((item) => item.length);
  };
  assert.deepEqual(await lengths(3 << 20, 3 << 20, 3 << 20), [3 << 20, 3 << 20]);
  assert.deepEqual(await lengths(3 << 20, 5 << 20), [3 << 20]);
  assert.deepEqual(await lengths(5 << 20, 3 << 20), [5 << 20]);
  assert.deepEqual(await lengths(1_000, ANSWER_ITEM_BYTES_MAX + 1), [1_000]);
});

test('a proposal is served until its block is final', async () => {
  const { ask, storage, shard } = await server(1);
  const proposal = { header: Uint8Array.of(1, 2), body: Uint8Array.of(3) };
  await store(storage, { kind: 'votes', state: Uint8Array.of(1), proposals: [{ height: 2, proposal }] });
  assert.deepEqual(await ask({ kind: 'proposal', height: 2 as Height }), [proposal.header, proposal.body]);
  assert.deepEqual(await ask({ kind: 'proposal', height: 3 as Height }), []);
  await store(storage, await shard.next([]));
  assert.deepEqual(await ask({ kind: 'proposal', height: 2 as Height }), []);
});

test('a snapshot is one state while the chain goes on, page by page', async () => {
  const { ask, shard, grow, snapshots } = await server(3);
  const [item] = (await ask({ kind: 'snapshot-head' }))!;
  const { block, messagesFrom } = decodeSnapshotHead(item!);
  const { header } = decodeBlockHead(block);
  assert.deepEqual([header.height, messagesFrom], [3, 1]);
  await grow(2);
  assert.deepEqual(await ask({ kind: 'snapshot-head' }), [item], 'the same is handed out while it is fresh');
  const entries = decodeSnapshotPage((await ask(page(3)))![1]!);
  assert.deepEqual((await ask(page(3)))![0], new Uint8Array(0), 'these accounts fit into one page');
  assert.deepEqual(new ShardState(CRYPTO).load(entries), header.stateRoot);
  const middle = entries[100]!.key;
  const rest = decodeSnapshotPage((await ask(page(3, middle)))![1]!);
  assert.deepEqual(rest, entries.slice(101));
  assert.deepEqual(await ask(page(5)), [], 'a height that is not held');
  assert.equal(shard.executor.head.header.height, 5);
  snapshots.close();
});

test('a large state comes in pages of a bounded size, each after the last key of the one before', async () => {
  const { ask, storage, snapshots } = await server(1);
  const extra = Array.from({ length: 300 }, (_, n) => ({ key: STATE.key(Uint8Array.of(255, n >> 8, n & 255)), value: new Uint8Array(8_000).fill(1 + (n % 255)) }));
  await outcome<void>((done) => storage.commit({ puts: extra, deletes: [] }, done));
  await ask({ kind: 'snapshot-head' });
  const entries: SnapshotEntry[] = [];
  let pages = 0;
  for (let cursor: Uint8Array = new Uint8Array(0); pages === 0 || cursor.length > 0; pages++) {
    const [next, encoded] = (await ask(page(1, cursor)))!;
    assert.ok(encoded!.length < SNAPSHOT_PAGE_BYTES + 10_000 + 3 * SNAPSHOT_PAGE_ENTRIES_MAX);
    entries.push(...decodeSnapshotPage(encoded!));
    cursor = next!;
  }
  assert.equal(pages, 3);
  const stored = await outcome<readonly StorageEntry[]>((done) => storage.range({ ...STATE.all(), entriesMax: 100_000, bytesMax: 1 << 28 }, done));
  assert.deepEqual(entries, stored.map(({ key, value }) => ({ key: key.subarray(1), value })));
  snapshots.close();
});

test('views are bounded in number and time, and none is left behind', async () => {
  const { ask, grow, snapshots, clock } = await server(1);
  for (let n = 0; n < 4; n++) {
    const asked = await Promise.all([ask({ kind: 'snapshot-head' }), ask({ kind: 'snapshot-head' })]);
    assert.deepEqual(asked[0], asked[1], 'those who ask at once share one');
    await grow(1);
    clock.advance(SERVED_FRESH_MS);
  }
  assert.equal(snapshots.size, SERVED_MAX);
  assert.deepEqual(await ask(page(1)), [], 'the oldest has made room');
  assert.equal((await ask(page(4)))?.length, 2);
  clock.advance(SERVED_MS);
  assert.equal(snapshots.size, 0);
  assert.equal(clock.pending, 0);
  const during = ask({ kind: 'snapshot-head' });
  snapshots.close();
  assert.equal(await during, undefined);
  assert.equal(await ask({ kind: 'snapshot-head' }), undefined);
  assert.equal(snapshots.size, 0);
});

test('genesis is nothing to hand out, and neither is a beacon', async () => {
  const { ask } = await server(0);
  assert.deepEqual(await ask({ kind: 'snapshot-head' }), []);
  assert.deepEqual(await ask(page(0)), []);
  const { storage } = pumpedStorage();
  await store(storage, new TestBeacon(GENESIS).next([]), 'beacon');
  const serve = serveFrom(BEACON, { storage, hasher: CRYPTO, outbox: undefined, snapshots: undefined, forwarded: (_request, done) => done(undefined) });
  const asked = (request: WireRequest): Promise<readonly Uint8Array[] | undefined> => new Promise((resolve) => serve(request, resolve));
  assert.deepEqual(await asked({ kind: 'snapshot-head' }), []);
  assert.deepEqual(await asked(page(1)), []);
  assert.equal((await asked(from(1)))?.length, 1);
});

test('an empty validator starts from what another one serves, and serves in its turn', async () => {
  const source = await server(6);
  const checkHeader = (): undefined => undefined;
  const rootOf = (entries: Parameters<ShardState['load']>[0]): ReturnType<ShardState['load']> => new ShardState(CRYPTO).load(entries);
  const fetch = new SnapshotFetch({ shard: SHARD, ownHeight: 0, validators: [1] }, { hasher: CRYPTO, checkHeader, rootOf, consumed: () => 3 });
  let step: SnapshotStep;
  for (step = fetch.next(); step.kind === 'ask'; step = fetch.next()) assert.equal(fetch.answer(await source.ask(step.request)), undefined);
  assert.equal(step.kind, 'done');
  if (step.kind !== 'done') return;
  assert.deepEqual(step.missing, []);
  assert.deepEqual(step.snapshot.older.map(({ header }) => header.height), [4, 5]);

  const { storage } = pumpedStorage(7);
  await storeSnapshot(storage, step.snapshot);
  const start = (await outcome<RecoveredShard | undefined>((done) => recoverShard(storage, done, SHARD)))!;
  assert.ok(equalBytes(start.head.hash, source.shard.executor.head.hash));
  assert.deepEqual(new ShardState(CRYPTO).load(start.entries), source.shard.executor.head.header.stateRoot);
  const outbox = new Outbox();
  for (const { destination, entry } of start.outbox) outbox.adopt(destination, entry);
  const heir = serving(storage, new ManualClock(), outbox);
  const ask = (sequence: number): WireRequest => ({ kind: 'batches', destination: 1 as ShardId, fromSequence: sequence });
  assert.deepEqual(await heir.ask(ask(4)), await source.ask(ask(4)));
  assert.equal(decodeBatch((await heir.ask(ask(4)))![0]!).firstSequence, 4);
  assert.deepEqual(await heir.ask(ask(2)), [], 'with a gap before it, nothing follows on what was asked for');
  assert.deepEqual(heights(await heir.ask(from(4))), [4, 5, 6]);
  assert.deepEqual(await heir.ask(from(2)), []);
  heir.snapshots.close();
});
