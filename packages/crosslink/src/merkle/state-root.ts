import type { Hasher } from '../crypto.ts';
import { ShardlabError } from '../errors.ts';
import { compareBytes, equalBytes, type Hash32, ZERO_HASH } from '../primitives.ts';
import { pathBit, STEM_TAG } from './state-hash.ts';

/** One leaf of the state: a key of 32 bytes (stem and suffix), and a value of 32 bytes that is not zero. */
export interface StateLeaf {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const STEM_BYTES = 31;
const STEM_BITS = 8 * STEM_BYTES;
const SUBTREE_LEVELS = 8;
/** Leaves whose subtrees are hashed together; the leaves of one stem are never parted. */
const CHUNK_LEAVES = 1024;

/**
 * The state root of exactly these leaves, in any order: 32 zero bytes if there are none. Written from the definition, apart from the real trie (shard),
 * so that it can judge that one and what a node says (audit). A million leaves take a few seconds with a native hasher. Throws
 * `state/leaf` if a key or value has not 32 bytes, if a value is zero, or if a key comes twice.
 */
export function computeStateRoot(hasher: Hasher, leaves: readonly StateLeaf[]): Hash32 {
  const sorted = sortLeaves(leaves);
  // Per stem, the key of its first leaf and its node's hash: no object per hash, of which there would be ten million.
  const stems: Uint8Array[] = [];
  const hashes = new Uint8Array(32 * sorted.length);
  for (let start = 0; start < sorted.length; ) {
    let end = Math.min(start + CHUNK_LEAVES, sorted.length);
    while (end < sorted.length && sameStem(sorted[end - 1]!.key, sorted[end]!.key)) end++;
    hashStems(hasher, sorted.slice(start, end), stems, hashes);
    start = end;
  }
  return new StemFold(hasher, stems, hashes).root();
}

function sortLeaves(leaves: readonly StateLeaf[]): StateLeaf[] {
  // Almost always the first six bytes decide, and comparing numbers is several times cheaper.
  const heads = new Float64Array(leaves.length);
  leaves.forEach(({ key, value }, index) => {
    if (key.length !== 32 || value.length !== 32) throw new ShardlabError('state/leaf', 'keys and values have 32 bytes');
    if (equalBytes(value, ZERO_HASH)) throw new ShardlabError('state/leaf', 'a zero value is an absent leaf');
    heads[index] = ((key[0]! << 16) | (key[1]! << 8) | key[2]!) * 0x100_0000 + ((key[3]! << 16) | (key[4]! << 8) | key[5]!);
  });
  const order = Uint32Array.from(leaves.keys());
  order.sort((a, b) => heads[a]! - heads[b]! || compareBytes(leaves[a]!.key, leaves[b]!.key));
  const sorted = Array.from(order, (index) => leaves[index]!);
  for (let i = 1; i < sorted.length; i++) {
    if (equalBytes(sorted[i - 1]!.key, sorted[i]!.key)) throw new ShardlabError('state/leaf', 'the same key twice');
  }
  return sorted;
}

/** Appends the stems of these sorted leaves to `stems`, and in the same places of `hashes` the hashes of their stem nodes: SHA-256(~stemTag || ~subtreeRoot), see `stateStemHash`. */
function hashStems(hasher: Hasher, leaves: readonly StateLeaf[], stems: Uint8Array[], hashes: Uint8Array): void {
  const first = stems.length;
  let count = leaves.length;
  const blocks = new Uint8Array(64 * count);
  // Of each node of a level: which stem, times 256, and where in its subtree.
  const places = new Uint32Array(count);
  leaves.forEach(({ key, value }, index) => {
    if (index === 0 || !sameStem(leaves[index - 1]!.key, key)) stems.push(key);
    places[index] = (stems.length - 1 - first) * 256 + key[STEM_BYTES]!;
    blocks.set(value, 64 * index);
  });
  let level = hashAll(hasher, blocks);
  for (let depth = 0; depth < SUBTREE_LEVELS; depth++) {
    blocks.fill(0, 0, 64 * count);
    let above = 0;
    for (let index = 0; index < count; index++) {
      const stem = places[index]! >>> 8;
      const position = places[index]! & 0xff;
      const parent = stem * 256 + (position >> 1);
      // Written over a place that has been read already: there are no more nodes above than below.
      if (above === 0 || places[above - 1] !== parent) places[above++] = parent;
      const to = 64 * (above - 1) + 32 * (position & 1);
      for (let k = 0; k < 32; k++) blocks[to + k] = level[32 * index + k]!;
    }
    count = above;
    level = hashAll(hasher, blocks.subarray(0, 64 * count));
  }
  const tagged = blocks.subarray(0, 64 * count).fill(0);
  for (let index = 0; index < count; index++) {
    tagged.set(stems[first + index]!, 64 * index);
    tagged[64 * index + STEM_BYTES] = 1;
    tagged.set(STEM_TAG, 64 * index + 32);
  }
  const tags = hashAll(hasher, tagged);
  for (let index = 0; index < count; index++) {
    for (let k = 0; k < 32; k++) {
      tagged[64 * index + k] = ~tags[32 * index + k]!;
      tagged[64 * index + 32 + k] = ~level[32 * index + k]!;
    }
  }
  hashes.set(hashAll(hasher, tagged), 32 * first);
}

/** Folds sorted stems (keys, of which the last byte is not looked at) depth first. The block of the node at depth d stands in place d; its children write their halves of it. */
class StemFold {
  private readonly hasher: Hasher;
  private readonly stems: readonly Uint8Array[];
  private readonly hashes: Uint8Array;
  private readonly blocks = Array.from({ length: STEM_BITS }, () => new Uint8Array(64));
  private readonly halves = this.blocks.map((block) => [block.subarray(0, 32), block.subarray(32)] as const);

  constructor(hasher: Hasher, stems: readonly Uint8Array[], hashes: Uint8Array) {
    this.hasher = hasher;
    this.stems = stems;
    this.hashes = hashes;
  }

  root(): Hash32 {
    const out = new Uint8Array(32);
    this.node(0, this.stems.length, 0, out);
    return out as Hash32;
  }

  /** Hash of the node at `depth` above the stems from `low` to `high` (exclusive): nothing, a stem that is alone, or two children. */
  private node(low: number, high: number, depth: number, out: Uint8Array): void {
    if (high - low < 2) {
      for (let k = 0; k < 32; k++) out[k] = low === high ? 0 : this.hashes[32 * low + k]!;
      return;
    }
    let from = low;
    for (let to = high; from < to; ) {
      const middle = (from + to) >>> 1;
      if (pathBit(this.stems[middle]!, depth) === 1) to = middle;
      else from = middle + 1;
    }
    this.node(low, from, depth + 1, this.halves[depth]![0]);
    this.node(from, high, depth + 1, this.halves[depth]![1]);
    this.hasher.hashPairs(this.blocks[depth]!, out);
  }
}

function hashAll(hasher: Hasher, blocks: Uint8Array): Uint8Array {
  const out = new Uint8Array(blocks.length / 2);
  hasher.hashPairs(blocks, out);
  return out;
}

function sameStem(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = STEM_BYTES - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}
