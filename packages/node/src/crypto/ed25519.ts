import { createPrivateKey, createPublicKey, type KeyObject, sign as cryptoSign, verify as cryptoVerify } from 'node:crypto';

import { bytesKey, concatBytes, fromHex, invariant, type Signatures } from '@shardlab/crosslink';

import { BoundedCache } from './bounded-cache.ts';

/** PKCS#8 DER before a 32-byte ed25519 seed (RFC 8410, section 7). */
const PRIVATE_PREFIX = fromHex('0x302e020100300506032b657004220420');
/** SubjectPublicKeyInfo DER before a 32-byte ed25519 public key (RFC 8410, section 4). */
const PUBLIC_PREFIX = fromHex('0x302a300506032b6570032100');
/** More than the validators of any network here; a peer that sends foreign keys only pushes others out of the cache. */
const KEYS_MAX = 4_096;
/** A process signs with one key; simulations with one for each node. */
const SECRETS_MAX = 1_024;

/** Ed25519 (RFC 8032) by node:crypto: scheme 1. Parsed keys are cached, because parsing costs as much as verifying. */
export function createEd25519(): Signatures {
  const publicKeys = new BoundedCache<KeyObject>(KEYS_MAX);
  const secretKeys = new BoundedCache<KeyObject>(SECRETS_MAX);
  const secret = (seed: Uint8Array): KeyObject => {
    invariant(seed.length === 32, 'an ed25519 seed has 32 bytes');
    const key = Buffer.from(concatBytes(PRIVATE_PREFIX, seed));
    return secretKeys.get(bytesKey(seed), () => createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
  };
  return {
    scheme: 1,
    publicKey(seed) {
      const der = createPublicKey(secret(seed)).export({ format: 'der', type: 'spki' });
      return new Uint8Array(der.subarray(PUBLIC_PREFIX.length));
    },
    sign(seed, message) {
      return new Uint8Array(cryptoSign(null, message, secret(seed)));
    },
    verify(publicKey, message, signature) {
      if (publicKey.length !== 32 || signature.length !== 64) return false;
      try {
        const key = publicKeys.get(bytesKey(publicKey), () =>
          createPublicKey({ key: Buffer.from(concatBytes(PUBLIC_PREFIX, publicKey)), format: 'der', type: 'spki' }),
        );
        return cryptoVerify(null, message, key, signature);
      } catch {
        return false;
      }
    },
  };
}
