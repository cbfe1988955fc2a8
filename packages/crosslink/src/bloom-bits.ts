import type { Hasher } from './crypto.ts';
import { LOGS_BLOOM_BYTES } from './header.ts';

/** 32-bit integers of the longest value that is remembered: a topic. */
const VALUE_INTS = 8;
/** Integers of an entry: the value, its length in bytes (0: the entry is free), and its bits as {@link BITS} and {@link LAST_BIT} say. */
const ENTRY_INTS = 11;
const LENGTH = 8;
/** The first bit, and the second one from bit 11 on. */
const BITS = 9;
const LAST_BIT = 10;
/** Entries at the start and at most, as powers of two: 5.8 MB. */
const START_LOG2 = 4;
const MOST_LOG2 = 17;
/** By how much the table grows. */
const GROWTH = 4;
const MULTIPLIER = 0x9e37_79b1;

/**
 * Where the bits of values are in a filter of 2048 bits: the low 11 bits of the first three 16-bit words of a value's keccak-256 (Yellow Paper 4.3.1, M3:2048). Remembers
 * values of 20 and 32 bytes in a direct-mapped table: what falls on the same entry replaces it, so that values chosen to collide cost a hash each and nothing else. Grows
 * as values come.
 */
export class BloomBits {
  private readonly hasher: Pick<Hasher, 'keccak256'>;
  private mask = 2 ** START_LOG2 - 1;
  private entries: Int32Array = new Int32Array(2 ** START_LOG2 * ENTRY_INTS);
  /** Values put in since the table grew. */
  private taken = 0;
  private readonly wanted = new Int32Array(new ArrayBuffer(4 * VALUE_INTS));
  /** The same memory as the bytes of an address and of a topic. Hashing a small array of its own would move its memory out of the heap, for good. */
  private readonly wantedAddress = new Uint8Array(this.wanted.buffer, 0, 20);
  private readonly wantedTopic = new Uint8Array(this.wanted.buffer);

  constructor(hasher: Pick<Hasher, 'keccak256'>) {
    this.hasher = hasher;
  }

  /** Sets the bits of `value` in a filter of 256 bytes. */
  set(bloom: Uint8Array, value: Uint8Array): void {
    const { length } = value;
    if (length !== 20 && length !== 32) {
      const [low, last] = this.hash(value);
      setBits(bloom, low, last);
      return;
    }
    const { wanted } = this;
    const { wantedTopic } = this;
    for (let i = 0; i < length; i++) wantedTopic[i] = value[i]!;
    const mixed = mix(wanted, 0, length);
    let at = (mixed & this.mask) * ENTRY_INTS;
    if (!this.holds(at, length)) {
      at = this.room(mixed, at);
      this.put(at, length);
    }
    setBits(bloom, this.entries[at + BITS]!, this.entries[at + LAST_BIT]!);
  }

  private holds(at: number, length: number): boolean {
    const { entries, wanted } = this;
    if (entries[at + LENGTH] !== length) return false;
    for (let i = 0; 4 * i < length; i++) if (entries[at + i] !== wanted[i]) return false;
    return true;
  }

  /** The place for a value that is not at `at`: there, or in a larger table. */
  private room(mixed: number, at: number): number {
    if (this.taken++ <= this.mask || this.mask + 1 === 2 ** MOST_LOG2) return at;
    this.grow();
    return (mixed & this.mask) * ENTRY_INTS;
  }

  private grow(): void {
    const old = this.entries;
    const count = Math.min(2 ** MOST_LOG2, GROWTH * (this.mask + 1));
    this.entries = new Int32Array(count * ENTRY_INTS);
    this.mask = count - 1;
    this.taken = 0;
    for (let from = 0; from < old.length; from += ENTRY_INTS) {
      const length = old[from + LENGTH]!;
      if (length === 0) continue;
      this.entries.set(old.subarray(from, from + ENTRY_INTS), (mix(old, from, length) & this.mask) * ENTRY_INTS);
      this.taken++;
    }
  }

  private put(at: number, length: number): void {
    const { entries, wanted } = this;
    const [low, last] = this.hash(length === 20 ? this.wantedAddress : this.wantedTopic);
    for (let i = 0; i < VALUE_INTS; i++) entries[at + i] = wanted[i]!;
    entries[at + LENGTH] = length;
    entries[at + BITS] = low;
    entries[at + LAST_BIT] = last;
  }

  private hash(value: Uint8Array): readonly [number, number] {
    const hash = this.hasher.keccak256(value);
    const word = (at: number): number => ((hash[at]! << 8) | hash[at + 1]!) & 0x7ff;
    return [word(0) | (word(2) << 11), word(4)];
  }
}

function mix(ints: Int32Array, at: number, length: number): number {
  let mixed = length;
  for (let i = 0; 4 * i < length; i++) {
    mixed = Math.imul(mixed ^ ints[at + i]!, MULTIPLIER);
    mixed ^= mixed >>> 15;
  }
  return mixed;
}

function setBits(bloom: Uint8Array, low: number, last: number): void {
  setBit(bloom, low & 0x7ff);
  setBit(bloom, low >>> 11);
  setBit(bloom, last);
}

function setBit(bloom: Uint8Array, bit: number): void {
  const at = LOGS_BLOOM_BYTES - 1 - (bit >>> 3);
  bloom[at] = bloom[at]! | (1 << (bit & 7));
}
