import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ascii, hash32, InvariantError } from '@shardlab/crosslink';
import fc from 'fast-check';
import type { StorageBatch } from '../../src/ports.ts';
import { LEVEL_STORAGE_LIMITS } from '../../src/storage/level-storage.ts';
import { close, commit, entry, get, open, outcome, range, temporaryDirectory, texts } from './storage-support.ts';

test('what was committed is there, also after opening again', async (t) => {
  const directory = temporaryDirectory(t);
  const first = await open(directory);
  assert.equal(first.cut, undefined);
  await commit(first.storage, { puts: [entry('a', '1'), entry('b', ''), entry('c', '3')] });
  await commit(first.storage, { puts: [entry('a', '2')], deletes: [ascii('c')] });
  await close(first.storage);
  const { storage, cut } = await open(directory, { createIfMissing: false });
  assert.equal(cut, undefined);
  assert.deepEqual(texts(await range(storage)), ['a=2', 'b=']);
  const value = await get(storage, ascii('a'));
  assert.deepEqual(value, ascii('2'), 'a plain Uint8Array');
  assert.equal(await get(storage, ascii('c')), undefined);
  await close(storage);
});

test('ranges: bounds, limits, direction, and never the record of the store itself', async (t) => {
  const { storage } = await open(temporaryDirectory(t));
  const puts = Array.from({ length: 3000 }, (_, i) => entry(`k${String(i).padStart(4, '0')}`, `value ${i}`));
  await commit(storage, { puts });
  const all = texts(puts);
  assert.deepEqual(texts(await range(storage)), all);
  assert.deepEqual(texts(await range(storage, { reverse: true })), all.toReversed());
  assert.deepEqual(texts(await range(storage, { gte: ascii('k0010'), lt: ascii('k0020') })), all.slice(10, 20));
  assert.deepEqual(texts(await range(storage, { gte: ascii('k0010'), lt: ascii('k0020'), reverse: true, entriesMax: 3 })), all.slice(17, 20).toReversed());
  assert.deepEqual(texts(await range(storage, { entriesMax: 2 })), all.slice(0, 2));
  assert.deepEqual(await range(storage, { entriesMax: 0 }), []);
  // Entries of 12 bytes: the one that reaches the limit is the last.
  assert.equal((await range(storage, { bytesMax: 24 })).length, 2);
  assert.equal((await range(storage, { bytesMax: 25 })).length, 3);
  assert.equal((await range(storage, { bytesMax: 0 })).length, 1);
  assert.deepEqual(await range(storage, { gte: ascii('k2'), lt: ascii('k1') }), []);
  assert.deepEqual(await range(storage, { lt: new Uint8Array(0) }), []);
  await close(storage);
});

test('a snapshot does not change, and must be released', async (t) => {
  const { storage } = await open(temporaryDirectory(t));
  await commit(storage, { puts: [entry('a', '1')] });
  const snapshot = storage.snapshot();
  await commit(storage, { puts: [entry('b', '2')], deletes: [ascii('a')] });
  assert.deepEqual(texts(await range(snapshot)), ['a=1']);
  assert.deepEqual(await get(snapshot, ascii('a')), ascii('1'));
  assert.equal(await get(snapshot, ascii('b')), undefined);
  assert.deepEqual(texts(await range(storage)), ['b=2']);
  const underWay = range(snapshot);
  assert.equal(storage.snapshotsOpen, 1);
  snapshot.release();
  snapshot.release();
  assert.deepEqual(texts(await underWay), ['a=1'], 'a read that runs ends well');
  assert.equal(storage.snapshotsOpen, 0);
  await assert.rejects(get(snapshot, ascii('a')), { code: 'storage/released' });
  const left = storage.snapshot();
  await close(storage);
  await assert.rejects(get(left, ascii('a')), { code: 'storage/closed' });
});

test('commits that wait share a synced write, in order', async (t) => {
  const writes: number[] = [];
  const { storage } = await open(temporaryDirectory(t), { metrics: { synced: (commits) => writes.push(commits) } });
  const order: number[] = [];
  let returned = false;
  const all = Array.from({ length: 200 }, (_, i) =>
    outcome<void>((done) =>
      storage.commit({ puts: [entry('last', String(i))], deletes: i === 0 ? [] : [ascii(`n${i - 1}`)] }, (result) => {
        assert.ok(returned, 'never before the call has returned');
        order.push(i);
        done(result);
      }),
    ),
  );
  const read = get(storage, ascii('last'));
  returned = true;
  assert.equal(await read, undefined, 'a read sees what was synced when it was called');
  await Promise.all(all);
  assert.deepEqual(order, Array.from({ length: 200 }, (_, i) => i));
  assert.deepEqual(await get(storage, ascii('last')), ascii('199'));
  assert.equal(writes.reduce((a, b) => a + b), 200);
  assert.ok(writes.length <= 2, `200 commits of one turn took ${writes.length} syncs`);
  await close(storage);
});

test('a group ends at its limit of bytes', async (t) => {
  const writes: number[] = [];
  const limits = { ...LEVEL_STORAGE_LIMITS, groupBytesMax: 1000 };
  const { storage } = await open(temporaryDirectory(t), { limits, metrics: { synced: (commits) => writes.push(commits) } });
  const put = (size: number): Promise<void> => commit(storage, { puts: [{ key: ascii('k'), value: new Uint8Array(size - 1) }] });
  await Promise.all([put(400), put(600), put(1), put(5000), put(1)]);
  assert.deepEqual(writes, [2, 1, 1, 1]);
  await close(storage);
});

test('later changes of a batch do not show', async (t) => {
  const { storage } = await open(temporaryDirectory(t));
  const put = entry('key', 'value');
  const gone = ascii('gone');
  const committed = commit(storage, { puts: [put], deletes: [gone] });
  put.key.fill(0);
  put.value.fill(0);
  gone.fill(0);
  await committed;
  assert.deepEqual(texts(await range(storage)), ['key=value']);
  await close(storage);
});

test('a full queue is an error, final for all later commits', async (t) => {
  const directory = temporaryDirectory(t);
  for (const limits of [{ ...LEVEL_STORAGE_LIMITS, commitsMax: 3 }, { ...LEVEL_STORAGE_LIMITS, commitBytesMax: 6 }]) {
    const { storage } = await open(directory, { limits });
    const commits = ['a', 'b', 'c', 'd'].map((key) => commit(storage, { puts: [entry(key, '1')] }));
    const results = await Promise.allSettled(commits);
    assert.deepEqual(results.map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    await assert.rejects(commits[3]!, { code: 'storage/overload' });
    await assert.rejects(commit(storage, { puts: [entry('e', '1')] }), { code: 'storage/overload' });
    assert.deepEqual(texts(await range(storage)), ['a=1', 'b=1', 'c=1']);
    await close(storage);
  }
});

test('reads and snapshots are bounded', async (t) => {
  const { storage } = await open(temporaryDirectory(t), { limits: { ...LEVEL_STORAGE_LIMITS, readsMax: 2, snapshotsMax: 1 } });
  const reads = await Promise.allSettled([get(storage, ascii('a')), range(storage), get(storage, ascii('a'))]);
  assert.deepEqual(reads.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected']);
  await get(storage, ascii('a'));
  const snapshot = storage.snapshot();
  assert.throws(() => storage.snapshot(), { code: 'storage/overload' });
  snapshot.release();
  storage.snapshot().release();
  await close(storage);
});

test('close waits for what is under way; then everything fails by name', async (t) => {
  const directory = temporaryDirectory(t);
  const { storage } = await open(directory);
  const pending = [commit(storage, { puts: [entry('a', '1')] }), range(storage)];
  const closed = close(storage);
  await assert.rejects(commit(storage, { puts: [entry('b', '1')] }), { code: 'storage/closed' });
  await assert.rejects(get(storage, ascii('a')), { code: 'storage/closed' });
  await assert.rejects(close(storage), { code: 'storage/closed' });
  assert.throws(() => storage.snapshot(), { code: 'storage/closed' });
  await Promise.all([...pending, closed]);
  const again = await open(directory);
  assert.deepEqual(texts(await range(again.storage)), ['a=1']);
  await close(again.storage);
});

test('batches and ranges that make no sense are refused at the call', async (t) => {
  const { storage } = await open(temporaryDirectory(t));
  const never = (): void => assert.fail('a refused call has no outcome');
  const refuse = (batch: Partial<StorageBatch>): void =>
    assert.throws(() => storage.commit({ puts: [], deletes: [], ...batch }, never), InvariantError);
  refuse({ puts: [entry('', '1')] });
  refuse({ deletes: [new Uint8Array(1025)] });
  refuse({ puts: [entry('a', '1')], deletes: [ascii('a')] });
  assert.throws(() => storage.get(new Uint8Array(0), never), InvariantError);
  assert.throws(() => storage.range({ gte: ascii('a'), lt: ascii('b'), entriesMax: Infinity, bytesMax: 1 }, never), InvariantError);
  await close(storage);
});

test('it behaves as a sorted map does, whatever is committed', async (t) => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 3 });
  const bound = fc.uint8Array({ maxLength: 3 });
  const step = fc.record({ puts: fc.array(fc.record({ key, value: fc.uint8Array({ maxLength: 40 }) }), { maxLength: 6 }), deletes: fc.array(key, { maxLength: 3 }) });
  const { storage } = await open(temporaryDirectory(t));
  const model = new Map<string, string>();
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const query = fc.record({ gte: bound, lt: bound, reverse: fc.boolean(), entriesMax: fc.nat(12) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 4 }), query, async (steps, bounds) => {
      await Promise.all(
        steps.map(({ puts, deletes }) => {
          const written = new Set(puts.map((put) => hex(put.key)));
          const removed = deletes.filter((one) => !written.has(hex(one)));
          for (const one of removed) model.delete(hex(one));
          for (const put of puts) model.set(hex(put.key), hex(put.value));
          return commit(storage, { puts, deletes: removed });
        }),
      );
      const expected = [...model].filter(([at]) => at >= hex(bounds.gte) && at < hex(bounds.lt)).sort(([a], [b]) => (a < b ? -1 : 1));
      if (bounds.reverse) expected.reverse();
      const found = await range(storage, { ...bounds, bytesMax: 1e9 });
      assert.deepEqual(found.map((one) => [hex(one.key), hex(one.value)]), expected.slice(0, bounds.entriesMax));
    }),
    { numRuns: 150 },
  );
  await close(storage);
});

test('another network, another process, no database: refused by name', async (t) => {
  const directory = temporaryDirectory(t);
  await assert.rejects(open(`${directory}/none`, { createIfMissing: false }), { code: 'storage/missing' });
  const { storage } = await open(directory);
  await assert.rejects(open(directory), { code: 'storage/locked' });
  await commit(storage, { puts: [entry('a', '1')] });
  await close(storage);
  const genesisHash = hash32(new Uint8Array(32).fill(9));
  await assert.rejects(open(directory, { genesisHash }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'storage/foreign-network');
    assert.match(error.message, /0x0707.*0x0909/);
    return true;
  });
  const again = await open(directory);
  assert.deepEqual(texts(await range(again.storage)), ['a=1'], 'a refusal changes nothing');
  await close(again.storage);
});
