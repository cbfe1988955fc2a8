import { growBytes, nextCapacity } from './growth.ts';

/** Blocks of {@link GROUPED_CLASS} and above cache one hash for each 16 neighbouring suffixes: 16 of them. */
export const GROUPS = 16;
/** Class (power of two of the capacity) from which a block has cached group hashes: 32 leaves. */
export const GROUPED_CLASS = 5;
/** All groups of a block are out of date. */
const ALL_GROUPS = 0xffff;
const CELL = 32;
const CLASSES = 9;

// A handle is four 32-bit words of the caller's memory.
const BLOCK = 0;
const CLASS = 1;
const COUNT = 2;
const STALE = 3;

/**
 * Leaves of the stems that hold 2 to 256 of them. A block has capacity for 2^class leaves, in cells of 32 bytes: the suffixes, ascending, one byte
 * each; in large blocks the cached hashes of the 16 groups of suffixes, so that one changed leaf of a full stem costs at most 46 hashes rather than 511;
 * then the values in the order of their suffixes. Freed blocks are reused by class.
 */
export class SparseStore {
  bytes: Uint8Array = new Uint8Array(0);
  /** The same memory, four words a cell. */
  words: BigUint64Array = new BigUint64Array(0);
  private ints: Int32Array = new Int32Array(0);
  /** First cell that was never used; cell 0 is kept back, so that 0 can end the free lists. */
  private used = 1;
  private readonly freeHeads = new Int32Array(CLASSES);

  /** Makes `handle` (an index into `memory`) an empty block for 2 leaves. */
  open(memory: Int32Array, handle: number): void {
    // First, for it may throw: what the handle overwrites is still needed then.
    const block = this.alloc(1);
    memory[handle + BLOCK] = block;
    memory[handle + CLASS] = 1;
    memory[handle + COUNT] = 0;
    memory[handle + STALE] = ALL_GROUPS;
  }

  /** Gives the block back. */
  close(memory: Int32Array, handle: number): void {
    this.release(memory[handle + BLOCK]!, memory[handle + CLASS]!);
  }

  count(memory: Int32Array, handle: number): number {
    return memory[handle + COUNT]!;
  }

  /** Whether the block caches group hashes. */
  grouped(memory: Int32Array, handle: number): boolean {
    return memory[handle + CLASS]! >= GROUPED_CLASS;
  }

  /** Bit g is set if the cached hash of group g (suffixes 16 g to 16 g + 15) is out of date. */
  stale(memory: Int32Array, handle: number): number {
    return memory[handle + STALE]!;
  }

  /** The caller has brought all cached group hashes up to date. */
  setFresh(memory: Int32Array, handle: number): void {
    memory[handle + STALE] = 0;
  }

  /** Byte offset of the cached hash of a group. */
  groupOffset(memory: Int32Array, handle: number, group: number): number {
    return CELL * (memory[handle + BLOCK]! + suffixCells(memory[handle + CLASS]!) + group);
  }

  /** Suffix of the leaf at `index`, in ascending order. */
  suffixAt(memory: Int32Array, handle: number, index: number): number {
    return this.bytes[CELL * memory[handle + BLOCK]! + index]!;
  }

  /** Byte offset of the value of the leaf at `index`. */
  valueOffset(memory: Int32Array, handle: number, index: number): number {
    return CELL * (memory[handle + BLOCK]! + headCells(memory[handle + CLASS]!) + index);
  }

  /** Byte offset of the value at `suffix`, or -1. */
  find(memory: Int32Array, handle: number, suffix: number): number {
    const index = this.indexOf(memory, handle, suffix);
    return index < memory[handle + COUNT]! && this.suffixAt(memory, handle, index) === suffix ? this.valueOffset(memory, handle, index) : -1;
  }

  /** Sets the 32 bytes of `source` at `at`; 1 if the leaf is new, else 0. `source` must not be this store's memory. */
  put(memory: Int32Array, handle: number, suffix: number, source: Uint8Array, at: number): 0 | 1 {
    const index = this.indexOf(memory, handle, suffix);
    const count = memory[handle + COUNT]!;
    const isNew = index === count || this.suffixAt(memory, handle, index) !== suffix;
    if (isNew) {
      if (count === 1 << memory[handle + CLASS]!) this.resize(memory, handle, memory[handle + CLASS]! + 1);
      const suffixes = CELL * memory[handle + BLOCK]!;
      this.bytes.copyWithin(suffixes + index + 1, suffixes + index, suffixes + count);
      this.bytes[suffixes + index] = suffix;
      const values = this.valueOffset(memory, handle, 0);
      this.bytes.copyWithin(values + CELL * (index + 1), values + CELL * index, values + CELL * count);
      memory[handle + COUNT] = count + 1;
    }
    const to = this.valueOffset(memory, handle, index);
    for (let i = 0; i < 32; i++) this.bytes[to + i] = source[at + i]!;
    memory[handle + STALE]! |= 1 << (suffix >> 4);
    return isNew ? 1 : 0;
  }

  /** Removes the leaf at `suffix`, which is there. */
  remove(memory: Int32Array, handle: number, suffix: number): void {
    const index = this.indexOf(memory, handle, suffix);
    const count = memory[handle + COUNT]!;
    const suffixes = CELL * memory[handle + BLOCK]!;
    this.bytes.copyWithin(suffixes + index, suffixes + index + 1, suffixes + count);
    const values = this.valueOffset(memory, handle, 0);
    this.bytes.copyWithin(values + CELL * index, values + CELL * (index + 1), values + CELL * count);
    memory[handle + COUNT] = count - 1;
    memory[handle + STALE]! |= 1 << (suffix >> 4);
    // A quarter full before it shrinks by half: a leaf that comes and goes does not move the block each time.
    const size = memory[handle + CLASS]!;
    if (size > 1 && count - 1 <= 1 << (size - 2)) this.resize(memory, handle, size - 1);
  }

  /** Index of the first leaf whose suffix is not below `suffix`. */
  private indexOf(memory: Int32Array, handle: number, suffix: number): number {
    const suffixes = CELL * memory[handle + BLOCK]!;
    let low = 0;
    let high = memory[handle + COUNT]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.bytes[suffixes + middle]! < suffix) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private resize(memory: Int32Array, handle: number, size: number): void {
    const oldSize = memory[handle + CLASS]!;
    const old = memory[handle + BLOCK]!;
    const count = memory[handle + COUNT]!;
    const block = this.alloc(size);
    this.bytes.copyWithin(CELL * block, CELL * old, CELL * old + count);
    const from = CELL * (old + headCells(oldSize));
    this.bytes.copyWithin(CELL * (block + headCells(size)), from, from + CELL * count);
    if (oldSize >= GROUPED_CLASS && size >= GROUPED_CLASS) {
      const groups = CELL * (old + suffixCells(oldSize));
      this.bytes.copyWithin(CELL * (block + suffixCells(size)), groups, groups + CELL * GROUPS);
    } else {
      memory[handle + STALE] = ALL_GROUPS;
    }
    this.release(old, oldSize);
    memory[handle + BLOCK] = block;
    memory[handle + CLASS] = size;
  }

  private alloc(size: number): number {
    const free = this.freeHeads[size]!;
    if (free !== 0) {
      this.freeHeads[size] = this.ints[8 * free]!;
      return free;
    }
    const block = this.used;
    const end = block + headCells(size) + (1 << size);
    if (CELL * end > this.bytes.length) {
      this.bytes = growBytes(this.bytes, CELL * nextCapacity(this.bytes.length / CELL, end));
      this.words = new BigUint64Array(this.bytes.buffer);
      this.ints = new Int32Array(this.bytes.buffer);
    }
    this.used = end;
    return block;
  }

  private release(block: number, size: number): void {
    this.ints[8 * block] = this.freeHeads[size]!;
    this.freeHeads[size] = block;
  }
}

/** Cells of the suffixes of a block. */
function suffixCells(size: number): number {
  return size <= GROUPED_CLASS ? 1 : 1 << (size - GROUPED_CLASS);
}

/** Cells before the values of a block. */
function headCells(size: number): number {
  return suffixCells(size) + (size >= GROUPED_CLASS ? GROUPS : 0);
}
