import { InvariantError } from '@shardlab/crosslink';
import { growBytes, growWords, nextCapacity } from './growth.ts';
import { SparseStore } from './sparse.ts';

/** What a stem holds now; the low bits of its `meta` word. */
export const FREE = 0;
export const EMPTY = 1;
export const SINGLE = 2;
export const MULTI = 3;
/** The bits of the kind. */
export const KIND_MASK = 3;
const SUFFIX_MASK = 0xff00;
/** State bit: changed since the last commit, and listed as such. */
export const DIRTY = 4;
/** State bit: its tag has been computed. */
export const TAGGED = 8;

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
const STEM_BYTES = 31;
/** Each stem's bytes stand at multiples of 32. */
export const STEM_STRIDE = 32;

/**
 * The stems and their leaves, as arrays by stem reference. Most stems hold one leaf: its value stands beside the stem's tag, in the aligned block of
 * 64 bytes that a commit reads, and nothing else is stored for it. Stems with more leaves keep them in a {@link SparseStore}, and its handle instead.
 */
export class StemStore {
  /** 31 bytes at 32 * ref. */
  stemBytes: Uint8Array;
  /** 64 bytes at 64 * ref: the complemented tag, then the value or the handle. */
  leafBytes: Uint8Array;
  /** The same memory: 8 words by ref, tag at 0, value at 4. */
  leafWords: BigUint64Array;
  /** The same memory: 16 words by ref; a handle's four words are at 8. */
  leafInts: Int32Array;
  /** The slot that the stem hangs in. Of a freed stem: the next freed one, plus 1. */
  parents: Int32Array;
  /**
   * By ref, in one word because all of it is wanted at once and none of it is in cache: kind and state bits (bits 0 to 7), the suffix of the one leaf of a
   * {@link SINGLE} (8 to 15), and the first byte of the stem (16 to 23), by which a commit puts all changed stems in order.
   */
  meta: Int32Array;
  /** Leaves of stems that have more than one. */
  readonly sparse = new SparseStore();
  /** Stems in use, those that are {@link EMPTY} until the next commit included. */
  count = 0;
  /** Leaves held, all stems together. */
  leaves = 0;
  private used = 0;
  private freeHead = 0;

  constructor(capacity: number) {
    this.stemBytes = new Uint8Array(STEM_STRIDE * capacity);
    this.leafBytes = new Uint8Array(64 * capacity);
    this.leafWords = new BigUint64Array(this.leafBytes.buffer);
    this.leafInts = new Int32Array(this.leafBytes.buffer);
    this.parents = new Int32Array(capacity);
    this.meta = new Int32Array(capacity);
  }

  /** Makes room for `more` further stems without growing again. */
  reserve(more: number): void {
    const wanted = this.used + more;
    if (wanted > this.meta.length) this.grow(nextCapacity(this.meta.length, wanted));
  }

  /** An empty stem for the 31 bytes of `source` at `at`, not hung in anywhere yet. */
  alloc(source: Uint8Array, at: number): number {
    let ref: number;
    if (this.freeHead !== 0) {
      ref = this.freeHead - 1;
      this.freeHead = this.parents[ref]!;
    } else {
      this.reserve(1);
      ref = this.used++;
    }
    this.init(ref, source, at);
    return ref;
  }

  /** As {@link alloc}, but always the reference after the largest so far: several in a row are consecutive. */
  allocNext(source: Uint8Array, at: number): number {
    this.reserve(1);
    const ref = this.used++;
    this.init(ref, source, at);
    return ref;
  }

  private init(ref: number, source: Uint8Array, at: number): void {
    const to = STEM_STRIDE * ref;
    for (let i = 0; i < STEM_BYTES; i++) this.stemBytes[to + i] = source[at + i]!;
    this.meta[ref] = (source[at]! << 16) | EMPTY;
    this.count++;
  }

  free(ref: number): void {
    this.meta[ref] = FREE;
    this.parents[ref] = this.freeHead;
    this.freeHead = ref + 1;
    this.count--;
  }

  /** The kind of a stem in use. Throws `invariant` for a reference that was freed or never given out. */
  kind(ref: number): number {
    const meta = this.meta[ref];
    if (meta === undefined || (meta & KIND_MASK) === FREE) throw new InvariantError('not a stem reference', { ref });
    return meta & KIND_MASK;
  }

  /** Whether the stem's 31 bytes are those of `source`. */
  equals(ref: number, source: Uint8Array): boolean {
    const at = STEM_STRIDE * ref;
    for (let i = 0; i < STEM_BYTES; i++) if (this.stemBytes[at + i] !== source[i]) return false;
    return true;
  }

  /** Leaves that the stem holds now. */
  leafCount(ref: number): number {
    const kind = this.kind(ref);
    return kind === MULTI ? this.sparse.count(this.leafInts, 16 * ref + 8) : kind === SINGLE ? 1 : 0;
  }

  /** Byte offset into {@link memoryOf} of the value at a suffix, or -1. Only valid until the next change. */
  find(ref: number, suffix: number): number {
    const kind = this.kind(ref);
    if (kind === SINGLE) return suffixOf(this.meta[ref]!) === suffix ? 64 * ref + 32 : -1;
    return kind === MULTI ? this.sparse.find(this.leafInts, 16 * ref + 8, suffix) : -1;
  }

  /** The bytes that {@link find}'s offsets of this stem mean. */
  memoryOf(ref: number): Uint8Array {
    return this.kind(ref) === MULTI ? this.sparse.bytes : this.leafBytes;
  }

  /** Whether the stem has one leaf, at this suffix. False for a dead reference. */
  holdsOnly(ref: number, suffix: number): boolean {
    return (this.meta[ref]! & (KIND_MASK | SUFFIX_MASK)) === (SINGLE | (suffix << 8));
  }

  /** Sets a value that is not zero: 32 bytes of `source` at `at`. */
  put(ref: number, suffix: number, source: Uint8Array, at: number): void {
    const kind = this.kind(ref);
    if (kind === MULTI) {
      this.leaves += this.sparse.put(this.leafInts, 16 * ref + 8, suffix, source, at);
      return;
    }
    if (kind === SINGLE && suffixOf(this.meta[ref]!) !== suffix) {
      // The first value moves out before its place becomes a handle.
      const handle = 16 * ref + 8;
      const first = this.leafBytes.slice(64 * ref + 32, 64 * ref + 64);
      this.sparse.open(this.leafInts, handle);
      this.sparse.put(this.leafInts, handle, suffixOf(this.meta[ref]!), first, 0);
      this.leaves += this.sparse.put(this.leafInts, handle, suffix, source, at);
      this.setKind(ref, MULTI, 0);
      return;
    }
    if (kind === EMPTY) {
      this.setKind(ref, SINGLE, suffix);
      this.leaves++;
    }
    this.putValue(ref, source, at);
  }

  /** Writes the value of a stem with one leaf, in eight stores rather than 32: the line is rarely in cache, and stores that wait for one are few. */
  putValue(ref: number, source: Uint8Array, at: number): void {
    if (!LITTLE_ENDIAN) {
      copy32(source, at, this.leafBytes, 64 * ref + 32);
      return;
    }
    const { leafInts } = this;
    const to = (ref << 4) + 8;
    for (let k = 0; k < 8; k++) {
      const from = at + (k << 2);
      leafInts[to + k] = source[from]! | (source[from + 1]! << 8) | (source[from + 2]! << 16) | (source[from + 3]! << 24);
    }
  }

  /** Makes a suffix absent; whether it held a value. */
  remove(ref: number, suffix: number): boolean {
    const kind = this.kind(ref);
    if (this.find(ref, suffix) < 0) return false;
    this.leaves--;
    if (kind === SINGLE) {
      this.setKind(ref, EMPTY, 0);
      return true;
    }
    const handle = 16 * ref + 8;
    this.sparse.remove(this.leafInts, handle, suffix);
    if (this.sparse.count(this.leafInts, handle) === 1) {
      const last = this.sparse.suffixAt(this.leafInts, handle, 0);
      // Out of the store before the handle, which lies where the value goes, is overwritten.
      const from = this.sparse.valueOffset(this.leafInts, handle, 0);
      this.sparse.close(this.leafInts, handle);
      copy32(this.sparse.bytes, from, this.leafBytes, 64 * ref + 32);
      this.setKind(ref, SINGLE, last);
    }
    return true;
  }

  /** Bytes held. */
  memoryBytes(): number {
    return this.meta.length * (STEM_STRIDE + 64 + 4 + 4) + this.sparse.bytes.length;
  }

  private setKind(ref: number, kind: number, suffix: number): void {
    this.meta[ref] = (this.meta[ref]! & ~(KIND_MASK | SUFFIX_MASK)) | kind | (suffix << 8);
  }

  private grow(capacity: number): void {
    this.stemBytes = growBytes(this.stemBytes, STEM_STRIDE * capacity);
    this.leafBytes = growBytes(this.leafBytes, 64 * capacity);
    this.leafWords = new BigUint64Array(this.leafBytes.buffer);
    this.leafInts = new Int32Array(this.leafBytes.buffer);
    this.parents = growWords(this.parents, capacity);
    this.meta = growWords(this.meta, capacity);
  }
}

/** The suffix in a `meta` word. */
export function suffixOf(meta: number): number {
  return (meta >> 8) & 0xff;
}

/** Byte by byte: for 32 bytes cheaper than a call of `set` with a view. */
export function copy32(source: Uint8Array, from: number, target: Uint8Array, to: number): void {
  for (let i = 0; i < 32; i++) target[to + i] = source[from + i]!;
}
