import { env, versions } from 'node:process';

import { ShardlabError } from '@shardlab/crosslink';

import { createEd25519 } from './ed25519.ts';
import {
  type Keccak,
  loadNativePairHasher,
  loadWasmKeccak,
  type PairHasher,
  portableKeccak,
  portablePairHasher,
  sha256,
} from './hashes.ts';
import { createKeyedHashSignatures, createKeyedHashTransactions } from './keyed-hash.ts';
import { loadNativeSecp256k1, portableSecp256k1, type Secp256k1 } from './secp256k1.ts';
import type { CryptoOptions, NodeCrypto } from './types.ts';

/**
 * What `options` leave open is taken from `SHARDLAB_CRYPTO` (`native` or `portable`). Throws `crypto/libraries` on any other value: a typo must not
 * silently cost a factor of twenty.
 */
export function resolveLibraries(options: CryptoOptions, environment: Readonly<Record<string, string | undefined>> = env): 'native' | 'portable' {
  const chosen = options.libraries ?? environment.SHARDLAB_CRYPTO ?? 'native';
  if (chosen === 'native' || chosen === 'portable') return chosen;
  throw new ShardlabError('crypto/libraries', `SHARDLAB_CRYPTO is native or portable, not ${JSON.stringify(chosen)}`);
}

/**
 * The crypto port of one thread. Loads native libraries once, here; all that it returns is synchronous. Where one does not load on this platform the
 * portable one stands in: `names` says which runs, and whoever starts a node must log it.
 */
export async function createCrypto(options: CryptoOptions = {}): Promise<NodeCrypto> {
  const native = resolveLibraries(options) === 'native';
  const [nativeSecp, wasmKeccak, nativePairs] = native
    ? await Promise.all([loadNativeSecp256k1(), loadWasmKeccak(), loadNativePairHasher()])
    : [undefined, undefined, undefined];
  const { name: secp256k1, ...curve }: Secp256k1 = options.transactions === 'keyed-hash' ? createKeyedHashTransactions() : (nativeSecp ?? portableSecp256k1());
  const keccak: Keccak = wasmKeccak ?? portableKeccak();
  const pairs: PairHasher = nativePairs ?? portablePairHasher();
  const keyedHash = options.signatures === 'keyed-hash';
  const signatures = keyedHash ? createKeyedHashSignatures() : createEd25519();
  return {
    names: {
      secp256k1,
      keccak256: keccak.name,
      hashPairs: pairs.name,
      signatures: keyedHash ? 'keyed hash (simulation, not a signature)' : `ed25519, node:crypto (OpenSSL ${versions.openssl})`,
    },
    sha256,
    keccak256: keccak.keccak256,
    hashPairs: pairs.hashPairs,
    ...signatures,
    ...curve,
  };
}
