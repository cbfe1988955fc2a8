import type { Hash32 } from './primitives.ts';

/** Hash functions, synchronous and injected (R1): the cores import no platform module. */
export interface Hasher {
  /** SHA-256, 32 bytes. */
  sha256(data: Uint8Array): Hash32;
  /** Keccak-256 as Ethereum uses it, 32 bytes. */
  keccak256(data: Uint8Array): Hash32;
  /**
   * SHA-256 of each 64-byte block of `input`, written to the same index of `output` in 32 bytes each. `input.length` is a multiple of 64,
   * `output.length` is exactly half of it. The two must not overlap.
   */
  hashPairs(input: Uint8Array, output: Uint8Array): void;
}

/** Validators' signatures: ed25519 is scheme 1; a simulation may bring a cheap scheme of the same shapes. */
export interface Signatures {
  /** First byte of every encoded signature set; 1 = ed25519 (RFC 8032), 0xff = the simulation's keyed hash, which is not a signature. */
  readonly scheme: number;
  /** 32-byte secret seed to 32-byte public key. */
  publicKey(secretKey: Uint8Array): Uint8Array;
  /** 64-byte signature over `message` by the 32-byte secret seed. */
  sign(secretKey: Uint8Array, message: Uint8Array): Uint8Array;
  /** Whether the 64-byte `signature` over `message` is by the 32-byte `publicKey`. Never throws: malformed input is `false`. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** Everything cryptographic that a core may call while it decides. Sender recovery is not here: it is heavy, so it is an effect (R1). */
export interface Crypto extends Hasher, Signatures {}
