import type { Hasher } from '../crypto.ts';
import { ShardlabError } from '../errors.ts';
import { type Address, ascii } from '../primitives.ts';

declare const brand: unique symbol;

/**
 * The first 12 bytes of an {@link Owner}: which kind of thing owns a piece of state. Twelve zero bytes are accounts, as in EIP-7864's address32;
 * every other value is the reserved key space of R10. Made by {@link namespace} only.
 */
export type Namespace = Uint8Array & { readonly [brand]: 'Namespace' };
/** 32 bytes, namespace (12) and id (20): what EIP-7864 calls an address32. */
export type Owner = Uint8Array & { readonly [brand]: 'Owner' };
/** 31 bytes: the path of a group of 256 leaves in the state tree. */
export type Stem = Uint8Array & { readonly [brand]: 'Stem' };
/** A leaf's place within its owner: EIP-7864's `tree_index` and `sub_index` (0 to 255). */
export interface LeafPosition {
  readonly treeIndex: bigint;
  readonly suffix: number;
}

/** Bytes of a namespace. */
export const NAMESPACE_BYTES = 12;
/** Bytes of an owner. */
export const OWNER_BYTES = 32;
/** Bytes of a stem. */
export const STEM_BYTES = 31;
/** EIP-7864 `STEM_SUBTREE_WIDTH`. */
export const STEM_WIDTH = 256;
/** EIP-7864 `HEADER_STORAGE_OFFSET`: storage slots 0 to 63 share the account's stem from here. */
export const HEADER_STORAGE_OFFSET = 64;
/** EIP-7864 `CODE_OFFSET`: code chunks 0 to 127 share the account's stem from here. */
export const CODE_OFFSET = 128;
/** EIP-7864 `MAIN_STORAGE_OFFSET`, 256^31. */
export const MAIN_STORAGE_OFFSET = 1n << 248n;
/** Largest tree index in use: that of storage slot 2^256 - 1. */
export const TREE_INDEX_MAX = (1n << 240n) + (1n << 248n) - 1n;

/** Where an account's version, status, code size, nonce and balance are. */
export const BASIC_DATA_POSITION: LeafPosition = { treeIndex: 0n, suffix: 0 };
/** Where the hash of an account's code is. */
export const CODE_HASH_POSITION: LeafPosition = { treeIndex: 0n, suffix: 1 };

/**
 * Makes a namespace of 1 to 12 ASCII characters, padded with zero bytes. Throws `state/namespace`: an empty name would be that of accounts, and a
 * zero byte inside would make two names one.
 */
export function namespace(name: string): Namespace {
  const bytes = ascii(name);
  if (bytes.length === 0 || bytes.length > NAMESPACE_BYTES || bytes.includes(0)) {
    throw new ShardlabError('state/namespace', 'a namespace has 1 to 12 ASCII characters, none of them zero', { name });
  }
  const out = new Uint8Array(NAMESPACE_BYTES);
  out.set(bytes);
  return out as Namespace;
}

/** Accounts: 12 zero bytes. */
export const ACCOUNTS = new Uint8Array(NAMESPACE_BYTES) as Namespace;
/** Two-phase commit: records of transactions that this shard coordinates (R10, R15). */
export const XTX_COORDINATOR = namespace('xtx-coord');
/** Two-phase commit: records of transactions in which this shard takes part. */
export const XTX_PARTICIPANT = namespace('xtx-part');
/** Two-phase commit: locks, by what they lock. */
export const LOCKS = namespace('lock');
/** Sequences and totals per peer shard. */
export const PAIRS = namespace('pair');
/** Credits that wait for a lock's release (R16). */
export const PARKED = namespace('parked');
/** Forwarding stubs of contracts that this shard would have by rule and that live elsewhere (R11), by their address. */
export const STUBS = namespace('stub');
/** Hashes of the last 256 blocks, for BLOCKHASH. */
export const BLOCK_HASHES = namespace('blockhash');

/** Joins a namespace and a 20-byte id. Throws `state/owner` on another length. */
export function owner(space: Namespace, id: Uint8Array): Owner {
  if (id.length !== 20) throw new ShardlabError('state/owner', `an id has 20 bytes, not ${id.length}`);
  const out = new Uint8Array(OWNER_BYTES);
  out.set(space);
  out.set(id, NAMESPACE_BYTES);
  return out as Owner;
}

/** The owner of an account's state: 12 zero bytes and the address (EIP-7864 `old_style_address_to_address32`, equivalent). */
export function accountOwner(account: Address): Owner {
  return owner(ACCOUNTS, account);
}

/** EIP-7864 `get_tree_key_for_storage_slot`, equivalent; `slot` is 0 to 2^256 - 1. Throws `state/range`. */
export function storagePosition(slot: bigint): LeafPosition {
  if (slot < 0n || slot >> 256n !== 0n) throw new ShardlabError('state/range', 'a storage slot is 0 to 2^256 - 1');
  const header = slot < BigInt(CODE_OFFSET - HEADER_STORAGE_OFFSET);
  return split(header ? BigInt(HEADER_STORAGE_OFFSET) + slot : MAIN_STORAGE_OFFSET + slot);
}

/** EIP-7864 `get_tree_key_for_code_chunk`, equivalent; `chunk` counts 31-byte pieces of code, at most 2^24. Throws `state/range`. */
export function codeChunkPosition(chunk: number): LeafPosition {
  return split(BigInt(CODE_OFFSET + smallIndex(chunk)));
}

/** Where chunk `chunk` (at most 2^24) of a record in the reserved key space is: from suffix 0 of index 0 upwards. Throws `state/range`. */
export function recordChunkPosition(chunk: number): LeafPosition {
  return split(BigInt(smallIndex(chunk)));
}

/**
 * The stem of (owner, treeIndex): the first 31 bytes of SHA-256(owner || treeIndex as 32 bytes). EIP-7864 `get_tree_key`; deviates in the hash
 * (SHA-256, R9) and in the byte order of the index (big-endian, as everything here). Throws `state/range`.
 */
export function deriveStem(hasher: Hasher, of: Owner, treeIndex: bigint): Stem {
  return deriveStems(hasher, of, treeIndex) as Stem;
}

/**
 * The stems of many owners (32 bytes each, one after the other) at one tree index, 31 bytes each, in one batch of hashes. Throws `state/owner` if
 * `owners` is not a whole number of them, and `state/range`.
 */
export function deriveStems(hasher: Hasher, owners: Uint8Array, treeIndex: bigint = 0n): Uint8Array {
  if (owners.length % OWNER_BYTES !== 0) throw new ShardlabError('state/owner', 'not a whole number of owners');
  const count = owners.length / OWNER_BYTES;
  const index = indexBytes(treeIndex);
  const input = new Uint8Array(count * 64);
  const hashes = new Uint8Array(count * 32);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 32; k++) {
      input[i * 64 + k] = owners[i * 32 + k]!;
      input[i * 64 + 32 + k] = index[k]!;
    }
  }
  hasher.hashPairs(input, hashes);
  // Moved down in place: stem i starts at 31 i, never after where it is read from.
  for (let i = 1; i < count; i++) hashes.copyWithin(i * STEM_BYTES, i * 32, i * 32 + STEM_BYTES);
  return hashes.subarray(0, count * STEM_BYTES);
}

/** The 32-byte key of a leaf: its stem, then its suffix. Throws `state/range`. */
export function stateKey(hasher: Hasher, of: Owner, position: LeafPosition): Uint8Array {
  const key = new Uint8Array(32);
  key.set(deriveStem(hasher, of, position.treeIndex));
  key[STEM_BYTES] = position.suffix;
  return key;
}

function split(position: bigint): LeafPosition {
  return { treeIndex: position >> 8n, suffix: Number(position & 0xffn) };
}

function smallIndex(chunk: number): number {
  if (!Number.isInteger(chunk) || chunk < 0 || chunk > 1 << 24) throw new ShardlabError('state/range', `not a chunk: ${chunk}`);
  return chunk;
}

function indexBytes(treeIndex: bigint): Uint8Array {
  if (treeIndex < 0n || treeIndex > TREE_INDEX_MAX) throw new ShardlabError('state/range', 'a tree index no leaf has');
  const out = new Uint8Array(32);
  let rest = treeIndex;
  for (let at = 31; rest > 0n; at--) {
    out[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}
