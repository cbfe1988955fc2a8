import { bls12_381 } from '@noble/curves/bls12-381.js';
import { equalBytes } from '@shardlab/crosslink';
import type { Precompile } from '@shardlab/shard';

import { sha256 } from '../hashes.ts';
import { FP, G1, G1_ENDOMORPHISM, type G2Lines, isInG1, linesOf, ORDER, pairingIsOne } from './bls12-381-curve.ts';
import { bytesToBigInt, isZero, word, writeBigInt } from './bytes.ts';
import type { Affine } from './curve.ts';
import { multiplySum } from './multiply.ts';

/** EIP-4844. */
const GAS = 50_000;
const INPUT_BYTES = 192;
const VERSION_KZG = 0x01;
const FIELD_ELEMENTS_PER_BLOB = 4_096n;

/**
 * tau in the second group, compressed: `g2_monomial[1]` of Ethereum's KZG ceremony (consensus-specs, presets/mainnet/trusted_setups/trusted_setup_4096.json). Checking a
 * proof needs nothing else of the setup.
 */
const TAU_G2 =
  'b5bfd7dd8cdeb128843bc287230af38926187075cbfbefa81009a2ce615ac53d2914e5870cb452d2afaaab24f3499f72185cbfee53492714734429b7b38608e23926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2';

const COMPRESSED = 0x80;
const INFINITY = 0x40;
const GREATER = 0x20;

/**
 * A point of the first group in 48 bytes (ZCash's serialisation, as the consensus specs have it): three flags, then x; the third flag says which root y is.
 * Only the canonical encoding, and only of points of the group.
 */
function decompress(bytes: Uint8Array): Affine<bigint> | 'invalid' {
  const flags = bytes[0]!;
  if ((flags & COMPRESSED) === 0) return 'invalid';
  if ((flags & INFINITY) !== 0) return flags === (COMPRESSED | INFINITY) && isZero(bytes, 1) ? undefined : 'invalid';
  const x = bytesToBigInt(bytes) & ((1n << 381n) - 1n);
  if (x >= FP.modulus) return 'invalid';
  // The modulus is 3 modulo 4: this is the root of what is a square, and of what is none it is not on the curve.
  const root = FP.pow(FP.normal(x * x * x + 4n), (FP.modulus + 1n) / 4n);
  const isGreater = root > (FP.modulus - 1n) / 2n;
  const point = { x, y: isGreater === ((flags & GREATER) !== 0) ? root : FP.modulus - root };
  return G1.isOnCurve(point) && isInG1(point) ? point : 'invalid';
}

/** Output of every success: FIELD_ELEMENTS_PER_BLOB and BLS_MODULUS. */
function success(): Uint8Array {
  const out = new Uint8Array(64);
  writeBigInt(FIELD_ELEMENTS_PER_BLOB, out, 0, 32);
  writeBigInt(ORDER, out, 32, 32);
  return out;
}

/** Lines of the generator, negated, and of tau. Both points are constants: their half of the Miller loop is done once, at the first proof. */
function fixedLines(): { readonly minusOne: G2Lines; readonly tau: G2Lines } {
  return { minusOne: linesOf(bls12_381.G2.Point.BASE.negate().toAffine()), tau: linesOf(bls12_381.G2.Point.fromHex(TAU_G2).toAffine()) };
}

/**
 * Point evaluation (0x0a; EIP-4844): versioned hash, z, y, commitment and proof in 192 bytes; fails unless the committed polynomial has the value y at z.
 * `verify_kzg_proof` of the consensus specs, equivalent: e(C - y + z proof, -1) e(proof, tau) = 1 moves z to the first group, where products are cheap.
 */
export function createPointEvaluation(): Precompile {
  let lines: ReturnType<typeof fixedLines> | undefined;
  return {
    gas: () => GAS,
    run(input) {
      if (input.length !== INPUT_BYTES) return undefined;
      const commitmentBytes = input.subarray(96, 144);
      const versionedHash = sha256(commitmentBytes);
      versionedHash[0] = VERSION_KZG;
      if (!equalBytes(versionedHash, input.subarray(0, 32))) return undefined;
      const z = word(input, 32);
      const y = word(input, 64);
      if (z >= ORDER || y >= ORDER) return undefined;
      const commitment = decompress(commitmentBytes);
      const proof = decompress(input.subarray(144, 192));
      if (commitment === 'invalid' || proof === 'invalid') return undefined;
      const terms = [
        { point: G1.jacobian(bls12_381.G1.Point.BASE.toAffine()), scalar: (ORDER - y) % ORDER },
        { point: G1.jacobian(proof), scalar: z },
      ];
      const left = G1.affine(G1.add(multiplySum(G1, terms, G1_ENDOMORPHISM), G1.jacobian(commitment)));
      lines ??= fixedLines();
      const isValid = pairingIsOne([
        [left, lines.minusOne],
        [proof, lines.tau],
      ]);
      return isValid ? success() : undefined;
    },
  };
}
