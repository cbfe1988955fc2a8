import type { Hash32 } from '@shardlab/crosslink';
import type { Words } from '../types.ts';
import { copyWord, fromBytes, LIMBS } from '../words/basic.ts';

/** Limbs of the longest input that is remembered: 64 bytes, a mapping's key and slot. */
const KEY_LIMBS = 16;
const MULTIPLIER = 0x9e3779b1;

/**
 * Remembers the keccak-256 of inputs of 32 and 64 bytes: the slots of arrays and mappings, which contracts hash again in each call. A direct-mapped table of
 * fixed size; what falls on the same entry replaces it.
 */
export class KeccakMemo {
  private readonly keccak256: (data: Uint8Array) => Hash32;
  private readonly mask: number;
  private readonly keys: Uint32Array;
  private readonly hashes: Uint32Array;
  /** Length of the input in each entry; 0 if it is free. */
  private readonly lengths: Uint8Array;
  private readonly key = new Uint32Array(KEY_LIMBS);

  /** `entriesLog2`: the table has 2^entriesLog2 entries of 97 bytes. */
  constructor(keccak256: (data: Uint8Array) => Hash32, entriesLog2: number) {
    const entries = 2 ** entriesLog2;
    this.keccak256 = keccak256;
    this.mask = entries - 1;
    this.keys = new Uint32Array(entries * KEY_LIMBS);
    this.hashes = new Uint32Array(entries * LIMBS);
    this.lengths = new Uint8Array(entries);
  }

  /** Hashes `length` bytes at `from` of the memory (`view` shows the same bytes) into the word at `at`. */
  hash(bytes: Uint8Array, view: DataView, from: number, length: number, words: Words, at: number): void {
    if (length !== 64 && length !== 32) {
      fromBytes(words, at, this.keccak256(bytes.subarray(from, from + length)), 0, 32);
      return;
    }
    const { key, keys } = this;
    let mixed = length;
    for (let i = 0; i < length >>> 2; i++) {
      const limb = view.getInt32(from + 4 * i, true);
      key[i] = limb;
      mixed = Math.imul(mixed ^ limb, MULTIPLIER);
      mixed ^= mixed >>> 15;
    }
    const entry = mixed & this.mask;
    const keyAt = entry * KEY_LIMBS;
    let known = this.lengths[entry] === length;
    for (let i = 0; known && i < length >>> 2; i++) known = keys[keyAt + i] === key[i];
    if (!known) {
      for (let i = 0; i < length >>> 2; i++) keys[keyAt + i] = key[i]!;
      this.lengths[entry] = length;
      fromBytes(this.hashes, entry * LIMBS, this.keccak256(bytes.subarray(from, from + length)), 0, 32);
    }
    copyWord(words, at, this.hashes, entry * LIMBS);
  }
}
