import type { Hash32 } from '@shardlab/crosslink';
import type { Words } from '../types.ts';
import { copyWord, fromBytes, LIMBS } from '../words/basic.ts';

/** Limbs of the longest input that is remembered: 64 bytes, a mapping's key and slot. */
const KEY_LIMBS = 16;
/** Places in a row: the input's length in bytes, and its hash. */
const LENGTH = KEY_LIMBS;
const HASH = KEY_LIMBS + 1;
const ROW_LIMBS = KEY_LIMBS + 1 + LIMBS;
/** Entries at the start, as a power of two. */
const START_LOG2 = 10;
/** By how much the table grows. */
const GROWTH = 4;
const MULTIPLIER = 0x9e3779b1;
/** Of this machine: limbs of a key are its bytes as they are. */
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/**
 * Remembers the keccak-256 of inputs of 32 and 64 bytes: the slots of arrays and mappings, which contracts hash again in each call. A direct-mapped table that grows to a
 * bound; what falls on the same entry replaces it.
 */
export class KeccakMemo {
  private readonly keccak256: (data: Uint8Array) => Hash32;
  private readonly entriesMax: number;
  private mask: number;
  /** By entry: the input, its length in bytes (0: the entry is free), and its hash. */
  private rows: Uint32Array;
  /** Inputs put in since the table grew. */
  private taken = 0;
  private readonly key = new Uint32Array(new ArrayBuffer(4 * KEY_LIMBS));
  /** The same memory as the bytes of an input of 32 and of 64 bytes. */
  private readonly shortKey = new Uint8Array(this.key.buffer, 0, 32);
  private readonly longKey = new Uint8Array(this.key.buffer);

  /** `entriesLog2`: the table has at most 2^entriesLog2 entries of 100 bytes. */
  constructor(keccak256: (data: Uint8Array) => Hash32, entriesLog2: number) {
    const entries = 2 ** Math.min(entriesLog2, START_LOG2);
    this.keccak256 = keccak256;
    this.entriesMax = 2 ** entriesLog2;
    this.mask = entries - 1;
    this.rows = new Uint32Array(entries * ROW_LIMBS);
  }

  /** Hashes `length` bytes at `from` of the memory (`view` shows the same bytes) into the word at `at`. */
  hash(bytes: Uint8Array, view: DataView, from: number, length: number, words: Words, at: number): void {
    if (length !== 64 && length !== 32) {
      fromBytes(words, at, this.keccak256(bytes.subarray(from, from + length)), 0, 32);
      return;
    }
    const { key } = this;
    for (let i = 0; i < length >>> 2; i++) key[i] = view.getInt32(from + 4 * i, LITTLE_ENDIAN);
    const mixed = mix(key, 0, length);
    let row = (mixed & this.mask) * ROW_LIMBS;
    if (!this.holds(row, length)) {
      if (this.taken++ > this.mask && this.mask + 1 < this.entriesMax) {
        this.grow();
        row = (mixed & this.mask) * ROW_LIMBS;
      }
      const { rows } = this;
      for (let i = 0; i < length >>> 2; i++) rows[row + i] = key[i]!;
      rows[row + LENGTH] = length;
      fromBytes(rows, row + HASH, this.keccak256(length === 32 ? this.shortKey : this.longKey), 0, 32);
    }
    copyWord(words, at, this.rows, row + HASH);
  }

  /** By differences of limbs, not by comparing them: what is above 2^31 would be compared as a double. */
  private holds(row: number, length: number): boolean {
    const { rows, key } = this;
    if (rows[row + LENGTH] !== length) return false;
    let difference = 0;
    for (let i = 0; i < length >>> 2; i++) difference |= rows[row + i]! ^ key[i]!;
    return difference === 0;
  }

  private grow(): void {
    const old = this.rows;
    const entries = Math.min(this.entriesMax, GROWTH * (this.mask + 1));
    this.rows = new Uint32Array(entries * ROW_LIMBS);
    this.mask = entries - 1;
    this.taken = 0;
    for (let from = 0; from < old.length; from += ROW_LIMBS) {
      const length = old[from + LENGTH]!;
      if (length === 0) continue;
      const to = (mix(old, from, length) & this.mask) * ROW_LIMBS;
      this.rows.set(old.subarray(from, from + ROW_LIMBS), to);
      this.taken++;
    }
  }
}

function mix(limbs: Uint32Array, at: number, length: number): number {
  let mixed = length;
  for (let i = 0; i < length >>> 2; i++) {
    mixed = Math.imul(mixed ^ limbs[at + i]!, MULTIPLIER);
    mixed ^= mixed >>> 15;
  }
  return mixed;
}
