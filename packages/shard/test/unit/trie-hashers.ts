import { createRequire } from 'node:module';
import { hash32, type Hasher } from '@shardlab/crosslink';
import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';

/** The fallback: noble, one block at a time. */
export const PURE_HASHER: Hasher = {
  sha256: (data) => hash32(sha256(data)),
  keccak256: (data) => hash32(keccak_256(data)),
  hashPairs(input, output) {
    for (let at = 0; at < input.length; at += 64) output.set(sha256(input.subarray(at, at + 64)), at / 2);
  },
};

const { hashInto } = createRequire(import.meta.url)('@chainsafe/hashtree') as { hashInto(input: Uint8Array, output: Uint8Array): void };

/** The native one. */
export const NATIVE_HASHER: Hasher = { ...PURE_HASHER, hashPairs: hashInto };
