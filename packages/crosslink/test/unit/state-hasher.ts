import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import type { Hasher } from '../../src/crypto.ts';
import { hash32 } from '../../src/primitives.ts';

/** Noble alone: crosslink's tests need no native module. */
export const HASHER: Hasher = {
  sha256: (data) => hash32(sha256(data)),
  keccak256: (data) => hash32(keccak_256(data)),
  hashPairs(input, output) {
    for (let at = 0; at < input.length; at += 64) output.set(sha256(input.subarray(at, at + 64)), at / 2);
  },
};
