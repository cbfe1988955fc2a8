import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ascii, bytesKey } from '@shardlab/crosslink';

import type { Storage, StorageEntry, StorageReader } from '../../src/ports.ts';
import { Calls, type Drive } from './drive.ts';

/** One empty store with what makes its operations go on. */
export interface StorageUnderTest {
  readonly storage: Storage;
  readonly drive: Drive;
  /** Opens the same disk again after `storage.close`. */
  readonly reopen: () => Promise<Storage>;
  /** Closes what is open and removes what is left. */
  stop(): Promise<void>;
}

const ALL = { gte: new Uint8Array(0), lt: new Uint8Array(9).fill(255), entriesMax: 10_000, bytesMax: 1 << 26 } as const;

function put(key: string, value: string): StorageEntry {
  return { key: ascii(key), value: ascii(value) };
}

function text(entries: readonly StorageEntry[]): string[] {
  return entries.map((entry) => `${bytesKey(entry.key)}=${bytesKey(entry.value)}`);
}

class Session {
  readonly calls: Calls;

  constructor(drive: Drive) {
    this.calls = new Calls(drive);
  }

  async commit(storage: Storage, puts: readonly StorageEntry[], deletes: readonly string[] = []): Promise<void> {
    await this.calls.value<void>('commit', (done) => storage.commit({ puts, deletes: deletes.map(ascii) }, done));
  }

  async all(reader: StorageReader): Promise<string[]> {
    return text(await this.calls.value<readonly StorageEntry[]>('range', (done) => reader.range(ALL, done)));
  }

  async get(reader: StorageReader, key: string): Promise<string | undefined> {
    const value = await this.calls.value<Uint8Array | undefined>('get', (done) => reader.get(ascii(key), done));
    return value === undefined ? undefined : bytesKey(value);
  }
}

type Check = (title: string, body: (world: StorageUnderTest, session: Session) => Promise<void>) => void;

/** What every {@link Storage} does. */
export function storageCompliance(name: string, factory: () => Promise<StorageUnderTest>): void {
  const check: Check = (title, body) => {
    test(title, async () => {
      const world = await factory();
      try {
        const session = new Session(world.drive);
        await body(world, session);
        await session.calls.verify();
      } finally {
        await world.stop();
      }
    });
  };
  describe(`storage compliance: ${name}`, () => {
    commits(check);
    snapshots(check);
    ranges(check);
    closing(check);
  });
}

function commits(check: Check): void {
  check('a store starts empty', async ({ storage }, session) => {
    assert.equal(await session.get(storage, 'a'), undefined);
    assert.deepEqual(await session.all(storage), []);
  });

  check('what was committed is read back, changed and deleted', async ({ storage }, session) => {
    await session.commit(storage, [put('b', '2'), put('a', '1'), put('empty', '')]);
    assert.deepEqual(await session.all(storage), ['a=1', 'b=2', 'empty=']);
    assert.equal(await session.get(storage, 'empty'), '', 'an empty value is not an absent one');
    await session.commit(storage, [put('a', '3')], ['b', 'never']);
    assert.deepEqual(await session.all(storage), ['a=3', 'empty=']);
    assert.equal(await session.get(storage, 'b'), undefined);
    await session.commit(storage, []);
    assert.deepEqual(await session.all(storage), ['a=3', 'empty=']);
  });

  check('commits end in the order of their calls, and the last one wins', async ({ storage, drive }, session) => {
    const ended: number[] = [];
    for (let i = 0; i < 40; i++) {
      const puts = [put('last', `${i}`), put(`k${i}`, `${i}`)];
      const deletes = i === 0 ? [] : [ascii(`k${i - 1}`)];
      session.calls.start<void>(`commit ${i}`, (done) => storage.commit({ puts, deletes }, done), (result) => {
        assert.ok(result.ok);
        ended.push(i);
      });
    }
    await drive.until(() => ended.length === 40, 'all commits');
    assert.deepEqual(ended, Array.from({ length: 40 }, (_, i) => i));
    assert.deepEqual(await session.all(storage), ['k39=39', 'last=39']);
  });

  check('a batch is seen whole or not at all, and never again absent', async ({ storage, drive }, session) => {
    const keys = Array.from({ length: 60 }, (_, i) => `key${100 + i}`);
    const rounds = 30;
    let committed = 0;
    const seen: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const batch = { puts: keys.map((key) => put(key, `${round}`)), deletes: [] };
      session.calls.start<void>('commit', (done) => storage.commit(batch, done), () => (committed = round));
      const atLeast = committed;
      const snapshot = storage.snapshot();
      for (const reader of [storage, snapshot]) {
        session.calls.start<readonly StorageEntry[]>('range', (done) => reader.range(ALL, done), (result) => {
          assert.ok(result.ok);
          const values = new Set(result.value.map((entry) => bytesKey(entry.value)));
          assert.ok(values.size <= 1 && (result.value.length === 0 || result.value.length === keys.length), `torn: ${[...values].join()}`);
          const version = Number([...values][0] ?? 0);
          assert.ok(version >= atLeast, `a commit that was confirmed (${atLeast}) is not seen (${version})`);
          seen.push(version);
          if (reader === snapshot) snapshot.release();
        });
      }
      // Some rounds overlap, some do not.
      if (round % 3 === 0) await drive.until(() => committed === round, `commit ${round}`);
    }
    await drive.until(() => committed === rounds && seen.length === 2 * rounds, 'all rounds');
  });

  check('bytes belong to whoever has them', async ({ storage }, session) => {
    const mine = put('key', 'value');
    const started = session.calls.start<void>('commit', (done) => storage.commit({ puts: [mine], deletes: [] }, done));
    mine.value.fill(0);
    await session.calls.value('commit', started);
    assert.equal(await session.get(storage, 'key'), 'value', 'the caller changed it after the call');
    const read = await session.calls.value<Uint8Array | undefined>('get', (done) => storage.get(ascii('key'), done));
    read!.fill(0);
    const [entry] = await session.calls.value<readonly StorageEntry[]>('range', (done) => storage.range(ALL, done));
    entry!.value.fill(0);
    entry!.key.fill(0);
    assert.deepEqual(await session.all(storage), ['key=value'], 'a reader changed it');
  });

  check('large values and large batches', async ({ storage }, session) => {
    const large = new Uint8Array(1 << 20).map((_, i) => i * 31);
    const puts: StorageEntry[] = [{ key: ascii('large'), value: large }];
    for (let i = 0; i < 5000; i++) puts.push(put(`n${10_000 + i}`, `${i}`));
    await session.commit(storage, puts);
    const read = await session.calls.value<Uint8Array | undefined>('get', (done) => storage.get(ascii('large'), done));
    assert.deepEqual(read, large);
    const range = { ...ALL, gte: ascii('n') };
    const entries = await session.calls.value<readonly StorageEntry[]>('range', (done) => storage.range(range, done));
    assert.equal(entries.length, 5000);
    assert.deepEqual(text(entries).slice(-1), ['n14999=4999']);
  });

  check('what no batch may hold is refused when it is given', async ({ storage }, session) => {
    const never = (): never => assert.fail('called back');
    assert.throws(() => storage.commit({ puts: [put('a', '1')], deletes: [ascii('a')] }, never), { code: 'invariant' });
    assert.throws(() => storage.commit({ puts: [{ key: new Uint8Array(0), value: ascii('1') }], deletes: [] }, never), { code: 'invariant' });
    assert.throws(() => storage.get(new Uint8Array(1025), never), { code: 'invariant' });
    assert.deepEqual(await session.all(storage), []);
  });
}

function snapshots(check: Check): void {
  check('a snapshot shows one moment, whatever is written after it', async ({ storage }, session) => {
    await session.commit(storage, [put('a', '1'), put('b', '1'), put('d', '1')]);
    const first = storage.snapshot();
    await session.commit(storage, [put('a', '2'), put('c', '2')], ['b']);
    const second = storage.snapshot();
    await session.commit(storage, [put('e', '3')], ['a', 'c', 'd']);
    assert.deepEqual(await session.all(first), ['a=1', 'b=1', 'd=1']);
    assert.equal(await session.get(first, 'b'), '1');
    assert.equal(await session.get(first, 'c'), undefined);
    assert.deepEqual(await session.all(second), ['a=2', 'c=2', 'd=1']);
    first.release();
    first.release();
    assert.deepEqual(await session.all(second), ['a=2', 'c=2', 'd=1'], 'the other snapshot was released');
    second.release();
    assert.deepEqual(await session.all(storage), ['e=3']);
  });

  check('a snapshot that was released answers with an error', async ({ storage }, session) => {
    const snapshot = storage.snapshot();
    snapshot.release();
    const get = await session.calls.error<Uint8Array | undefined>('get', (done) => snapshot.get(ascii('a'), done));
    assert.equal(get.code, 'storage/released');
    const range = await session.calls.error<readonly StorageEntry[]>('range', (done) => snapshot.range(ALL, done));
    assert.equal(range.code, 'storage/released');
  });
}

function ranges(check: Check): void {
  const KEYS = [[0], [1], [1, 0], [1, 0, 255], [1, 1], [2], [127], [128], [255], [255, 255]];
  const fill = async (storage: Storage, session: Session): Promise<void> => {
    // Written out of order, read in order.
    const puts = [...KEYS].reverse().map((key) => ({ key: Uint8Array.from(key), value: new Uint8Array(10).fill(key.length) }));
    await session.commit(storage, puts);
  };
  interface Asked {
    readonly gte?: number[];
    readonly lt?: number[];
    readonly entriesMax?: number;
    readonly bytesMax?: number;
  }
  const keys = async (storage: Storage, session: Session, range: Asked, reverse?: boolean): Promise<number[][]> => {
    const whole = { ...ALL, ...range, gte: Uint8Array.from(range.gte ?? []), lt: Uint8Array.from(range.lt ?? [255, 255, 255]) };
    const asked = reverse === undefined ? whole : { ...whole, reverse };
    const entries = await session.calls.value<readonly StorageEntry[]>('range', (done) => storage.range(asked, done));
    return entries.map((entry) => [...entry.key]);
  };

  check('ranges are in byte order, a prefix first, the start inside and the end outside', async ({ storage }, session) => {
    await fill(storage, session);
    assert.deepEqual(await keys(storage, session, {}), KEYS);
    assert.deepEqual(await keys(storage, session, { gte: [1], lt: [2] }), [[1], [1, 0], [1, 0, 255], [1, 1]]);
    assert.deepEqual(await keys(storage, session, { gte: [1, 0, 0], lt: [1, 1] }), [[1, 0, 255]]);
    assert.deepEqual(await keys(storage, session, { gte: [3], lt: [128, 0] }), [[127], [128]]);
    assert.deepEqual(await keys(storage, session, { gte: [3], lt: [127] }), []);
    assert.deepEqual(await keys(storage, session, { gte: [2], lt: [2] }), []);
    assert.deepEqual(await keys(storage, session, { gte: [128], lt: [1] }), [], 'upside down');
    assert.deepEqual(await keys(storage, session, { gte: [255, 255, 1] }), []);
  });

  check('a reverse range has the same entries from the other end', async ({ storage }, session) => {
    await fill(storage, session);
    assert.deepEqual(await keys(storage, session, {}, true), [...KEYS].reverse());
    assert.deepEqual(await keys(storage, session, {}, false), KEYS);
    assert.deepEqual(await keys(storage, session, { gte: [1], lt: [2] }, true), [[1, 1], [1, 0, 255], [1, 0], [1]]);
    assert.deepEqual(await keys(storage, session, { gte: [1], lt: [2], entriesMax: 2 }, true), [[1, 1], [1, 0, 255]]);
    assert.deepEqual(await keys(storage, session, { gte: [128], lt: [1] }, true), [], 'upside down');
  });

  check('a range ends after entriesMax entries, or after the entry that reaches bytesMax', async ({ storage }, session) => {
    await fill(storage, session);
    assert.deepEqual(await keys(storage, session, { entriesMax: 0 }), []);
    assert.deepEqual(await keys(storage, session, { entriesMax: 3 }), KEYS.slice(0, 3));
    // The entries have 11, 11, 12, … bytes.
    assert.deepEqual(await keys(storage, session, { bytesMax: 1 }), KEYS.slice(0, 1));
    assert.deepEqual(await keys(storage, session, { bytesMax: 22 }), KEYS.slice(0, 2));
    assert.deepEqual(await keys(storage, session, { bytesMax: 23 }), KEYS.slice(0, 3));
    assert.deepEqual(await keys(storage, session, { bytesMax: 23, entriesMax: 2 }), KEYS.slice(0, 2));
    assert.deepEqual(await keys(storage, session, { bytesMax: 13 }, true), [[255, 255], [255]]);
  });
}

function closing(check: Check): void {
  check('close lets end what is under way, and everything after it fails', async ({ storage, drive }, session) => {
    const order: string[] = [];
    const { calls } = session;
    const snapshot = storage.snapshot();
    for (let i = 0; i < 5; i++) {
      calls.start<void>('commit', (done) => storage.commit({ puts: [put(`k${i}`, 'x')], deletes: [] }, done), (result) => {
        order.push(result.ok ? `commit ${i}` : result.error.code);
      });
    }
    const get = calls.start<Uint8Array | undefined>('get', (done) => storage.get(ascii('k0'), done));
    const close = calls.start<void>('close', (done) => storage.close(done), (result) => order.push(result.ok ? 'close' : result.error.code));
    const late = [
      calls.start<void>('late commit', (done) => storage.commit({ puts: [put('late', 'x')], deletes: [] }, done)),
      calls.start<Uint8Array | undefined>('late get', (done) => storage.get(ascii('k0'), done)),
      calls.start<readonly StorageEntry[]>('late range', (done) => storage.range(ALL, done)),
      calls.start<Uint8Array | undefined>('late snapshot get', (done) => snapshot.get(ascii('k0'), done)),
      calls.start<void>('second close', (done) => storage.close(done)),
    ];
    assert.throws(() => storage.snapshot(), { code: 'storage/closed' });
    await calls.value('close', close);
    assert.deepEqual(order, ['commit 0', 'commit 1', 'commit 2', 'commit 3', 'commit 4', 'close']);
    await drive.until(() => get.result !== undefined && late.every((call) => call.result !== undefined), 'ends of what was called');
    assert.ok(get.result!.ok, 'a read that was under way');
    for (const call of late) assert.equal(call.result!.ok ? 'ok' : call.result!.error.code, 'storage/closed');
    const after = await calls.error<Uint8Array | undefined>('get after close', (done) => storage.get(ascii('k0'), done));
    assert.equal(after.code, 'storage/closed');
  });

  check('what was committed is there when the disk is opened again', async ({ storage, reopen }, session) => {
    await session.commit(storage, [put('a', '1'), put('b', '2')]);
    await session.commit(storage, [put('a', '3')], ['b']);
    await session.calls.value<void>('close', (done) => storage.close(done));
    const again = await reopen();
    assert.deepEqual(await session.all(again), ['a=3']);
    await session.commit(again, [put('c', '4')]);
    assert.deepEqual(await session.all(again), ['a=3', 'c=4']);
  });
}
