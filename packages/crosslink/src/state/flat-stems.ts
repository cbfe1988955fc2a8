/** Stems and flat keys as bytes alone: what decides how fast states with many storage slots load, commit and are audited. Equal to the bigint forms (a test says so). */
import type { Hasher } from '../crypto.ts';
import { invariant } from '../errors.ts';
import { checkFlatKey, MAIN_STORAGE_CLASS } from './flat.ts';
import { CODE_OFFSET, HEADER_STORAGE_OFFSET, OWNER_BYTES, STEM_BYTES } from './keys.ts';

/** What a stem is the hash of: owner and tree index. */
const PREIMAGE_BYTES = 64;
/** Stems derived in one call of the hasher. */
const BATCH = 1024;
/** Bytes of a slot's key that name its stem; the last is the suffix. */
const SLOT_STEM_BYTES = 31;

/**
 * Writes the 64 bytes whose SHA-256 begins with the stem of a flat key: the owner, and the tree index in 32 bytes. Throws what `decodeFlatKey` throws.
 */
export function writeStemPreimage(key: Uint8Array, out: Uint8Array, at: number): void {
  checkFlatKey(key);
  for (let i = 0; i < OWNER_BYTES; i++) out[at + i] = key[i]!;
  const start = at + PREIMAGE_BYTES - (key.length - OWNER_BYTES - 1);
  out.fill(0, at + OWNER_BYTES, start);
  for (let i = OWNER_BYTES + 1; i < key.length; i++) out[start + i - OWNER_BYTES - 1] = key[i]!;
  if (key[OWNER_BYTES]! < MAIN_STORAGE_CLASS) return;
  // Plus 2^240: the last bit of the second byte.
  const carry = at + OWNER_BYTES;
  if (out[carry + 1]! === 0xff) out[carry]! += 1;
  out[carry + 1]! += 1;
}

/**
 * The stems of `count` flat keys, 31 bytes each, back to back, hashed in batches. A key may be overwritten once the next is asked for. Throws what `decodeFlatKey` throws,
 * and `invariant` if there are not `count`.
 */
export function deriveFlatStems(hasher: Hasher, keys: Iterable<Uint8Array>, count: number): Uint8Array {
  const stems = new Uint8Array(STEM_BYTES * count);
  const size = Math.min(BATCH, count);
  const input = new Uint8Array(PREIMAGE_BYTES * size);
  const hashes = new Uint8Array(32 * size);
  let done = 0;
  let filled = 0;
  const flush = (): void => {
    hasher.hashPairs(input.subarray(0, PREIMAGE_BYTES * filled), hashes.subarray(0, 32 * filled));
    for (let i = 0; i < filled; i++, done++) for (let k = 0; k < STEM_BYTES; k++) stems[STEM_BYTES * done + k] = hashes[32 * i + k]!;
    filled = 0;
  };
  for (const key of keys) {
    invariant(done + filled < count, 'as many flat keys as were said');
    writeStemPreimage(key, input, PREIMAGE_BYTES * filled);
    if (++filled === size) flush();
  }
  if (filled > 0) flush();
  invariant(done === count, 'as many flat keys as were said', { done, count });
  return stems;
}

/** Whether a slot (32 bytes at `at`, big-endian) is one of those that share the account's stem: 0 to 63. */
export function isHeaderSlot(slots: Uint8Array, at = 0): boolean {
  for (let i = 0; i < SLOT_STEM_BYTES; i++) if (slots[at + i] !== 0) return false;
  return slots[at + SLOT_STEM_BYTES]! < CODE_OFFSET - HEADER_STORAGE_OFFSET;
}

/**
 * Writes what follows the owner in the flat key of the main storage stem of a slot (32 bytes at `at`, which {@link isHeaderSlot} does not say of), and returns where the
 * key ends. The owner stands in the 32 bytes of `out` before `end`; the suffix is the slot's last byte.
 */
export function writeStorageIndex(slots: Uint8Array, at: number, out: Uint8Array, end: number): number {
  let first = 0;
  while (first < SLOT_STEM_BYTES && slots[at + first] === 0) first++;
  out[end] = MAIN_STORAGE_CLASS + SLOT_STEM_BYTES - first;
  let to = end + 1;
  for (let i = first; i < SLOT_STEM_BYTES; i++) out[to++] = slots[at + i]!;
  return to;
}

/** Whether a flat key is of main storage. The key is one that `checkFlatKey` passes. */
export function isStorageKey(key: Uint8Array): boolean {
  return key[OWNER_BYTES]! >= MAIN_STORAGE_CLASS;
}

/** The first slot (32 bytes, big-endian) of the main storage stem of a flat key; the others differ in the last byte. The key is one that `checkFlatKey` passes. */
export function firstSlotOf(key: Uint8Array): Uint8Array {
  const slot = new Uint8Array(32);
  const index = key.subarray(OWNER_BYTES + 1);
  slot.set(index, SLOT_STEM_BYTES - index.length);
  return slot;
}
