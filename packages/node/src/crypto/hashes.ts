import { hash as oneShot } from 'node:crypto';

import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { keccak_256 as nobleKeccak256 } from '@noble/hashes/sha3.js';
import { type Hash32, invariant } from '@shardlab/crosslink';
import { createKeccak } from 'hash-wasm';

import { libraryName } from './library-name.ts';

/**
 * SHA-256 of one message by OpenSSL: 2 M/s for 300 bytes. The digest comes as a string of 32 characters below 256, because a Buffer has memory of its own outside of the
 * heap, which costs as much again to allocate and to free (0.55 against 1.1 to 1.4 us), and the large allocations that come after it as much as that.
 */
export function sha256(data: Uint8Array): Hash32 {
  const digest = oneShot('sha256', data, 'binary');
  const out = new Uint8Array(32);
  for (let i = 0; i < 32; i++) out[i] = digest.charCodeAt(i);
  return out as Hash32;
}

/** One implementation of keccak-256, and what it is called in logs. */
export interface Keccak {
  readonly name: string;
  readonly keccak256: (data: Uint8Array) => Hash32;
}

/** WebAssembly, 1.8 M/s for 110 bytes: ten times the portable one. `undefined` where WebAssembly is switched off. Synchronous once loaded. */
export async function loadWasmKeccak(): Promise<Keccak | undefined> {
  try {
    const hasher = await createKeccak(256);
    return { name: `${libraryName('hash-wasm')} (wasm)`, keccak256: (data) => hasher.init().update(data).digest('binary') as Hash32 };
  } catch {
    return undefined;
  }
}

/** Pure JavaScript. */
export function portableKeccak(): Keccak {
  return { name: `${libraryName('@noble/hashes', '@noble/hashes/sha3.js')} (portable)`, keccak256: (data) => nobleKeccak256(data) as Hash32 };
}

/** One implementation of the trie's batch hash, and what it is called in logs. */
export interface PairHasher {
  readonly name: string;
  readonly hashPairs: (input: Uint8Array, output: Uint8Array) => void;
}

function checkPairs(input: Uint8Array, output: Uint8Array): void {
  invariant(input.length % 64 === 0 && output.length * 2 === input.length, 'hashPairs wants 64-byte blocks and half as much output', {
    input: input.length,
    output: output.length,
  });
}

/** SIMD SHA-256 of 64-byte blocks, about 20 M/s in batches. `undefined` where no prebuilt binary fits this platform. */
export async function loadNativePairHasher(): Promise<PairHasher | undefined> {
  try {
    const { hashInto } = await import('@chainsafe/hashtree');
    return {
      name: `${libraryName('@chainsafe/hashtree')} (native)`,
      hashPairs(input, output) {
        checkPairs(input, output);
        if (input.length > 0) hashInto(input, output);
      },
    };
  } catch {
    return undefined;
  }
}

/** Pure JavaScript, about 0.4 M/s. */
export function portablePairHasher(): PairHasher {
  return {
    name: `${libraryName('@noble/hashes', '@noble/hashes/sha2.js')} (portable)`,
    hashPairs(input, output) {
      checkPairs(input, output);
      for (let at = 0; at < input.length; at += 64) output.set(nobleSha256(input.subarray(at, at + 64)), at / 2);
    },
  };
}
