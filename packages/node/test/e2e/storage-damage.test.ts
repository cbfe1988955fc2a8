/** Real damage to real files: what was synced is refused by name and left as it is, an unsynced tail is cut and told. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { ascii, Prng } from '@shardlab/crosslink';
import { CommitMarker, createMarker, readMarker } from '../../src/storage/commit-marker.ts';
import { createMaskedCrc, MalformedError } from '../../src/storage/leveldb/coding.ts';
import { scanLog } from '../../src/storage/leveldb/log.ts';
import { verifyTable } from '../../src/storage/leveldb/table.ts';
import { close, commit, contents, entry, GENESIS, get, levelFiles, open, range, temporaryDirectory, texts } from '../unit/storage-support.ts';

const SEED = 20_260_731;
const COMMITS = 40;
const expected = Array.from({ length: COMMITS }, (_, i) => `key-${100 + i}=${'v'.repeat(i * 9)}`);

/** A closed database with tables and a log: opening again moves what the first half wrote into a table. */
async function build(t: TestContext): Promise<string> {
  const directory = temporaryDirectory(t);
  for (const half of [0, COMMITS / 2]) {
    const { storage } = await open(directory);
    for (let i = half; i < half + COMMITS / 2; i++) await commit(storage, { puts: [entry(`key-${100 + i}`, 'v'.repeat(i * 9))] });
    await close(storage);
  }
  return directory;
}

const levelFile = (directory: string, ending: RegExp): string => join(directory, 'level', levelFiles(directory, ending).at(-1)!);

async function intact(directory: string, more: readonly string[] = []): Promise<void> {
  const { storage } = await open(directory, { createIfMissing: false });
  assert.deepEqual(texts(await range(storage)), [...expected, ...more]);
  await close(storage);
}

/** Refused with `pattern`, twice the same, and the files stay as they are. */
async function refused(directory: string, pattern: RegExp, code = 'storage/damaged'): Promise<void> {
  const before = contents(directory);
  for (let i = 0; i < 2; i++) {
    await assert.rejects(open(directory), (error: Error & { code: string }) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, pattern);
      assert.ok(!error.message.includes('\n'));
      return true;
    });
  }
  assert.ok(isDeepStrictEqual(contents(directory), before), 'a refusal changed files');
}

test('every byte of a table is checked', async (t) => {
  const directory = await build(t);
  const bytes = readFileSync(levelFile(directory, /\.ldb$/));
  const crc = await createMaskedCrc();
  verifyTable(bytes, crc);
  const unnoticed: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    bytes[at]! ^= 1 << (at % 8);
    try {
      verifyTable(bytes, crc);
      unnoticed.push(at - bytes.length);
    } catch (error) {
      assert.ok(error instanceof MalformedError, String(error));
    }
    bytes[at]! ^= 1 << (at % 8);
  }
  // The footer's two handles are padded to 40 bytes; the padding means nothing.
  assert.ok(unnoticed.length > 0 && unnoticed.every((at) => at >= -48 && at < -8), String(unnoticed));
  for (let length = 0; length < bytes.length; length += 7) assert.throws(() => verifyTable(bytes.subarray(0, length), crc), MalformedError);
});

test('a log: cut anywhere it is a prefix, flipped anywhere it shows', async (t) => {
  const directory = temporaryDirectory(t);
  const { storage } = await open(directory);
  // Records that span blocks of 32 KB, and ones that end near their edges.
  for (const size of [10, 32_600, 50, 70_000, 10, 3]) await commit(storage, { puts: [{ key: ascii('k'), value: new Uint8Array(size) }] });
  await close(storage);
  const crc = await createMaskedCrc();
  const bytes = readFileSync(levelFile(directory, /\.log$/));
  const whole = scanLog(bytes, crc);
  assert.deepEqual([whole.records.length, whole.damagedAt, whole.recordsFollow], [7, undefined, false]);
  const prng = new Prng(SEED);
  for (let i = 0; i < 300; i++) {
    const at = prng.below(bytes.length);
    const cut = scanLog(bytes.subarray(0, at), crc);
    assert.ok(cut.records.length < 7 && !cut.recordsFollow);
    assert.deepEqual(cut.records, whole.records.slice(0, cut.records.length));
    bytes[at]! ^= 0x10;
    const flipped = scanLog(bytes, crc);
    // Zeros that fill a block's end are the one part that no checksum covers, and that means nothing.
    if (flipped.damagedAt === undefined) assert.ok(at % 32_768 > 32_768 - 7 && flipped.records.length === 7, `byte ${at}`);
    else assert.ok(flipped.damagedAt <= at && flipped.records.length < 7);
    bytes[at]! ^= 0x10;
  }
});

test('flipped bits anywhere: refused by name, or all is there', async (t) => {
  const directory = await build(t);
  const saved = join(temporaryDirectory(t), 'saved');
  cpSync(directory, saved, { recursive: true });
  const files = ['commit-marker', ...levelFiles(directory, /^(CURRENT|MANIFEST-.*|.*\.log|.*\.ldb)$/).map((name) => join('level', name))];
  const prng = new Prng(SEED);
  let refusals = 0;
  for (let i = 0; i < 60; i++) {
    const path = join(directory, files[i % files.length]!);
    const bytes = readFileSync(path);
    const at = prng.below(bytes.length);
    bytes[at]! ^= 1 << prng.below(8);
    writeFileSync(path, bytes);
    const before = contents(directory);
    try {
      await intact(directory);
    } catch (error) {
      assert.match((error as { code: string }).code, /^storage\/(damaged|format)$/, `seed ${SEED}, ${path} at ${at}: ${String(error)}`);
      assert.ok(isDeepStrictEqual(contents(directory), before), `seed ${SEED}, ${path} at ${at}: a refusal changed files`);
      refusals++;
    }
    rmSync(directory, { recursive: true });
    cpSync(saved, directory, { recursive: true });
  }
  t.diagnostic(`${refusals} of 60 refused`);
  assert.ok(refusals >= 55);
});

test('a synced tail that was truncated is refused', async (t) => {
  const directory = await build(t);
  const log = levelFile(directory, /\.log$/);
  truncateSync(log, readFileSync(log).length - 5);
  await refused(directory, /1 synced writes are missing, it ends with 39 instead of 40/);
  truncateSync(log, 0);
  await refused(directory, /20 synced writes are missing/);
  rmSync(log);
  await refused(directory, /\.log: it is missing/);
});

test('damage between synced commits is refused, though LevelDB would pass over it', async (t) => {
  const directory = temporaryDirectory(t);
  const { storage } = await open(directory);
  // LevelDB drops the rest of the damaged block, of 32 KB, and reads on.
  for (let i = 0; i < 12; i++) await commit(storage, { puts: [{ key: ascii(`k${i}`), value: new Uint8Array(10_000) }] });
  await close(storage);
  const log = levelFile(directory, /\.log$/);
  const bytes = readFileSync(log);
  bytes[40_000]! ^= 1;
  writeFileSync(log, bytes);
  await refused(directory, /\.log: the write at \d+ is damaged/);
});

test('an unsynced tail is cut and told, once', async (t) => {
  const directory = await build(t);
  const log = levelFile(directory, /\.log$/);
  const bytes = readFileSync(log);
  // The write that was under way: its intent, and the first part of a record as long as an earlier one.
  const marker = new CommitMarker(join(directory, 'commit-marker'), readMarker(join(directory, 'commit-marker'), directory)!);
  marker.intend(COMMITS + 1);
  marker.close();
  appendFileSync(log, bytes.subarray(0, 60));
  const { storage, cut } = await open(directory);
  assert.equal(cut?.sequence, COMMITS);
  assert.equal(cut.tornBytes, 60);
  assert.match(cut.message, /write 40 was cut/);
  assert.deepEqual(texts(await range(storage)), expected);
  await commit(storage, { puts: [entry('z', '1')] });
  await close(storage);
  const again = await open(directory);
  assert.equal(again.cut, undefined);
  assert.deepEqual(texts(await range(again.storage)), [...expected, 'z=1']);
  await close(again.storage);
});

test('an intent of which nothing reached the disk is told too', async (t) => {
  const directory = await build(t);
  const path = join(directory, 'commit-marker');
  createMarker(path, { ...readMarker(path, directory)!, intent: COMMITS + 1 });
  const { storage, cut } = await open(directory);
  assert.deepEqual([cut?.sequence, cut?.tornBytes], [COMMITS, 0]);
  await close(storage);
});

test('an old marker, as a power cut may leave it, raises no false alarm', async (t) => {
  const directory = await build(t);
  const path = join(directory, 'commit-marker');
  createMarker(path, { ...readMarker(path, directory)!, intent: 30, synced: 29 });
  const { storage, cut } = await open(directory);
  assert.equal(cut, undefined);
  assert.deepEqual(texts(await range(storage)), expected);
  await close(storage);
});

test('files that were taken away or exchanged are refused, never made anew', async (t) => {
  const cases: readonly (readonly [RegExp, RegExp, (directory: string) => void])[] = [
    [/\.ldb$/, /\.ldb: it is missing/, (path) => rmSync(path)],
    [/\.ldb$/, /\.ldb: it has \d+ bytes instead of \d+/, (path) => truncateSync(path, 100)],
    [/^CURRENT$/, /CURRENT: it is missing/, (path) => rmSync(path)],
    [/^CURRENT$/, /MANIFEST-999999: it is missing/, (path) => writeFileSync(path, 'MANIFEST-999999\n')],
    [/^CURRENT$/, /CURRENT: it does not name a manifest/, (path) => writeFileSync(path, '')],
    [/^MANIFEST/, /MANIFEST-\d+: it is missing/, (path) => rmSync(path)],
    [/^MANIFEST/, /MANIFEST-\d+: the record at 0 is damaged/, (path) => truncateSync(path, 3)],
    [/^CURRENT$/, /it is missing/, (path) => rmSync(join(path, '..'), { recursive: true })],
  ];
  const built = await build(t);
  for (const [ending, pattern, spoil] of cases) {
    const directory = join(temporaryDirectory(t), 'copy');
    cpSync(built, directory, { recursive: true });
    spoil(levelFile(directory, ending));
    if (existsSync(join(directory, 'level'))) await refused(directory, pattern);
    else await assert.rejects(open(directory), pattern);
    assert.ok(existsSync(join(directory, 'commit-marker')));
  }
});

test('the marker: absent, damaged or of another format is refused; an older copy of the database is noticed', async (t) => {
  const directory = await build(t);
  const path = join(directory, 'commit-marker');
  const bytes = readFileSync(path);
  rmSync(path);
  await assert.rejects(open(directory), /commit-marker is missing/);
  writeFileSync(path, bytes.subarray(0, 64));
  await refused(directory, /commit-marker does not fit its checksum/);
  writeFileSync(path, '');
  await refused(directory, /commit-marker is not one/);
  const other = Buffer.from(bytes);
  other[11] = 9;
  writeFileSync(path, other);
  await refused(directory, /has format 9, this program reads format 1/, 'storage/format');
  writeFileSync(path, bytes);
  await intact(directory);
  const copy = join(temporaryDirectory(t), 'level');
  cpSync(join(directory, 'level'), copy, { recursive: true });
  const { storage } = await open(directory);
  await commit(storage, { puts: [entry('z', '1')] });
  await close(storage);
  rmSync(join(directory, 'level'), { recursive: true });
  cpSync(copy, join(directory, 'level'), { recursive: true });
  await assert.rejects(open(directory), /1 synced writes are missing/);
});

test('a creation that was interrupted goes on, wherever it was', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'commit-marker');
  createMarker(path, { genesisHash: GENESIS, created: false, intent: 0, synced: 0 });
  await close((await open(directory)).storage);
  createMarker(path, { genesisHash: GENESIS, created: false, intent: 0, synced: 0 });
  const { storage, cut } = await open(directory);
  assert.equal(cut, undefined);
  await commit(storage, { puts: [entry('a', '1')] });
  await close(storage);
  assert.equal(readMarker(path, directory)?.created, true);
});

test('bits that flip while the node runs are found by the value that they are in', async (t) => {
  const directory = await build(t);
  const { storage } = await open(directory);
  // Found in the table by its text; LevelDB maps the file, so the change is visible to it.
  const table = levelFiles(directory, /\.ldb$/)
    .map((name) => join(directory, 'level', name))
    .find((path) => readFileSync(path).includes('v'.repeat(9 * 15)))!;
  const bytes = readFileSync(table);
  bytes[bytes.indexOf('v'.repeat(9 * 15)) + 3]! ^= 1;
  writeFileSync(table, bytes, { flag: 'r+' });
  const found = await Promise.allSettled(Array.from({ length: COMMITS }, (_, i) => get(storage, ascii(`key-${100 + i}`))));
  const bad = found.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  assert.equal(bad.length, 1);
  assert.equal(bad[0]!.reason.code, 'storage/damaged');
  assert.match(bad[0]!.reason.message, /the record 0x6b65792d[0-9a-f]+ does not fit its checksum/);
  await assert.rejects(range(storage), { code: 'storage/damaged' });
  await close(storage);
  await assert.rejects(open(directory), /\.ldb: the block at \d+ does not fit its checksum/);
});
