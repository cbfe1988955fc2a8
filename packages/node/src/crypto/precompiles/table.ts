import type { EvmFork, Precompile, Precompiles } from '@shardlab/shard';

import { BLAKE2F } from './blake2f.ts';
import {
  BLS12_G1_ADD,
  BLS12_G1_MSM,
  BLS12_G2_ADD,
  BLS12_G2_MSM,
  BLS12_MAP_FP2_TO_G2,
  BLS12_MAP_FP_TO_G1,
  BLS12_PAIRING,
} from './bls12-381.ts';
import { BN254_ADD, BN254_MULTIPLY, BN254_PAIRING } from './bn254.ts';
import { createEcrecover } from './ecrecover.ts';
import { IDENTITY, RIPEMD160, SHA256 } from './hashing.ts';
import { createPointEvaluation } from './kzg.ts';
import { MODEXP } from './modexp.ts';

/** The precompiled contracts of each fork, by address. Prague adds EIP-2537's to Cancun's. */
export function createPrecompiles(primitives: Parameters<typeof createEcrecover>[0]): Readonly<Record<EvmFork, Precompiles>> {
  const cancun: readonly (readonly [number, Precompile])[] = [
    [0x01, createEcrecover(primitives)],
    [0x02, SHA256],
    [0x03, RIPEMD160],
    [0x04, IDENTITY],
    [0x05, MODEXP],
    [0x06, BN254_ADD],
    [0x07, BN254_MULTIPLY],
    [0x08, BN254_PAIRING],
    [0x09, BLAKE2F],
    [0x0a, createPointEvaluation()],
  ];
  const prague: readonly (readonly [number, Precompile])[] = [
    ...cancun,
    [0x0b, BLS12_G1_ADD],
    [0x0c, BLS12_G1_MSM],
    [0x0d, BLS12_G2_ADD],
    [0x0e, BLS12_G2_MSM],
    [0x0f, BLS12_PAIRING],
    [0x10, BLS12_MAP_FP_TO_G1],
    [0x11, BLS12_MAP_FP2_TO_G2],
  ];
  return { cancun: new Map(cancun), prague: new Map(prague) };
}
