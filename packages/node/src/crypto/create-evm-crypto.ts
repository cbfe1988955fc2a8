import type { EvmCrypto } from '@shardlab/shard';

import { createCrypto, resolveLibraries } from './create-crypto.ts';
import { loadWasmKeccak, portableKeccak } from './hashes.ts';
import { createPrecompiles } from './precompiles/table.ts';
import { loadNativeSecp256k1, portableSecp256k1 } from './secp256k1.ts';
import type { CryptoOptions, ExecutionCrypto } from './types.ts';

/**
 * What the EVM of one thread rests on: keccak-256 and the precompiled contracts. Loads native libraries once, here, with the portable ones where they do not load, as
 * {@link createCrypto} does; all that it returns is synchronous. ECRECOVER is secp256k1 whatever scheme a simulation signs transactions with. Throws `crypto/libraries`
 * as {@link resolveLibraries} does.
 */
export async function createEvmCrypto(options: Pick<CryptoOptions, 'libraries'> = {}): Promise<EvmCrypto> {
  const native = resolveLibraries(options) === 'native';
  const [nativeSecp, wasmKeccak] = native ? await Promise.all([loadNativeSecp256k1(), loadWasmKeccak()]) : [undefined, undefined];
  const { recoverPublicKey } = nativeSecp ?? portableSecp256k1();
  const { keccak256 } = wasmKeccak ?? portableKeccak();
  const tables = createPrecompiles({ keccak256, recoverPublicKey });
  return { keccak256, precompiles: (fork) => tables[fork] };
}

/** {@link createCrypto} and the precompiled contracts of {@link createEvmCrypto}. */
export async function createExecutionCrypto(options: CryptoOptions = {}): Promise<ExecutionCrypto> {
  const [crypto, { precompiles }] = await Promise.all([createCrypto(options), createEvmCrypto(options)]);
  return { ...crypto, precompiles };
}
