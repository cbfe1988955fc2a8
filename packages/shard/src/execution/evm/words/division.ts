/**
 * Division in all the forms of the EVM; a division by zero is zero. `a`, `b`, `n` and `out` are places of words in one array; `out` may be any operand.
 */
import type { Words } from '../types.ts';
import { isNegative, multiplyLimbs, negate } from './arithmetic.ts';
import { copyWord, isZeroWord, LIMBS, limbsOf, setNumber, setSmall, toNumber, TWO_32 } from './basic.ts';

const PER_TWO_32 = 1 / TWO_32;
/** Room of the divisions: written before it is read, in every call. One limb more than 512 bits, for the digit that the long division borrows from. */
const numerator = new Uint32Array(2 * LIMBS + 1);
const quotient = new Uint32Array(2 * LIMBS);
const divisor = new Uint32Array(LIMBS);
const signed = new Uint32Array(2 * LIMBS);

function divideByLimb(limbs: number, by: number): void {
  let rest = 0;
  for (let i = limbs - 1; i >= 0; i--) {
    // rest < by < 2^32: in two steps of 16 bits everything stays an exact integer below 2^48.
    const limb = numerator[i]!;
    const high = rest * 0x1_0000 + (limb >>> 16);
    const highQuotient = Math.floor(high / by);
    const low = (high - highQuotient * by) * 0x1_0000 + (limb & 0xffff);
    const lowQuotient = Math.floor(low / by);
    rest = low - lowQuotient * by;
    quotient[i] = highQuotient * 0x1_0000 + lowQuotient;
    numerator[i] = 0;
  }
  numerator[0] = rest;
}

/** numerator[at..] -= digit * divisor; the digit above must absorb the borrow. Returns whether it could not: the result is negative by one divisor. */
function subtractProduct(at: number, limbs: number, digit: number): boolean {
  let carry = 0;
  for (let i = 0; i < limbs; i++) {
    const y = divisor[i]!;
    const low = Math.imul(digit, y) >>> 0;
    const high = Math.floor((digit * y - low) * PER_TWO_32 + 0.5);
    const difference = numerator[at + i]! - low - carry;
    numerator[at + i] = difference;
    carry = high + (difference < -TWO_32 ? 2 : difference < 0 ? 1 : 0);
  }
  const top = numerator[at + limbs]! - carry;
  numerator[at + limbs] = top;
  return top < 0;
}

function addDivisor(at: number, limbs: number): boolean {
  let carry = 0;
  for (let i = 0; i < limbs; i++) {
    const sum = numerator[at + i]! + divisor[i]! + carry;
    numerator[at + i] = sum;
    carry = sum >= TWO_32 ? 1 : 0;
  }
  const top = numerator[at + limbs]! + carry;
  numerator[at + limbs] = top;
  return top >= TWO_32;
}

function reachesDivisor(at: number, limbs: number): boolean {
  if (numerator[at + limbs] !== 0) return true;
  for (let i = limbs - 1; i >= 0; i--) {
    const difference = numerator[at + i]! - divisor[i]!;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/**
 * Divides the `limbs` limbs of `numerator` by the `by` limbs of `divisor` (the last one is not 0): the quotient's limbs stand in `quotient`, 0 to limbs - by, and
 * the remainder is left in `numerator`. Knuth's algorithm D (TAOCP 4.3.1) without normalisation: each digit is guessed in floating point from the
 * leading 96 bits of the divisor, which is off by one at most, and put right either way.
 */
function divide(limbs: number, by: number): void {
  if (by === 1) {
    divideByLimb(limbs, divisor[0]!);
    return;
  }
  numerator[limbs] = 0;
  const third = by > 2 ? divisor[by - 3]! : 0;
  const leading = (divisor[by - 1]! * TWO_32 + divisor[by - 2]!) * TWO_32 + third;
  for (let at = limbs - by; at >= 0; at--) {
    const top = at + by;
    const fourth = top > 2 ? numerator[top - 3]! : 0;
    const rest = ((numerator[top]! * TWO_32 + numerator[top - 1]!) * TWO_32 + numerator[top - 2]!) * TWO_32 + fourth;
    let digit = Math.floor(rest / leading);
    if (digit >= TWO_32) digit = TWO_32 - 1;
    if (digit !== 0 && subtractProduct(at, by, digit)) {
      do digit--;
      while (!addDivisor(at, by));
    }
    while (reachesDivisor(at, by)) {
      digit++;
      subtractProduct(at, by, 1);
    }
    quotient[at] = digit;
  }
}

/** Puts the operands in place and divides. The divisor is not zero and the numerator has at least as many limbs. */
function divideWords(words: Words, a: number, aLimbs: number, b: number, bLimbs: number): void {
  for (let i = 0; i < aLimbs; i++) numerator[i] = words[a + i]!;
  for (let i = 0; i < bLimbs; i++) divisor[i] = words[b + i]!;
  divide(aLimbs, bLimbs);
}

function takeLimbs(words: Words, out: number, from: Words, limbs: number): void {
  for (let i = 0; i < LIMBS; i++) words[out + i] = i < limbs ? from[i]! : 0;
}

/** floor(a / b), unsigned. */
export function div(words: Words, out: number, a: number, b: number): void {
  const x = toNumber(words, a);
  const y = toNumber(words, b);
  if (y === 0) return setSmall(words, out, 0);
  if (x !== Infinity) return setNumber(words, out, y === Infinity ? 0 : Math.floor(x / y));
  const aLimbs = limbsOf(words, a);
  const bLimbs = limbsOf(words, b);
  if (aLimbs < bLimbs) return setSmall(words, out, 0);
  divideWords(words, a, aLimbs, b, bLimbs);
  takeLimbs(words, out, quotient, aLimbs - bLimbs + 1);
}

/** a modulo b, unsigned. */
export function mod(words: Words, out: number, a: number, b: number): void {
  const x = toNumber(words, a);
  const y = toNumber(words, b);
  if (y === 0) return setSmall(words, out, 0);
  if (x !== Infinity) return setNumber(words, out, y === Infinity ? x : x - Math.floor(x / y) * y);
  const aLimbs = limbsOf(words, a);
  const bLimbs = limbsOf(words, b);
  if (aLimbs < bLimbs) return copyWord(words, out, words, a);
  divideWords(words, a, aLimbs, b, bLimbs);
  takeLimbs(words, out, numerator, bLimbs);
}

function absolute(words: Words, a: number, b: number): void {
  if (isNegative(words, a)) {
    copyWord(signed, 0, words, a);
    negate(signed, 0, 0);
  } else copyWord(signed, 0, words, a);
  copyWord(signed, LIMBS, words, b);
  if (isNegative(signed, LIMBS)) negate(signed, LIMBS, LIMBS);
}

/** a / b as two's complement, cut towards zero; -2^255 / -1 is -2^255. */
export function sdiv(words: Words, out: number, a: number, b: number): void {
  const negative = isNegative(words, a) !== isNegative(words, b);
  absolute(words, a, b);
  div(signed, 0, 0, LIMBS);
  if (negative) negate(signed, 0, 0);
  copyWord(words, out, signed, 0);
}

/** a modulo b as two's complement, with the sign of a. */
export function smod(words: Words, out: number, a: number, b: number): void {
  const negative = isNegative(words, a);
  absolute(words, a, b);
  mod(signed, 0, 0, LIMBS);
  if (negative) negate(signed, 0, 0);
  copyWord(words, out, signed, 0);
}

/** Reduces the `limbs` limbs of `numerator` modulo the word at n, which is not zero. */
function reduce(words: Words, out: number, limbs: number, n: number): void {
  let used = limbs;
  while (used > 0 && numerator[used - 1] === 0) used--;
  const by = limbsOf(words, n);
  for (let i = 0; i < by; i++) divisor[i] = words[n + i]!;
  if (used >= by) {
    divide(used, by);
    used = by;
  }
  takeLimbs(words, out, numerator, used);
}

/** (a + b) modulo n, over the full sum of 257 bits. */
export function addmod(words: Words, out: number, a: number, b: number, n: number): void {
  if (isZeroWord(words, n)) return setSmall(words, out, 0);
  let carry = 0;
  for (let i = 0; i < LIMBS; i++) {
    const sum = words[a + i]! + words[b + i]! + carry;
    numerator[i] = sum;
    carry = sum >= TWO_32 ? 1 : 0;
  }
  numerator[LIMBS] = carry;
  reduce(words, out, LIMBS + 1, n);
}

/** a * b modulo n, over the full product of 512 bits. */
export function mulmod(words: Words, out: number, a: number, b: number, n: number): void {
  if (isZeroWord(words, n)) return setSmall(words, out, 0);
  multiplyLimbs(numerator, 2 * LIMBS, words, a, limbsOf(words, a), b, limbsOf(words, b));
  reduce(words, out, 2 * LIMBS, n);
}
