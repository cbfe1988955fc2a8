import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssignmentTable, bytesKey, type Height, type ShardId, ShardlabError, toHex, txHash, ZERO_HASH } from '@shardlab/crosslink';
import { ShardState } from '@shardlab/shard';
import fc from 'fast-check';
import type { Storage } from '../../src/ports.ts';
import { batchOf, type RecoveredBeacon, type RecoveredShard, recoverBeacon, recoverShard } from '../../src/storage/chain-store.ts';
import { ChainReader } from '../../src/storage/chain-store-reader.ts';
import { decodeUndo, encodeUndo, UNDO_HEIGHTS } from '../../src/storage/chain-store-records.ts';
import { BEACON_BLOCKS, BLOCKS, EPOCH_CERTIFICATES, META, TRANSACTIONS, UNDO } from '../../src/storage/key-space.ts';
import { accountsOf, addressOf, CHAIN_ID, CRYPTO, outcome, pumpedStorage, recovered, store, TestBeacon, testGenesis, TestShard, transfer } from './chain-store-support.ts';

const GENESIS = testGenesis(2, 24);
const HERE = accountsOf(GENESIS, 0, 6);
const THERE = accountsOf(GENESIS, 1, 6);

async function shardStore(): Promise<{ storage: Storage; shard: TestShard; keys: () => number }> {
  const { storage, keys } = pumpedStorage();
  const shard = new TestShard(GENESIS, 0);
  const batch = shard.genesisBatch();
  await outcome<void>((done) => storage.commit(batch, done));
  return { storage, shard, keys };
}

const recover = (storage: Storage, expected?: ShardId): Promise<RecoveredShard | undefined> => outcome((done) => recoverShard(storage, done, expected));
const remove = (storage: Storage, key: Uint8Array): Promise<void> => outcome((done) => storage.commit({ puts: [], deletes: [key] }, done));
const put = (storage: Storage, key: Uint8Array, value: Uint8Array): Promise<void> =>
  outcome((done) => storage.commit({ puts: [{ key, value }], deletes: [] }, done));
const damage = (what: RegExp) => (error: unknown): boolean => error instanceof ShardlabError && error.code === 'storage/damaged' && what.test(error.message);

test('an empty store recovers to nothing, a fresh one to genesis', async () => {
  const { storage } = pumpedStorage();
  assert.equal(await recover(storage), undefined);
  const beacon = await outcome<RecoveredBeacon>((done) => recoverBeacon(storage, done));
  assert.deepEqual(beacon, { tip: undefined, crosslinks: new Map(), epochs: [], votes: { state: undefined, proposals: [] } });

  const fresh = await shardStore();
  const start = (await recover(fresh.storage, 0 as ShardId))!;
  assert.equal(start.head.header.height, 0);
  assert.deepEqual(start.head.hash, fresh.shard.executor.head.hash);
  assert.equal(start.head.certificate.signatures.length, 0);
  assert.equal(start.entryCount, fresh.shard.genesisEntries.length);
  assert.deepEqual(new ShardState(CRYPTO).load(start.entries), start.head.header.stateRoot);
});

test('blocks, state, outbox, epochs and the beacon tip come back as they were stored', async () => {
  const { storage, shard } = await shardStore();
  const other = new TestShard(GENESIS, 1);
  const beacon = new TestBeacon(GENESIS);
  await store(storage, await shard.next([transfer(HERE[0]!, addressOf(HERE[1]!), 0), transfer(HERE[2]!, addressOf(THERE[0]!), 0)]));
  await store(storage, beacon.next([shard]));
  await store(storage, await shard.next([transfer(HERE[0]!, addressOf(THERE[1]!), 1)]));
  await other.next([], shard.sentTo(1 as ShardId));
  // The vote for the first two arrives, and the other shard has consumed the first entry.
  const third = await shard.next([], other.sentTo(0 as ShardId), [
    { destination: 1 as ShardId, firstSequence: 1 },
    { destination: 1 as ShardId, firstSequence: 1 },
  ]);
  await store(storage, third);
  await store(storage, beacon.next([shard, other]));

  const start = (await recover(storage))!;
  assert.deepEqual(start.head.header, third.block.header);
  assert.deepEqual(start.head.pairs, third.block.body.pairs);
  assert.deepEqual(start.head.certificate, third.certificate);
  assert.deepEqual(new ShardState(CRYPTO).load(start.entries), third.block.header.stateRoot);
  assert.deepEqual(
    start.outbox.map(({ destination, entry }) => [destination, entry.firstSequence, entry.lastSequence, entry.height]),
    [
      [1, 2, 2, 2],
      [1, 3, 4, 3],
    ],
  );
  assert.equal(start.epochs.length, 1);
  assert.deepEqual(start.beaconTip, { height: 2, hash: beacon.records[1]!.hash });
  assert.deepEqual([...start.entries], [], 'entries are walked once');
});

test('a beacon recovers its tip, its epochs and where each shard stands', async () => {
  const { storage } = pumpedStorage();
  const shards = [new TestShard(GENESIS, 0), new TestShard(GENESIS, 1)];
  const beacon = new TestBeacon(GENESIS);
  await shards[0]!.next([]);
  await shards[1]!.next([]);
  await store(storage, beacon.next(shards), 'beacon');
  await shards[0]!.next([]);
  await shards[0]!.next([]);
  await store(storage, beacon.next(shards), 'beacon');
  const start = await outcome<RecoveredBeacon>((done) => recoverBeacon(storage, done));
  const { block, hash } = beacon.records[1]!;
  assert.deepEqual(start.tip, { height: 2, hash, timestampMs: block.header.timestampMs, epoch: 0, certificate: block.certificate });
  assert.deepEqual(
    [...start.crosslinks].sort((a, b) => a[0] - b[0]).map(([shard, tip]) => [shard, tip.height, toHex(tip.hash)]),
    shards.map(({ shard, blocks }) => [shard, blocks.at(-1)!.header.height, toHex(blocks.at(-1)!.hash)]),
  );
  assert.equal(start.epochs.length, 1);
});

test('damage and foreign stores are refused by name', async () => {
  const make = async (): Promise<Storage> => {
    const { storage, shard } = await shardStore();
    const beacon = new TestBeacon(GENESIS);
    await store(storage, await shard.next([]));
    await store(storage, beacon.next([shard]));
    return storage;
  };
  const cases: [name: string, hurt: (storage: Storage) => Promise<void>, what: RegExp][] = [
    ['head record gone', (storage) => remove(storage, META.key('head')), /record of the head is missing/],
    ['head record garbled', (storage) => put(storage, META.key('head'), Uint8Array.of(9)), /record of the head can not be read/],
    ['head block gone', (storage) => remove(storage, BLOCKS.key(1 as Height)), /block 1, the head, is missing/],
    ['head block cut', (storage) => put(storage, BLOCKS.key(1 as Height), new Uint8Array(10)), /block 1 can not be read/],
    ['undo record gone', (storage) => remove(storage, UNDO.key(1 as Height)), /undo record of block 1 is missing/],
    ['epoch gone', (storage) => remove(storage, EPOCH_CERTIFICATES.key(0)), /certificate of epoch 0 is missing/],
    ['beacon block gone', (storage) => remove(storage, BEACON_BLOCKS.key(1 as Height)), /beacon block 1 is missing/],
  ];
  for (const [name, hurt, what] of cases) {
    const storage = await make();
    await hurt(storage);
    await assert.rejects(recover(storage), damage(what), name);
  }
  const swapped = await make();
  const genesis = await outcome<Uint8Array | undefined>((done) => swapped.get(BLOCKS.key(0 as Height), done));
  await put(swapped, BLOCKS.key(1 as Height), genesis!);
  await assert.rejects(recover(swapped), damage(/block 1 is not the head/));

  const foreign = (error: unknown): boolean => error instanceof ShardlabError && error.code === 'storage/foreign-chain';
  const ours = await make();
  await assert.rejects(outcome((done) => recoverBeacon(ours, done)), foreign);
  await assert.rejects(recover(ours, 1 as ShardId), foreign);
  const { storage: beaconStore } = pumpedStorage();
  await store(beaconStore, new TestBeacon(GENESIS).next([]), 'beacon');
  await assert.rejects(recover(beaconStore), foreign);
});

test('places, tombstones and open records follow a cross-shard transaction', async () => {
  const { storage, shard } = await shardStore();
  const other = new TestShard(GENESIS, 1);
  const reader = new ChainReader({ chain: 0 as ShardId, chainId: CHAIN_ID }, { storage, hasher: CRYPTO });
  await reader.start();
  const local = transfer(HERE[0]!, addressOf(HERE[1]!), 0);
  const across = transfer(HERE[2]!, addressOf(THERE[0]!), 0, 77n);
  const [localTx, acrossTx] = await recovered([local, across]);
  const push = async (record: Awaited<ReturnType<TestShard['next']>>): Promise<void> => {
    await store(storage, record);
    reader.stored(record);
  };
  await push(await shard.next([local, across]));
  assert.deepEqual(await reader.place(localTx!.hash), { bodyHeight: 1, bodyIndex: 0, listed: { height: 1, index: 0 } });
  assert.deepEqual(await reader.place(acrossTx!.hash), { bodyHeight: 1, bodyIndex: 1, listed: undefined });
  assert.equal((await reader.coordinating(acrossTx!.hash))?.phase, 'preparing');
  assert.equal(await reader.tombstone(acrossTx!.hash), undefined);
  await other.next([], shard.sentTo(1 as ShardId));
  await push(await shard.next([], other.sentTo(0 as ShardId)));
  await other.next([], shard.sentTo(1 as ShardId));
  await push(await shard.next([], other.sentTo(0 as ShardId)));
  const ended = await reader.tombstone(acrossTx!.hash);
  assert.equal(ended?.commit, true);
  assert.equal(await reader.coordinating(acrossTx!.hash), undefined);
  assert.deepEqual(await reader.place(acrossTx!.hash), { bodyHeight: 1, bodyIndex: 1, listed: { height: 3, index: 0 } });
  assert.equal(await reader.place(txHash(ZERO_HASH)), undefined);
  assert.equal((await reader.block(3))?.block.receipts[0]?.crossShard, true);
  assert.deepEqual((await reader.headAt(2))?.hash, shard.blocks[1]!.hash);
  assert.deepEqual(await reader.placeOfBlock(shard.blocks[1]!.hash), { chain: 0, height: 2 });
});

test('one block is one batch in which no key stands twice', async () => {
  const { shard } = await shardStore();
  const raws = HERE.flatMap((from, index) => [0, 1, 2].map((nonce) => transfer(from, addressOf((nonce === 1 ? THERE : HERE)[(index + 1) % 6]!), nonce)));
  const record = await shard.next(raws);
  // A consumed entry with the sequence of one that leaves now can not be; if it were, the key must still stand once.
  const { puts, deletes } = batchOf({ ...record, consumed: [{ destination: 1 as ShardId, firstSequence: 1 }] }, 'shard');
  const keys = [...puts.map(({ key }) => toHex(key)), ...deletes.map((key) => toHex(key))];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(record.block.transactions.length, 18);
  assert.equal(puts.filter(({ key }) => key[0] === TRANSACTIONS.prefix).length, 18);
});

test('undo records: round trip, and bounds on what is read', () => {
  const change = fc.record(
    {
      key: fc.uint8Array({ minLength: 1, maxLength: 64 }),
      value: fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 }), { nil: undefined }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 50 }), (undo) => {
      const encoded = encodeUndo(undo);
      assert.deepEqual(decodeUndo(encoded), undo);
      for (const cut of [encoded.length - 1, 3]) if (cut < encoded.length) assert.throws(() => decodeUndo(encoded.subarray(0, cut)), { code: 'decode/truncated' });
      assert.throws(() => decodeUndo(new Uint8Array([...encoded, 0])), { code: 'decode/trailing' });
    }),
  );
  assert.throws(() => decodeUndo(Uint8Array.of(1, 0xff, 0xff, 0xff, 0xff)), { code: 'decode/bound' });
});

test('old undo records go, and accounts can be read at every height that still has them', async () => {
  const { storage, shard } = await shardStore();
  const reader = new ChainReader({ chain: 0 as ShardId, chainId: CHAIN_ID }, { storage, hasher: CRYPTO });
  await reader.start();
  const account = addressOf(HERE[0]!);
  const history: { balance: bigint; nonce: number }[] = [await reader.account(account)];
  for (let height = 1; height <= UNDO_HEIGHTS + 4; height++) {
    const raws = height % 5 === 0 ? [transfer(HERE[0]!, addressOf(HERE[1]!), history.at(-1)!.nonce)] : [];
    const record = await shard.next(raws);
    await store(storage, record);
    reader.stored(record);
    history.push({ balance: shard.state.account(bytesKey(account))!.balance, nonce: shard.state.account(bytesKey(account))!.nonce });
  }
  for (const height of [4, 5, 9, 10, 100, 259, 260]) assert.deepEqual(await reader.accountAt(account, height), history[height], `height ${height}`);
  assert.equal(await reader.accountAt(account, 3), undefined, 'beyond the undo records');
  const undo = await outcome<readonly unknown[]>((done) => storage.range({ ...UNDO.all(), entriesMax: 1000, bytesMax: 1 << 30 }, done));
  assert.equal(undo.length, UNDO_HEIGHTS);
  assert.ok(await recover(storage));
});

test('the beacon side finds which block crosslinks a height, and each shard\'s tip', async () => {
  const { storage, shard } = await shardStore();
  const other = new TestShard(GENESIS, 1);
  const beacon = new TestBeacon(GENESIS);
  const expected = new Map<string, number>();
  let state = 12345;
  const roll = (bound: number): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % bound;
  for (let round = 1; round <= 12; round++) {
    for (const each of [shard, other]) {
      for (let more = roll(4); more > 0; more--) {
        const raws = each === shard && more === 1 ? [transfer(HERE[3]!, addressOf(HERE[1]!), shard.state.account(bytesKey(addressOf(HERE[3]!)))!.nonce)] : [];
        await each.next(raws);
        expected.set(`${each.shard}/${each.blocks.length}`, round);
      }
    }
    await store(storage, beacon.next([shard, other]));
  }
  const reader = new ChainReader({ chain: 0 as ShardId, chainId: CHAIN_ID }, { storage, hasher: CRYPTO });
  await reader.start();
  assert.equal(reader.beaconHead?.height, 12);
  for (const [id, round] of expected) {
    const [shardIndex, height] = id.split('/').map(Number) as [ShardId, Height];
    const run = (await reader.beacon.runWith(shardIndex, height))!;
    assert.equal(run.beaconHeight, round, id);
    assert.ok(run.firstHeight <= height && height <= run.lastHeight);
    const source = shardIndex === 0 ? shard : other;
    const listed = source.blocks.slice(run.firstHeight - 1, run.lastHeight).reduce((sum, block) => sum + block.receipts.length, 0);
    assert.equal(run.transactions - run.transactionsBefore, listed);
    assert.equal((await reader.beacon.tip(shardIndex, round))?.height, run.lastHeight);
  }
  assert.equal(await reader.beacon.runWith(0 as ShardId, (shard.blocks.length + 1) as Height), undefined);
  assert.equal(await reader.beacon.runWith(1 as ShardId, (other.blocks.length + 1) as Height), undefined);
  const table = new AssignmentTable(CRYPTO, { shards: 2, overrides: [] });
  assert.equal(table.shardOf(addressOf(HERE[3]!)), 0);
});
