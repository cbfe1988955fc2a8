import type { Hasher } from '../crypto.ts';
import { ShardlabError } from '../errors.ts';
import { compareBytes, equalBytes, type Hash32, ZERO_HASH } from '../primitives.ts';
import { STEM_TAG } from './state-hash.ts';

/** One leaf of the state: a key of 32 bytes (stem and suffix), and a value of 32 bytes that is not zero. */
export interface StateLeaf {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const STEM_BITS = 248;
const KEY_BITS = 256;
/** Depth at which a stem node's own blocks are laid while it is hashed: below every path. */
const SCRATCH_DEPTH = KEY_BITS + 1;

/**
 * The state root of exactly these leaves, in any order: 32 zero bytes if there are none. Written from the definition, one hash at a time, so that it
 * can judge the real trie (shard) and what a node says (audit); a million leaves take a few seconds with a native hasher. Throws
 * `state/leaf` if a key or value has not 32 bytes, if a value is zero, or if a key comes twice.
 */
export function computeStateRoot(hasher: Hasher, leaves: readonly StateLeaf[]): Hash32 {
  const sorted = [...leaves].sort((a, b) => compareBytes(a.key, b.key));
  sorted.forEach((leaf, index) => {
    if (leaf.key.length !== 32 || leaf.value.length !== 32) throw new ShardlabError('state/leaf', 'keys and values have 32 bytes');
    if (equalBytes(leaf.value, ZERO_HASH)) throw new ShardlabError('state/leaf', 'a zero value is an absent leaf');
    const next = sorted[index + 1];
    if (next !== undefined && equalBytes(leaf.key, next.key)) throw new ShardlabError('state/leaf', 'the same key twice');
  });
  return new RootFold(hasher, sorted).root();
}

/** Depth-first over sorted leaves. The 64-byte block of the node being hashed at depth d stands at 64 d; its children write their halves of it. */
class RootFold {
  private readonly hasher: Hasher;
  private readonly leaves: readonly StateLeaf[];
  private readonly stack = new Uint8Array(64 * (SCRATCH_DEPTH + 1));
  private readonly blocks: Uint8Array[] = [];
  private readonly halves: Uint8Array[] = [];

  constructor(hasher: Hasher, leaves: readonly StateLeaf[]) {
    this.hasher = hasher;
    this.leaves = leaves;
    for (let depth = 0; depth <= SCRATCH_DEPTH; depth++) {
      this.blocks.push(this.stack.subarray(64 * depth, 64 * depth + 64));
      this.halves.push(this.stack.subarray(64 * depth, 64 * depth + 32), this.stack.subarray(64 * depth + 32, 64 * depth + 64));
    }
  }

  root(): Hash32 {
    const out = new Uint8Array(32);
    this.node(0, this.leaves.length, 0, out);
    return out as Hash32;
  }

  /** Hash of the node at `depth` above the leaves from `low` to `high` (exclusive). */
  private node(low: number, high: number, depth: number, out: Uint8Array): void {
    if (low === high) {
      out.fill(0);
      return;
    }
    if (compareStems(this.leaves[low]!.key, this.leaves[high - 1]!.key) === 0) {
      this.stem(low, high, out);
      return;
    }
    const middle = this.firstRight(low, high, depth);
    this.node(low, middle, depth + 1, this.halves[2 * depth]!);
    this.node(middle, high, depth + 1, this.halves[2 * depth + 1]!);
    this.hasher.hashPairs(this.blocks[depth]!, out);
  }

  /** SHA-256(~stemTag || ~subtreeRoot): see `stateStemHash`, which says why. */
  private stem(low: number, high: number, out: Uint8Array): void {
    const block = this.blocks[SCRATCH_DEPTH]!;
    const tag = new Uint8Array(32);
    block.set(this.leaves[low]!.key.subarray(0, 31));
    block[31] = 1;
    block.set(STEM_TAG, 32);
    this.hasher.hashPairs(block, tag);
    this.subtree(low, high, STEM_BITS, out);
    for (let i = 0; i < 32; i++) {
      block[i] = ~tag[i]!;
      block[32 + i] = ~out[i]!;
    }
    this.hasher.hashPairs(block, out);
  }

  /** Hash of a node among the 256 leaves of one stem: an absent side is zero, and so is a node above nothing. */
  private subtree(low: number, high: number, depth: number, out: Uint8Array): void {
    if (low === high) {
      out.fill(0);
      return;
    }
    const block = this.blocks[depth]!;
    if (depth === KEY_BITS) {
      block.fill(0);
      block.set(this.leaves[low]!.value);
    } else {
      const middle = this.firstRight(low, high, depth);
      this.subtree(low, middle, depth + 1, this.halves[2 * depth]!);
      this.subtree(middle, high, depth + 1, this.halves[2 * depth + 1]!);
    }
    this.hasher.hashPairs(block, out);
  }

  /** Index of the first leaf of which bit `depth` is set; the leaves are sorted and agree before that bit. */
  private firstRight(low: number, high: number, depth: number): number {
    let from = low;
    let to = high;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.leaves[middle]!.key[depth >> 3]! >> (7 - (depth & 7))) & 1) to = middle;
      else from = middle + 1;
    }
    return from;
  }
}

function compareStems(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 31; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
