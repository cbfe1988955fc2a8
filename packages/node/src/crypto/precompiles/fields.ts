import { invert } from './invert.ts';

/**
 * A finite field as the curves need it. Elements are sums that are not reduced yet: `add`, `sub` and `neg` leave the reduction to the next product, which saves
 * two thirds of all divisions. Formulas between two products are a few sums long, so that elements stay a few times the modulus. `normal` gives the one
 * element in 0 to p - 1; everything that compares or leaves goes through it.
 */
export interface Field<T> {
  readonly zero: T;
  readonly one: T;
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  neg(a: T): T;
  mul(a: T, b: T): T;
  sqr(a: T): T;
  /** The inverse; zero has zero. */
  inv(a: T): T;
  isZero(a: T): boolean;
  equal(a: T, b: T): boolean;
  /** The representative whose coefficients are 0 to p - 1. */
  normal(a: T): T;
}

/** Integers modulo a prime. */
export interface PrimeField extends Field<bigint> {
  readonly modulus: bigint;
  /** `a` to a power of at least 0. */
  pow(a: bigint, exponent: bigint): bigint;
}

/** c0 + c1 u with u^2 = -1. */
export interface Fp2 {
  readonly c0: bigint;
  readonly c1: bigint;
}

/** The field of `modulus`, a prime. */
export function primeField(modulus: bigint): PrimeField {
  const normal = (a: bigint): bigint => {
    const rest = a % modulus;
    return rest < 0n ? rest + modulus : rest;
  };
  return {
    modulus,
    zero: 0n,
    one: 1n,
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    neg: (a) => -a,
    mul: (a, b) => (a * b) % modulus,
    sqr: (a) => (a * a) % modulus,
    inv: (a) => invert(a, modulus),
    isZero: (a) => a % modulus === 0n,
    equal: (a, b) => (a - b) % modulus === 0n,
    normal,
    pow(a, exponent) {
      let result = 1n;
      for (const bit of exponent.toString(2)) {
        result = (result * result) % modulus;
        if (bit === '1') result = (result * a) % modulus;
      }
      return result;
    },
  };
}

/** The quadratic extension of `base` by a square root of -1, which must not be in `base`. */
export function quadraticField(base: PrimeField): Field<Fp2> {
  const p = base.modulus;
  return {
    zero: { c0: 0n, c1: 0n },
    one: { c0: 1n, c1: 0n },
    add: (a, b) => ({ c0: a.c0 + b.c0, c1: a.c1 + b.c1 }),
    sub: (a, b) => ({ c0: a.c0 - b.c0, c1: a.c1 - b.c1 }),
    neg: (a) => ({ c0: -a.c0, c1: -a.c1 }),
    mul(a, b) {
      // Karatsuba: three products, two divisions.
      const t0 = a.c0 * b.c0;
      const t1 = a.c1 * b.c1;
      return { c0: (t0 - t1) % p, c1: ((a.c0 + a.c1) * (b.c0 + b.c1) - t0 - t1) % p };
    },
    sqr: (a) => ({ c0: ((a.c0 + a.c1) * (a.c0 - a.c1)) % p, c1: (2n * a.c0 * a.c1) % p }),
    inv(a) {
      const norm = invert(a.c0 * a.c0 + a.c1 * a.c1, p);
      return { c0: (a.c0 * norm) % p, c1: (-a.c1 * norm) % p };
    },
    isZero: (a) => a.c0 % p === 0n && a.c1 % p === 0n,
    equal: (a, b) => (a.c0 - b.c0) % p === 0n && (a.c1 - b.c1) % p === 0n,
    normal: (a) => ({ c0: base.normal(a.c0), c1: base.normal(a.c1) }),
  };
}
