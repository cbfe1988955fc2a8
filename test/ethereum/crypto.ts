import { createCrypto } from '@shardlab/node';
import { createEvmCrypto } from '../../packages/node/src/crypto/create-evm-crypto.ts';
import type { TestCrypto } from './run-case.ts';

/** The primitives that a node uses, precompiles included. */
export async function createTestCrypto(): Promise<TestCrypto> {
  const [crypto, evmCrypto] = await Promise.all([createCrypto(), createEvmCrypto()]);
  return { ...crypto, ...evmCrypto };
}
