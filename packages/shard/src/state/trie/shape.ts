import { invariant } from '@shardlab/crosslink';
import type { NodeStore } from './nodes.ts';
import { STEM_STRIDE, type StemStore } from './stems.ts';

/** Bits of a path, and the most nodes that one new stem brings. */
const STEM_BITS = 248;

/** Where a path ends: the slot, how many bits led there, and the child in it (0, or a stem's `~ref`). */
export interface PathEnd {
  readonly slot: number;
  readonly depth: number;
  readonly child: number;
}

/**
 * Which stem hangs where. A stem stands at the shallowest depth where it is alone; two stems with a common prefix hang below a chain of nodes along it, each
 * with an empty other side. Hashes move with what they belong to, so that what is not dirty keeps its hash through every change of shape.
 */
export class Shape {
  private readonly nodes: NodeStore;
  private readonly stems: StemStore;

  constructor(nodes: NodeStore, stems: StemStore) {
    this.nodes = nodes;
    this.stems = stems;
  }

  /** The stem of `path` (31 bytes or more), or -1. */
  find(path: Uint8Array): number {
    const kids = this.nodes.kids;
    let child = kids[0]!;
    for (let depth = 0; child > 0; depth++) child = kids[2 * child + bitOf(path, 0, depth)]!;
    return child < 0 && this.stems.equals(~child, path) ? ~child : -1;
  }

  /** Follows `path` to the first slot that holds no internal node. */
  follow(path: Uint8Array): PathEnd {
    const kids = this.nodes.kids;
    let slot = 0;
    let depth = 0;
    let child = kids[0]!;
    while (child > 0) {
      slot = 2 * child + bitOf(path, 0, depth++);
      child = kids[slot]!;
    }
    return { slot, depth, child };
  }

  /** Hangs in a new, empty stem for `path`, which has none, at the end of its path. */
  insert(path: Uint8Array, end: PathEnd): number {
    const { nodes, stems } = this;
    // What can fail comes before what changes anything.
    nodes.reserve(STEM_BITS);
    const ref = stems.alloc(path, 0);
    if (end.child === 0) {
      this.hang(ref, end.slot);
      return ref;
    }
    const other = ~end.child;
    const otherBytes = stems.stemBytes;
    const otherAt = STEM_STRIDE * other;
    // Down along the common prefix, a chain node for each bit of it, then a node that parts the two.
    let from = end.slot;
    let side: number;
    for (let depth = end.depth; ; depth++) {
      const node = nodes.alloc(depth, from);
      nodes.kids[from] = node;
      side = bitOf(path, 0, depth);
      const otherSide = bitOf(otherBytes, otherAt, depth);
      from = 2 * node + side;
      if (side !== otherSide) break;
    }
    this.hang(other, from ^ 1);
    nodes.moveHash(end.slot, from ^ 1);
    this.hang(ref, from);
    return ref;
  }

  /**
   * Takes out a stem. If a stem is left alone beside it, that one rises as far as it stays alone, and the nodes that it leaves are freed. Returns the
   * node whose block has changed by that, which is to be hashed anew (0: the anchor, which is not hashed).
   */
  remove(ref: number): number {
    const { nodes, stems } = this;
    const { kids } = nodes;
    const slot = stems.parents[ref]!;
    kids[slot] = 0;
    nodes.hashBytes.fill(0, 32 * slot, 32 * slot + 32);
    let node = slot >> 1;
    if (node === 0) return 0;
    const sibling = kids[slot ^ 1]!;
    invariant(sibling !== 0, 'an internal node stood above one stem');
    if (sibling > 0) return node;
    let to: number;
    do {
      to = nodes.parents[node]!;
      nodes.free(node);
      node = to >> 1;
    } while (node !== 0 && kids[to ^ 1] === 0);
    this.hang(~sibling, to);
    nodes.moveHash(slot ^ 1, to);
    return node;
  }

  /**
   * Builds the shape of an empty trie for the stems `first` to `first + count - 1`, which are sorted and different. Nodes are laid in the order of a
   * depth-first walk, so that what a commit reads along one path lies close together.
   */
  build(first: number, count: number): void {
    invariant(this.nodes.count === 0, 'the trie is not empty');
    if (count > 0) this.buildBelow(first, first + count, 0, 0);
  }

  private buildBelow(low: number, high: number, depth: number, slot: number): void {
    if (high - low === 1) {
      this.hang(low, slot);
      return;
    }
    const node = this.nodes.alloc(depth, slot);
    this.nodes.kids[slot] = node;
    let from = low;
    let to = high;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (bitOf(this.stems.stemBytes, STEM_STRIDE * middle, depth) === 1) to = middle;
      else from = middle + 1;
    }
    if (from > low) this.buildBelow(low, from, depth + 1, 2 * node);
    if (from < high) this.buildBelow(from, high, depth + 1, 2 * node + 1);
  }

  private hang(ref: number, slot: number): void {
    this.nodes.kids[slot] = ~ref;
    this.stems.parents[ref] = slot;
  }
}

/** Bit `depth` of the path that starts at `at`, the most significant bit of a byte first. */
function bitOf(bytes: Uint8Array, at: number, depth: number): 0 | 1 {
  return ((bytes[at + (depth >> 3)]! >> (7 - (depth & 7))) & 1) as 0 | 1;
}
