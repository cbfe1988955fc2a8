import type { Hasher } from '../crypto.ts';
import type { Reader } from '../codec/reader.ts';
import type { Writer } from '../codec/writer.ts';
import { invariant } from '../errors.ts';
import { equalBytes, type Hash32, ZERO_HASH } from '../primitives.ts';

/**
 * Merkle roots of ordered lists: 32-byte leaves, padded with zero leaves to a power of two, and the count mixed in at the top as SSZ does for
 * lists (consensus-specs, ssz/simple-serialize, `mix_in_length`; equivalent for a list of Bytes32 whose limit is the padded count). The count fixes
 * the depth, so an inner node can not pose as a leaf. Leaves are always hashes of what is listed.
 */

/** Deepest branch: a list has at most 2^32 items. */
const DEPTH_MAX = 32;

/** A leaf's path to the root of its list. */
export interface ListBranch {
  readonly index: number;
  /** Items in the list. */
  readonly count: number;
  /** Sibling hashes from the leaf upwards, ceil(log2(count)) of them. */
  readonly siblings: readonly Hash32[];
}

function depthOf(count: number): number {
  let depth = 0;
  while (2 ** depth < count) depth++;
  return depth;
}

function mixInCount(hasher: Hasher, top: Uint8Array, count: number): Hash32 {
  const block = new Uint8Array(64);
  block.set(top);
  new DataView(block.buffer).setUint32(60, count);
  return hasher.sha256(block);
}

/** All levels from the leaves (index 0) to the single top node, each a multiple of 32 bytes. */
function levelsOf(hasher: Hasher, leaves: readonly Uint8Array[]): Uint8Array[] {
  const width = 2 ** depthOf(leaves.length);
  let level = new Uint8Array(32 * Math.max(1, width));
  leaves.forEach((leaf, index) => level.set(leaf, 32 * index));
  const levels = [level];
  while (level.length > 32) {
    const above = new Uint8Array(level.length / 2);
    hasher.hashPairs(level, above);
    levels.push(above);
    level = above;
  }
  return levels;
}

/** Root of a list of 32-byte leaves; an empty list has a root too. */
export function listRoot(hasher: Hasher, leaves: readonly Uint8Array[]): Hash32 {
  return mixInCount(hasher, levelsOf(hasher, leaves).at(-1)!, leaves.length);
}

/** The branch of leaf `index`, which must exist. */
export function listBranch(hasher: Hasher, leaves: readonly Uint8Array[], index: number): ListBranch {
  invariant(index >= 0 && index < leaves.length, 'branch of a leaf that is not there', { index, count: leaves.length });
  const siblings: Hash32[] = [];
  let position = index;
  for (const level of levelsOf(hasher, leaves).slice(0, -1)) {
    const sibling = position ^ 1;
    siblings.push(level.subarray(32 * sibling, 32 * sibling + 32) as Hash32);
    position >>>= 1;
  }
  return { index, count: leaves.length, siblings };
}

/** Whether `leaf` stands at `branch.index` of the list of `branch.count` items under `root`. Never throws. */
export function verifyListBranch(hasher: Hasher, root: Uint8Array, leaf: Uint8Array, branch: ListBranch): boolean {
  if (leaf.length !== 32 || branch.index >= branch.count || branch.siblings.length !== depthOf(branch.count)) return false;
  let node: Uint8Array = leaf;
  let position = branch.index;
  const block = new Uint8Array(64);
  for (const sibling of branch.siblings) {
    block.set(position % 2 === 0 ? node : sibling, 0);
    block.set(position % 2 === 0 ? sibling : node, 32);
    node = hasher.sha256(block);
    position = Math.floor(position / 2);
  }
  return equalBytes(mixInCount(hasher, node, branch.count), root);
}

/** Appends a branch: index u32, count u32, siblings. */
export function writeListBranch(writer: Writer, branch: ListBranch): void {
  writer.u32(branch.index).u32(branch.count).list(branch.siblings, DEPTH_MAX, (out, sibling) => out.fixed(sibling, 32));
}

/** Reads what {@link writeListBranch} wrote. */
export function readListBranch(reader: Reader): ListBranch {
  return { index: reader.u32(), count: reader.u32(), siblings: reader.list(DEPTH_MAX, (input) => input.hash()) };
}

/** Root of the empty list. */
export function emptyListRoot(hasher: Hasher): Hash32 {
  return mixInCount(hasher, ZERO_HASH, 0);
}
