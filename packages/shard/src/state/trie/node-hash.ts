import { BATCH, type HashBatch } from './batch.ts';
import { IntList } from './growth.ts';
import { NO_DEPTH, type NodeStore } from './nodes.ts';
import { copy8 } from './words.ts';

/** Integers that lists keep between commits: a block's worth, not a bulk load's. */
const KEEP_ITEMS = 1 << 16;

/**
 * Hashes internal nodes, deepest level first: all changed nodes of a level in batches, each result into the half of its parent's block that belongs
 * to it. So every node is hashed once, after all below it.
 */
export class NodeHasher {
  private readonly nodes: NodeStore;
  private readonly batch: HashBatch;
  private level = new IntList();
  private above = new IntList();
  private readonly counts = new Int32Array(NO_DEPTH + 1);

  constructor(nodes: NodeStore, batch: HashBatch) {
    this.nodes = nodes;
    this.batch = batch;
  }

  /**
   * Hashes the queued nodes of `seeds`, and all above them, that are at `depthMin` or deeper, and empties `seeds`. What is queued above that goes to
   * `rest`. Nodes that were freed after they were queued are passed over.
   */
  hash(seeds: IntList, depthMin: number, rest: IntList): void {
    const { counts, nodes } = this;
    const byDepth = this.sortByDepth(seeds);
    let end = byDepth.length;
    for (let depth = NO_DEPTH - 1; depth >= depthMin; depth--) {
      if (counts[depth] === 0 && this.level.length === 0) continue;
      const start = end - counts[depth]!;
      for (let i = start; i < end; i++) this.level.push(byDepth[i]!);
      end = start;
      for (let from = 0; from < this.level.length; from += BATCH) {
        this.run(nodes, this.level.items, from, Math.min(BATCH, this.level.length - from));
      }
      [this.level, this.above] = [this.above, this.level];
      this.above.clear(KEEP_ITEMS);
    }
    seeds.clear(KEEP_ITEMS);
    for (let i = 0; i < end; i++) rest.push(byDepth[i]!);
    for (let i = 0; i < this.level.length; i++) rest.push(this.level.items[i]!);
    this.level.clear(KEEP_ITEMS);
  }

  private run(nodes: NodeStore, list: Int32Array, from: number, count: number): void {
    const { batch, above } = this;
    const { hashes, parents, marks } = nodes;
    const { inWords } = batch;
    for (let i = 0; i < count; i++) {
      const node = list[from + i]!;
      copy8(hashes, node << 3, inWords, i << 3);
      marks[node] = 0;
    }
    batch.run(count);
    batch.deliver(count, list, from, parents, nodes, above);
  }

  /** The seeds in ascending depth, without freed nodes; {@link counts} says how many there are of each. */
  private sortByDepth(seeds: IntList): Int32Array {
    const { counts } = this;
    const { depths } = this.nodes;
    counts.fill(0);
    for (let i = 0; i < seeds.length; i++) counts[depths[seeds.items[i]!]!]!++;
    const next = new Int32Array(NO_DEPTH + 1);
    let total = 0;
    for (let depth = 0; depth < NO_DEPTH; depth++) {
      next[depth] = total;
      total += counts[depth]!;
    }
    const sorted = new Int32Array(total);
    for (let i = 0; i < seeds.length; i++) {
      const node = seeds.items[i]!;
      const depth = depths[node]!;
      if (depth !== NO_DEPTH) sorted[next[depth]!++] = node;
    }
    return sorted;
  }
}
