import type { Address, Hash32, Hasher, TxHash, Wei } from '@shardlab/crosslink';

/** EIP-2718 transaction types that a network accepts: 0 legacy (EIP-155 or before it), 1 access list (EIP-2930), 2 dynamic fee (EIP-1559). */
export type TransactionType = 0 | 1 | 2;

/** One entry of an EIP-2930 access list. */
export interface AccessListEntry {
  readonly address: Address;
  readonly storageKeys: readonly Hash32[];
}

interface CommonFields {
  /** 0 to 2^53 - 1. */
  readonly nonce: number;
  /** Units of gas, 0 to 2^53 - 1. */
  readonly gasLimit: number;
  /** 20 bytes, or `undefined`: the transaction creates a contract. */
  readonly to: Address | undefined;
  /** 0 to 2^256 - 1. */
  readonly value: Wei;
  /** Call data, or the initcode of a creation. */
  readonly data: Uint8Array;
}

/** Type 0. `chainId` is `undefined` before EIP-155: such a transaction can be replayed on every chain. */
export interface LegacyFields extends CommonFields {
  readonly type: 0;
  readonly chainId: number | undefined;
  readonly gasPrice: Wei;
}

/** Type 1, EIP-2930. */
export interface AccessListFields extends CommonFields {
  readonly type: 1;
  readonly chainId: number;
  readonly gasPrice: Wei;
  readonly accessList: readonly AccessListEntry[];
}

/** Type 2, EIP-1559. */
export interface DynamicFeeFields extends CommonFields {
  readonly type: 2;
  readonly chainId: number;
  readonly maxPriorityFeePerGas: Wei;
  readonly maxFeePerGas: Wei;
  readonly accessList: readonly AccessListEntry[];
}

/** What the sender of a transaction signs. */
export type TransactionFields = LegacyFields | AccessListFields | DynamicFeeFields;

/** A secp256k1 signature with r and s in range and s in the lower half (EIP-2). */
export interface TransactionSignature {
  readonly yParity: 0 | 1;
  /** 32 bytes, big-endian. */
  readonly r: Uint8Array;
  /** 32 bytes, big-endian. */
  readonly s: Uint8Array;
}

/** A transaction decoded whole: for RPC answers, the EVM and tests. The hot path uses {@link PoolTransaction} instead. */
export interface DecodedTransaction {
  readonly fields: TransactionFields;
  readonly signature: TransactionSignature;
}

/**
 * What pool, executor and two-phase commit need of one signed transaction whose sender has been recovered. Every byte array is the object's own
 * copy, so that a transaction that stays for long never holds the network message alive that it came in. The `…Key` strings are `bytesKey()` of
 * the bytes: the keys of in-memory maps.
 */
export interface PoolTransaction {
  readonly type: TransactionType;
  /** The EIP-2718 encoding: what blocks carry and `hash` is taken of. */
  readonly raw: Uint8Array;
  readonly hash: TxHash;
  readonly hashKey: string;
  readonly sender: Address;
  readonly senderKey: string;
  /** `undefined` for a creation, and so is `toKey`. */
  readonly to: Address | undefined;
  readonly toKey: string | undefined;
  /** 0 to 2^53 - 1. */
  readonly nonce: number;
  /** Units of gas, 0 to 2^53 - 1. */
  readonly gasLimit: number;
  /** Wei per gas, below 2^128; the gas price of types 0 and 1. */
  readonly maxFeePerGas: Wei;
  /** Wei per gas, below 2^128; the gas price of types 0 and 1. Never above `maxFeePerGas`. */
  readonly maxPriorityFeePerGas: Wei;
  /** Below 2^128. */
  readonly value: Wei;
  /** Gas charged before any execution (Shanghai and Cancun). */
  readonly intrinsicGas: number;
  /** Bytes of call data or initcode. */
  readonly dataLength: number;
  /** `undefined` before EIP-155. */
  readonly chainId: number | undefined;
}

/** The two primitives that sender recovery rests on; injected (R1). */
export interface RecoveryPrimitives extends Pick<Hasher, 'keccak256'> {
  /**
   * Recovers the signer's public key of the 32-byte `hash` from `signature` (r and s, 64 bytes, both in range) and `recoveryId` (0 or 1) into
   * `output` (65 bytes: 0x04, x, y). Returns false, without throwing, when no key fits.
   */
  recoverPublicKey(hash: Uint8Array, signature: Uint8Array, recoveryId: number, output: Uint8Array): boolean;
}

/** Makes signatures of transactions; injected, for load generators and tests. */
export interface TransactionSigner extends Pick<Hasher, 'keccak256'> {
  /** 32-byte secret key to the 65-byte public key (0x04, x, y). Throws on a key that is out of range. */
  secpPublicKey(secretKey: Uint8Array): Uint8Array;
  /** Deterministic signature (RFC 6979, low s) of the 32-byte `hash`: r and s in 64 bytes, and the y parity. */
  secpSign(hash: Uint8Array, secretKey: Uint8Array): { readonly signature: Uint8Array; readonly yParity: 0 | 1 };
}
