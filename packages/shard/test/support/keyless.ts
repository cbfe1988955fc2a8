import { type Address, ascii, concatBytes, type Hasher } from '@shardlab/crosslink';
import { addressOfSecretKey, signTransaction } from '../../src/transaction/encode.ts';
import type { RecoveryPrimitives, TransactionSigner } from '../../src/transaction/types.ts';
import { CHAIN_ID } from './transactions.ts';

/**
 * Transactions without a curve: r and s are the public key. Such a "signature" binds nothing, and passes through decoding, recovery and admission as a real one
 * does.
 */
export function keylessSigner(hasher: Hasher): RecoveryPrimitives & TransactionSigner {
  const publicKey = (secretKey: Uint8Array): Uint8Array => {
    // The top bits of s are cleared: the lower half of the group order.
    const point = concatBytes(hasher.sha256(concatBytes(ascii('x'), secretKey)), hasher.sha256(concatBytes(ascii('y'), secretKey)));
    point[0]! &= 0x3f;
    point[32]! &= 0x3f;
    return concatBytes(Uint8Array.of(4), point);
  };
  return {
    keccak256: (data) => hasher.keccak256(data),
    secpPublicKey: publicKey,
    secpSign: (_hash, secretKey) => ({ signature: publicKey(secretKey).slice(1), yParity: 0 }),
    recoverPublicKey(_hash, signature, _recoveryId, output) {
      output[0] = 4;
      output.set(signature, 1);
      return true;
    },
  };
}

/** Account number `index` of a network whose transactions are keyless. */
export function keylessAccount(hasher: Hasher, index: number): { readonly secretKey: Uint8Array; readonly address: Address } {
  const secretKey = hasher.sha256(ascii(`keyless account ${index}`));
  return { secretKey, address: addressOfSecretKey(secretKey, keylessSigner(hasher)) };
}

/** An encoded transfer of such an account. */
export function keylessTransfer(hasher: Hasher, secretKey: Uint8Array, to: Address, nonce: number, value: bigint): Uint8Array {
  const fields = { type: 2, chainId: CHAIN_ID, nonce, maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 30_000, to, value, data: new Uint8Array(0), accessList: [] } as const;
  return signTransaction(fields, secretKey, keylessSigner(hasher)).raw;
}
