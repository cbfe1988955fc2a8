import { hash as digest } from 'node:crypto';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { ascii, bytesKey, concatBytes, type Crypto, equalBytes, type Hash32 } from '@shardlab/crosslink';
import type { EvmCrypto } from '../../src/execution/evm/types.ts';
import type { RecoveryPrimitives } from '../../src/transaction/types.ts';

const KECCAK_MEMO_MAX = 200_000;

function sha256(data: Uint8Array): Hash32 {
  return new Uint8Array(digest('sha256', data, 'buffer')) as Hash32;
}

function keyedHash(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  const half = sha256(concatBytes(ascii('test signature'), publicKey, message));
  return concatBytes(half, sha256(half));
}

/**
 * A crypto port for tests of the core: OpenSSL's SHA-256, noble's keccak-256 with a memo, and "signatures" that are keyed hashes under the public key: anybody
 * can make them, which no test here relies on, but they bind key and message. There are no precompiled contracts, and nobody is recovered.
 */
export function testCrypto(): Crypto & EvmCrypto & RecoveryPrimitives {
  const memo = new Map<string, Hash32>();
  return {
    precompiles: () => new Map(),
    recoverPublicKey: () => false,
    sha256,
    keccak256(data) {
      const key = bytesKey(data);
      const known = memo.get(key);
      if (known !== undefined) return known;
      const result = keccak_256(data) as Hash32;
      if (memo.size < KECCAK_MEMO_MAX) memo.set(key, result);
      return result;
    },
    hashPairs(input, output) {
      for (let at = 0; at < input.length; at += 64) output.set(digest('sha256', input.subarray(at, at + 64), 'buffer'), at / 2);
    },
    scheme: 0xff,
    publicKey: (secretKey) => sha256(concatBytes(ascii('test public key'), secretKey)),
    sign: (secretKey, message) => keyedHash(sha256(concatBytes(ascii('test public key'), secretKey)), message),
    verify: (publicKey, message, signature) => equalBytes(keyedHash(publicKey, message), signature),
  };
}
