import { invariant } from '@shardlab/crosslink';
import type { Account } from './account.ts';

/** Characters of a key: the bytes of an address. */
const KEY_CHARS = 20;
/** 32-bit integers of a key. */
const KEY_INTS = 5;
/** Integers of a bucket: the account's place plus 1 (0: the bucket is empty), and its key. */
const BUCKET_INTS = 1 + KEY_INTS;
/** Buckets at the start; always a power of two, of which at most three quarters are taken. */
const BUCKETS_START = 64;

const MULTIPLIER_A = 0x9e37_79b1;
const MULTIPLIER_B = 0x85eb_ca77;
const MULTIPLIER_FINAL = 0xc2b2_ae3d;

/**
 * Accounts by the `bytesKey` of their address, in an open-addressing table that has the keys beside the places: finding one of 100 k accounts costs a core one or two waits for
 * memory before the account itself, where a `Map` has to follow its bucket, its entries and their strings (172 ns against 396, on accounts that are not in cache), and
 * looking up two accounts is most of what a plain transfer costs.
 */
export class AccountTable {
  private readonly seed: number;
  private buckets: Int32Array = new Int32Array(BUCKETS_START * BUCKET_INTS);
  private mask = BUCKETS_START - 1;
  private readonly accounts: (Account | undefined)[] = [];
  private readonly free: number[] = [];
  private taken = 0;

  /** `seed`, a 32-bit number, keys the hash, so that nobody can choose addresses that collide; nothing that can be seen depends on it. */
  constructor(seed: number) {
    this.seed = seed | 0;
  }

  /** Number of accounts. */
  get size(): number {
    return this.taken;
  }

  /** Throws `invariant` for a key of another length than 20. */
  get(key: string): Account | undefined {
    const place = this.buckets[this.find(key)]!;
    return place === 0 ? undefined : this.accounts[place - 1];
  }

  /** Puts an account in that is not there. */
  add(account: Account): void {
    const at = this.find(account.key);
    invariant(this.buckets[at] === 0, 'an account that is there is not put in again');
    const place = this.free.pop() ?? this.accounts.length;
    this.accounts[place] = account;
    this.buckets[at] = place + 1;
    for (let i = 0; i < KEY_INTS; i++) this.buckets[at + 1 + i] = intAt(account.key, 4 * i);
    this.taken++;
    if (4 * this.taken > 3 * this.mask) this.grow();
  }

  /** Takes an account out, if it is there. */
  delete(key: string): void {
    const at = this.find(key);
    const { buckets, mask } = this;
    const place = buckets[at]!;
    if (place === 0) return;
    this.accounts[place - 1] = undefined;
    this.free.push(place - 1);
    this.taken--;
    let hole = at / BUCKET_INTS;
    for (let bucket = (hole + 1) & mask; buckets[bucket * BUCKET_INTS] !== 0; bucket = (bucket + 1) & mask) {
      // What would not be found any more across the hole moves into it.
      const home = this.hashAt(buckets, bucket * BUCKET_INTS + 1) & mask;
      if (((bucket - home) & mask) < ((bucket - hole) & mask)) continue;
      copyBucket(buckets, bucket, buckets, hole);
      hole = bucket;
    }
    buckets[hole * BUCKET_INTS] = 0;
  }

  /** All accounts, in no particular order. */
  *values(): Iterable<Account> {
    for (const account of this.accounts) if (account !== undefined) yield account;
  }

  /** Where in {@link buckets} the bucket of a key begins, or the empty one where it would go. */
  private find(key: string): number {
    invariant(key.length === KEY_CHARS, 'an account is looked up by the 20 bytes of its address');
    const { buckets, mask } = this;
    const a = intAt(key, 0);
    const b = intAt(key, 4);
    const c = intAt(key, 8);
    const d = intAt(key, 12);
    const e = intAt(key, 16);
    let bucket = hashOf(this.seed, a, b, c, d, e) & mask;
    for (;;) {
      const at = bucket * BUCKET_INTS;
      if (buckets[at] === 0) return at;
      if (buckets[at + 1] === a && buckets[at + 2] === b && buckets[at + 3] === c && buckets[at + 4] === d && buckets[at + 5] === e) return at;
      bucket = (bucket + 1) & mask;
    }
  }

  private hashAt(buckets: Int32Array, at: number): number {
    return hashOf(this.seed, buckets[at]!, buckets[at + 1]!, buckets[at + 2]!, buckets[at + 3]!, buckets[at + 4]!);
  }

  private grow(): void {
    const old = this.buckets;
    const count = 2 * (this.mask + 1);
    const mask = count - 1;
    const buckets = new Int32Array(count * BUCKET_INTS);
    for (let from = 0; from <= this.mask; from++) {
      if (old[from * BUCKET_INTS] === 0) continue;
      let to = this.hashAt(old, from * BUCKET_INTS + 1) & mask;
      while (buckets[to * BUCKET_INTS] !== 0) to = (to + 1) & mask;
      copyBucket(old, from, buckets, to);
    }
    this.buckets = buckets;
    this.mask = mask;
  }
}

/** Four characters of a `bytesKey` as one integer. */
function intAt(key: string, at: number): number {
  return key.charCodeAt(at) | (key.charCodeAt(at + 1) << 8) | (key.charCodeAt(at + 2) << 16) | (key.charCodeAt(at + 3) << 24);
}

/** Two lanes, because a product takes longer than what stands between two of them. */
function hashOf(seed: number, a: number, b: number, c: number, d: number, e: number): number {
  const left = step(step(step(seed, a, MULTIPLIER_A), c, MULTIPLIER_A), e, MULTIPLIER_A);
  const right = step(step(~seed, b, MULTIPLIER_B), d, MULTIPLIER_B);
  const mixed = Math.imul(left ^ (right >>> 13) ^ (right << 19), MULTIPLIER_FINAL);
  return mixed ^ (mixed >>> 16);
}

/** One step of a hash lane. The shift after the product keeps differences that cancel for every seed rare. */
function step(lane: number, int: number, multiplier: number): number {
  const product = Math.imul(lane ^ int, multiplier);
  return product ^ (product >>> 15);
}

function copyBucket(from: Int32Array, bucket: number, to: Int32Array, toBucket: number): void {
  for (let i = 0; i < BUCKET_INTS; i++) to[toBucket * BUCKET_INTS + i] = from[bucket * BUCKET_INTS + i]!;
}
