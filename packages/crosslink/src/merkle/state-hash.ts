import type { Hasher } from '../crypto.ts';
import { fromHex, type Hash32 } from '../primitives.ts';

/** SHA-256 of the ASCII text `shardlab/state-trie/stem/v1`, which no node of the tree hashes to: a node hashes 64 bytes, the text has 27. */
export const STEM_TAG: Uint8Array = fromHex('0x656e33aee4adea3187062bbd13729a412bc32eee4109558f5b483a55695821e4');

/** Hash of a leaf: SHA-256(value || 32 zero bytes); `undefined` is an absent leaf, of which the hash is zero (R9). */
export function stateLeafHash(hasher: Hasher, value: Uint8Array | undefined): Hash32 {
  const block = new Uint8Array(64);
  if (value === undefined) return block.subarray(0, 32) as Hash32;
  block.set(value);
  return hashBlock(hasher, block);
}

/** Hash of a node inside a stem's 256 leaves: SHA-256(left || right), or zero where both sides are absent. */
export function stateSubtreeHash(hasher: Hasher, left: Uint8Array, right: Uint8Array): Hash32 {
  const block = joined(left, right);
  return block.every((byte) => byte === 0) ? (block.subarray(0, 32) as Hash32) : hashBlock(hasher, block);
}

/** Hash of a node above the stems: SHA-256(left || right). One side may be zero (an empty position), never both. */
export function stateInternalHash(hasher: Hasher, left: Uint8Array, right: Uint8Array): Hash32 {
  return hashBlock(hasher, joined(left, right));
}

/**
 * Hash of a stem node: SHA-256(~stemTag || ~subtreeRoot), where stemTag = SHA-256(stem || 0x01 || {@link STEM_TAG}), and ~ is the complement of all
 * bits. Deviates from EIP-7864, which takes SHA-256(stem || 0x00 || subtreeRoot), because there nodes of one kind can pose as the other in a proof:
 * - An internal node as a stem. If its left child's hash ends in 0x00 (one node in 256), its two children read as a stem and a subtree
 *   root; if those 31 bytes continue the path (2^-depth, grindable), it proves that another stem stands there and that a key that exists does not.
 *   Against this stands stemTag: no internal node has a left child that hashes to it.
 * - A stem as an internal node. Its right part is the root of a subtree, which reads as one more internal node: for every single-leaf
 *   account whose path goes on right, right (one in four), the empty half of the subtree proves that the account does not exist. Worse, one
 *   goes on down to a leaf, whose value reads as the hash of a left child: who writes 32 bytes of storage proves any value of any key below that path.
 *   Against this stand the complements: of a complemented hash nobody knows 64 bytes that hash to it (that would be a collision between
 *   SHA-256 and its complement, 2^128 work), so nothing can be hung below a stem but its own subtree.
 */
export function stateStemHash(hasher: Hasher, stem: Uint8Array, subtreeRoot: Uint8Array): Hash32 {
  const block = new Uint8Array(64);
  block.set(stem);
  block[31] = 1;
  block.set(STEM_TAG, 32);
  return hashBlock(hasher, complement(joined(hashBlock(hasher, block), subtreeRoot)));
}

/** Bit `index` of a path, counted from the most significant bit of the first byte: 0 goes left, 1 right. */
export function pathBit(path: Uint8Array, index: number): 0 | 1 {
  return ((path[index >> 3]! >> (7 - (index & 7))) & 1) as 0 | 1;
}

function hashBlock(hasher: Hasher, block: Uint8Array): Hash32 {
  const out = new Uint8Array(32);
  hasher.hashPairs(block, out);
  return out as Hash32;
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  const block = new Uint8Array(64);
  block.set(left);
  block.set(right, 32);
  return block;
}

function complement(block: Uint8Array): Uint8Array {
  return block.map((byte) => ~byte);
}
