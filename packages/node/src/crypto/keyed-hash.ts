/**
 * Stand-ins for signatures, for the simulation only: they cost one hash instead of a curve operation, so that thousands of seeds fit into a test
 * run. They are NOT signatures: whoever knows a public key can make them. What they do keep is the shape and the failure modes that the
 * protocols are tested for: a changed message, key or signature does not verify.
 */
import { concatBytes, equalBytes, type Signatures } from '@shardlab/crosslink';

import { sha256 } from './hashes.ts';
import type { Secp256k1 } from './secp256k1.ts';

/** Scheme 0xff in place of ed25519: public key = sha256(secret), signature = twice sha256(public key, message). Not a signature. */
export function createKeyedHashSignatures(): Signatures {
  const tag = (publicKey: Uint8Array, message: Uint8Array): Uint8Array => {
    const half = sha256(concatBytes(publicKey, message));
    return concatBytes(half, half);
  };
  return {
    scheme: 0xff,
    publicKey: (secretKey) => sha256(secretKey),
    sign: (secretKey, message) => tag(sha256(secretKey), message),
    verify: (publicKey, message, signature) => publicKey.length === 32 && equalBytes(signature, tag(publicKey, message)),
  };
}

/** 32 bytes that are in range for both r and s: not zero, and below half the group order. */
function inRange(bytes: Uint8Array): Uint8Array {
  bytes[0] = bytes[0]! & 0x3f;
  bytes[31] = bytes[31]! | 1;
  return bytes;
}

/**
 * In place of secp256k1: r = a hash of the secret key, s = a hash of r and the message, y parity 0; the public key is r and a hash of r. Fits
 * into Ethereum's transaction encoding, and recovers to one address for each secret. Not a signature.
 */
export function createKeyedHashTransactions(): Secp256k1 {
  const identity = (secretKey: Uint8Array): Uint8Array => inRange(sha256(secretKey));
  const tag = (r: Uint8Array, hash: Uint8Array): Uint8Array => inRange(sha256(concatBytes(r, hash)));
  const publicKey = (r: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(4), r, sha256(r));
  return {
    name: 'keyed hash (simulation, not a signature)',
    secpPublicKey: (secretKey) => publicKey(identity(secretKey)),
    secpSign(hash, secretKey) {
      const r = identity(secretKey);
      return { signature: concatBytes(r, tag(r, hash)), yParity: 0 };
    },
    recoverPublicKey(hash, signature, recoveryId, output) {
      const r = signature.subarray(0, 32);
      if (recoveryId !== 0 || !equalBytes(signature.subarray(32), tag(r, hash))) return false;
      output.set(publicKey(r));
      return true;
    },
  };
}
