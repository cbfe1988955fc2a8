import type { Crypto } from '@shardlab/crosslink';
import type { EvmCrypto, RecoveryPrimitives, TransactionSigner } from '@shardlab/shard';

/** Which library does what, for logs, status and benchmarks: `secp256k1 5.0.2 (native)`, `@noble/curves 2.0.1`. */
export interface CryptoNames {
  readonly secp256k1: string;
  readonly keccak256: string;
  readonly hashPairs: string;
  readonly signatures: string;
}

/** Choices at start. */
export interface CryptoOptions {
  /**
   * `native` (the default) takes the native libraries where they load and the portable ones where they do not; `portable` takes the portable ones
   * only. The environment variable `SHARDLAB_CRYPTO=portable` sets the default.
   */
  readonly libraries?: 'native' | 'portable';
  /** Scheme of validators' signatures; `keyed-hash` is for the simulation and is no signature at all. Default `ed25519`. */
  readonly signatures?: 'ed25519' | 'keyed-hash';
  /** Scheme of transactions' signatures; `keyed-hash` is for the simulation and is no signature at all. Default `secp256k1`. */
  readonly transactions?: 'secp256k1' | 'keyed-hash';
}

/** Everything cryptographic of one thread: the cores' port, sender recovery and the signing of transactions. */
export interface NodeCrypto extends Crypto, RecoveryPrimitives, TransactionSigner {
  readonly names: CryptoNames;
}

/** Everything that a node which executes blocks needs: with the precompiled contracts. */
export interface ExecutionCrypto extends NodeCrypto, EvmCrypto {}
