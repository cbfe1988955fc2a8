import type { Hasher } from '@shardlab/crosslink';
import type { Precompile, RecoveryPrimitives } from '@shardlab/shard';

import { bytesToBigInt, isZero, slicePadded } from './bytes.ts';

const GAS = 3_000;
/** Order of secp256k1's group (SEC 2, section 2.4.1). */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** Whether 32 bytes are 1 to the group's order - 1. */
function isScalar(bytes: Uint8Array): boolean {
  const value = bytesToBigInt(bytes);
  return value > 0n && value < ORDER;
}

/**
 * ECRECOVER (0x01; Yellow Paper, appendix E): hash, v, r and s in a word each, to the signer's address in a word. High s is valid here (EIP-2 binds transactions
 * only). A signature that is none gives an empty output, not a failure.
 */
export function createEcrecover(primitives: Pick<Hasher, 'keccak256'> & Pick<RecoveryPrimitives, 'recoverPublicKey'>): Precompile {
  const publicKey = new Uint8Array(65);
  return {
    gas: () => GAS,
    run(input) {
      const words = slicePadded(input, 0, 128);
      const signature = words.subarray(64, 128);
      const v = words[63]!;
      if (!isZero(words, 32, 31) || (v !== 27 && v !== 28)) return new Uint8Array(0);
      if (!isScalar(signature.subarray(0, 32)) || !isScalar(signature.subarray(32))) return new Uint8Array(0);
      if (!primitives.recoverPublicKey(words.subarray(0, 32), signature, v - 27, publicKey)) return new Uint8Array(0);
      const out = new Uint8Array(32);
      out.set(primitives.keccak256(publicKey.subarray(1)).subarray(12), 12);
      return out;
    },
  };
}
