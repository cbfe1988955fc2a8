import { ripemd160 } from '@noble/hashes/legacy.js';
import type { Precompile } from '@shardlab/shard';

import { sha256 } from '../hashes.ts';

/** Gas that grows with the 32-byte words of the input (Yellow Paper, appendix E). */
function linearGas(base: number, perWord: number): (input: Uint8Array) => number {
  return (input) => base + perWord * Math.ceil(input.length / 32);
}

/** SHA2-256 (0x02; Yellow Paper, appendix E). */
export const SHA256: Precompile = { gas: linearGas(60, 12), run: sha256 };

/** RIPEMD-160 (0x03; Yellow Paper, appendix E): the digest in the low 20 bytes of a word. */
export const RIPEMD160: Precompile = {
  gas: linearGas(600, 120),
  run(input) {
    const out = new Uint8Array(32);
    out.set(ripemd160(input), 12);
    return out;
  },
};

/** Identity (0x04; Yellow Paper, appendix E). */
export const IDENTITY: Precompile = { gas: linearGas(15, 3), run: (input) => input.slice() };
