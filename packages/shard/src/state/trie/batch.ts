import type { Hasher } from '@shardlab/crosslink';
import type { IntList } from './growth.ts';
import type { NodeStore } from './nodes.ts';
import { copy4 } from './words.ts';

/** Blocks hashed in one call: enough to make the call's own cost vanish, few enough that both sides stay in the inner caches. */
export const BATCH = 512;

/** The two sides of a batch of hashes: blocks of 64 bytes in, hashes of 32 bytes out. */
export class HashBatch {
  readonly input = new Uint8Array(64 * BATCH);
  readonly inWords = new BigUint64Array(this.input.buffer);
  readonly inInts = new Int32Array(this.input.buffer);
  readonly output = new Uint8Array(32 * BATCH);
  readonly outWords = new BigUint64Array(this.output.buffer);
  readonly outInts = new Int32Array(this.output.buffer);
  /** Hashes computed so far. */
  hashes = 0;
  private readonly hasher: Hasher;
  private readonly slots = new Int32Array(BATCH);

  constructor(hasher: Hasher) {
    this.hasher = hasher;
  }

  /** Hashes the first `count` blocks. */
  run(count: number): void {
    if (count === 0) return;
    this.hashes += count;
    this.hasher.hashPairs(this.input.subarray(0, 64 * count), this.output.subarray(0, 32 * count));
  }

  /**
   * Writes the first `count` hashes to the slots that `links` gives for `items` from `from` on, and queues the nodes of these slots in `queue`, each
   * once. Three loops rather than one, because none of what they touch is in cache: in short loops a core waits for many lines at once (30 ns an item
   * against 55).
   */
  deliver(count: number, items: Int32Array, from: number, links: Int32Array, nodes: NodeStore, queue: IntList): void {
    const { slots, outWords } = this;
    const { hashes, marks } = nodes;
    for (let i = 0; i < count; i++) slots[i] = links[items[from + i]!]!;
    for (let i = 0; i < count; i++) copy4(outWords, i << 2, hashes, slots[i]! << 2);
    const list = queue.room(count);
    let length = queue.length;
    for (let i = 0; i < count; i++) {
      const node = slots[i]! >> 1;
      if (marks[node] === 0) {
        marks[node] = 1;
        list[length++] = node;
      }
    }
    queue.length = length;
  }
}
