/**
 * Addition, multiplication and what is made of them, modulo 2^256. `a`, `b` and `out` are places of words in one array; `out` may be either operand.
 */
import type { Words } from '../types.ts';
import { copyWord, LIMBS, limbsOf, setSmall, TWO_32 } from './basic.ts';

const PER_TWO_32 = 1 / TWO_32;
/** Room of {@link mul}, {@link exp}: written before it is read, in every call. */
const product = new Uint32Array(2 * LIMBS);
const power = new Uint32Array(3 * LIMBS);

/** a + b. */
export function add(words: Words, out: number, a: number, b: number): void {
  let sum = words[a]! + words[b]!;
  words[out] = sum;
  sum = words[a + 1]! + words[b + 1]! + (sum >= TWO_32 ? 1 : 0);
  words[out + 1] = sum;
  sum = words[a + 2]! + words[b + 2]! + (sum >= TWO_32 ? 1 : 0);
  words[out + 2] = sum;
  sum = words[a + 3]! + words[b + 3]! + (sum >= TWO_32 ? 1 : 0);
  words[out + 3] = sum;
  sum = words[a + 4]! + words[b + 4]! + (sum >= TWO_32 ? 1 : 0);
  words[out + 4] = sum;
  sum = words[a + 5]! + words[b + 5]! + (sum >= TWO_32 ? 1 : 0);
  words[out + 5] = sum;
  sum = words[a + 6]! + words[b + 6]! + (sum >= TWO_32 ? 1 : 0);
  words[out + 6] = sum;
  sum = words[a + 7]! + words[b + 7]! + (sum >= TWO_32 ? 1 : 0);
  words[out + 7] = sum;
}

/** a - b. */
export function sub(words: Words, out: number, a: number, b: number): void {
  let difference = words[a]! - words[b]!;
  words[out] = difference;
  difference = words[a + 1]! - words[b + 1]! - (difference < 0 ? 1 : 0);
  words[out + 1] = difference;
  difference = words[a + 2]! - words[b + 2]! - (difference < 0 ? 1 : 0);
  words[out + 2] = difference;
  difference = words[a + 3]! - words[b + 3]! - (difference < 0 ? 1 : 0);
  words[out + 3] = difference;
  difference = words[a + 4]! - words[b + 4]! - (difference < 0 ? 1 : 0);
  words[out + 4] = difference;
  difference = words[a + 5]! - words[b + 5]! - (difference < 0 ? 1 : 0);
  words[out + 5] = difference;
  difference = words[a + 6]! - words[b + 6]! - (difference < 0 ? 1 : 0);
  words[out + 6] = difference;
  difference = words[a + 7]! - words[b + 7]! - (difference < 0 ? 1 : 0);
  words[out + 7] = difference;
}

/** -a. */
export function negate(words: Words, out: number, a: number): void {
  let carry = 1;
  for (let i = 0; i < LIMBS; i++) {
    const sum = (~words[a + i]! >>> 0) + carry;
    words[out + i] = sum;
    carry = sum >= TWO_32 ? 1 : 0;
  }
}

/** Whether a word is negative as two's complement. */
export function isNegative(words: Words, at: number): boolean {
  return words[at + 7]! > 0x7fff_ffff;
}

/**
 * The product of the `aLimbs` limbs at `a` and the `bLimbs` limbs at `b`, cut to `outLimbs` limbs, into `out` (another array). The high half of a product of
 * limbs is found in floating point: x * y is off by less than 2^11, so (x * y - low) / 2^32 is within 2^-20 of an integer.
 */
export function multiplyLimbs(
  out: Words,
  outLimbs: number,
  words: Words,
  a: number,
  aLimbs: number,
  b: number,
  bLimbs: number,
): void {
  out.fill(0, 0, outLimbs);
  for (let i = 0; i < aLimbs; i++) {
    const x = words[a + i]!;
    if (x === 0) continue;
    const count = i + bLimbs <= outLimbs ? bLimbs : outLimbs - i;
    let carry = 0;
    for (let j = 0; j < count; j++) {
      const y = words[b + j]!;
      const low = Math.imul(x, y) >>> 0;
      const high = Math.floor((x * y - low) * PER_TWO_32 + 0.5);
      const sum = out[i + j]! + low + carry;
      out[i + j] = sum;
      carry = high + (sum >= 2 * TWO_32 ? 2 : sum >= TWO_32 ? 1 : 0);
    }
    if (i + count < outLimbs) out[i + count] = carry;
  }
}

/** a * b. */
export function mul(words: Words, out: number, a: number, b: number): void {
  const aLimbs = limbsOf(words, a);
  const bLimbs = limbsOf(words, b);
  if (aLimbs <= 1 && bLimbs <= 1) {
    const x = words[a]!;
    const y = words[b]!;
    const low = Math.imul(x, y) >>> 0;
    setSmall(words, out, low);
    words[out + 1] = Math.floor((x * y - low) * PER_TWO_32 + 0.5);
    return;
  }
  multiplyLimbs(product, LIMBS, words, a, aLimbs, b, bLimbs);
  copyWord(words, out, product, 0);
}

/** a to the power of b (0^0 = 1), by squaring from the least significant bit. */
export function exp(words: Words, out: number, a: number, b: number): void {
  const base = 0;
  const result = LIMBS;
  const exponent = 2 * LIMBS;
  copyWord(power, base, words, a);
  setSmall(power, result, 1);
  copyWord(power, exponent, words, b);
  const limbs = limbsOf(power, exponent);
  for (let i = 0; i < limbs; i++) {
    let bits = power[exponent + i]!;
    const last = i === limbs - 1;
    for (let bit = 0; bit < 32 && !(last && bits === 0); bit++) {
      if ((bits & 1) !== 0) mul(power, result, result, base);
      bits >>>= 1;
      mul(power, base, base, base);
    }
  }
  copyWord(words, out, power, result);
}

/** Extends the sign of b, which has a + 1 bytes (SIGNEXTEND: a from 31 on leaves b as it is). */
export function signExtend(words: Words, out: number, a: number, b: number): void {
  const size = limbsOf(words, a) <= 1 ? words[a]! : 32;
  if (out !== b) copyWord(words, out, words, b);
  if (size >= 31) return;
  const limb = size >>> 2;
  const shift = 24 - 8 * (size & 3);
  const extended = (words[out + limb]! << shift) >> shift;
  words[out + limb] = extended;
  for (let i = limb + 1; i < LIMBS; i++) words[out + i] = extended >> 31;
}
