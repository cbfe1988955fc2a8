/** Buckets at the start; always a power of two. */
const BUCKETS_START = 1024;

/**
 * The buckets of an open-addressing hash table that numbers its keys 0, 1, 2, … in the order in which they come. The keys themselves, and what equality is, are its
 * owner's: it probes `table` from `hash & mask` on, linearly, until it meets its key or a 0.
 */
export class Buckets {
  /** Pairs: a key's hash, and its number plus 1; 0 is an empty bucket. */
  table: Int32Array = new Int32Array(2 * BUCKETS_START);
  /** Buckets - 1. */
  mask: number = BUCKETS_START - 1;
  /** Keys. */
  count = 0;

  /** Numbers a new key, whose probe ended at the empty bucket `bucket`. */
  add(bucket: number, hash: number): number {
    const id = this.count++;
    this.table[2 * bucket] = hash;
    this.table[2 * bucket + 1] = id + 1;
    if (2 * this.count > this.mask) this.grow();
    return id;
  }

  /** Forgets all keys. Costs as much as there are keys, or buckets, whichever is less. */
  clear(hashOf: (id: number) => number): void {
    const { table, mask, count } = this;
    this.count = 0;
    if (8 * count > mask) {
      table.fill(0);
      return;
    }
    for (let id = 0; id < count; id++) {
      let bucket = hashOf(id) & mask;
      while (table[2 * bucket + 1] !== id + 1) bucket = (bucket + 1) & mask;
      table[2 * bucket + 1] = 0;
    }
  }

  private grow(): void {
    const old = this.table;
    const table = new Int32Array(2 * old.length);
    const mask = table.length / 2 - 1;
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] === 0) continue;
      let bucket = old[at]! & mask;
      while (table[2 * bucket + 1] !== 0) bucket = (bucket + 1) & mask;
      table[2 * bucket] = old[at]!;
      table[2 * bucket + 1] = old[at + 1]!;
    }
    this.table = table;
    this.mask = mask;
  }
}

const MULTIPLIER_A = 0x9e37_79b1;
const MULTIPLIER_B = 0x85eb_ca77;
const MULTIPLIER_FINAL = 0xc2b2_ae3d;

/** One step of a hash lane. The shift after the product keeps differences that cancel for every seed rare. */
function step(lane: number, limb: number, multiplier: number): number {
  const product = Math.imul(lane ^ limb, multiplier);
  return product ^ (product >>> 15);
}

function finish(a: number, b: number): number {
  const hash = Math.imul(a ^ (b >>> 13) ^ (b << 19), MULTIPLIER_FINAL);
  return hash ^ (hash >>> 16);
}

/** Hash of an address: 5 limbs at `at`. */
export function hashAddress(seed: number, words: Uint32Array, at: number): number {
  let a = step(seed, words[at]!, MULTIPLIER_A);
  let b = step(~seed, words[at + 1]!, MULTIPLIER_B);
  a = step(a, words[at + 2]!, MULTIPLIER_A);
  b = step(b, words[at + 3]!, MULTIPLIER_B);
  a = step(a, words[at + 4]!, MULTIPLIER_A);
  return finish(a, b);
}

/** Hash of a slot: an account and the 8 limbs of a key at `at`. Two lanes, because a product takes longer than what stands between two of them. */
export function hashSlot(seed: number, account: number, words: Uint32Array, at: number): number {
  let a = step(seed ^ account, words[at]!, MULTIPLIER_A);
  let b = step(~seed, words[at + 1]!, MULTIPLIER_B);
  a = step(a, words[at + 2]!, MULTIPLIER_A);
  b = step(b, words[at + 3]!, MULTIPLIER_B);
  a = step(a, words[at + 4]!, MULTIPLIER_A);
  b = step(b, words[at + 5]!, MULTIPLIER_B);
  a = step(a, words[at + 6]!, MULTIPLIER_A);
  b = step(b, words[at + 7]!, MULTIPLIER_B);
  return finish(a, b);
}
