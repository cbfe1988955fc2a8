import type { Curve, Endomorphism, Jacobian } from './curve.ts';

/** Odd multiples 1, 3, 5, 7 of every point are kept: digits of 4 bits, one in five of them not zero. */
const WINDOW = 4;
const TABLE = 1 << (WINDOW - 2);

/** A point's odd multiples, and the scalar's digits at each doubling, least significant first: odd and below 8 in size, or 0. */
interface Term<T> {
  readonly multiples: readonly Jacobian<T>[];
  readonly digits: Int8Array;
}

/** Non-adjacent form of window {@link WINDOW} of a scalar of at least 0. */
function nafDigits(scalar: bigint): Int8Array {
  const bits = scalar.toString(2);
  const digits = new Int8Array(bits.length + 1);
  let carry = 0;
  for (let at = 0; at < digits.length; ) {
    const bit = (position: number): number => (position < bits.length ? bits.charCodeAt(bits.length - 1 - position) - 48 : 0);
    if (((bit(at) + carry) & 1) === 0) {
      // An even digit with a carry is 1 + 1: the carry stays.
      at++;
      continue;
    }
    let window = carry;
    for (let i = 0; i < WINDOW; i++) window += bit(at + i) << i;
    carry = window >= 1 << (WINDOW - 1) ? 1 : 0;
    digits[at] = carry === 1 ? window - (1 << WINDOW) : window;
    at += WINDOW;
  }
  return digits;
}

function oddMultiples<T>(curve: Curve<T>, point: Jacobian<T>): Jacobian<T>[] {
  const multiples = [point];
  const twice = curve.double(point);
  while (multiples.length < TABLE) multiples.push(curve.add(multiples[multiples.length - 1]!, twice));
  return multiples;
}

function termOf<T>(curve: Curve<T>, multiples: readonly Jacobian<T>[], scalar: bigint): Term<T> {
  return scalar < 0n ? { multiples: multiples.map(curve.negate), digits: nafDigits(-scalar) } : { multiples, digits: nafDigits(scalar) };
}

/**
 * The sum of scalars times points, by interleaving (Straus): all share one chain of doublings. Scalars are at least 0. An `endomorphism` halves that chain and is right
 * for points of the subgroup only. Memory: 4 points for each term, 8 with an endomorphism.
 */
export function multiplySum<T>(
  curve: Curve<T>,
  terms: readonly { readonly point: Jacobian<T>; readonly scalar: bigint }[],
  endomorphism?: Endomorphism<T>,
): Jacobian<T> {
  const chains: Term<T>[] = [];
  for (const { point, scalar } of terms) {
    if (scalar === 0n || curve.isInfinity(point)) continue;
    const multiples = oddMultiples(curve, point);
    if (endomorphism === undefined) {
      chains.push(termOf(curve, multiples, scalar));
      continue;
    }
    const [k1, k2] = endomorphism.split(scalar);
    chains.push(termOf(curve, multiples, k1), termOf(curve, multiples.map(endomorphism.apply), k2));
  }
  let sum = curve.jacobian(undefined);
  let length = 0;
  for (const { digits } of chains) length = Math.max(length, digits.length);
  for (let at = length - 1; at >= 0; at--) {
    sum = curve.double(sum);
    for (const { multiples, digits } of chains) {
      const digit = at < digits.length ? digits[at]! : 0;
      if (digit > 0) sum = curve.add(sum, multiples[digit >> 1]!);
      else if (digit < 0) sum = curve.add(sum, curve.negate(multiples[-digit >> 1]!));
    }
  }
  return sum;
}

/** A point times a positive constant, bit by bit: for constants of few ones, where a table would not pay. */
export function multiplySparse<T>(curve: Curve<T>, point: Jacobian<T>, scalar: bigint): Jacobian<T> {
  let result = point;
  for (const bit of scalar.toString(2).slice(1)) {
    result = curve.double(result);
    if (bit === '1') result = curve.add(result, point);
  }
  return result;
}

/** Rounds a / b to the nearest integer, b > 0. */
function divideRounded(a: bigint, b: bigint): bigint {
  return (a >= 0n ? a + b / 2n : a - b / 2n) / b;
}

/**
 * Splits scalars modulo `order` for an endomorphism that multiplies by `lambda` (Guide to Elliptic Curve Cryptography, algorithm 3.74): two short vectors of the
 * lattice k1 + k2 * lambda = 0 come from Euclid's algorithm on order and lambda, stopped half way.
 */
export function scalarSplitter(order: bigint, lambda: bigint): Endomorphism<never>['split'] {
  let [r0, r1, t0, t1] = [order, lambda, 0n, 1n];
  while (r1 * r1 >= order) {
    const quotient = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - quotient * r1, t1, t0 - quotient * t1];
  }
  const [a1, b1] = [r1, -t1];
  const quotient = r0 / r1;
  const next: readonly [bigint, bigint] = [r0 - quotient * r1, quotient * t1 - t0];
  const size = ([a, b]: readonly [bigint, bigint]): bigint => a * a + b * b;
  const [a2, b2] = size([r0, -t0]) <= size(next) ? [r0, -t0] : next;
  // The determinant a1 * b2 - a2 * b1 is the order or its negative.
  const sign = a1 * b2 - a2 * b1 > 0n ? 1n : -1n;
  return (scalar) => {
    const k = scalar % order;
    const c1 = divideRounded(sign * b2 * k, order);
    const c2 = divideRounded(-sign * b1 * k, order);
    return [k - c1 * a1 - c2 * a2, -c1 * b1 - c2 * b2];
  };
}
