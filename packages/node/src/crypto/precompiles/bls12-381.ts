import type { Precompile } from '@shardlab/shard';

import { decodeFp, decodeFp2, decodeG1, decodeG2, encodeG1, encodeG2, FP_BYTES, G1_BYTES, G2_BYTES, type Membership } from './bls12-381-codec.ts';
import { G1, G1_ENDOMORPHISM, G2, type G2Lines, linesOf, mapToG1, mapToG2, ORDER, pairingIsOne } from './bls12-381-curve.ts';
import { G1_DISCOUNTS, G2_DISCOUNTS, multiplicationGas } from './bls12-381-gas.ts';
import { booleanWord, word } from './bytes.ts';
import type { Affine, Curve, Endomorphism, Jacobian } from './curve.ts';
import type { Fp2 } from './fields.ts';
import { multiplySum } from './multiply.ts';

/** EIP-2537. */
const G1_ADD_GAS = 375;
const G2_ADD_GAS = 600;
const PAIRING_GAS = 37_700;
const PAIR_GAS = 32_600;
const MAP_FP_GAS = 5_500;
const MAP_FP2_GAS = 23_800;

const SCALAR_BYTES = 32;
const PAIR_BYTES = G1_BYTES + G2_BYTES;

/** What one group's precompiles differ by. */
interface Group<T> {
  readonly curve: Curve<T>;
  readonly pointBytes: number;
  readonly decode: (input: Uint8Array, at: number, membership: Membership) => Affine<T> | 'invalid';
  readonly encode: (point: Affine<T>) => Uint8Array;
  readonly endomorphism?: Endomorphism<T>;
}

/** Sums are of points of the curve: EIP-2537 asks for no membership of the group here. */
function addition<T>({ curve, pointBytes, decode, encode }: Group<T>, gas: number): Precompile {
  return {
    gas: () => gas,
    run(input) {
      if (input.length !== 2 * pointBytes) return undefined;
      const a = decode(input, 0, 'curve');
      const b = decode(input, pointBytes, 'curve');
      return a === 'invalid' || b === 'invalid' ? undefined : encode(curve.addAffine(a, b));
    },
  };
}

/** Products are of points of the group and of any 256-bit scalars; at least one. */
function multiplication<T>(group: Group<T>, gasPerPoint: number, discounts: Uint16Array): Precompile {
  const { curve, pointBytes, decode, encode } = group;
  const termBytes = pointBytes + SCALAR_BYTES;
  return {
    gas: (input) => multiplicationGas(Math.floor(input.length / termBytes), gasPerPoint, discounts),
    run(input) {
      if (input.length === 0 || input.length % termBytes !== 0) return undefined;
      const terms: { point: Jacobian<T>; scalar: bigint }[] = [];
      for (let at = 0; at < input.length; at += termBytes) {
        const point = decode(input, at, 'group');
        if (point === 'invalid') return undefined;
        terms.push({ point: curve.jacobian(point), scalar: word(input, at + pointBytes) % ORDER });
      }
      return encode(curve.affine(multiplySum(curve, terms, group.endomorphism)));
    },
  };
}

const GROUP_1: Group<bigint> = { curve: G1, pointBytes: G1_BYTES, decode: decodeG1, encode: encodeG1, endomorphism: G1_ENDOMORPHISM };
const GROUP_2: Group<Fp2> = { curve: G2, pointBytes: G2_BYTES, decode: decodeG2, encode: encodeG2 };

/** BLS12_G1ADD (0x0b; EIP-2537). */
export const BLS12_G1_ADD: Precompile = addition(GROUP_1, G1_ADD_GAS);
/** BLS12_G1MSM (0x0c; EIP-2537). */
export const BLS12_G1_MSM: Precompile = multiplication(GROUP_1, 12_000, G1_DISCOUNTS);
/** BLS12_G2ADD (0x0d; EIP-2537). */
export const BLS12_G2_ADD: Precompile = addition(GROUP_2, G2_ADD_GAS);
/** BLS12_G2MSM (0x0e; EIP-2537). */
export const BLS12_G2_MSM: Precompile = multiplication(GROUP_2, 22_500, G2_DISCOUNTS);

/** BLS12_PAIRING_CHECK (0x0f; EIP-2537): whether the product over pairs of 384 bytes is one; at least one pair. */
export const BLS12_PAIRING: Precompile = {
  gas: (input) => PAIRING_GAS + PAIR_GAS * Math.floor(input.length / PAIR_BYTES),
  run(input) {
    if (input.length === 0 || input.length % PAIR_BYTES !== 0) return undefined;
    const pairs: (readonly [Affine<bigint>, G2Lines | undefined])[] = [];
    for (let at = 0; at < input.length; at += PAIR_BYTES) {
      const p = decodeG1(input, at, 'group');
      const q = decodeG2(input, at + G1_BYTES, 'group');
      if (p === 'invalid' || q === 'invalid') return undefined;
      if (p !== undefined && q !== undefined) pairs.push([p, linesOf(q)]);
    }
    return booleanWord(pairingIsOne(pairs));
  },
};

/** BLS12_MAP_FP_TO_G1 (0x10; EIP-2537). */
export const BLS12_MAP_FP_TO_G1: Precompile = {
  gas: () => MAP_FP_GAS,
  run(input) {
    const element = input.length === FP_BYTES ? decodeFp(input, 0) : undefined;
    return element === undefined ? undefined : encodeG1(mapToG1(element));
  },
};

/** BLS12_MAP_FP2_TO_G2 (0x11; EIP-2537). */
export const BLS12_MAP_FP2_TO_G2: Precompile = {
  gas: () => MAP_FP2_GAS,
  run(input) {
    const element = input.length === 2 * FP_BYTES ? decodeFp2(input, 0) : undefined;
    return element === undefined ? undefined : encodeG2(mapToG2(element));
  },
};
