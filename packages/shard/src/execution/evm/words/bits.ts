/** Comparison, logic and shifts. `a`, `b` and `out` are places of words in one array; `out` may be either operand. */
import type { Words } from '../types.ts';
import { copyWord, LIMBS, setSmall, toIndex } from './basic.ts';

/** Whether a < b, unsigned. */
export function lessThan(words: Words, a: number, b: number): boolean {
  for (let i = LIMBS - 1; i >= 0; i--) {
    const x = words[a + i]!;
    const y = words[b + i]!;
    if (x !== y) return x < y;
  }
  return false;
}

/** Whether a < b as two's complement. */
export function signedLessThan(words: Words, a: number, b: number): boolean {
  const x = words[a + 7]! | 0;
  const y = words[b + 7]! | 0;
  return x === y ? lessThan(words, a, b) : x < y;
}

/** Bitwise and. */
export function and(words: Words, out: number, a: number, b: number): void {
  for (let i = 0; i < LIMBS; i++) words[out + i] = words[a + i]! & words[b + i]!;
}

/** Bitwise or. */
export function or(words: Words, out: number, a: number, b: number): void {
  for (let i = 0; i < LIMBS; i++) words[out + i] = words[a + i]! | words[b + i]!;
}

/** Bitwise exclusive or. */
export function xor(words: Words, out: number, a: number, b: number): void {
  for (let i = 0; i < LIMBS; i++) words[out + i] = words[a + i]! ^ words[b + i]!;
}

/** Bitwise not. */
export function not(words: Words, out: number, a: number): void {
  for (let i = 0; i < LIMBS; i++) words[out + i] = ~words[a + i]!;
}

/** Byte a of b, counted from the most significant; 0 from 32 on. */
export function byte(words: Words, out: number, a: number, b: number): void {
  const index = toIndex(words, a);
  if (index > 31) return setSmall(words, out, 0);
  const limb = words[b + 7 - (index >>> 2)]!;
  setSmall(words, out, (limb >>> (24 - 8 * (index & 3))) & 0xff);
}

/** b << a (EIP-145). */
export function shl(words: Words, out: number, a: number, b: number): void {
  const bits = toIndex(words, a);
  if (bits > 255) return setSmall(words, out, 0);
  shiftLeft(words, out, b, bits);
}

/** The word at `from`, shifted to the left by 0 to 255 bits. */
export function shiftLeft(words: Words, out: number, from: number, bits: number): void {
  const limbs = bits >>> 5;
  const rest = bits & 31;
  // From the top: each limb is written after the last limb that needs it was made, also in place.
  for (let i = LIMBS - 1; i >= 0; i--) {
    const high = i >= limbs ? words[from + i - limbs]! : 0;
    const low = i > limbs ? words[from + i - limbs - 1]! : 0;
    words[out + i] = rest === 0 ? high : (high << rest) | (low >>> (32 - rest));
  }
}

/** b >> a, unsigned (EIP-145). */
export function shr(words: Words, out: number, a: number, b: number): void {
  const bits = toIndex(words, a);
  if (bits > 255) return setSmall(words, out, 0);
  shiftRight(words, out, b, bits, 0);
}

/** b >> a as two's complement (EIP-145). */
export function sar(words: Words, out: number, a: number, b: number): void {
  const bits = toIndex(words, a);
  const fill = (words[b + 7]! | 0) >> 31;
  if (bits > 255) {
    for (let i = 0; i < LIMBS; i++) words[out + i] = fill;
    return;
  }
  shiftRight(words, out, b, bits, fill);
}

/** The word at `from`, shifted to the right by 0 to 255 bits; limbs from above are `fill` (0 or -1). */
export function shiftRight(words: Words, out: number, from: number, bits: number, fill: number): void {
  const limbs = bits >>> 5;
  const rest = bits & 31;
  if (bits === 0) return copyWord(words, out, words, from);
  for (let i = 0; i < LIMBS; i++) {
    const low = i + limbs < LIMBS ? words[from + i + limbs]! : fill;
    const high = i + limbs + 1 < LIMBS ? words[from + i + limbs + 1]! : fill;
    words[out + i] = rest === 0 ? low : (low >>> rest) | (high << (32 - rest));
  }
}
