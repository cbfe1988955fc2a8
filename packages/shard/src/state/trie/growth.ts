import { ShardlabError } from '@shardlab/crosslink';

/** Most nodes, and most stems, of one trie: byte offsets of 64-byte items stay below 2^31, where they are cheap. */
export const ARENA_ITEMS_MAX = 1 << 25;

/**
 * The next capacity of an arena that must hold `wanted` items: a quarter more than now. What is not used yet costs address space rather than memory (the
 * system gives pages when they are written), but not everywhere, so no more than that. Throws `trie/full` above {@link ARENA_ITEMS_MAX}.
 */
export function nextCapacity(current: number, wanted: number): number {
  if (wanted > ARENA_ITEMS_MAX) throw new ShardlabError('trie/full', `the state trie holds at most ${ARENA_ITEMS_MAX} items of a kind`);
  return Math.min(ARENA_ITEMS_MAX, Math.max(wanted, current + (current >>> 2) + 64));
}

/** A copy with `length` bytes, zero beyond the old ones. */
export function growBytes(array: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(array);
  return out;
}

/** A copy with `length` words, zero beyond the old ones. */
export function growWords(array: Int32Array, length: number): Int32Array {
  const out = new Int32Array(length);
  out.set(array);
  return out;
}

/** A list of 32-bit integers that keeps its memory between uses. */
export class IntList {
  items: Int32Array = new Int32Array(64);
  length = 0;

  push(value: number): void {
    this.room(1)[this.length++] = value;
  }

  /** The memory of the list, with room for `more` items after its length. */
  room(more: number): Int32Array {
    const wanted = this.length + more;
    if (wanted > this.items.length) this.items = growWords(this.items, Math.max(wanted, this.items.length * 2));
    return this.items;
  }

  /** Empties the list; memory beyond `keepItems` is given back. */
  clear(keepItems: number): void {
    this.length = 0;
    if (this.items.length > keepItems) this.items = new Int32Array(keepItems);
  }
}
