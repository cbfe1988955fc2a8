import { DecodeError, InvariantError } from '../errors.ts';
import { OWNER_BYTES, type Owner, STEM_WIDTH, TREE_INDEX_MAX } from './keys.ts';

/** What a stem is the hash of: enough to enumerate the state by owner, which hashes do not allow. */
export interface StemPreimage {
  /** 32 bytes. */
  readonly owner: Owner;
  /** 0 to {@link TREE_INDEX_MAX}. */
  readonly treeIndex: bigint;
}

/** One leaf of a stem: suffix 0 to 255, and a value of 32 bytes that is not zero. */
export interface StemLeaf {
  readonly suffix: number;
  readonly value: Uint8Array;
}

/** Most bytes of a flat key: owner, class, and 31 bytes of index. */
export const FLAT_KEY_BYTES_MAX = OWNER_BYTES + 1 + 31;
/** Most bytes of a flat value: version, count, and 256 leaves. */
export const FLAT_VALUE_BYTES_MAX = 2 + STEM_WIDTH * 33;

/** First byte of every flat value. */
export const FLAT_VALUE_VERSION = 1;
/** Index of the first stem of main storage, MAIN_STORAGE_OFFSET / 256. */
const MAIN_STORAGE_INDEX = 1n << 240n;
/** Classes 0 to 30 are indices below main storage with that many bytes, 31 to 62 are offsets into it with 0 to 31 bytes. */
export const MAIN_STORAGE_CLASS = 31;
/** Most bytes of an index, or of an offset into main storage. */
const INDEX_BYTES_MAX = 31;

/**
 * The key under which a stem's leaves stand in the database, and by which an auditor lists the state: owner (32), a class byte, and the index
 * without leading zeros. An account's own stem takes 33 bytes, and the first stem of its main storage too. Keys sort by (owner, treeIndex), no key is
 * a prefix of another, and there is one encoding per stem. Throws `invariant` on values out of range.
 */
export function encodeFlatKey(preimage: StemPreimage): Uint8Array {
  const { owner, treeIndex } = preimage;
  if (owner.length !== OWNER_BYTES || treeIndex < 0n || treeIndex > TREE_INDEX_MAX) {
    throw new InvariantError('not a stem preimage', { ownerBytes: owner.length, treeIndex: String(treeIndex) });
  }
  const inMain = treeIndex >= MAIN_STORAGE_INDEX;
  let rest = inMain ? treeIndex - MAIN_STORAGE_INDEX : treeIndex;
  let bytes = 0;
  for (let more = rest; more > 0n; more >>= 8n) bytes++;
  const out = new Uint8Array(OWNER_BYTES + 1 + bytes);
  out.set(owner);
  out[OWNER_BYTES] = inMain ? MAIN_STORAGE_CLASS + bytes : bytes;
  for (let at = out.length - 1; at > OWNER_BYTES; at--) {
    out[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

/** The inverse of {@link encodeFlatKey}; the owner is a view. Throws `decode/truncated`, `decode/trailing` or `decode/range`. */
export function decodeFlatKey(key: Uint8Array): StemPreimage {
  checkFlatKey(key);
  let treeIndex = 0n;
  for (let at = OWNER_BYTES + 1; at < key.length; at++) treeIndex = (treeIndex << 8n) | BigInt(key[at]!);
  const inMain = key[OWNER_BYTES]! >= MAIN_STORAGE_CLASS;
  return { owner: key.subarray(0, OWNER_BYTES) as Owner, treeIndex: inMain ? MAIN_STORAGE_INDEX + treeIndex : treeIndex };
}

/** Throws what {@link decodeFlatKey} throws on this key, without the cost of its bigint. */
export function checkFlatKey(key: Uint8Array): void {
  if (key.length <= OWNER_BYTES) throw new DecodeError('decode/truncated', `a flat key has more than ${key.length} bytes`);
  const kind = key[OWNER_BYTES]!;
  const bytes = kind >= MAIN_STORAGE_CLASS ? kind - MAIN_STORAGE_CLASS : kind;
  if (bytes > INDEX_BYTES_MAX) throw new DecodeError('decode/range', `not a class of flat keys: ${kind}`);
  const end = OWNER_BYTES + 1 + bytes;
  if (key.length < end) throw new DecodeError('decode/truncated', `flat key of ${key.length} bytes, ${end} wanted`);
  if (key.length > end) throw new DecodeError('decode/trailing', `${key.length - end} bytes after the end`);
  if (bytes > 0 && key[OWNER_BYTES + 1] === 0) throw new DecodeError('decode/range', 'tree index with a leading zero');
}

/**
 * All leaves of one stem: version 1, count - 1, then suffix and value of each leaf, suffixes ascending. A stem without leaves has no flat value: its
 * key is deleted. Throws `invariant` on anything that {@link decodeFlatValue} would refuse.
 */
export function encodeFlatValue(leaves: readonly StemLeaf[]): Uint8Array {
  if (leaves.length < 1 || leaves.length > STEM_WIDTH) throw new InvariantError(`a stem has 1 to 256 leaves, not ${leaves.length}`);
  const out = new Uint8Array(2 + leaves.length * 33);
  out[0] = FLAT_VALUE_VERSION;
  out[1] = leaves.length - 1;
  let at = 2;
  let previous = -1;
  for (const { suffix, value } of leaves) {
    if (!Number.isInteger(suffix) || suffix <= previous || suffix >= STEM_WIDTH) throw new InvariantError('suffixes not ascending', { suffix });
    if (value.length !== 32 || isZero(value)) throw new InvariantError('a leaf has 32 bytes that are not all zero', { suffix });
    previous = suffix;
    out[at] = suffix;
    out.set(value, at + 1);
    at += 33;
  }
  return out;
}

/** The inverse of {@link encodeFlatValue}; values are views. Throws `decode/version`, `decode/truncated`, `decode/trailing` or `decode/range`. */
export function decodeFlatValue(data: Uint8Array): StemLeaf[] {
  if (data.length < 2) throw new DecodeError('decode/truncated', `flat value of ${data.length} bytes`);
  if (data[0] !== FLAT_VALUE_VERSION) throw new DecodeError('decode/version', `version ${data[0]}, ${FLAT_VALUE_VERSION} understood`);
  const count = data[1]! + 1;
  const end = 2 + count * 33;
  if (data.length < end) throw new DecodeError('decode/truncated', `flat value of ${data.length} bytes, ${end} wanted`);
  if (data.length > end) throw new DecodeError('decode/trailing', `${data.length - end} bytes after the end`);
  const leaves: StemLeaf[] = [];
  let previous = -1;
  for (let at = 2; at < end; at += 33) {
    const suffix = data[at]!;
    const value = data.subarray(at + 1, at + 33);
    if (suffix <= previous) throw new DecodeError('decode/range', 'suffixes not ascending');
    if (isZero(value)) throw new DecodeError('decode/range', 'a zero value is an absent leaf');
    previous = suffix;
    leaves.push({ suffix, value });
  }
  return leaves;
}

function isZero(value: Uint8Array): boolean {
  for (let i = 0; i < value.length; i++) if (value[i] !== 0) return false;
  return true;
}
