import type { Address, Hash32, Hasher, Wei } from '@shardlab/crosslink';

/** Ethereum forks whose rules are implemented. Prague = Cancun and EIP-2537, 2935, 7623, 7702. */
export type EvmFork = 'cancun' | 'prague';

/** An account of one {@link WorldState}: a small integer, given when its address was first seen there. Never kept across worlds. */
export type AccountId = number;

/** A storage slot (account and 256-bit key) of one {@link WorldState}: a small integer, given when it was first seen there. */
export type SlotId = number;

/**
 * 256-bit words as the EVM keeps them: 8 limbs of 32 bits each, least significant first, at `at` to `at + 7` of an array that several words share. An address is a
 * word whose limbs 5 to 7 are zero; readers of addresses ignore those.
 */
export type Words = Uint32Array;

/** {@link StateSource.homeOf}: the account lives here. */
export const HERE = -1;

/** What the EVM reads of the state below it. Synchronous; the same answers for as long as a block executes. */
export interface StateSource {
  /** The account at `address`; undefined if there is none (EIP-161: empty ones do not exist). */
  account(address: Address): SourceAccount | undefined;
  /** The code under its keccak-256. Throws if it is not there: the account that names it is damaged. */
  code(codeHash: Hash32): Uint8Array;
  /** Writes the 32 bytes (big-endian) of a slot into `out`, zeros if it is absent. `key`: 32 bytes, big-endian. */
  storage(address: Address, key: Uint8Array, out: Uint8Array): void;
  /** Whether the account has any storage: what EIP-7610 asks of an address where a contract is to be made. */
  hasStorage(address: Address): boolean;
  /** The shard where the account lives, or {@link HERE} (R12). A network of one shard, and Ethereum's tests, always say that. */
  homeOf(address: Address): number;
}

/** An account as the state below has it. */
export interface SourceAccount {
  readonly nonce: bigint;
  readonly balance: Wei;
  /** keccak-256 of the code; that of no bytes if it has none. */
  readonly codeHash: Hash32;
}

/** One log (LOG0 to LOG4). */
export interface EvmLog {
  readonly address: Address;
  /** 0 to 4 topics of 32 bytes. */
  readonly topics: readonly Uint8Array[];
  readonly data: Uint8Array;
}

/** What the block gives to its transactions. */
export interface BlockEnvironment {
  readonly chainId: bigint;
  readonly number: bigint;
  /** Seconds. */
  readonly timestamp: bigint;
  readonly gasLimit: bigint;
  readonly coinbase: Address;
  readonly prevRandao: Hash32;
  /** Wei per gas. */
  readonly baseFeePerGas: bigint;
  /** Wei per blob gas (EIP-7516); 1 on a network without blobs. */
  readonly blobBaseFee: bigint;
  /** The hash of one of the 256 blocks before this one; undefined outside of them. */
  blockHash(number: bigint): Hash32 | undefined;
}

/** What a transaction gives to its calls. */
export interface TransactionEnvironment {
  readonly origin: Address;
  /** Effective price, wei per gas. */
  readonly gasPrice: bigint;
  /** Versioned hashes of 32 bytes (EIP-4844). */
  readonly blobHashes: readonly Uint8Array[];
}

/** Why a frame halted in failure: all of its gas is gone, except after `revert`. */
export type Halt =
  | 'revert'
  | 'out-of-gas'
  | 'invalid-opcode'
  | 'stack-underflow'
  | 'stack-overflow'
  | 'invalid-jump'
  | 'static-violation'
  | 'return-data-out-of-bounds'
  | 'call-depth'
  | 'insufficient-balance'
  | 'nonce-overflow'
  | 'create-collision'
  | 'initcode-too-long'
  | 'code-too-long'
  | 'invalid-code'
  | 'precompile-failure'
  | 'foreign-account';

/** How a call or a creation ended. */
export interface CallResult {
  /** undefined: it succeeded. */
  readonly halt: Halt | undefined;
  /** Gas that is left of what the call was given. */
  readonly gasLeft: number;
  /** Return or revert data; the object's own copy. Empty for a creation that succeeded. */
  readonly output: Uint8Array;
}

/** A precompiled contract. Pure. */
export interface Precompile {
  /** Gas for this input, under the fork that the table was made for; may be Infinity. */
  gas(input: Uint8Array): number;
  /** The output, or undefined: the input is invalid, and all gas of the call is gone. Never throws on any input; time bounded by the gas. */
  run(input: Uint8Array): Uint8Array | undefined;
}

/** Precompiles of a fork by the number that is their address (1 to 0x11). */
export type Precompiles = ReadonlyMap<number, Precompile>;

/** The primitives that the EVM rests on; injected (R1). */
export interface EvmCrypto extends Pick<Hasher, 'keccak256'> {
  /** Table of the fork's precompiles. */
  precompiles(fork: EvmFork): Precompiles;
}
