import type { Words } from '../types.ts';

/** Limbs of 32 bits in a word. */
export const LIMBS = 8;
/** 2^32. */
export const TWO_32 = 0x1_0000_0000;

/** Copies one word; the arrays may be the same. */
export function copyWord(to: Words, toAt: number, from: Words, fromAt: number): void {
  to[toAt] = from[fromAt]!;
  to[toAt + 1] = from[fromAt + 1]!;
  to[toAt + 2] = from[fromAt + 2]!;
  to[toAt + 3] = from[fromAt + 3]!;
  to[toAt + 4] = from[fromAt + 4]!;
  to[toAt + 5] = from[fromAt + 5]!;
  to[toAt + 6] = from[fromAt + 6]!;
  to[toAt + 7] = from[fromAt + 7]!;
}

/** Exchanges two words of one array. */
export function swapWords(words: Words, a: number, b: number): void {
  for (let i = 0; i < LIMBS; i++) {
    const limb = words[a + i]!;
    words[a + i] = words[b + i]!;
    words[b + i] = limb;
  }
}

/** Sets a word to `value`, an integer of 0 to 2^53 - 1. */
export function setNumber(words: Words, at: number, value: number): void {
  words[at] = value;
  words[at + 1] = value / TWO_32;
  words[at + 2] = 0;
  words[at + 3] = 0;
  words[at + 4] = 0;
  words[at + 5] = 0;
  words[at + 6] = 0;
  words[at + 7] = 0;
}

/** Sets a word to `value`, an integer of 0 to 2^32 - 1. */
export function setSmall(words: Words, at: number, value: number): void {
  words[at] = value;
  words[at + 1] = 0;
  words[at + 2] = 0;
  words[at + 3] = 0;
  words[at + 4] = 0;
  words[at + 5] = 0;
  words[at + 6] = 0;
  words[at + 7] = 0;
}

/** Whether a word is 0. */
export function isZeroWord(words: Words, at: number): boolean {
  return (
    (words[at]! |
      words[at + 1]! |
      words[at + 2]! |
      words[at + 3]! |
      words[at + 4]! |
      words[at + 5]! |
      words[at + 6]! |
      words[at + 7]!) ===
    0
  );
}

/** Whether two words are equal. */
export function equalWords(a: Words, aAt: number, b: Words, bAt: number): boolean {
  return (
    a[aAt] === b[bAt] &&
    a[aAt + 1] === b[bAt + 1] &&
    a[aAt + 2] === b[bAt + 2] &&
    a[aAt + 3] === b[bAt + 3] &&
    a[aAt + 4] === b[bAt + 4] &&
    a[aAt + 5] === b[bAt + 5] &&
    a[aAt + 6] === b[bAt + 6] &&
    a[aAt + 7] === b[bAt + 7]
  );
}

/** How many limbs a word has without its leading zeros: 0 to 8. */
export function limbsOf(words: Words, at: number): number {
  let limbs = LIMBS;
  while (limbs > 0 && words[at + limbs - 1] === 0) limbs--;
  return limbs;
}

/** The word as a number; Infinity from 2^53 on. */
export function toNumber(words: Words, at: number): number {
  const high = words[at + 2]! | words[at + 3]! | words[at + 4]! | words[at + 5]! | words[at + 6]! | words[at + 7]!;
  const middle = words[at + 1]!;
  return high !== 0 || middle > 0x1f_ffff ? Infinity : middle * TWO_32 + words[at]!;
}

/** The word as a number; Infinity from 2^32 on. What offsets and lengths are read with: nothing that large can be paid for. */
export function toIndex(words: Words, at: number): number {
  const high =
    words[at + 1]! | words[at + 2]! | words[at + 3]! | words[at + 4]! | words[at + 5]! | words[at + 6]! | words[at + 7]!;
  return high === 0 ? words[at]! : Infinity;
}

/** Writes the word as 32 bytes, big-endian. */
export function toBytes(words: Words, at: number, out: Uint8Array, outAt: number): void {
  for (let i = 0; i < LIMBS; i++) {
    const limb = words[at + 7 - i]!;
    const to = outAt + 4 * i;
    out[to] = limb >>> 24;
    out[to + 1] = limb >>> 16;
    out[to + 2] = limb >>> 8;
    out[to + 3] = limb;
  }
}

/** Reads the 32 bytes at `from`, big-endian, as a word. */
export function readWord(view: DataView, from: number, words: Words, at: number): void {
  words[at + 7] = view.getUint32(from);
  words[at + 6] = view.getUint32(from + 4);
  words[at + 5] = view.getUint32(from + 8);
  words[at + 4] = view.getUint32(from + 12);
  words[at + 3] = view.getUint32(from + 16);
  words[at + 2] = view.getUint32(from + 20);
  words[at + 1] = view.getUint32(from + 24);
  words[at] = view.getUint32(from + 28);
}

/** Writes the word as 32 bytes, big-endian. */
export function writeWord(view: DataView, to: number, words: Words, at: number): void {
  view.setUint32(to, words[at + 7]!);
  view.setUint32(to + 4, words[at + 6]!);
  view.setUint32(to + 8, words[at + 5]!);
  view.setUint32(to + 12, words[at + 4]!);
  view.setUint32(to + 16, words[at + 3]!);
  view.setUint32(to + 20, words[at + 2]!);
  view.setUint32(to + 24, words[at + 1]!);
  view.setUint32(to + 28, words[at]!);
}

/** Reads `length` bytes (0 to 32), big-endian, as a word. */
export function fromBytes(words: Words, at: number, bytes: Uint8Array, bytesAt: number, length: number): void {
  setSmall(words, at, 0);
  for (let i = 0; i < length; i++) {
    const limb = at + (i >>> 2);
    words[limb] = words[limb]! | (bytes[bytesAt + length - 1 - i]! << (8 * (i & 3)));
  }
}

/** The word as a bigint. Slow: for balances and edges. */
export function toBigint(words: Words, at: number): bigint {
  const small = toNumber(words, at);
  if (small !== Infinity) return BigInt(small);
  let value = 0n;
  for (let i = 6; i >= 0; i -= 2) value = (value << 64n) | (BigInt(words[at + i + 1]!) << 32n) | BigInt(words[at + i]!);
  return value;
}

/** Sets a word to `value` modulo 2^256; negative values are in two's complement. */
export function fromBigint(words: Words, at: number, value: bigint): void {
  if (value >= 0n && value <= 0x1f_ffff_ffff_ffffn) {
    setNumber(words, at, Number(value));
    return;
  }
  let rest = value;
  for (let i = 0; i < LIMBS; i++) {
    words[at + i] = Number(BigInt.asUintN(32, rest));
    rest >>= 32n;
  }
}
