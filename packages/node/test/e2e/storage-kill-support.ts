/** What the killed process commits, and how it is recognised afterwards. */
import type { StorageBatch, StorageEntry } from '../../src/ports.ts';

/** Commits whose records stay; older ones are deleted, so that compactions have work. */
export const KEPT = 200;
const RECORDS = 3;

const u32 = (value: number): Uint8Array => {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
};

/** Key of record `part` of commit `n`. */
export const keyOf = (n: number, part: number): Uint8Array => Uint8Array.of(1, ...u32(n), part);

/** Its value: some are beyond the 64 KB that LevelDB writes at once, so that a kill can tear them. */
export function valueOf(n: number, part: number): Uint8Array {
  const length = n % 7 === 0 ? 90_000 : 100 + (n % 50) * 20;
  return new Uint8Array(length).fill((n * 31 + part) & 0xff);
}

/** Commit `n`, from 1: three records, the number of the last commit under key 0, and the deletion of commit n - {@link KEPT}. */
export function batchOf(n: number): StorageBatch {
  const parts = Array.from({ length: RECORDS }, (_, part) => part);
  const puts: StorageEntry[] = parts.map((part) => ({ key: keyOf(n, part), value: valueOf(n, part) }));
  puts.push({ key: Uint8Array.of(0), value: u32(n) });
  return { puts, deletes: n > KEPT ? parts.map((part) => keyOf(n - KEPT, part)) : [] };
}

/** Decodes the record under key 0; 0 if there is none. */
export function lastCommit(value: Uint8Array | undefined): number {
  return value === undefined ? 0 : new DataView(value.buffer, value.byteOffset).getUint32(0);
}

/** All entries after commit `last`, in order. */
export function expectedAfter(last: number): StorageEntry[] {
  const entries: StorageEntry[] = last === 0 ? [] : [{ key: Uint8Array.of(0), value: u32(last) }];
  for (let n = Math.max(1, last - KEPT + 1); n <= last; n++) {
    for (let part = 0; part < RECORDS; part++) entries.push({ key: keyOf(n, part), value: valueOf(n, part) });
  }
  return entries;
}
