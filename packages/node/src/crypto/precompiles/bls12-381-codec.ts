import type { Affine } from './curve.ts';
import type { Fp2 } from './fields.ts';
import { FP, G1, G2, isInG1, isInG2 } from './bls12-381-curve.ts';
import { bytesToBigInt, isZero, writeBigInt } from './bytes.ts';

/** Bytes of an element of the base field: 16 zeros, then 48 (EIP-2537). */
export const FP_BYTES = 64;
/** Bytes of a point of the first group: x and y. */
export const G1_BYTES = 2 * FP_BYTES;
/** Bytes of a point of the second group: x and y, the real coefficient first. */
export const G2_BYTES = 4 * FP_BYTES;
const PADDING_BYTES = 16;

/** Whether a point must be in the group (products, pairings) or only on the curve (sums). */
export type Membership = 'curve' | 'group';

/** The element at `at`, or undefined: the padding is not zero, or the value is not below the modulus. */
export function decodeFp(input: Uint8Array, at: number): bigint | undefined {
  if (!isZero(input, at, PADDING_BYTES)) return undefined;
  const value = bytesToBigInt(input.subarray(at + PADDING_BYTES, at + FP_BYTES));
  return value < FP.modulus ? value : undefined;
}

/** The element of the quadratic field at `at`, or undefined: see {@link decodeFp}. */
export function decodeFp2(input: Uint8Array, at: number): Fp2 | undefined {
  const c0 = decodeFp(input, at);
  const c1 = decodeFp(input, at + FP_BYTES);
  return c0 === undefined || c1 === undefined ? undefined : { c0, c1 };
}

/** The point of the first curve at `at`; zeros are infinity. */
export function decodeG1(input: Uint8Array, at: number, membership: Membership): Affine<bigint> | 'invalid' {
  if (isZero(input, at, G1_BYTES)) return undefined;
  const x = decodeFp(input, at);
  const y = decodeFp(input, at + FP_BYTES);
  if (x === undefined || y === undefined) return 'invalid';
  const point = { x, y };
  return G1.isOnCurve(point) && (membership === 'curve' || isInG1(point)) ? point : 'invalid';
}

/** The point of the second curve at `at`; zeros are infinity. */
export function decodeG2(input: Uint8Array, at: number, membership: Membership): Affine<Fp2> | 'invalid' {
  if (isZero(input, at, G2_BYTES)) return undefined;
  const x = decodeFp2(input, at);
  const y = decodeFp2(input, at + 2 * FP_BYTES);
  if (x === undefined || y === undefined) return 'invalid';
  const point = { x, y };
  return G2.isOnCurve(point) && (membership === 'curve' || isInG2(point)) ? point : 'invalid';
}

function writeFp(value: bigint, out: Uint8Array, at: number): void {
  writeBigInt(value, out, at + PADDING_BYTES, FP_BYTES - PADDING_BYTES);
}

/** 128 bytes; infinity is zeros. */
export function encodeG1(point: Affine<bigint>): Uint8Array {
  const out = new Uint8Array(G1_BYTES);
  if (point === undefined) return out;
  writeFp(point.x, out, 0);
  writeFp(point.y, out, FP_BYTES);
  return out;
}

/** 256 bytes; infinity is zeros. */
export function encodeG2(point: Affine<Fp2>): Uint8Array {
  const out = new Uint8Array(G2_BYTES);
  if (point === undefined) return out;
  [point.x.c0, point.x.c1, point.y.c0, point.y.c1].forEach((value, i) => writeFp(value, out, i * FP_BYTES));
  return out;
}
