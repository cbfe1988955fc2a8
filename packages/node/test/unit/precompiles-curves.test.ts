/** The arithmetic below the precompiles, against bigints and against `@noble/curves`; and points that are on a curve but in no group. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bls12_381 } from '@noble/curves/bls12-381.js';
import { bn254 } from '@noble/curves/bn254.js';
import { concatBytes, fromHex, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';

import * as bls from '../../src/crypto/precompiles/bls12-381-curve.ts';
import * as bn from '../../src/crypto/precompiles/bn254-curve.ts';
import { createCurve } from '../../src/crypto/precompiles/curve.ts';
import { primeField } from '../../src/crypto/precompiles/fields.ts';
import { invert } from '../../src/crypto/precompiles/invert.ts';
import { multiplySparse, multiplySum, scalarSplitter } from '../../src/crypto/precompiles/multiply.ts';
import { answer, blsG1, fp, oracle, word } from './precompiles-support.ts';

const SECP_P = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn;
/** Integers of every size up to 2^400, and the neighbours of powers of two, where estimates by doubles go wrong first. */
const integers = fc.oneof(
  fc.bigInt({ min: 0n, max: 1n << 400n }),
  fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: -3, max: 3 })).map(([bits, off]) => (1n << BigInt(bits)) + BigInt(off)),
);

test('invert: a * a^-1 = 1, for the curves\' primes and small ones; 0 has 0', () => {
  for (const prime of [bn.FP.modulus, bls.FP.modulus, SECP_P, (1n << 127n) - 1n, (1n << 61n) - 1n, 65_537n, 3n, 2n]) {
    fc.assert(
      fc.property(integers, (value) => {
        const inverse = invert(value, prime);
        if (value % prime === 0n) assert.equal(inverse, 0n);
        else assert.equal((inverse * value - 1n) % prime, 0n);
        assert.ok(inverse >= 0n && inverse < prime);
        assert.equal(invert(-value, prime), inverse === 0n ? 0n : prime - inverse);
      }),
      { numRuns: 300 },
    );
    for (const value of [1n, 2n, prime - 1n, prime - 2n, prime / 2n, prime + 1n]) assert.equal((invert(value, prime) * value - (value % prime === 0n ? 0n : 1n)) % prime, 0n);
  }
});

test('invert: what shares a factor with the modulus has no inverse', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 2n, max: 1n << 200n }), fc.bigInt({ min: 1n, max: 1n << 60n }), (factor, other) => {
      assert.equal(invert(factor * other, factor * 97n), 0n);
    }),
    { numRuns: 200 },
  );
});

test('split scalars are half as long and give the scalar back', () => {
  const cases = [
    [bn.ORDER, 0xb3c4d79d41a917585bfc41088d8daaa78b17ea66b99c90ddn],
    [bls.ORDER, 0xac45a4010001a40200000000ffffffffn],
  ] as const;
  for (const [order, lambda] of cases) {
    const split = scalarSplitter(order, lambda);
    fc.assert(
      fc.property(fc.oneof(fc.bigInt({ min: 0n, max: order - 1n }), fc.constantFrom(0n, 1n, order - 1n, lambda, order - lambda, order / 2n)), (scalar) => {
        const [k1, k2] = split(scalar);
        assert.equal((k1 + k2 * lambda - scalar) % order, 0n);
        for (const k of [k1, k2]) assert.ok(k < 1n << 129n && k > -(1n << 129n));
      }),
    );
  }
});

test('sums of products: exhaustively on a small curve, with and without an endomorphism', () => {
  // y^2 = x^3 + 3 over the integers modulo 7: 13 points, a prime. 2 is a cube root of 1 modulo 7; 3 and 9 are those modulo 13.
  const field = primeField(7n);
  const curve = createCurve(field, 3n);
  const generator = { x: 1n, y: 2n };
  const points = [curve.jacobian(undefined)];
  while (points.length < 13) points.push(curve.jacobian(curve.addAffine(curve.affine(points[points.length - 1]!), generator)));
  assert.equal(curve.addAffine(curve.affine(points[12]!), generator), undefined, 'the order is 13');
  const apply = (p: (typeof points)[number]): (typeof points)[number] => ({ x: field.mul(p.x, 2n), y: p.y, z: p.z });
  const lambda = [3n, 9n].find((candidate) => curve.equal(apply(points[1]!), points[Number(candidate)]!));
  assert.ok(lambda !== undefined);
  const endomorphism = { apply, split: scalarSplitter(13n, lambda) };
  for (let a = 0; a < 13; a++) {
    for (let b = 0; b < 13; b++) {
      assert.ok(curve.equal(curve.add(points[a]!, points[b]!), points[(a + b) % 13]!));
      assert.deepEqual(curve.addAffine(curve.affine(points[a]!), curve.affine(points[b]!)), curve.affine(points[(a + b) % 13]!));
      for (let scalar = 0; scalar < 40; scalar++) {
        const terms = [
          { point: points[a]!, scalar: BigInt(scalar) },
          { point: points[b]!, scalar: BigInt(scalar % 13) },
        ];
        const expected = points[(a * scalar + b * scalar) % 13]!;
        assert.ok(curve.equal(multiplySum(curve, terms), expected), `${a}, ${b}, ${scalar}`);
        assert.ok(curve.equal(multiplySum(curve, terms, endomorphism), expected), `${a}, ${b}, ${scalar}, split`);
        if (scalar > 0) assert.ok(curve.equal(multiplySparse(curve, points[a]!, BigInt(scalar)), points[(a * scalar) % 13]!));
      }
    }
  }
});

test('products agree with @noble/curves in all four groups', () => {
  const scalars = fc.bigInt({ min: 1n, max: bn.ORDER - 1n });
  fc.assert(
    fc.property(scalars, (k) => {
      const point = bn.G1.jacobian({ x: 1n, y: 2n });
      assert.deepEqual(bn.G1.affine(multiplySum(bn.G1, [{ point, scalar: k }], bn.G1_ENDOMORPHISM)), bn254.G1.Point.BASE.multiply(k).toAffine());
      const g2 = bn.G2.jacobian(bn254.G2.Point.BASE.toAffine());
      assert.deepEqual(bn.G2.affine(multiplySum(bn.G2, [{ point: g2, scalar: k }])), bn254.G2.Point.BASE.multiply(k).toAffine());
      const h1 = bls.G1.jacobian(bls12_381.G1.Point.BASE.toAffine());
      assert.deepEqual(bls.G1.affine(multiplySum(bls.G1, [{ point: h1, scalar: k }], bls.G1_ENDOMORPHISM)), bls12_381.G1.Point.BASE.multiply(k).toAffine());
      const h2 = bls.G2.jacobian(bls12_381.G2.Point.BASE.toAffine());
      assert.deepEqual(bls.G2.affine(multiplySum(bls.G2, [{ point: h2, scalar: k }])), bls12_381.G2.Point.BASE.multiply(k).toAffine());
    }),
    { numRuns: 8 },
  );
});

/** Points with the first few x for which there is one: the cofactor of the twists and of BLS12-381 makes it all but sure that they are in no group. */
function pointsOutside<T>(candidates: readonly T[], yOf: (x: T) => T): { x: T; y: T }[] {
  const points: { x: T; y: T }[] = [];
  for (const x of candidates) {
    try {
      points.push({ x, y: yOf(x) });
    } catch {
      // Not a square: no point has this x.
    }
  }
  assert.ok(points.length >= 2);
  return points;
}

test('points that are on the curve but not in the group: no pairing, no product, but a sum on BLS12-381', async () => {
  const expected = { cancun: await oracle('cancun'), prague: await oracle('prague') };
  const small = Array.from({ length: 8 }, (_, i) => BigInt(i + 1));
  const { Fp, Fp2 } = bls12_381.fields;
  for (const point of pointsOutside(small, (x) => Fp.sqrt(Fp.create(x * x * x + 4n)))) {
    assert.ok(bls.G1.isOnCurve(point) && !bls.isInG1(point));
    const encoded = concatBytes(fp(point.x), fp(point.y));
    assert.equal(answer('prague', 0x0c, concatBytes(encoded, word(1n))).output, 'invalid');
    assert.equal(answer('prague', 0x0f, concatBytes(encoded, new Uint8Array(256))).output, 'invalid');
    const sum = concatBytes(encoded, blsG1(5n));
    assert.deepEqual(answer('prague', 0x0b, sum), await expected.prague(0x0b, sum));
    const twice = concatBytes(encoded, encoded);
    assert.deepEqual(answer('prague', 0x0b, twice), await expected.prague(0x0b, twice));
  }
  const pairs = small.map((c0) => ({ c0, c1: 1n }));
  for (const { x, y } of pointsOutside(pairs, (c) => Fp2.sqrt(Fp2.add(Fp2.mul(Fp2.sqr(c), c), { c0: 4n, c1: 4n })))) {
    assert.ok(bls.G2.isOnCurve({ x, y }) && !bls.isInG2({ x, y }));
    const encoded = concatBytes(fp(x.c0), fp(x.c1), fp(y.c0), fp(y.c1));
    assert.equal(answer('prague', 0x0e, concatBytes(encoded, word(1n))).output, 'invalid');
    assert.equal(answer('prague', 0x0f, concatBytes(new Uint8Array(128), encoded)).output, 'invalid');
    const twice = concatBytes(encoded, encoded);
    assert.deepEqual(answer('prague', 0x0d, twice), await expected.prague(0x0d, twice));
  }
  const field = bn254.fields.Fp2;
  const b = field.div({ c0: 3n, c1: 0n }, { c0: 9n, c1: 1n });
  for (const { x, y } of pointsOutside(pairs, (c) => field.sqrt(field.add(field.mul(field.sqr(c), c), b)))) {
    assert.ok(bn.G2.isOnCurve({ x, y }) && !bn.isInG2({ x, y }));
    const input = concatBytes(new Uint8Array(64), word(x.c1), word(x.c0), word(y.c1), word(y.c0));
    assert.equal(answer('cancun', 8, input).output, 'invalid');
    assert.equal((await expected.cancun(8, input)).output, 'invalid');
  }
});

test('members are members: every generator times a small number, and infinity', () => {
  for (let k = 1n; k < 20n; k += 6n) {
    assert.ok(bn.isInG2(bn254.G2.Point.BASE.multiply(k).toAffine()));
    assert.ok(bls.isInG1(bls12_381.G1.Point.BASE.multiply(k).toAffine()));
    assert.ok(bls.isInG2(bls12_381.G2.Point.BASE.multiply(k).toAffine()));
  }
  assert.ok(bn.isInG2(undefined) && bls.isInG1(undefined) && bls.isInG2(undefined));
});

test('point evaluation: constant polynomials, whose proof is infinity, and encodings that are not canonical', async () => {
  const versioned = (commitment: Uint8Array): Uint8Array => {
    const digest = fromHex(answer('cancun', 2, commitment).output);
    digest[0] = 1;
    return digest;
  };
  const infinity = new Uint8Array(48);
  infinity[0] = 0xc0;
  const evaluate = (commitment: Uint8Array, z: bigint, y: bigint, proof: Uint8Array): string =>
    answer('cancun', 10, concatBytes(versioned(commitment), word(z), word(y), commitment, proof)).output;
  for (const value of [1n, 2n, 777n, bls.ORDER - 1n]) {
    const commitment = bls12_381.G1.Point.BASE.multiply(value).toBytes(true);
    assert.notEqual(evaluate(commitment, 5n, value, infinity), 'invalid');
    assert.notEqual(evaluate(commitment, 0n, value, infinity), 'invalid');
    assert.equal(evaluate(commitment, 5n, value - 1n, infinity), 'invalid');
    assert.equal(evaluate(commitment, 5n, value, commitment), 'invalid');
    assert.equal(evaluate(commitment, bls.ORDER, value, infinity), 'invalid', 'z is not reduced');
    const otherRoot = commitment.slice();
    otherRoot[0]! ^= 0x20;
    assert.notEqual(evaluate(otherRoot, 5n, bls.ORDER - value, infinity), 'invalid');
    const uncompressed = commitment.slice();
    uncompressed[0]! &= 0x7f;
    assert.equal(evaluate(uncompressed, 5n, value, infinity), 'invalid');
  }
  assert.notEqual(evaluate(infinity, 9n, 0n, infinity), 'invalid', 'zero is a polynomial');
  assert.equal(evaluate(infinity, 9n, bls.ORDER, infinity), 'invalid', 'y is not reduced');
  for (const [at, bits] of [[0, 0x20], [0, 0x01], [47, 1]] as const) {
    const odd = infinity.slice();
    odd[at]! ^= bits;
    assert.equal(evaluate(odd, 9n, 0n, infinity), 'invalid', toHex(odd));
  }
  const outside = fp(4n).slice(16);
  outside[0]! |= 0x80;
  assert.equal(evaluate(outside, 9n, 0n, infinity), 'invalid', 'x = 4 is on the curve or not, but never in the group');
  const tooLarge = fp(bls.FP.modulus).slice(16);
  tooLarge[0]! |= 0x80;
  assert.equal(evaluate(tooLarge, 9n, 0n, infinity), 'invalid');
});
