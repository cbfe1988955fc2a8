import { type Address, CALLS_MAX, type Hash32, type Hasher, type TxHash, type Wei } from '@shardlab/crosslink';

/** EIP-2718 type of Shardlab's own transaction, the atomic batch: several calls, on any shards, of which all happen or none. */
export const BATCH_TYPE = 0x70;
/** Most calls of one atomic batch: one shard may have them all. */
export const BATCH_CALLS_MAX: number = CALLS_MAX;

/**
 * EIP-2718 transaction types that a network can accept: 0 legacy (EIP-155 or before it), 1 access list (EIP-2930), 2 dynamic fee (EIP-1559), 4 set code (EIP-7702; from
 * Prague on), 0x70 atomic batch.
 */
export type TransactionType = 0 | 1 | 2 | 4 | typeof BATCH_TYPE;

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

/** What an account has signed to let its code be that of another one (EIP-7702). Whether it counts, and who signed, is found out when it is applied. */
export interface SignedAuthorization {
  /** Of the chain that it is for; 0: any (EIP-7702). Below 2^256. */
  readonly chainId: bigint;
  /** Whose code it takes; zeros: none any more. */
  readonly address: Address;
  /** Below 2^64. */
  readonly nonce: bigint;
  /** 0 to 255; good ones have 0 or 1. */
  readonly yParity: number;
  /** Below 2^256. */
  readonly r: bigint;
  /** Below 2^256. */
  readonly s: bigint;
}

/** Type 4, EIP-7702: never a creation. */
export interface SetCodeFields extends CommonFields {
  readonly type: 4;
  readonly chainId: number;
  readonly maxPriorityFeePerGas: Wei;
  readonly maxFeePerGas: Wei;
  readonly to: Address;
  readonly accessList: readonly AccessListEntry[];
  /** At least one. */
  readonly authorizations: readonly SignedAuthorization[];
}

/** One call of an atomic batch. */
export interface BatchCall {
  /** 20 bytes. */
  readonly to: Address;
  /** Below 2^256 when decoded, the sum of a batch below 2^128 when admitted. */
  readonly value: Wei;
  /** Units of gas that this call may use, 0 to 2^53 - 1. */
  readonly gasLimit: number;
  readonly data: Uint8Array;
}

/**
 * Type 0x70, the atomic batch: 0x70 || rlp([chainId, nonce, maxPriorityFeePerGas, maxFeePerGas, gasLimit, [[to, value, gasLimit, data], ...], yParity, r, s]); signed is
 * the keccak-256 of the same without the last three.
 */
export interface BatchFields {
  readonly type: typeof BATCH_TYPE;
  readonly chainId: number;
  /** 0 to 2^53 - 1. */
  readonly nonce: number;
  readonly maxPriorityFeePerGas: Wei;
  readonly maxFeePerGas: Wei;
  /** Units of gas for all, 0 to 2^53 - 1: the calls' gas limits and the intrinsic gas fit in. */
  readonly gasLimit: number;
  /** 1 to {@link BATCH_CALLS_MAX}, run in order. */
  readonly calls: readonly BatchCall[];
}

/** What the sender of a transaction signs. */
export type TransactionFields = LegacyFields | AccessListFields | DynamicFeeFields | SetCodeFields | BatchFields;

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
  /** `undefined` for a creation and for an atomic batch, and so is `toKey`. */
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
  /** Below 2^128; of an atomic batch the sum of its calls. */
  readonly value: Wei;
  /** Gas charged before any execution; from Prague on at least what EIP-7623 asks for the data, so that this is what a transaction without execution pays. */
  readonly intrinsicGas: number;
  /** Bytes of call data or initcode; of an atomic batch in all its calls. */
  readonly dataLength: number;
  /** Of an atomic batch; `undefined` for all other types. */
  readonly calls: readonly BatchCall[] | undefined;
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
