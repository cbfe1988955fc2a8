/**
 * Stand-ins for signatures, for the simulation only: they cost one hash, cryptographic or not, instead of a curve operation, so that thousands of seeds fit into a test
 * run. They are NOT signatures: whoever knows a public key can make them. What they do keep is the shape and the failure modes that the
 * protocols are tested for: a changed message, key or signature does not verify.
 */
import { concatBytes, equalBytes, type Signatures } from '@shardlab/crosslink';

import { sha256 } from './hashes.ts';
import type { Secp256k1 } from './secp256k1.ts';

/** Bytes of a tag; a signature is four times the same one, to have ed25519's 64 bytes. */
const TAG_BYTES = 16;
const SIGNATURE_BYTES = 64;

/** Scheme 0xff in place of ed25519: public key = sha256(secret), signature = four times the {@link Tagger}'s tag of public key and message. Not a signature. */
export function createKeyedHashSignatures(): Signatures {
  const tagger = new Tagger();
  return {
    scheme: 0xff,
    publicKey: (secretKey) => sha256(secretKey),
    sign(secretKey, message) {
      tagger.take(sha256(secretKey), message);
      const signature = new Uint8Array(SIGNATURE_BYTES);
      for (let at = 0; at < SIGNATURE_BYTES; at += TAG_BYTES) signature.set(tagger.bytes, at);
      return signature;
    },
    verify(publicKey, message, signature) {
      if (publicKey.length !== 32 || signature.length !== SIGNATURE_BYTES) return false;
      tagger.take(publicKey, message);
      for (let at = 0; at < SIGNATURE_BYTES; at++) if (signature[at] !== tagger.bytes[at % TAG_BYTES]) return false;
      return true;
    },
  };
}

/**
 * A tag of 128 bits: MurmurHash3 (x86, 128 bits; Austin Appleby, public domain) over key and message, equivalent but for lengths that are no multiple of four, which are
 * padded with zeros and told apart by the length at the end. A committee of four checks each vote four times: as SHA-256 that was a fifteenth of a simulation's time.
 */
class Tagger {
  /** The last tag. */
  readonly bytes = new Uint8Array(TAG_BYTES);
  private readonly words = new Int32Array(this.bytes.buffer);

  /** Computes the tag of `message` under `key`, a multiple of 16 bytes, into {@link bytes}. */
  take(key: Uint8Array, message: Uint8Array): void {
    const { words } = this;
    words.fill(0);
    this.absorb(key);
    this.absorb(message);
    const length = key.length + message.length;
    const [a, b, c, d] = [words[0]! ^ length, words[1]! ^ length, words[2]! ^ length, words[3]! ^ length];
    words[0] = final((a + b + c + d) | 0);
    words[1] = final((a + 2 * b + c + d) | 0);
    words[2] = final((a + b + 2 * c + d) | 0);
    words[3] = final((a + b + c + 2 * d) | 0);
  }

  private absorb(bytes: Uint8Array): void {
    const { words } = this;
    let [a, b, c, d] = [words[0]!, words[1]!, words[2]!, words[3]!];
    for (let at = 0; at < bytes.length; at += TAG_BYTES) {
      a = Math.imul(rotate(a ^ scramble(wordAt(bytes, at), 0x239b961b, 15, 0xab0e9789 | 0), 19) + b, 5) + 0x561ccd1b;
      b = Math.imul(rotate(b ^ scramble(wordAt(bytes, at + 4), 0xab0e9789 | 0, 16, 0x38b34ae5), 17) + c, 5) + 0x0bcaa747;
      c = Math.imul(rotate(c ^ scramble(wordAt(bytes, at + 8), 0x38b34ae5, 17, 0xa1e38b93 | 0), 15) + d, 5) + (0x96cd1c35 | 0);
      d = Math.imul(rotate(d ^ scramble(wordAt(bytes, at + 12), 0xa1e38b93 | 0, 18, 0x239b961b), 13) + a, 5) + 0x32ac3b17;
    }
    words[0] = a;
    words[1] = b;
    words[2] = c;
    words[3] = d;
  }
}

/** Four bytes, little-endian; zeros beyond the end. */
function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

function scramble(word: number, first: number, by: number, second: number): number {
  return Math.imul(rotate(Math.imul(word, first), by), second);
}

function final(word: number): number {
  const mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  const again = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return again ^ (again >>> 16);
}

/** 32 bytes that are in range for both r and s: not zero, and below half the group order. */
function inRange(bytes: Uint8Array): Uint8Array {
  bytes[0] = bytes[0]! & 0x3f;
  bytes[31] = bytes[31]! | 1;
  return bytes;
}

/**
 * In place of secp256k1: r = a hash of the secret key, s = a hash of r and the message, y parity 0; the public key is r and a hash of r. Fits
 * into Ethereum's transaction encoding, and recovers to one address for each secret. Not a signature.
 */
export function createKeyedHashTransactions(): Secp256k1 {
  const identity = (secretKey: Uint8Array): Uint8Array => inRange(sha256(secretKey));
  const tag = (r: Uint8Array, hash: Uint8Array): Uint8Array => inRange(sha256(concatBytes(r, hash)));
  const publicKey = (r: Uint8Array): Uint8Array => concatBytes(Uint8Array.of(4), r, sha256(r));
  return {
    name: 'keyed hash (simulation, not a signature)',
    secpPublicKey: (secretKey) => publicKey(identity(secretKey)),
    secpSign(hash, secretKey) {
      const r = identity(secretKey);
      return { signature: concatBytes(r, tag(r, hash)), yParity: 0 };
    },
    recoverPublicKey(hash, signature, recoveryId, output) {
      const r = signature.subarray(0, 32);
      if (recoveryId !== 0 || !equalBytes(signature.subarray(32), tag(r, hash))) return false;
      output.set(publicKey(r));
      return true;
    },
  };
}
