import { secp256k1 as noble } from '@noble/curves/secp256k1.js';
import { InvariantError } from '@shardlab/crosslink';
import type { RecoveryPrimitives, TransactionSigner } from '@shardlab/shard';
import type nativeBindings from 'secp256k1/bindings.js';

import { libraryName } from './library-name.ts';

/** One implementation of Ethereum's curve, and what it is called in logs. */
export interface Secp256k1
  extends Pick<RecoveryPrimitives, 'recoverPublicKey'>, Pick<TransactionSigner, 'secpPublicKey' | 'secpSign'> {
  readonly name: string;
}

function parity(recoveryId: number): 0 | 1 {
  // Ids 2 and 3 mean r >= the group order: one in 2^127, and no transaction can carry it.
  if (recoveryId !== 0 && recoveryId !== 1) throw new InvariantError('a signature that no transaction can carry', { recoveryId });
  return recoveryId;
}

/**
 * libsecp256k1 through N-API, about 17,000 recoveries a second on one core of the reference machine. `undefined` where no prebuilt binary fits this
 * platform. It must be imported by this path: the package's main falls back to `elliptic`, 45 times slower, without a word.
 */
export async function loadNativeSecp256k1(): Promise<Secp256k1 | undefined> {
  let bindings: typeof nativeBindings;
  try {
    bindings = (await import('secp256k1/bindings.js')).default;
  } catch {
    return undefined;
  }
  return {
    name: `${libraryName('secp256k1')} (native)`,
    recoverPublicKey(hash, signature, recoveryId, output) {
      try {
        bindings.ecdsaRecover(signature, recoveryId, hash, false, output);
        return true;
      } catch {
        return false;
      }
    },
    secpPublicKey: (secretKey) => bindings.publicKeyCreate(secretKey, false),
    secpSign(hash, secretKey) {
      const { signature, recid } = bindings.ecdsaSign(hash, secretKey);
      return { signature, yParity: parity(recid) };
    },
  };
}

/** Pure JavaScript, about 700 recoveries a second: works everywhere. */
export function portableSecp256k1(): Secp256k1 {
  return {
    name: `${libraryName('@noble/curves', '@noble/curves/secp256k1.js')} (portable)`,
    recoverPublicKey(hash, signature, recoveryId, output) {
      const recovered = new Uint8Array(65);
      recovered[0] = recoveryId;
      recovered.set(signature, 1);
      try {
        output.set(noble.Signature.fromBytes(recovered, 'recovered').recoverPublicKey(hash).toBytes(false));
        return true;
      } catch {
        return false;
      }
    },
    secpPublicKey: (secretKey) => noble.getPublicKey(secretKey, false),
    secpSign(hash, secretKey) {
      const recovered = noble.sign(hash, secretKey, { prehash: false, lowS: true, format: 'recovered' });
      return { signature: recovered.slice(1), yParity: parity(recovered[0]!) };
    },
  };
}
