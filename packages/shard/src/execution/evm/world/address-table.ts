import type { Address } from '@shardlab/crosslink';
import type { AccountId, Words } from '../types.ts';
import { LIMBS, toBytes } from '../words/basic.ts';
import { Buckets, hashAddress } from './buckets.ts';
import { grownUint32, KEEP_ACCOUNTS } from './columns.ts';

const ACCOUNTS_START = 256;
/** Limbs of an address. */
const ADDRESS_LIMBS = 5;

/** Numbers addresses. */
export class AddressTable {
  private readonly buckets = new Buckets();
  private readonly seed: number;
  /** 8 limbs per address, so that it is copied as a word. */
  private words: Uint32Array = new Uint32Array(ACCOUNTS_START * LIMBS);
  /** The same as bytes, made when they are first asked for. */
  private readonly bytes: (Address | undefined)[] = [];
  private readonly scratch: Uint32Array = new Uint32Array(LIMBS);
  private readonly hashOf = (id: AccountId): number => hashAddress(this.seed, this.words, id * LIMBS);
  private readonly wordBytes: Uint8Array = new Uint8Array(32);

  constructor(seed: number) {
    this.seed = seed;
  }

  /** Addresses that have a number. */
  get count(): number {
    return this.buckets.count;
  }

  /** The number of the address in the low 160 bits of a word, which it now gets if it had none: then it is the old `count`. */
  intern(words: Words, at: number): AccountId {
    const hash = hashAddress(this.seed, words, at);
    const { table, mask } = this.buckets;
    const own = this.words;
    let bucket = hash & mask;
    for (;;) {
      const id = table[2 * bucket + 1]! - 1;
      if (id < 0) return this.add(bucket, hash, words, at);
      if (table[2 * bucket] === hash) {
        const key = id * LIMBS;
        // By differences: limbs above 2^31 would be compared as doubles.
        const low = (own[key]! ^ words[at]!) | (own[key + 1]! ^ words[at + 1]!) | (own[key + 2]! ^ words[at + 2]!);
        if ((low | (own[key + 3]! ^ words[at + 3]!) | (own[key + 4]! ^ words[at + 4]!)) === 0) return id;
      }
      bucket = (bucket + 1) & mask;
    }
  }

  /** The number of an address in bytes, which stay the caller's and must not change: they are what {@link address} hands out from now on, if the address is new. */
  internBytes(address: Address): AccountId {
    const { scratch } = this;
    const { count } = this.buckets;
    for (let limb = 0, at = 16; limb < ADDRESS_LIMBS; limb++, at -= 4) {
      scratch[limb] = (address[at]! << 24) | (address[at + 1]! << 16) | (address[at + 2]! << 8) | address[at + 3]!;
    }
    const id = this.intern(scratch, 0);
    if (id === count) this.bytes[id] = address;
    return id;
  }

  /** The address; shared, never written to. */
  address(account: AccountId): Address {
    const known = this.bytes[account];
    if (known !== undefined) return known;
    toBytes(this.words, account * LIMBS, this.wordBytes, 0);
    const made = this.wordBytes.slice(12) as Address;
    this.bytes[account] = made;
    return made;
  }

  /** Copies the address as a word. */
  copyTo(account: AccountId, words: Words, at: number): void {
    const from = account * LIMBS;
    for (let i = 0; i < ADDRESS_LIMBS; i++) words[at + i] = this.words[from + i]!;
    words[at + 5] = 0;
    words[at + 6] = 0;
    words[at + 7] = 0;
  }

  /** The address as a number if it is below 2^32, else 0. */
  smallNumber(account: AccountId): number {
    const at = account * LIMBS;
    const { words } = this;
    const high = words[at + 1]! | words[at + 2]! | words[at + 3]! | words[at + 4]!;
    return high === 0 ? words[at]! : 0;
  }

  clear(): void {
    if (this.bytes.length > KEEP_ACCOUNTS) this.bytes.length = 0;
    this.buckets.clear(this.hashOf);
  }

  private add(bucket: number, hash: number, words: Words, at: number): AccountId {
    const id = this.buckets.add(bucket, hash);
    this.words = grownUint32(this.words, (id + 1) * LIMBS);
    for (let i = 0; i < ADDRESS_LIMBS; i++) this.words[id * LIMBS + i] = words[at + i]!;
    this.bytes[id] = undefined;
    return id;
  }
}
