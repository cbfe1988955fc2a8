import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesKey, type Height, Reader, ShardlabError, toHex, ZERO_HASH } from '@shardlab/crosslink';
import type { FlatChange } from '@shardlab/shard';
import fc from 'fast-check';
import type { Storage, StorageEntry } from '../../src/ports.ts';
import { genesisBatch } from '../../src/storage/chain-store.ts';
import { PIN_MS, PinnedStates, PINS_MAX } from '../../src/storage/chain-store-pins.ts';
import { encodeHead, encodeUndo } from '../../src/storage/chain-store-records.ts';
import { BLOCKS, META, STATE, UNDO } from '../../src/storage/key-space.ts';
import { ManualClock, outcome, pumpedStorage, store, testGenesis, TestShard } from './chain-store-support.ts';

const GENESIS = testGenesis(1, 4);
type Model = Map<string, Uint8Array>;

/** A stored chain whose blocks change arbitrary stems: the heights' heads are those of real blocks, the states are the model's. */
class Chain {
  readonly states: Model[];
  private readonly storage: Storage;
  private readonly head: StorageEntry[];

  constructor(storage: Storage, initial: Model) {
    this.storage = storage;
    this.states = [initial];
    const shard = new TestShard(GENESIS, 0);
    this.head = genesisBatch(shard.executor.head, []).puts.filter(({ key }) => key[0] === BLOCKS.prefix);
  }

  async start(): Promise<void> {
    const puts = [...this.states[0]!].map(([key, value]) => ({ key: STATE.key(bytes(key)), value }));
    await this.commit(0, puts, []);
  }

  /** One block that sets (undefined: removes) some stems. */
  async block(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    const before = this.states.at(-1)!;
    const after = new Map(before);
    const undo: FlatChange[] = [];
    const puts: StorageEntry[] = [];
    const deletes: Uint8Array[] = [];
    for (const [key, value] of changes) {
      undo.push({ key: bytes(key), value: before.get(key) });
      if (value === undefined) {
        after.delete(key);
        deletes.push(STATE.key(bytes(key)));
      } else {
        after.set(key, value);
        puts.push({ key: STATE.key(bytes(key)), value });
      }
    }
    const height = this.states.length;
    this.states.push(after);
    puts.push({ key: UNDO.key(height as Height), value: encodeUndo(undo) });
    await this.commit(height, puts, deletes);
  }

  private commit(height: number, puts: StorageEntry[], deletes: Uint8Array[]): Promise<void> {
    puts.push({ key: META.key('head'), value: encodeHead({ chain: 0 as never, height: height as Height, hash: ZERO_HASH }) });
    puts.push({ key: BLOCKS.key(height as Height), value: this.head[0]!.value });
    return outcome((done) => this.storage.commit({ puts, deletes }, done));
  }
}

const bytes = (key: string): Uint8Array => Uint8Array.from(key, (unit) => unit.charCodeAt(0));
const fails = (code: string) => (error: unknown): boolean => error instanceof ShardlabError && error.code === code;

/** Reads a pin to its end, in pages of `bytesMax`. */
async function readAll(pins: PinnedStates, id: string, bytesMax: number): Promise<{ entries: [string, string][]; pages: number }> {
  const entries: [string, string][] = [];
  let cursor: Uint8Array | undefined;
  for (let pages = 1; ; pages++) {
    assert.ok(pages < 5000, 'pages come to an end');
    const page = await pins.read(id, cursor, bytesMax);
    const reader = new Reader(page.entries);
    while (reader.remaining > 0) {
      const key = reader.fixed(reader.u16());
      entries.push([toHex(key), toHex(reader.fixed(reader.u16()))]);
    }
    if (page.next === undefined) return { entries, pages };
    assert.ok(cursor === undefined || bytesKey(page.next) > bytesKey(cursor), 'cursors move on');
    cursor = page.next;
  }
}

const expected = (model: Model): [string, string][] =>
  [...model].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [toHex(bytes(key)), toHex(value)]);

test('pages of a pinned height equal a naive model, whatever the chain does meanwhile', async () => {
  const key = fc.integer({ min: 0, max: 40 }).map((n) => String.fromCharCode(1 + (n % 7), n, ...(n % 3 === 0 ? [0] : [])));
  const value = fc.uint8Array({ minLength: 1, maxLength: 40 });
  const changes = fc.uniqueArray(fc.tuple(key, fc.option(value, { nil: undefined })), { selector: ([name]) => name, maxLength: 12 });
  const plan = fc.record({
    initial: fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 40 }),
    before: fc.array(changes, { maxLength: 8 }),
    after: fc.array(changes, { maxLength: 5 }),
    pinAt: fc.nat(),
    bytesMax: fc.integer({ min: 1, max: 200 }),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ initial, before, after, pinAt, bytesMax }) => {
      const { storage } = pumpedStorage();
      const chain = new Chain(storage, new Map(initial));
      await chain.start();
      for (const each of before) await chain.block(new Map(each));
      const height = pinAt % (before.length + 1);
      const pins = new PinnedStates({ storage, clock: new ManualClock() });
      const pin = await pins.pin(height);
      assert.equal(pin.height, height);
      for (const each of after) await chain.block(new Map(each));
      const { entries, pages } = await readAll(pins, pin.id, bytesMax);
      assert.deepEqual(entries, expected(chain.states[height]!));
      if (bytesMax === 1 && chain.states[height]!.size > 1) assert.ok(pages > 1);
      pins.close();
    }),
    { numRuns: 150 },
  );
});

test('pins are bounded, expire, and are refused for heights whose state is gone', async () => {
  const { storage } = pumpedStorage();
  const shard = new TestShard(GENESIS, 0);
  await outcome<void>((done) => storage.commit(shard.genesisBatch(), done));
  for (let height = 1; height <= 260; height++) await store(storage, await shard.next([]));
  const clock = new ManualClock();
  const pins = new PinnedStates({ storage, clock });
  await assert.rejects(pins.pin(261), fails('pin/height'));
  await assert.rejects(pins.pin(3), fails('pin/height'));
  const oldest = await pins.pin(4);
  assert.deepEqual(oldest.stateRoot, shard.blocks[3]!.header.stateRoot);
  assert.equal(oldest.expiresMs, clock.nowMs() + PIN_MS);
  const made = [oldest, ...(await Promise.all([pins.pin(260), pins.pin(259), pins.pin(258)]))];
  assert.equal(new Set(made.map((pin) => pin.id)).size, PINS_MAX);
  await assert.rejects(pins.pin(257), fails('pin/limit'));
  assert.equal(pins.unpin(made[1]!.id), true);
  assert.equal(pins.unpin(made[1]!.id), false);
  await assert.rejects(pins.read(made[1]!.id, undefined, 1000), fails('pin/unknown'));
  await pins.pin(257);
  clock.advance(PIN_MS - 1);
  assert.equal(pins.size, PINS_MAX);
  clock.advance(1);
  assert.equal(pins.size, 0);
  await assert.rejects(pins.read(oldest.id, undefined, 1000), fails('pin/unknown'));
  const last = await pins.pin(260);
  const during = pins.pin(259);
  pins.close();
  await assert.rejects(during, fails('pin/closed'));
  await assert.rejects(pins.pin(260), fails('pin/closed'));
  assert.equal(pins.unpin(last.id), false);
  assert.equal(clock.pending, 0, 'no timer holds the process');
});
