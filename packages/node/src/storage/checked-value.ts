/**
 * Values with a checksum. LevelDB keeps a CRC-32C for each block, but compares it on reads and in compactions only under `verify_checksums` and
 * `paranoid_checks` (leveldb/options.h: both false by default), and classic-level 3 has no option for either (its index.d.ts, `OpenOptions`
 * and `ReadOptions`). So each value carries its own: a flipped bit is found whenever a value is read, also after a compaction has copied it
 * into a block with a fresh block checksum.
 */
import { crc32 } from 'node:zlib';
import { type ShardlabError, toHex } from '@shardlab/crosslink';
import type { StorageEntry } from '../ports.ts';
import { damaged } from './errors.ts';

/** Bytes that a value grows by: the CRC-32 (ISO 3309) of key and value, big-endian, at its end. */
export const CHECKSUM_BYTES = 4;

/** Copies `entries` with their checksums into one buffer, an allocation for a whole batch: later changes of the originals do not show. */
export function seal(entries: readonly StorageEntry[]): StorageEntry[] {
  let sizeBytes = 0;
  for (const { key, value } of entries) sizeBytes += key.length + value.length + CHECKSUM_BYTES;
  const buffer = new Uint8Array(sizeBytes);
  const view = new DataView(buffer.buffer);
  const sealed: StorageEntry[] = [];
  let at = 0;
  for (const { key, value } of entries) {
    const valueAt = at + key.length;
    const checksumAt = valueAt + value.length;
    buffer.set(key, at);
    buffer.set(value, valueAt);
    // Over the key too: a value that turns up under a damaged key is found as well.
    view.setUint32(checksumAt, crc32(buffer.subarray(at, checksumAt)));
    sealed.push({ key: buffer.subarray(at, valueAt), value: buffer.subarray(valueAt, checksumAt + CHECKSUM_BYTES) });
    at = checksumAt + CHECKSUM_BYTES;
  }
  return sealed;
}

/** The value inside `sealed`, a view of it, or undefined where the checksum does not fit. */
export function unseal(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  const length = sealed.length - CHECKSUM_BYTES;
  if (length < 0) return undefined;
  // A plain Uint8Array, though the binding hands out Buffers, whose `slice` and equality differ.
  const value = new Uint8Array(sealed.buffer, sealed.byteOffset, length);
  const found = new DataView(sealed.buffer, sealed.byteOffset + length, CHECKSUM_BYTES).getUint32(0);
  return crc32(value, crc32(key)) === found ? value : undefined;
}

/** Names the record whose checksum does not fit. */
export function damagedValue(directory: string, key: Uint8Array): ShardlabError {
  return damaged(directory, `the record ${toHex(key)} does not fit its checksum`, { key: toHex(key) });
}
