import { bls12_381 } from '@noble/curves/bls12-381.js';

import { type Affine, createCurve, type Endomorphism, type Jacobian } from './curve.ts';
import { type Fp2, primeField, quadraticField } from './fields.ts';
import { multiplySparse, scalarSplitter } from './multiply.ts';

/** The base field of BLS12-381 (EIP-2537). */
export const FP = primeField(0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaabn);
const FP2 = quadraticField(FP);
/** Order of both groups (EIP-2537; BLS_MODULUS of EIP-4844). */
export const ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n;
/** The parameter of the family of curves is negative: this is its size. */
const X = 0xd201000000010000n;

/** y^2 = x^3 + 4; the group is a subgroup of it. */
export const G1 = createCurve(FP, 4n);
/** y^2 = x^3 + 4 (1 + u) over the quadratic field; the group is a subgroup of it. */
export const G2 = createCurve(FP2, { c0: 4n, c1: 4n });

/** A cube root of 1 in the base field, for which (x, y) -> (beta x, y) multiplies points of the group by lambda = X^2 - 1. */
const BETA = 0x1a0111ea397fe699ec02408663d4de85aa0d857d89759ad4897d29650fb85f9b409427eb4f49fffd8bfd00000000aaacn;
const LAMBDA = X * X - 1n;

function phi({ x, y, z }: Jacobian<bigint>): Jacobian<bigint> {
  return { x: FP.mul(x, BETA), y, z };
}

/** Multiplies by {@link LAMBDA}, in the group. */
export const G1_ENDOMORPHISM: Endomorphism<bigint> = { apply: phi, split: scalarSplitter(ORDER, LAMBDA) };

/**
 * Whether a point of the curve is in the group: phi(P) = [X^2 - 1] P (Scott, A note on group membership tests, 2021). phi^2 + phi + 1 = 0 everywhere on the curve, so the
 * equality gives [X^4 - X^2 + 1] P = 0, which is the order.
 */
export function isInG1(point: Affine<bigint>): boolean {
  const p = G1.jacobian(point);
  if (G1.isInfinity(p)) return true;
  const square = multiplySparse(G1, multiplySparse(G1, p, X), X);
  return G1.equal(G1.add(phi(p), p), square);
}

/** (1 + u)^-((p-1)/3) and (1 + u)^-((p-1)/2). */
const PSI_X: Fp2 = {
  c0: 0n,
  c1: 0x1a0111ea397fe699ec02408663d4de85aa0d857d89759ad4897d29650fb85f9b409427eb4f49fffd8bfd00000000aaadn,
};
const PSI_Y: Fp2 = {
  c0: 0x135203e60180a68ee2e9c448d77a2cd91c3dedd930b1cf60ef396489f61eb45e304466cf3e67fa0af1ee7b04121bdea2n,
  c1: 0x06af0e0437ff400b6831e36d6bd17ffe48395dabc2d3435e77f76e17009241c5ee67992f72ec05f4c81084fbede3cc09n,
};

/** Frobenius on the twist. */
function psi({ x, y, z }: Jacobian<Fp2>): Jacobian<Fp2> {
  const conjugate = (a: Fp2): Fp2 => ({ c0: a.c0, c1: -a.c1 });
  return { x: FP2.mul(conjugate(x), PSI_X), y: FP2.mul(conjugate(y), PSI_Y), z: conjugate(z) };
}

/** Whether a point of the twist is in the group: psi(P) = [-X] P (Scott 2021, section 4). */
export function isInG2(point: Affine<Fp2>): boolean {
  const p = G2.jacobian(point);
  return G2.isInfinity(p) || G2.equal(psi(p), G2.negate(multiplySparse(G2, p, X)));
}

/** What the pairing needs of a point of G2: computed once where the point is a constant. */
export type G2Lines = ReturnType<typeof bls12_381.utils.calcPairingPrecomputes>;

/** The lines of a point of the group that is not infinity. */
export function linesOf(point: NonNullable<Affine<Fp2>>): G2Lines {
  return bls12_381.utils.calcPairingPrecomputes(bls12_381.G2.Point.fromAffine(point));
}

/** Whether the product of the pairings is one. The points must be in their groups; pairs with infinity (undefined) count as one. */
export function pairingIsOne(pairs: readonly (readonly [Affine<bigint>, G2Lines | undefined])[]): boolean {
  const lines: Parameters<typeof bls12_381.millerLoopBatch>[0] = [];
  for (const [p, q] of pairs) if (p !== undefined && q !== undefined) lines.push([q, p.x, p.y]);
  const { Fp12 } = bls12_381.fields;
  return Fp12.eql(Fp12.finalExponentiate(bls12_381.millerLoopBatch(lines)), Fp12.ONE);
}

interface FinitePoint<T> {
  is0(): boolean;
  toAffine(): { x: T; y: T };
}

/** The library declares the bare map's type for these two; what they are is RFC 9380's map with the cofactor cleared, of one element. */
const maps = {
  g1: bls12_381.G1.mapToCurve as unknown as (element: bigint) => FinitePoint<bigint>,
  g2: bls12_381.G2.mapToCurve as unknown as (coefficients: readonly [bigint, bigint]) => FinitePoint<Fp2>,
};

function affine<T>(point: FinitePoint<T>): Affine<T> {
  return point.is0() ? undefined : point.toAffine();
}

/** RFC 9380's map of a field element to the group, the cofactor cleared (EIP-2537, curve operations: mapping). */
export function mapToG1(element: bigint): Affine<bigint> {
  return affine(maps.g1(element));
}

/** RFC 9380's map of an element of the quadratic field to the group, the cofactor cleared (EIP-2537, curve operations: mapping). */
export function mapToG2(element: Fp2): Affine<Fp2> {
  return affine(maps.g2([element.c0, element.c1]));
}
