import { ShardlabError } from './errors.ts';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** 32 bytes: a SHA-256 or keccak-256 digest, or an EVM word. */
export type Hash32 = Branded<Uint8Array, 'Hash32'>;
/** Keccak-256 of a signed transaction's EIP-2718 encoding, 32 bytes. */
export type TxHash = Branded<Hash32, 'TxHash'>;
/** An Ethereum address, 20 bytes. */
export type Address = Branded<Uint8Array, 'Address'>;
/** Index of a shard, 0 to shards - 1; {@link BEACON} names the beacon chain where both kinds of chain are meant. */
export type ShardId = Branded<number, 'ShardId'>;
/** Height of a block; genesis has height 0. */
export type Height = Branded<number, 'Height'>;
/** Wei, 0 to 2^256 - 1 in transactions; below 2^128 in state (R9). */
export type Wei = bigint;

/** Most shards that one network can have (R8). */
export const SHARDS_MAX = 256;
/** The chain id, among shards, of the beacon itself: not a shard, yet signed for in the same domain. */
export const BEACON = 0xffff as ShardId;
/** 32 zero bytes: absence in Merkle trees, and the parent of genesis. Never write to it. */
export const ZERO_HASH = new Uint8Array(32) as Hash32;
/** 20 zero bytes. Never write to it. */
export const ZERO_ADDRESS = new Uint8Array(20) as Address;

/** Checks the length (32) and brands; the bytes are not copied. Throws `primitive/hash32`. */
export function hash32(bytes: Uint8Array): Hash32 {
  if (bytes.length !== 32) throw new ShardlabError('primitive/hash32', `a hash has 32 bytes, not ${bytes.length}`);
  return bytes as Hash32;
}

/** Checks the length (32) and brands; the bytes are not copied. Throws `primitive/hash32`. */
export function txHash(bytes: Uint8Array): TxHash {
  return hash32(bytes) as TxHash;
}

/** Checks the length (20) and brands; the bytes are not copied. Throws `primitive/address`. */
export function address(bytes: Uint8Array): Address {
  if (bytes.length !== 20) throw new ShardlabError('primitive/address', `an address has 20 bytes, not ${bytes.length}`);
  return bytes as Address;
}

/** Checks that `value` is 0 to `shards` - 1, or {@link BEACON}. Throws `primitive/shard`. */
export function shardId(value: number, shards: number = SHARDS_MAX): ShardId {
  if (value === BEACON) return BEACON;
  if (!Number.isInteger(value) || value < 0 || value >= shards) {
    throw new ShardlabError('primitive/shard', `a shard is 0 to ${shards - 1}, not ${value}`);
  }
  return value as ShardId;
}

/** Checks that `value` is a safe integer of at least 0. Throws `primitive/height`. */
export function height(value: number): Height {
  if (!Number.isSafeInteger(value) || value < 0) throw new ShardlabError('primitive/height', `not a height: ${value}`);
  return value as Height;
}

/** Byte-wise equality. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Lexicographic order of bytes, as `Array.prototype.sort` wants it; a prefix comes first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Concatenates. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * The bytes as a string of one UTF-16 unit per byte: the key of in-memory maps. Several times cheaper than hex, and ordered as the bytes are
 * (`<` on such strings is the lexicographic order of the bytes).
 */
export function bytesKey(bytes: Uint8Array): string {
  return String.fromCharCode.apply(null, bytes as unknown as number[]);
}

/** The inverse of {@link bytesKey}. */
export function keyBytes(key: string): Uint8Array {
  const out = new Uint8Array(key.length);
  for (let i = 0; i < key.length; i++) out[i] = key.charCodeAt(i);
  return out;
}

/** ASCII text as bytes, for domain tags. Throws `primitive/ascii` on anything else. */
export function ascii(text: string): Uint8Array {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) throw new ShardlabError('primitive/ascii', 'not ASCII');
    out[i] = unit;
  }
  return out;
}

const HEX = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'));

/** Lower-case hex with `0x`. For edges only. */
export function toHex(bytes: Uint8Array): string {
  let out = '0x';
  for (const byte of bytes) out += HEX[byte]!;
  return out;
}

/** Decodes `0x` and an even number of hex digits. Throws `primitive/hex`. */
export function fromHex(text: string): Uint8Array {
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(text)) throw new ShardlabError('primitive/hex', 'not 0x and an even number of hex digits');
  const out = new Uint8Array((text.length - 2) / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 + 2 * i, 4 + 2 * i), 16);
  return out;
}
