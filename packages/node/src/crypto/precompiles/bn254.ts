import type { Precompile } from '@shardlab/shard';

import { FP, G1, G1_ENDOMORPHISM, G2, isInG2, ORDER, pairingIsOne } from './bn254-curve.ts';
import { booleanWord, slicePadded, word, writeBigInt } from './bytes.ts';
import type { Affine } from './curve.ts';
import type { Fp2 } from './fields.ts';
import { multiplySum } from './multiply.ts';

/** EIP-1108. */
const ADD_GAS = 150;
const MULTIPLY_GAS = 6_000;
const PAIRING_GAS = 45_000;
const PAIR_GAS = 34_000;

const POINT_BYTES = 64;
const PAIR_BYTES = 192;

/** A coordinate, or -1: it is not below the modulus. */
function coordinate(input: Uint8Array, at: number): bigint {
  const value = word(input, at);
  return value < FP.modulus ? value : -1n;
}

/** The point at `at` (EIP-196: x and y; zeros are infinity), or `invalid`. */
function decodeG1(input: Uint8Array, at: number): Affine<bigint> | 'invalid' {
  const x = coordinate(input, at);
  const y = coordinate(input, at + 32);
  if (x < 0n || y < 0n) return 'invalid';
  if (x === 0n && y === 0n) return undefined;
  const point = { x, y };
  return G1.isOnCurve(point) ? point : 'invalid';
}

/** The point at `at` (EIP-197: imaginary coefficients come first; zeros are infinity), or `invalid`: not on the curve or not in the group. */
function decodeG2(input: Uint8Array, at: number): Affine<Fp2> | 'invalid' {
  const [x1, x0, y1, y0] = [coordinate(input, at), coordinate(input, at + 32), coordinate(input, at + 64), coordinate(input, at + 96)];
  if (x1 < 0n || x0 < 0n || y1 < 0n || y0 < 0n) return 'invalid';
  if (x1 === 0n && x0 === 0n && y1 === 0n && y0 === 0n) return undefined;
  const point = { x: { c0: x0, c1: x1 }, y: { c0: y0, c1: y1 } };
  return G2.isOnCurve(point) && isInG2(point) ? point : 'invalid';
}

function encodeG1(point: Affine<bigint>): Uint8Array {
  const out = new Uint8Array(POINT_BYTES);
  if (point === undefined) return out;
  writeBigInt(point.x, out, 0, 32);
  writeBigInt(point.y, out, 32, 32);
  return out;
}

/** ECADD (0x06; EIP-196). */
export const BN254_ADD: Precompile = {
  gas: () => ADD_GAS,
  run(input) {
    const padded = slicePadded(input, 0, 2 * POINT_BYTES);
    const a = decodeG1(padded, 0);
    const b = decodeG1(padded, POINT_BYTES);
    return a === 'invalid' || b === 'invalid' ? undefined : encodeG1(G1.addAffine(a, b));
  },
};

/** ECMUL (0x07; EIP-196). The scalar is any word. */
export const BN254_MULTIPLY: Precompile = {
  gas: () => MULTIPLY_GAS,
  run(input) {
    const padded = slicePadded(input, 0, POINT_BYTES + 32);
    const point = decodeG1(padded, 0);
    if (point === 'invalid') return undefined;
    const scalar = word(padded, POINT_BYTES) % ORDER;
    return encodeG1(G1.affine(multiplySum(G1, [{ point: G1.jacobian(point), scalar }], G1_ENDOMORPHISM)));
  },
};

/** The pairing check (0x08; EIP-197): whether the product over pairs of 192 bytes is one. No pairs: true. */
export const BN254_PAIRING: Precompile = {
  gas: (input) => PAIRING_GAS + PAIR_GAS * Math.floor(input.length / PAIR_BYTES),
  run(input) {
    if (input.length % PAIR_BYTES !== 0) return undefined;
    const pairs: (readonly [Affine<bigint>, Affine<Fp2>])[] = [];
    for (let at = 0; at < input.length; at += PAIR_BYTES) {
      const p = decodeG1(input, at);
      const q = decodeG2(input, at + POINT_BYTES);
      if (p === 'invalid' || q === 'invalid') return undefined;
      pairs.push([p, q]);
    }
    return booleanWord(pairingIsOne(pairs));
  },
};
