import { bn254 } from '@noble/curves/bn254.js';

import { type Affine, createCurve, type Endomorphism, type Jacobian } from './curve.ts';
import { type Fp2, primeField, quadraticField } from './fields.ts';
import { multiplySparse, scalarSplitter } from './multiply.ts';

/** The base field of bn254, also called alt_bn128 (EIP-196). */
export const FP = primeField(0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47n);
const FP2 = quadraticField(FP);
/** Order of both groups (EIP-196). */
export const ORDER = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001n;
/** The parameter of the family of curves (Barreto and Naehrig, SAC 2005). */
const X = 4965661367192848881n;

/** y^2 = x^3 + 3: of prime order, so that every point of it is in the group. */
export const G1 = createCurve(FP, 3n);
/** y^2 = x^3 + 3 / (9 + u) over the quadratic field (EIP-197). */
export const G2 = createCurve(FP2, FP2.mul({ c0: 3n, c1: 0n }, FP2.inv({ c0: 9n, c1: 1n })));

/** A cube root of 1 in the base field, for which (x, y) -> (beta x, y) multiplies by lambda, a cube root of 1 modulo the order. */
const BETA = 0x59e26bcea0d48bacd4f263f1acdb5c4f5763473177fffffen;
const LAMBDA = 0xb3c4d79d41a917585bfc41088d8daaa78b17ea66b99c90ddn;

/** Multiplies by {@link LAMBDA}. */
export const G1_ENDOMORPHISM: Endomorphism<bigint> = {
  apply: ({ x, y, z }) => ({ x: FP.mul(x, BETA), y, z }),
  split: scalarSplitter(ORDER, LAMBDA),
};

/** (9 + u)^((p-1)/3) and (9 + u)^((p-1)/2). */
const PSI_X: Fp2 = {
  c0: 0x2fb347984f7911f74c0bec3cf559b143b78cc310c2c3330c99e39557176f553dn,
  c1: 0x16c9e55061ebae204ba4cc8bd75a079432ae2a1d0b7c9dce1665d51c640fcba2n,
};
const PSI_Y: Fp2 = {
  c0: 0x063cf305489af5dcdc5ec698b6e2f9b9dbaae0eda9c95998dc54014671a0135an,
  c1: 0x07c03cbcac41049a0704b5a7ec796f2b21807dc98fa25bd282d37f632623b0e3n,
};

/** Frobenius on the twist. */
function psi({ x, y, z }: Jacobian<Fp2>): Jacobian<Fp2> {
  const conjugate = (a: Fp2): Fp2 => ({ c0: a.c0, c1: -a.c1 });
  return { x: FP2.mul(conjugate(x), PSI_X), y: FP2.mul(conjugate(y), PSI_Y), z: conjugate(z) };
}

/**
 * Whether a point of the twist is in the group: psi(P) = [6 X^2] P. With t the trace, 6 X^2 = t - 1, and psi^2 - t psi + p = 0 everywhere on the twist: the equality
 * gives [p + 1 - t] P = 0, which is the order.
 */
export function isInG2(point: Affine<Fp2>): boolean {
  const p = G2.jacobian(point);
  return G2.isInfinity(p) || G2.equal(psi(p), multiplySparse(G2, p, 6n * X * X));
}

/** Whether the product of the pairings is one. The points must be in their groups; pairs with infinity count as one. */
export function pairingIsOne(pairs: readonly (readonly [Affine<bigint>, Affine<Fp2>])[]): boolean {
  const lines: Parameters<typeof bn254.millerLoopBatch>[0] = [];
  for (const [p, q] of pairs) {
    if (p === undefined || q === undefined) continue;
    lines.push([bn254.utils.calcPairingPrecomputes(bn254.G2.Point.fromAffine(q)), p.x, p.y]);
  }
  const { Fp12 } = bn254.fields;
  return Fp12.eql(Fp12.finalExponentiate(bn254.millerLoopBatch(lines)), Fp12.ONE);
}
