/** What the tests of the level storage share. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ascii, type Hash32, hash32 } from '@shardlab/crosslink';
import type { Done, StorageBatch, StorageEntry, StorageRange, StorageReader } from '../../src/ports.ts';
import type { StorageMetrics } from '../../src/storage/commit-queue.ts';
import type { LevelStorage, LevelStorageLimits } from '../../src/storage/level-storage.ts';
import { type OpenedLevelStorage, openLevelStorage, type StorageLogger } from '../../src/storage/open.ts';

/** The network that the tests' databases belong to. */
export const GENESIS: Hash32 = hash32(new Uint8Array(32).fill(7));

/** Logs nothing. */
export const SILENT: StorageLogger = { info: () => undefined, warn: () => undefined };

/** A directory that is gone after the test. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-storage-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Opens, creating if need be. */
export function open(
  directory: string,
  more: { readonly genesisHash?: Hash32; readonly createIfMissing?: boolean; readonly limits?: LevelStorageLimits; readonly metrics?: StorageMetrics } = {},
): Promise<OpenedLevelStorage> {
  const { genesisHash = GENESIS, createIfMissing = true, limits, metrics } = more;
  return openLevelStorage(
    { directory, genesisHash, createIfMissing, ...(limits === undefined ? {} : { limits }) },
    { logger: SILENT, ...(metrics === undefined ? {} : { metrics }) },
  );
}

/** The outcome of a callback operation as a promise: the tests' shape, not the product's. */
export function outcome<T>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => call((result) => (result.ok ? resolve(result.value) : reject(result.error))));
}

export const commit = (storage: LevelStorage, batch: Partial<StorageBatch>): Promise<void> =>
  outcome((done) => storage.commit({ puts: batch.puts ?? [], deletes: batch.deletes ?? [] }, done));
export const get = (reader: StorageReader, key: Uint8Array): Promise<Uint8Array | undefined> => outcome((done) => reader.get(key, done));
export const range = (reader: StorageReader, bounds: Partial<StorageRange> = {}): Promise<readonly StorageEntry[]> =>
  outcome((done) => reader.range({ gte: new Uint8Array(0), lt: new Uint8Array(8).fill(255), entriesMax: 1e6, bytesMax: 1e9, ...bounds }, done));
export const close = (storage: LevelStorage): Promise<void> => outcome((done) => storage.close(done));

/** An entry of ASCII key and value. */
export const entry = (key: string, value: string): StorageEntry => ({ key: ascii(key), value: ascii(value) });
/** Entries as ASCII, for comparisons that can be read. */
export const texts = (entries: readonly StorageEntry[]): string[] =>
  entries.map(({ key, value }) => `${Buffer.from(key).toString('latin1')}=${Buffer.from(value).toString('latin1')}`);

/** Names of LevelDB's files whose name ends so, oldest first. */
export function levelFiles(directory: string, ending: RegExp): string[] {
  return readdirSync(join(directory, 'level')).filter((name) => ending.test(name)).sort();
}

/** Every file that holds data, by path inside `directory`, in hex: LevelDB's own text log and locks are not among them. */
export function contents(directory: string): Record<string, string> {
  const out: Record<string, string> = { 'commit-marker': readFileSync(join(directory, 'commit-marker')).toString('hex') };
  for (const name of levelFiles(directory, /^(?!LOG|LOCK)/)) out[name] = readFileSync(join(directory, 'level', name)).toString('hex');
  return out;
}
