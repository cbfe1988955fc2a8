import { growWords, nextCapacity } from '../trie/growth.ts';

/** Bytes of a key and of a value. */
const WORD = 32;
/** 32-bit integers of a key. */
const INTS = 8;
/** 32-bit integers of a row: key, value, contract, reference, and whether it is dirty. */
const ROW_INTS = 19;
const ROW_BYTES = 4 * ROW_INTS;
/** Places in a row. */
const CONTRACT = 16;
const REF = 17;
const DIRTY = 18;
/** Buckets at the start; always a power of two. */
const BUCKETS_START = 1024;
const SLOTS_START = 256;
const NO_CONTRACT = -1;

const MULTIPLIER_A = 0x9e37_79b1;
const MULTIPLIER_B = 0x85eb_ca77;
const MULTIPLIER_FINAL = 0xc2b2_ae3d;

/**
 * Storage slots that are not zero, in rows of one typed array by a small integer, and an open-addressing table that finds it for a contract and a key. A row has all that a
 * read or a write wants of a slot side by side, because none of it is in cache: 76 bytes, 11 to 22 more for the buckets, and up to a quarter of room. A `Map` from strings
 * of bytes to arrays takes three times as much, and twice the time of a read (`npm run bench -- storage`). A slot stays where it is until it is removed.
 */
export class SlotTable {
  /** Rows as bytes: {@link keyAt} and {@link valueAt} say where. */
  bytes: Uint8Array = new Uint8Array(ROW_BYTES * SLOTS_START);
  /** Slots. */
  count = 0;
  /** The same memory. */
  private rows: Int32Array = new Int32Array(this.bytes.buffer);
  private used = 0;
  private freeHead = 0;
  /** Pairs: a slot's hash, and its place plus 1; 0 is an empty bucket. */
  private buckets: Int32Array = new Int32Array(2 * BUCKETS_START);
  private mask = BUCKETS_START - 1;
  private readonly seed: number;
  private readonly wanted = new Uint8Array(WORD);
  private readonly wantedInts = new Int32Array(this.wanted.buffer);

  /** `seed` keys the hash, so that nobody can choose slots that collide; nothing that can be seen depends on it. */
  constructor(seed: number) {
    this.seed = seed | 0;
  }

  /** Places up to which there may be slots. */
  get end(): number {
    return this.used;
  }

  /** Bytes held. */
  get memoryBytes(): number {
    return this.bytes.length + 4 * this.buckets.length;
  }

  /** Where the 32 bytes of a slot's key stand in {@link bytes}. */
  keyAt(slot: number): number {
    return ROW_BYTES * slot;
  }

  /** Where the 32 bytes of a slot's value stand in {@link bytes}. */
  valueAt(slot: number): number {
    return ROW_BYTES * slot + WORD;
  }

  /** The id of the slot's contract; -1 if there is no slot at this place. */
  contract(slot: number): number {
    return this.rows[ROW_INTS * slot + CONTRACT]!;
  }

  /** The reference of the slot's stem in the trie; -1 if none is known. */
  ref(slot: number): number {
    return this.rows[ROW_INTS * slot + REF]!;
  }

  setRef(slot: number, ref: number): void {
    this.rows[ROW_INTS * slot + REF] = ref;
  }

  /** Marks a slot as changed since the last commit; whether it was not marked before. */
  markDirty(slot: number): boolean {
    const at = ROW_INTS * slot + DIRTY;
    if (this.rows[at] === 1) return false;
    this.rows[at] = 1;
    return true;
  }

  clearDirty(slot: number): void {
    this.rows[ROW_INTS * slot + DIRTY] = 0;
  }

  /** The slot of a contract under the 32 bytes of `key`; -1 if there is none. */
  find(contract: number, key: Uint8Array): number {
    return this.buckets[2 * this.probe(this.hashOf(contract, key), contract) + 1]! - 1;
  }

  /** As {@link find}, but it is put in, with value 0 and no reference, if it is not there. */
  open(contract: number, key: Uint8Array): number {
    const hash = this.hashOf(contract, key);
    const bucket = this.probe(hash, contract);
    const known = this.buckets[2 * bucket + 1]! - 1;
    return known >= 0 ? known : this.add(bucket, hash, contract);
  }

  /** Takes a slot out. */
  remove(slot: number): void {
    const { buckets, mask, rows } = this;
    const row = ROW_INTS * slot;
    for (let i = 0; i < INTS; i++) this.wantedInts[i] = rows[row + i]!;
    let hole = this.hash(rows[row + CONTRACT]!) & mask;
    while (buckets[2 * hole + 1] !== slot + 1) hole = (hole + 1) & mask;
    for (let bucket = (hole + 1) & mask; buckets[2 * bucket + 1] !== 0; bucket = (bucket + 1) & mask) {
      // What would not be found any more across the hole moves into it.
      const home = buckets[2 * bucket]! & mask;
      if (((bucket - home) & mask) < ((bucket - hole) & mask)) continue;
      buckets[2 * hole] = buckets[2 * bucket]!;
      buckets[2 * hole + 1] = buckets[2 * bucket + 1]!;
      hole = bucket;
    }
    buckets[2 * hole + 1] = 0;
    rows[row + CONTRACT] = NO_CONTRACT;
    // Of a free place: the next free one, plus 1.
    rows[row + REF] = this.freeHead;
    this.freeHead = slot + 1;
    this.count--;
  }

  private hashOf(contract: number, key: Uint8Array): number {
    const { wanted } = this;
    for (let i = 0; i < WORD; i++) wanted[i] = key[i]!;
    return this.hash(contract);
  }

  /** Hash of the contract and {@link wanted}. Two lanes, because a product takes longer than what stands between two of them. */
  private hash(contract: number): number {
    const { wantedInts, seed } = this;
    let a = step(seed ^ contract, wantedInts[0]!, MULTIPLIER_A);
    let b = step(~seed, wantedInts[1]!, MULTIPLIER_B);
    for (let i = 2; i < INTS; i += 2) {
      a = step(a, wantedInts[i]!, MULTIPLIER_A);
      b = step(b, wantedInts[i + 1]!, MULTIPLIER_B);
    }
    const mixed = Math.imul(a ^ (b >>> 13) ^ (b << 19), MULTIPLIER_FINAL);
    return mixed ^ (mixed >>> 16);
  }

  /** The bucket of {@link wanted}, or the empty one where it would go. */
  private probe(hash: number, contract: number): number {
    const { buckets, mask, rows, wantedInts } = this;
    let bucket = hash & mask;
    for (;;) {
      const slot = buckets[2 * bucket + 1]! - 1;
      if (slot < 0) return bucket;
      if (buckets[2 * bucket] === hash && rows[ROW_INTS * slot + CONTRACT] === contract && equalInts(rows, ROW_INTS * slot, wantedInts)) return bucket;
      bucket = (bucket + 1) & mask;
    }
  }

  private add(bucket: number, hash: number, contract: number): number {
    let slot: number;
    if (this.freeHead !== 0) {
      slot = this.freeHead - 1;
      this.freeHead = this.ref(slot);
    } else {
      if (ROW_INTS * this.used === this.rows.length) this.growRows();
      slot = this.used++;
    }
    this.buckets[2 * bucket] = hash;
    this.buckets[2 * bucket + 1] = slot + 1;
    const { rows, wantedInts } = this;
    const row = ROW_INTS * slot;
    for (let i = 0; i < INTS; i++) {
      rows[row + i] = wantedInts[i]!;
      rows[row + INTS + i] = 0;
    }
    rows[row + CONTRACT] = contract;
    rows[row + REF] = -1;
    rows[row + DIRTY] = 0;
    this.count++;
    if (4 * this.count > 3 * this.mask) this.growBuckets();
    return slot;
  }

  private growRows(): void {
    this.rows = growWords(this.rows, ROW_INTS * nextCapacity(this.used, this.used + 1));
    this.bytes = new Uint8Array(this.rows.buffer);
  }

  private growBuckets(): void {
    const old = this.buckets;
    const buckets = new Int32Array(2 * old.length);
    const mask = buckets.length / 2 - 1;
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] === 0) continue;
      let bucket = old[at]! & mask;
      while (buckets[2 * bucket + 1] !== 0) bucket = (bucket + 1) & mask;
      buckets[2 * bucket] = old[at]!;
      buckets[2 * bucket + 1] = old[at + 1]!;
    }
    this.buckets = buckets;
    this.mask = mask;
  }
}

/** One step of a hash lane. The shift after the product keeps differences that cancel for every seed rare. */
function step(lane: number, int: number, multiplier: number): number {
  const product = Math.imul(lane ^ int, multiplier);
  return product ^ (product >>> 15);
}

function equalInts(a: Int32Array, at: number, b: Int32Array): boolean {
  for (let i = 0; i < INTS; i++) if (a[at + i] !== b[i]) return false;
  return true;
}
