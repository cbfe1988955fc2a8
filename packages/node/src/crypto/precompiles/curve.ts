import type { Field } from './fields.ts';

/** A point by its coordinates; undefined is the point at infinity. */
export type Affine<T> = { readonly x: T; readonly y: T } | undefined;

/** X / Z^2, Y / Z^3; infinity has Z = 0. Z is normal only where it is zero or one. */
export interface Jacobian<T> {
  readonly x: T;
  readonly y: T;
  readonly z: T;
}

/**
 * An endomorphism that multiplies by a constant: with it a scalar of n bits splits into two of n / 2, which share their doublings (Gallant, Lambert and Vanstone,
 * CRYPTO 2001).
 */
export interface Endomorphism<T> {
  /** The image of a point that is in the subgroup. */
  apply(point: Jacobian<T>): Jacobian<T>;
  /** Two integers of about half the bits with k1 + k2 * lambda = scalar modulo the order; they may be negative. */
  split(scalar: bigint): readonly [bigint, bigint];
}

/** Points of y^2 = x^3 + b. Formulas of the Explicit-Formulas Database for a = 0. Variable time: for public values only. */
export interface Curve<T> {
  readonly field: Field<T>;
  /** Whether the coordinates satisfy the equation; infinity does. They must be reduced by whoever decodes them. */
  isOnCurve(point: Affine<T>): boolean;
  jacobian(point: Affine<T>): Jacobian<T>;
  /** Normal coordinates. */
  affine(point: Jacobian<T>): Affine<T>;
  isInfinity(point: Jacobian<T>): boolean;
  equal(a: Jacobian<T>, b: Jacobian<T>): boolean;
  add(a: Jacobian<T>, b: Jacobian<T>): Jacobian<T>;
  /** The sum of two affine points, by one inversion: what an addition precompile needs. */
  addAffine(a: Affine<T>, b: Affine<T>): Affine<T>;
  double(a: Jacobian<T>): Jacobian<T>;
  negate(a: Jacobian<T>): Jacobian<T>;
}

/** The curve y^2 = x^3 + b over `field`. */
export function createCurve<T>(field: Field<T>, b: T): Curve<T> {
  const { add, sub, neg, mul, sqr } = field;
  const infinity: Jacobian<T> = { x: field.one, y: field.one, z: field.zero };
  const twice = (a: T): T => add(a, a);
  const isInfinity = (a: Jacobian<T>): boolean => field.isZero(a.z);

  /** dbl-2009-l: 2 products, 5 squares. Doubles infinity, and points of order 2, to infinity by itself. */
  function double(p: Jacobian<T>): Jacobian<T> {
    const a = sqr(p.x);
    const bb = sqr(p.y);
    const c = sqr(bb);
    const d = twice(sub(sub(sqr(add(p.x, bb)), a), c));
    const e = add(twice(a), a);
    const x = sub(sqr(e), twice(d));
    return { x, y: sub(mul(e, sub(d, x)), twice(twice(twice(c)))), z: twice(mul(p.y, p.z)) };
  }

  /** add-2007-bl: 11 products, 5 squares; the cases that it does not cover go elsewhere. */
  function addPoints(p: Jacobian<T>, q: Jacobian<T>): Jacobian<T> {
    if (isInfinity(p)) return q;
    if (isInfinity(q)) return p;
    const pzz = sqr(p.z);
    const qzz = sqr(q.z);
    const u1 = mul(p.x, qzz);
    const s1 = mul(mul(p.y, q.z), qzz);
    const h = sub(mul(q.x, pzz), u1);
    const r = twice(sub(mul(mul(q.y, p.z), pzz), s1));
    if (field.isZero(h)) return field.isZero(r) ? double(p) : infinity;
    const i = sqr(twice(h));
    const j = mul(h, i);
    const v = mul(u1, i);
    const x = sub(sub(sqr(r), j), twice(v));
    return { x, y: sub(mul(r, sub(v, x)), twice(mul(s1, j))), z: mul(sub(sub(sqr(add(p.z, q.z)), pzz), qzz), h) };
  }

  function addAffine(p: Affine<T>, q: Affine<T>): Affine<T> {
    if (p === undefined) return q;
    if (q === undefined) return p;
    const same = field.equal(p.x, q.x);
    if (same && field.isZero(add(p.y, q.y))) return undefined;
    const square = same ? sqr(p.x) : undefined;
    const rise = square === undefined ? sub(q.y, p.y) : add(twice(square), square);
    const slope = mul(rise, field.inv(square === undefined ? sub(q.x, p.x) : twice(p.y)));
    const x = sub(sub(sqr(slope), p.x), q.x);
    return { x: field.normal(x), y: field.normal(sub(mul(slope, sub(p.x, x)), p.y)) };
  }

  return {
    field,
    isOnCurve: (p) => p === undefined || field.equal(sqr(p.y), add(mul(sqr(p.x), p.x), b)),
    jacobian: (p) => (p === undefined ? infinity : { x: p.x, y: p.y, z: field.one }),
    affine(p) {
      if (isInfinity(p)) return undefined;
      const inverse = field.inv(p.z);
      const square = sqr(inverse);
      return { x: field.normal(mul(p.x, square)), y: field.normal(mul(p.y, mul(square, inverse))) };
    },
    isInfinity,
    equal(p, q) {
      if (isInfinity(p) || isInfinity(q)) return isInfinity(p) && isInfinity(q);
      const pzz = sqr(p.z);
      const qzz = sqr(q.z);
      return field.equal(mul(p.x, qzz), mul(q.x, pzz)) && field.equal(mul(mul(p.y, q.z), qzz), mul(mul(q.y, p.z), pzz));
    },
    add: addPoints,
    addAffine,
    double,
    negate: (p) => ({ x: p.x, y: neg(p.y), z: p.z }),
  };
}
