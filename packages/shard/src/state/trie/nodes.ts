import { growBytes, growWords, nextCapacity } from './growth.ts';
import { copy4, zero4 } from './words.ts';

/** Depth of the anchor and of freed nodes: no internal node of the tree is that deep. */
export const NO_DEPTH = 255;

/**
 * The internal nodes, as arrays. A **slot** is 2 * node + side (0 left, 1 right): the place of a child. The two children's hashes of a node stand
 * side by side in one aligned block of 64 bytes, so that hashing a node gathers nothing. Node 0 is the **anchor** above the root: its left slot holds the
 * root and the root's hash, so that the root needs no special case.
 */
export class NodeStore {
  /** By slot: 0 nothing, positive an internal node, negative the stem `~child`. */
  kids: Int32Array;
  /** By node: the slot it hangs in. Of a freed node: the next freed one. */
  parents: Int32Array;
  /** By node: bits consumed above it, 0 to 247, or {@link NO_DEPTH}. */
  depths: Uint8Array;
  /** By node: 1 if it is queued to be hashed. */
  marks: Uint8Array;
  /** Four words (32 bytes) by slot: the hash of what hangs there, zero for nothing. */
  hashes: BigUint64Array;
  /** The same memory, in bytes. */
  hashBytes: Uint8Array;
  /** Nodes in use, without the anchor. */
  count = 0;
  private used = 1;
  private freeHead = 0;

  constructor(capacity: number) {
    this.kids = new Int32Array(2 * capacity);
    this.parents = new Int32Array(capacity);
    this.depths = new Uint8Array(capacity);
    this.marks = new Uint8Array(capacity);
    this.hashBytes = new Uint8Array(64 * capacity);
    this.hashes = new BigUint64Array(this.hashBytes.buffer);
    this.depths[0] = NO_DEPTH;
    // Queued for ever, so that nobody queues it.
    this.marks[0] = 1;
  }

  /** Makes room for `more` further nodes without growing again. */
  reserve(more: number): void {
    // Nodes in use, the anchor and freed ones: those freed are used first.
    const wanted = this.count + 1 + more;
    if (wanted > this.parents.length) this.grow(nextCapacity(this.parents.length, wanted));
  }

  /** A node without children. */
  alloc(depth: number, slot: number): number {
    let node = this.freeHead;
    if (node !== 0) {
      this.freeHead = this.parents[node]!;
    } else {
      this.reserve(1);
      node = this.used++;
    }
    this.kids[2 * node] = 0;
    this.kids[2 * node + 1] = 0;
    zero4(this.hashes, 8 * node);
    zero4(this.hashes, 8 * node + 4);
    this.parents[node] = slot;
    this.depths[node] = depth;
    this.marks[node] = 0;
    this.count++;
    return node;
  }

  free(node: number): void {
    this.depths[node] = NO_DEPTH;
    this.marks[node] = 0;
    this.parents[node] = this.freeHead;
    this.freeHead = node;
    this.count--;
  }

  /** Copies the hash of one slot to another. */
  moveHash(from: number, to: number): void {
    copy4(this.hashes, 4 * from, this.hashes, 4 * to);
  }

  /** Bytes held. */
  memoryBytes(): number {
    return this.parents.length * (64 + 8 + 4 + 1 + 1);
  }

  private grow(capacity: number): void {
    this.kids = growWords(this.kids, 2 * capacity);
    this.parents = growWords(this.parents, capacity);
    this.depths = growBytes(this.depths, capacity);
    this.marks = growBytes(this.marks, capacity);
    this.hashBytes = growBytes(this.hashBytes, 64 * capacity);
    this.hashes = new BigUint64Array(this.hashBytes.buffer);
  }
}
