import { type Hash32, type Hasher, ShardlabError } from '@shardlab/crosslink';
import { HashBatch } from './batch.ts';
import { flatValueBytes, writeFlatValue } from './flat-leaves.ts';
import { IntList } from './growth.ts';
import { NodeHasher } from './node-hash.ts';
import { NodeStore } from './nodes.ts';
import { compareStems, partition, sortStems } from './order.ts';
import { leavesOf, proveKey } from './prove.ts';
import { Shape } from './shape.ts';
import { StemHasher } from './stem-hash.ts';
import { DIRTY, EMPTY, StemStore } from './stems.ts';

const STEM_BYTES = 31;
/** Integers that lists keep between commits. */
const KEEP_ITEMS = 1 << 16;
/** Stems that a part of a commit has, about: what they touch below the parts' roots fits a core's own cache. */
const PART_STEMS = 1024;
/** Internal nodes per stem of a large trie of random stems, 1 / ln 2, and a little more. */
const NODES_PER_STEM = 1.45;

/** What a commit did. */
export interface TrieCommit {
  /** The root of everything set so far. */
  readonly root: Hash32;
  /** References that died in this commit, see {@link Trie}. */
  readonly freed: Int32Array;
  /** SHA-256 blocks hashed. */
  readonly hashes: number;
}

/** How much a trie holds. */
export interface TrieSize {
  readonly stems: number;
  readonly leaves: number;
  /** Internal nodes. */
  readonly nodes: number;
  /** All arenas, what they keep in reserve included. */
  readonly memoryBytes: number;
}

/**
 * The state tree of one shard (R9): 32-byte values under a 31-byte stem and a suffix, with a root that depends on the contents alone. The shape and
 * hashes are defined at crosslink's `computeStateRoot` and `stateStemHash`. Nothing is an object per node: see {@link NodeStore} and {@link StemStore}.
 *
 * **References.** {@link stemRef} gives a small integer for a stem, with which leaves are read and set without descending. It stays valid, whatever else
 * changes, until a {@link commit} that finds the stem without leaves: that commit takes the stem out, and lists the reference in `freed`. A stem
 * that is asked for and never given a leaf dies in the next commit too; one that is emptied and filled again before it lives on. A freed number
 * may be given to another stem later: drop it from every cache.
 *
 * **Undoing.** There are no versions: setting all old values back, and committing, gives the old root. Until `commit`, reads see what was
 * set, while {@link root} and {@link prove} mean the last commit.
 */
export class Trie {
  private readonly hasher: Hasher;
  private readonly batch: HashBatch;
  private readonly nodes: NodeStore;
  private readonly stems: StemStore;
  private readonly shape: Shape;
  private readonly stemHasher: StemHasher;
  private readonly nodeHasher: NodeHasher;
  private readonly dirty = new IntList();
  /** Nodes to hash in the part that is being hashed. */
  private readonly seeds = new IntList();
  /** Nodes to hash when all parts are: those above them, and those that lost a child. */
  private readonly top = new IntList();
  private rootHash = new Uint8Array(32) as Hash32;

  /** An empty trie; `stemsExpected` reserves memory at once. */
  constructor(hasher: Hasher, stemsExpected = 64) {
    this.hasher = hasher;
    this.batch = new HashBatch(hasher);
    this.nodes = new NodeStore(Math.ceil(NODES_PER_STEM * stemsExpected) + 64);
    this.stems = new StemStore(stemsExpected);
    this.shape = new Shape(this.nodes, this.stems);
    this.stemHasher = new StemHasher(this.nodes, this.stems, this.batch, this.seeds);
    this.nodeHasher = new NodeHasher(this.nodes, this.batch);
  }

  /** The root of the last commit; 32 zero bytes if the trie was empty. */
  root(): Hash32 {
    return this.rootHash.slice() as Hash32;
  }

  /** The reference of `stem` (31 bytes), or -1 if it is not in the trie. Throws `trie/length`. */
  findStem(stem: Uint8Array): number {
    checkLength('a stem', stem, STEM_BYTES);
    return this.shape.find(stem);
  }

  /** The reference of `stem` (31 bytes), which is put in if it is not there. Throws `trie/length` and `trie/full`. */
  stemRef(stem: Uint8Array): number {
    checkLength('a stem', stem, STEM_BYTES);
    const end = this.shape.follow(stem);
    if (end.child < 0 && this.stems.equals(~end.child, stem)) return ~end.child;
    const ref = this.shape.insert(stem, end);
    this.touch(ref);
    return ref;
  }

  /**
   * References for many stems (31 bytes each, one after the other, in any order, repetitions allowed) in an empty trie: much faster than one by one, and
   * laid out so that commits are faster too. Leaves are set afterwards. Throws `trie/length`, `trie/not-empty` and `trie/full`.
   */
  load(stems: Uint8Array): Int32Array {
    if (stems.length % STEM_BYTES !== 0) throw new ShardlabError('trie/length', 'not a whole number of stems');
    if (this.stems.count !== 0 || this.dirty.length !== 0) throw new ShardlabError('trie/not-empty', 'a trie is loaded when it is empty');
    const count = stems.length / STEM_BYTES;
    const order = sortStems(stems, count);
    const refs = new Int32Array(count);
    this.stems.reserve(count);
    this.nodes.reserve(Math.ceil(NODES_PER_STEM * count));
    let first = -1;
    let last = -1;
    for (let i = 0; i < count; i++) {
      const index = order[i]!;
      if (i === 0 || compareStems(stems, order[i - 1]!, index) !== 0) {
        last = this.stems.allocNext(stems, STEM_BYTES * index);
        if (first < 0) first = last;
        this.touch(last);
      }
      refs[index] = last;
    }
    if (count > 0) this.shape.build(first, last - first + 1);
    return refs;
  }

  /** The value at a suffix (0 to 255) of a stem, in 32 bytes of its own, or `undefined`. Throws `invariant` on a dead reference. */
  get(ref: number, suffix: number): Uint8Array | undefined {
    const at = this.stems.find(ref, suffix);
    return at < 0 ? undefined : this.stems.memoryOf(ref).slice(at, at + 32);
  }

  /** As {@link get}, into `out` at `at`; an absent value is written as zeros. Whether there is one. */
  read(ref: number, suffix: number, out: Uint8Array, at = 0): boolean {
    const from = this.stems.find(ref, suffix);
    if (from < 0) {
      out.fill(0, at, at + 32);
      return false;
    }
    const memory = this.stems.memoryOf(ref);
    for (let i = 0; i < 32; i++) out[at + i] = memory[from + i]!;
    return true;
  }

  /**
   * Sets the value at a suffix (0 to 255) of a stem to the 32 bytes of `source` at `at`; 32 zero bytes make it absent. Throws `trie/length`,
   * `trie/suffix`, and `invariant` on a dead reference.
   */
  set(ref: number, suffix: number, source: Uint8Array, at = 0): void {
    if (source.length < at + 32) throw new ShardlabError('trie/length', 'a value has 32 bytes', { bytes: source.length - at });
    if (suffix !== (suffix & 0xff)) throw new ShardlabError('trie/suffix', 'a suffix is 0 to 255', { suffix });
    if (isZero(source, at)) {
      if (!this.stems.remove(ref, suffix)) return;
    } else if (this.stems.holdsOnly(ref, suffix)) {
      // The one leaf of a stem, again: what blocks mostly do.
      this.stems.putValue(ref, source, at);
    } else {
      this.stems.put(ref, suffix, source, at);
    }
    this.touch(ref);
  }

  /** Leaves of a stem as it is now: suffixes ascending, values in bytes of their own. Throws `invariant` on a dead reference. */
  leaves(ref: number): { suffix: number; value: Uint8Array }[] {
    return leavesOf(this.stems, ref);
  }

  /** Bytes that {@link writeFlat} writes. Throws `invariant` on a dead reference. */
  flatBytes(ref: number): number {
    return flatValueBytes(this.stems, ref);
  }

  /** Writes the flat value of a stem as it is now (crosslink's `encodeFlatValue`; nothing if it has no leaf) and returns where it ends. Throws `invariant` on a dead reference. */
  writeFlat(ref: number, out: Uint8Array, at: number): number {
    return writeFlatValue(this.stems, ref, out, at);
  }

  /** Takes out the stems that hold nothing, and hashes what has changed. */
  commit(): TrieCommit {
    const { dirty, stems, nodes, top, batch } = this;
    const before = batch.hashes;
    const freed: number[] = [];
    let kept = 0;
    for (let i = 0; i < dirty.length; i++) {
      const ref = dirty.items[i]!;
      stems.meta[ref]! &= ~DIRTY;
      if (stems.kind(ref) !== EMPTY) {
        dirty.items[kept++] = ref;
        continue;
      }
      const changed = this.shape.remove(ref);
      if (nodes.marks[changed] === 0) {
        nodes.marks[changed] = 1;
        top.push(changed);
      }
      freed.push(ref);
    }
    this.hashChanged(kept);
    dirty.clear(KEEP_ITEMS);
    for (const ref of freed) stems.free(ref);
    this.rootHash = nodes.hashBytes.slice(0, 32) as Hash32;
    return { root: this.root(), freed: Int32Array.from(freed), hashes: batch.hashes - before };
  }

  /**
   * An encoded proof of what the committed state says about `key` (32 bytes: stem and suffix), for crosslink's `verifyStateProof`. Throws `trie/length`, and
   * `trie/uncommitted` if anything was set, or a stem put in, since the last commit.
   */
  prove(key: Uint8Array): Uint8Array {
    checkLength('a key', key, 32);
    if (this.dirty.length !== 0) throw new ShardlabError('trie/uncommitted', 'proofs are made of committed state');
    return proveKey(this.hasher, this.nodes, this.stems, key);
  }

  /** What the trie holds now. */
  size(): TrieSize {
    return {
      stems: this.stems.count,
      leaves: this.stems.leaves,
      nodes: this.nodes.count,
      memoryBytes: this.stems.memoryBytes() + this.nodes.memoryBytes() + 4 * (this.dirty.items.length + this.seeds.items.length + this.top.items.length),
    };
  }

  /**
   * Hashes the first `count` stems of the dirty list and everything above them: first one part of the tree after the other up to the depth where the
   * parts meet, then what is above. The nodes of one part stay in cache, and their pages in the TLB, from the leaves up to there, where level by
   * level through the whole tree each would be missed anew.
   */
  private hashChanged(count: number): void {
    const { seeds, top } = this;
    // ceil(log2(parts)), in integers: exact on every engine.
    const bits = Math.min(8, 32 - Math.clz32(Math.max(0, Math.ceil(count / PART_STEMS) - 1)));
    const { sorted, ends } = partition(this.dirty.items, count, this.stems.meta, bits);
    let start = 0;
    for (const end of ends) {
      this.stemHasher.hash(sorted, start, end);
      this.nodeHasher.hash(seeds, bits, top);
      start = end;
    }
    this.nodeHasher.hash(top, 0, top);
  }

  private touch(ref: number): void {
    const meta = this.stems.meta[ref]!;
    if ((meta & DIRTY) !== 0) return;
    this.stems.meta[ref] = meta | DIRTY;
    this.dirty.push(ref);
  }
}

function checkLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new ShardlabError('trie/length', `${what} has ${length} bytes, not ${bytes.length}`);
}

function isZero(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 32; i++) if (bytes[at + i] !== 0) return false;
  return true;
}
