import { invariant, STEM_TAG } from '@shardlab/crosslink';
import { BATCH, type HashBatch } from './batch.ts';
import type { IntList } from './growth.ts';
import type { NodeStore } from './nodes.ts';
import { GROUPS } from './sparse.ts';
import { KIND_MASK, MULTI, SINGLE, STEM_STRIDE, type StemStore, suffixOf, TAGGED } from './stems.ts';
import { copy4, isZero4, zero4 } from './words.ts';

/** Levels from the leaves to the groups of 16, and from those to the subtree's root. */
const HALF_LEVELS = 4;

/**
 * Hashes stems into the slots that they hang in, many at a time. All stems of a batch rise together, one level of their subtrees per call of the
 * hasher: first the leaves, then eight levels, then the stem nodes.
 */
export class StemHasher {
  private readonly nodes: NodeStore;
  private readonly stems: StemStore;
  private readonly batch: HashBatch;
  /** Takes every node of which a half has changed, once. */
  private readonly seeds: IntList;
  /** The stems of the batch. */
  private readonly refs = new Int32Array(BATCH);
  private refCount = 0;
  /** Of the items of a batch of several-leaf stems: place in {@link refs}, then the item's place in its level of the subtree. */
  private keys = new Int32Array(BATCH);
  private spareKeys = new Int32Array(BATCH);
  private readonly spare = new BigUint64Array(4 * BATCH);
  private itemCount = 0;
  /** Room that the batch may need: a stem with cached groups brings up to 16 of them, however few leaves have changed. */
  private weight = 0;

  constructor(nodes: NodeStore, stems: StemStore, batch: HashBatch, seeds: IntList) {
    this.nodes = nodes;
    this.stems = stems;
    this.batch = batch;
    this.seeds = seeds;
  }

  /** Hashes the stems of `refs` from `start` to `end` (exclusive), all of which hold a leaf. */
  hash(refs: Int32Array, start: number, end: number): void {
    this.tag(refs, start, end);
    const { meta } = this.stems;
    let several = 0;
    for (let i = start; i < end; i++) {
      const ref = refs[i]!;
      if ((meta[ref]! & KIND_MASK) === MULTI) {
        several++;
        continue;
      }
      this.refs[this.refCount++] = ref;
      if (this.refCount === BATCH) this.runSingles();
    }
    this.runSingles();
    for (let i = start; i < end && several > 0; i++) {
      const ref = refs[i]!;
      if ((meta[ref]! & KIND_MASK) === SINGLE) continue;
      several--;
      if (this.weight > BATCH - 256) this.runSeveral();
      this.addSeveral(ref);
    }
    this.runSeveral();
  }

  /** Computes the complemented tags of stems that have none yet: once in a stem's life. */
  private tag(refs: Int32Array, start: number, end: number): void {
    const { stems, batch } = this;
    let filled = 0;
    for (let i = start; i < end; i++) {
      const ref = refs[i]!;
      if ((stems.meta[ref]! & TAGGED) !== 0) continue;
      stems.meta[ref]! |= TAGGED;
      this.refs[filled] = ref;
      const at = 64 * filled++;
      const from = STEM_STRIDE * ref;
      for (let k = 0; k < 31; k++) batch.input[at + k] = stems.stemBytes[from + k]!;
      batch.input[at + 31] = 1;
      for (let k = 0; k < 32; k++) batch.input[at + 32 + k] = STEM_TAG[k]!;
      if (filled === BATCH) {
        this.runTags(filled);
        filled = 0;
      }
    }
    this.runTags(filled);
  }

  private runTags(count: number): void {
    const { outInts } = this.batch;
    this.batch.run(count);
    for (let i = 0; i < count; i++) {
      const to = 16 * this.refs[i]!;
      for (let k = 0; k < 8; k++) this.stems.leafInts[to + k] = ~outInts[8 * i + k]!;
    }
  }

  private runSingles(): void {
    const { refs, keys, batch, refCount: count } = this;
    const { leafWords, meta } = this.stems;
    const { inWords, outWords } = batch;
    // Apart, for the same reason as in `HashBatch.deliver`.
    for (let i = 0; i < count; i++) copy4(leafWords, (refs[i]! << 3) + 4, inWords, i << 3);
    for (let i = 0; i < count; i++) {
      zero4(inWords, (i << 3) + 4);
      keys[i] = suffixOf(meta[refs[i]!]!);
    }
    batch.run(count);
    for (let level = 0; level < 2 * HALF_LEVELS; level++) {
      for (let i = 0; i < count; i++) {
        const right = ((keys[i]! >> level) & 1) << 2;
        copy4(outWords, i << 2, inWords, (i << 3) + right);
        zero4(inWords, (i << 3) + 4 - right);
      }
      batch.run(count);
    }
    this.finish();
  }

  /** Takes a stem's leaves, or of a large one those in groups that are out of date, as items of the batch. */
  private addSeveral(ref: number): void {
    const { sparse, leafInts } = this.stems;
    const { inWords } = this.batch;
    const handle = 16 * ref + 8;
    const wanted = sparse.grouped(leafInts, handle) ? sparse.stale(leafInts, handle) : -1;
    const leaves = sparse.count(leafInts, handle);
    const place = this.refCount++;
    const before = this.itemCount;
    this.refs[place] = ref;
    for (let index = 0; index < leaves; index++) {
      const suffix = sparse.suffixAt(leafInts, handle, index);
      if (((wanted >> (suffix >> 4)) & 1) === 0) continue;
      const item = this.itemCount++;
      this.keys[item] = (place << 8) | suffix;
      copy4(sparse.words, sparse.valueOffset(leafInts, handle, index) >> 3, inWords, 8 * item);
      zero4(inWords, 8 * item + 4);
    }
    this.weight += Math.max(GROUPS, this.itemCount - before);
  }

  private runSeveral(): void {
    if (this.refCount === 0) return;
    this.batch.run(this.itemCount);
    this.rise(HALF_LEVELS - 1, this.fold(this.batch.outWords));
    this.joinGroups();
    this.rise(HALF_LEVELS - 1, this.fold(this.spare));
    invariant(this.itemCount === this.refCount, 'a stem without leaves was hashed');
    this.itemCount = 0;
    this.weight = 0;
    this.finish();
  }

  private rise(levels: number, count: number): void {
    this.batch.run(count);
    for (let level = 0; level < levels; level++) this.batch.run(this.fold(this.batch.outWords));
  }

  /** Joins items with their neighbours in the level, or with nothing, to blocks of the next level; returns how many. */
  private fold(hashes: BigUint64Array): number {
    const { keys, itemCount: count } = this;
    const { inWords } = this.batch;
    let blocks = 0;
    for (let i = 0; i < count; i++) {
      const key = keys[i]!;
      const right = key & 1;
      const at = 8 * blocks;
      copy4(hashes, 4 * i, inWords, at + 4 * right);
      if (right === 0 && i + 1 < count && keys[i + 1] === key + 1) copy4(hashes, 4 * ++i, inWords, at + 4);
      else zero4(inWords, at + 4 - 4 * right);
      keys[blocks++] = key >> 1;
    }
    this.itemCount = blocks;
    return blocks;
  }

  /** Halfway up: large stems store the groups just hashed and bring in the cached ones. The items go to {@link spare}. */
  private joinGroups(): void {
    const { keys, spareKeys, spare, itemCount: count } = this;
    const { outWords } = this.batch;
    const { sparse, leafInts } = this.stems;
    let item = 0;
    let taken = 0;
    for (let place = 0; place < this.refCount; place++) {
      const handle = 16 * this.refs[place]! + 8;
      if (!sparse.grouped(leafInts, handle)) {
        for (; item < count && keys[item]! >> HALF_LEVELS === place; item++) {
          spareKeys[taken] = keys[item]!;
          copy4(outWords, 4 * item, spare, 4 * taken++);
        }
        continue;
      }
      const stale = sparse.stale(leafInts, handle);
      for (let group = 0; group < GROUPS; group++) {
        const cached = sparse.groupOffset(leafInts, handle, group) >> 3;
        const key = (place << HALF_LEVELS) | group;
        if (((stale >> group) & 1) === 1) {
          if (item < count && keys[item] === key) copy4(outWords, 4 * item++, sparse.words, cached);
          else zero4(sparse.words, cached);
        }
        if (isZero4(sparse.words, cached)) continue;
        spareKeys[taken] = key;
        copy4(sparse.words, cached, spare, 4 * taken++);
      }
      sparse.setFresh(leafInts, handle);
    }
    this.keys = spareKeys;
    this.spareKeys = keys;
    this.itemCount = taken;
  }

  /** The last step: the batch's outputs are the subtree roots of {@link refs}. */
  private finish(): void {
    const { refs, batch, nodes, seeds, refCount: count } = this;
    const { leafWords, parents } = this.stems;
    const { inWords, inInts, outInts } = batch;
    for (let i = 0; i < count; i++) {
      copy4(leafWords, refs[i]! << 3, inWords, i << 3);
      complement8(outInts, i << 3, inInts, (i << 4) + 8);
    }
    batch.run(count);
    batch.deliver(count, refs, 0, parents, nodes, seeds);
    this.refCount = 0;
  }
}

function complement8(from: Int32Array, at: number, to: Int32Array, toAt: number): void {
  to[toAt] = ~from[at]!;
  to[toAt + 1] = ~from[at + 1]!;
  to[toAt + 2] = ~from[at + 2]!;
  to[toAt + 3] = ~from[at + 3]!;
  to[toAt + 4] = ~from[at + 4]!;
  to[toAt + 5] = ~from[at + 5]!;
  to[toAt + 6] = ~from[at + 6]!;
  to[toAt + 7] = ~from[at + 7]!;
}
