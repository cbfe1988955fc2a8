import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  accountOwner,
  bytesKey,
  decodeSnapshotHead,
  decodeSnapshotPage,
  encodeFlatKey,
  equalBytes,
  FLAT_KEY_BYTES_MAX,
  FLAT_VALUE_BYTES_MAX,
  type Height,
  Prng,
  Reader,
  type ShardId,
  ShardlabError,
  SNAPSHOT_PAGE_BYTES,
  toHex,
} from '@shardlab/crosslink';
import { type FlatEntry, ShardState } from '@shardlab/shard';
import type { Storage } from '../../src/ports.ts';
import { stateRootOf } from '../../src/sim/checkers/state-root-of.ts';
import { recoverShard, type RecoveredShard } from '../../src/storage/chain-store.ts';
import { PinnedStates } from '../../src/storage/chain-store-pins.ts';
import { ChainReader } from '../../src/storage/chain-store-reader.ts';
import { STATE } from '../../src/storage/key-space.ts';
import { ServedSnapshots } from '../../src/storage/served-snapshots.ts';
import { accountsOf, addressOf, CHAIN_ID, CRYPTO, ManualClock, outcome, pumpedStorage, store, testGenesis, TestShard, transfer } from './chain-store-support.ts';

const GENESIS = testGenesis(2, 24);
const HERE = accountsOf(GENESIS, 0, 6);
const CONTRACT = addressOf(HERE[4]!);
const PLAIN = addressOf(HERE[3]!);
const random = new Prng(7864);
/** Its middle chunks are zeros, so that a whole stem of them is absent. */
const CODE = Uint8Array.from(random.bytes(24_576), (byte, at) => (at >= 5_000 && at < 20_000 ? 0 : byte));
const DELEGATION = Uint8Array.from([0xef, 1, 0, ...random.bytes(20)]);
const NO_CODE = new Uint8Array(0);
const SCATTERED = Array.from({ length: 400 }, () => BigInt(toHex(random.bytes(32))));
const ARRAY = Array.from({ length: 600 }, (_, index) => 1024n + BigInt(index));
const HEADER = [0n, 1n, 63n, 64n];

function word(value: bigint): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));
}

function setSlots(state: ShardState, slots: readonly bigint[], value: (slot: bigint) => bigint): void {
  const account = state.open(bytesKey(CONTRACT));
  for (const slot of slots) state.setStorage(account, word(slot), word(value(slot)));
}

/** What is done to the contract's state before the next block, which has a transfer between others. */
const CHANGES: readonly ((state: ShardState) => void)[] = [
  () => undefined,
  (state) => {
    state.setCode(state.open(bytesKey(CONTRACT)), CODE);
    setSlots(state, [...SCATTERED, ...ARRAY, ...HEADER], (slot) => slot ^ 5n);
  },
  (state) => setSlots(state, [...SCATTERED.slice(0, 50), ...ARRAY.slice(0, 3), 63n], () => 8n),
  (state) => {
    setSlots(state, [...SCATTERED.slice(0, 300), ...ARRAY], () => 0n);
    state.setCode(state.open(bytesKey(PLAIN)), DELEGATION);
  },
  (state) => state.setCode(state.open(bytesKey(PLAIN)), NO_CODE),
];
/** Slots whose values are compared, and one that is never set. */
const WATCHED = [...SCATTERED.slice(40, 60), ...SCATTERED.slice(295, 305), ...ARRAY.slice(0, 5), ...ARRAY.slice(-2), ...HEADER, 2n];

interface Seen {
  readonly code: string;
  readonly plainCode: string;
  readonly slots: string[];
}

/** A stored chain of one block per change, and what its state held after each. */
async function chain(): Promise<{ readonly storage: Storage; readonly shard: TestShard; readonly seen: Seen[] }> {
  const shard = new TestShard(GENESIS, 0);
  const { storage } = pumpedStorage();
  await outcome<void>((done) => storage.commit(shard.genesisBatch(), done));
  const seen = [look(shard.state)];
  for (const [index, change] of CHANGES.entries()) {
    change(shard.state);
    await store(storage, await shard.next([transfer(HERE[2]!, addressOf(HERE[1]!), index)]));
    seen.push(look(shard.state));
  }
  return { storage, shard, seen };
}

function look(state: ShardState): Seen {
  const out = new Uint8Array(32);
  const slots = WATCHED.map((slot) => {
    state.storage(bytesKey(CONTRACT), word(slot), out);
    return toHex(out);
  });
  return { code: toHex(state.code(bytesKey(CONTRACT))), plainCode: toHex(state.code(bytesKey(PLAIN))), slots };
}

/** Flat entries of a pin, and the bytes of its largest page. */
async function readPin(pins: PinnedStates, id: string, bytesMax: number): Promise<{ entries: FlatEntry[]; largest: number }> {
  const entries: FlatEntry[] = [];
  let cursor: Uint8Array | undefined;
  let largest = 0;
  do {
    const page = await pins.read(id, cursor, bytesMax);
    largest = Math.max(largest, page.entries.length);
    const reader = new Reader(page.entries);
    while (reader.remaining > 0) entries.push({ key: reader.fixed(reader.u16()), value: reader.fixed(reader.u16()) });
    cursor = page.next;
  } while (cursor !== undefined);
  return { entries, largest };
}

test('code and storage are stored, and read at every height', async () => {
  const { storage, shard, seen } = await chain();
  const reader = new ChainReader({ chain: 0 as ShardId, chainId: CHAIN_ID }, { storage, hasher: CRYPTO });
  await reader.start();
  assert.deepEqual(seen.map(({ code }) => (code.length - 2) / 2), [0, 0, 24_576, 24_576, 24_576, 24_576]);
  assert.deepEqual(seen.map(({ plainCode }) => (plainCode.length - 2) / 2), [0, 0, 0, 0, 23, 0]);
  for (const [height, { code, plainCode, slots }] of seen.entries()) {
    assert.equal(toHex((await reader.codeAt(CONTRACT, height))!), code);
    assert.equal(toHex((await reader.codeAt(PLAIN, height))!), plainCode);
    const read = await Promise.all(WATCHED.map((slot) => reader.storageAt(CONTRACT, slot, height)));
    assert.deepEqual(read.map((value) => toHex(value!)), slots);
    assert.equal((await reader.accountAt(addressOf(HERE[2]!), height))!.nonce, height);
    assert.equal((await reader.accountAt(addressOf(HERE[1]!), height))!.balance, 100n * 10n ** 18n + 1000n * BigInt(height));
  }
  const { entries, head } = (await outcome<RecoveredShard | undefined>((done) => recoverShard(storage, done)))!;
  const again = new ShardState(CRYPTO);
  assert.deepEqual(again.load(entries), head.header.stateRoot);
  assert.deepEqual(look(again), look(shard.state));
  assert.equal(again.slotCount, shard.state.slotCount);
});

test('pinned states of every height hold code and storage, in pages of bounded size', async () => {
  const { storage, shard } = await chain();
  const pins = new PinnedStates({ storage, clock: new ManualClock() });
  for (let height = CHANGES.length; height > 0; height--) {
    const pin = await pins.pin(height);
    for (const bytesMax of [1, 5_000, 1 << 20]) {
      const { entries, largest } = await readPin(pins, pin.id, bytesMax);
      assert.deepEqual(stateRootOf(CRYPTO, entries), shard.blocks[height - 1]!.header.stateRoot);
      assert.ok(largest < bytesMax + FLAT_KEY_BYTES_MAX + FLAT_VALUE_BYTES_MAX + 4, `a page of ${largest} bytes where ${bytesMax} were asked for`);
    }
    pins.unpin(pin.id);
  }
});

test('served snapshots hold code and storage', async () => {
  const { storage, shard } = await chain();
  const served = new ServedSnapshots({ storage, clock: new ManualClock() });
  const asked = (ask: (answer: (items: readonly Uint8Array[] | undefined) => void) => void): Promise<readonly Uint8Array[]> => new Promise((resolve) => ask((items) => resolve(items!)));
  const [head] = await asked((answer) => served.head(answer));
  assert.ok(decodeSnapshotHead(head!).block.length > 0);
  const entries: FlatEntry[] = [];
  let cursor: Uint8Array = new Uint8Array(0);
  do {
    const [next, page] = await asked((answer) => served.page(CHANGES.length as Height, cursor, answer));
    assert.ok(page!.length < SNAPSHOT_PAGE_BYTES + FLAT_KEY_BYTES_MAX + FLAT_VALUE_BYTES_MAX + (1 << 16));
    entries.push(...decodeSnapshotPage(page!));
    cursor = next!;
  } while (cursor.length > 0);
  assert.deepEqual(new ShardState(CRYPTO).load(entries), shard.executor.head.header.stateRoot);
  served.close();
});

test('stored code that is none is damage, by name', async () => {
  const { storage } = await chain();
  const reader = new ChainReader({ chain: 0 as ShardId, chainId: CHAIN_ID }, { storage, hasher: CRYPTO });
  await reader.start();
  const key = STATE.key(encodeFlatKey({ owner: accountOwner(CONTRACT), treeIndex: 0n }));
  const value = await outcome<Uint8Array | undefined>((done) => storage.get(key, done));
  const damaged = value!.slice();
  damaged[damaged.length - 32]! ^= 0x1f;
  await outcome<void>((done) => storage.commit({ puts: [{ key, value: damaged }], deletes: [] }, done));
  assert.ok(!equalBytes(damaged, value!));
  await assert.rejects(reader.codeAt(CONTRACT, CHANGES.length), (error) => error instanceof ShardlabError && error.code === 'storage/damaged');
});
