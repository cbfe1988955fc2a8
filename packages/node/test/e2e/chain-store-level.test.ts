import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Reader, type ShardId } from '@shardlab/crosslink';
import { ShardState } from '@shardlab/shard';
import { SystemClock } from '../../src/process/clock.ts';
import { type RecoveredShard, recoverShard } from '../../src/storage/chain-store.ts';
import { PinnedStates } from '../../src/storage/chain-store-pins.ts';
import { ChainReader } from '../../src/storage/chain-store-reader.ts';
import type { LevelStorage } from '../../src/storage/level-storage.ts';
import { openLevelStorage } from '../../src/storage/open.ts';
import { accountsOf, addressOf, CHAIN_ID, CRYPTO, outcome, store, TestBeacon, testGenesis, TestShard, transfer } from '../unit/chain-store-support.ts';

test('on level: blocks, pins under writes, and a start from what was stored', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-chain-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const genesis = testGenesis(2, 3000);
  const shard = new TestShard(genesis, 0);
  const open = async (): Promise<LevelStorage> => {
    const logger = { info: () => undefined, warn: () => undefined };
    return (await openLevelStorage({ directory, genesisHash: shard.genesisHash, createIfMissing: true }, { logger })).storage;
  };
  const close = (storage: LevelStorage): Promise<void> => outcome((done) => storage.close(done));
  const senders = accountsOf(genesis, 0, 1000);
  const beacon = new TestBeacon(genesis);
  let storage = await open();
  await outcome<void>((done) => storage.commit(shard.genesisBatch(), done));
  const block = async (nonce: number): Promise<void> => {
    const raws = senders.slice(nonce * 10, nonce * 10 + 200).map((from, index) => transfer(from, addressOf(senders[(index * 7) % 1000]!), 0 + (shard.state.account(key(from))?.nonce ?? 0)));
    await store(storage, await shard.next(raws));
    await store(storage, beacon.next([shard]));
  };
  const key = (index: number): string => String.fromCharCode(...addressOf(index));
  for (let height = 1; height <= 6; height++) await block(height);

  const pins = new PinnedStates({ storage, clock: new SystemClock() });
  const pin = await pins.pin(3);
  const entries: { key: Uint8Array; value: Uint8Array }[] = [];
  for (let cursor: Uint8Array | undefined, more = true; more; ) {
    const page = await pins.read(pin.id, cursor, 9_000);
    const reader = new Reader(page.entries);
    while (reader.remaining > 0) entries.push({ key: reader.fixed(reader.u16()), value: reader.fixed(reader.u16()) });
    if (entries.length < 300) await block(7);
    cursor = page.next;
    more = cursor !== undefined;
  }
  assert.deepEqual(new ShardState(CRYPTO).load(entries), shard.blocks[2]!.header.stateRoot, 'the pinned state has the root of its header');
  pins.close();
  await close(storage);

  storage = await open();
  const start = (await outcome<RecoveredShard | undefined>((done) => recoverShard(storage, done, 0 as ShardId)))!;
  const last = shard.blocks.at(-1)!;
  assert.deepEqual(start.head.hash, last.hash);
  assert.deepEqual(new ShardState(CRYPTO).load(start.entries), last.header.stateRoot);
  assert.equal(start.beaconTip?.height, beacon.records.length);
  const chain = new ChainReader({ chain: 0 as ShardId, chainId: CHAIN_ID }, { storage, hasher: CRYPTO });
  await chain.start();
  assert.deepEqual(chain.head?.hash, last.hash);
  assert.equal((await chain.place(last.transactions[5]!.hash))?.listed?.index, 5);
  await close(storage);
});
