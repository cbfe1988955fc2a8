import { encodeStateProof, type Hasher, type StateProof } from '@shardlab/crosslink';
import type { NodeStore } from './nodes.ts';
import { SINGLE, type StemStore, suffixOf } from './stems.ts';

const WIDTH = 256;

/**
 * Encoded proof about `key` (32 bytes) from a trie without uncommitted changes: hashes above the stems are read, those inside the one stem at the end of
 * the path are computed anew.
 */
export function proveKey(hasher: Hasher, nodes: NodeStore, stems: StemStore, key: Uint8Array): Uint8Array {
  const siblings: Uint8Array[] = [];
  let child = nodes.kids[0]!;
  for (let depth = 0; child > 0; depth++) {
    const slot = 2 * child + ((key[depth >> 3]! >> (7 - (depth & 7))) & 1);
    siblings.push(nodes.hashBytes.slice(32 * (slot ^ 1), 32 * (slot ^ 1) + 32));
    child = nodes.kids[slot]!;
  }
  return encodeStateProof(child === 0 ? { kind: 'empty', siblings } : proveAtStem(hasher, stems, ~child, key, siblings));
}

function proveAtStem(hasher: Hasher, stems: StemStore, ref: number, key: Uint8Array, siblings: Uint8Array[]): StateProof {
  const suffix = key[31]!;
  const present = new Uint8Array(WIDTH);
  const blocks = new Uint8Array(64 * WIDTH);
  for (const leaf of leavesOf(stems, ref)) {
    present[leaf.suffix] = 1;
    blocks.set(leaf.value, 64 * leaf.suffix);
  }
  const subtreeSiblings: Uint8Array[] = [];
  let level = hashPresent(hasher, blocks, present, WIDTH);
  for (let position = suffix, width = WIDTH; width > 1; position >>= 1, width >>= 1) {
    const beside = position ^ 1;
    subtreeSiblings.unshift(level.slice(32 * beside, 32 * beside + 32));
    for (let i = 0; i < width; i += 2) present[i >> 1] = present[i]! | present[i + 1]!;
    level = hashPresent(hasher, level, present, width >> 1);
  }
  if (!stems.equals(ref, key)) {
    const otherStem = stems.stemBytes.slice(32 * ref, 32 * ref + 31);
    return { kind: 'other-stem', siblings, otherStem, subtreeRoot: level.slice(0, 32) };
  }
  const at = stems.find(ref, suffix);
  if (at < 0) return { kind: 'absent-suffix', siblings, subtreeSiblings };
  return { kind: 'present', siblings, subtreeSiblings, value: stems.memoryOf(ref).slice(at, at + 32) };
}

/** Hashes of the first `width` blocks of 64 bytes; zero where nothing is present. */
function hashPresent(hasher: Hasher, blocks: Uint8Array, present: Uint8Array, width: number): Uint8Array {
  const hashes = new Uint8Array(32 * width);
  for (let i = 0; i < width; i++) {
    if (present[i] === 1) hasher.hashPairs(blocks.subarray(64 * i, 64 * i + 64), hashes.subarray(32 * i, 32 * i + 32));
  }
  return hashes;
}

/** Suffixes, ascending, and copies of the values that a stem holds. */
export function leavesOf(stems: StemStore, ref: number): { suffix: number; value: Uint8Array }[] {
  const memory = stems.memoryOf(ref);
  const { sparse, leafInts } = stems;
  if (stems.kind(ref) === SINGLE) return [{ suffix: suffixOf(stems.meta[ref]!), value: memory.slice(64 * ref + 32, 64 * ref + 64) }];
  const leaves: { suffix: number; value: Uint8Array }[] = [];
  const handle = 16 * ref + 8;
  for (let index = 0; index < stems.leafCount(ref); index++) {
    const at = sparse.valueOffset(leafInts, handle, index);
    leaves.push({ suffix: sparse.suffixAt(leafInts, handle, index), value: memory.slice(at, at + 32) });
  }
  return leaves;
}
