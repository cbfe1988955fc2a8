import { bls12_381 } from '@noble/curves/bls12-381.js';
import { bn254 } from '@noble/curves/bn254.js';
import { Common, Hardfork, Mainnet } from '@ethereumjs/common';
import { createEVM, getActivePrecompiles } from '@ethereumjs/evm';
import { concatBytes, toHex } from '@shardlab/crosslink';
import type { EvmFork } from '@shardlab/shard';

import { createEvmCrypto } from '../../src/crypto/create-evm-crypto.ts';
import { bigIntToBytes } from '../../src/crypto/precompiles/bytes.ts';

/** What a precompile did: its price, and its output in hex, or `invalid`. */
export interface Answer {
  readonly gas: number;
  readonly output: string;
}

export const EVM_CRYPTO = await createEvmCrypto({ libraries: 'native' });

/** Runs the precompile of the code under test. Throws if the fork has none at `address`. */
export function answer(fork: EvmFork, address: number, input: Uint8Array): Answer {
  const precompile = EVM_CRYPTO.precompiles(fork).get(address);
  if (precompile === undefined) throw new Error(`no precompile ${address} in ${fork}`);
  const output = precompile.run(input);
  return { gas: precompile.gas(input), output: output === undefined ? 'invalid' : toHex(output) };
}

/** `@ethereumjs/evm`'s precompiles of a fork, by the same addresses. Of an input that it refuses it reports no price: gas is NaN. */
export async function oracle(fork: EvmFork): Promise<(address: number, input: Uint8Array) => Promise<Answer>> {
  const common = new Common({ chain: Mainnet, hardfork: fork === 'cancun' ? Hardfork.Cancun : Hardfork.Prague });
  const evm = await createEVM({ common });
  const precompiles = getActivePrecompiles(common);
  return async (address, input) => {
    const run = precompiles.get(address.toString(16).padStart(40, '0'));
    if (run === undefined) throw new Error(`the oracle has no precompile ${address} in ${fork}`);
    const { executionGasUsed, returnValue, exceptionError } = await run({ data: input, gasLimit: 1n << 60n, common, _EVM: evm });
    return exceptionError === undefined ? { gas: Number(executionGasUsed), output: toHex(returnValue) } : { gas: NaN, output: 'invalid' };
  };
}

/** A 32-byte word. */
export function word(value: bigint): Uint8Array {
  return bigIntToBytes(value, 32);
}

/** An element of BLS12-381's field as EIP-2537 encodes it. */
export function fp(value: bigint): Uint8Array {
  return bigIntToBytes(value, 64);
}

/** scalar * generator of bn254's first group as EIP-196 encodes it; `scalar` is not a multiple of the order. */
export function bn254G1(scalar: bigint): Uint8Array {
  const { x, y } = bn254.G1.Point.BASE.multiply(scalar).toAffine();
  return concatBytes(word(x), word(y));
}

/** As {@link bn254G1}, of the second group (EIP-197). */
export function bn254G2(scalar: bigint): Uint8Array {
  const { x, y } = bn254.G2.Point.BASE.multiply(scalar).toAffine();
  return concatBytes(word(x.c1), word(x.c0), word(y.c1), word(y.c0));
}

/** scalar * generator of BLS12-381's first group as EIP-2537 encodes it. */
export function blsG1(scalar: bigint): Uint8Array {
  const { x, y } = bls12_381.G1.Point.BASE.multiply(scalar).toAffine();
  return concatBytes(fp(x), fp(y));
}

/** As {@link blsG1}, of the second group. */
export function blsG2(scalar: bigint): Uint8Array {
  const { x, y } = bls12_381.G2.Point.BASE.multiply(scalar).toAffine();
  return concatBytes(fp(x.c0), fp(x.c1), fp(y.c0), fp(y.c1));
}

/** Orders of the groups. */
export const BN254_ORDER = bn254.fields.Fr.ORDER;
export const BLS_ORDER = bls12_381.fields.Fr.ORDER;
