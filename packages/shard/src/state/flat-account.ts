import { ACCOUNTS, encodeBasicData, NAMESPACE_BYTES, OWNER_BYTES } from '@shardlab/crosslink';

/** One stem as the database keeps it: see crosslink's `encodeFlatKey` and `encodeFlatValue`. */
export interface FlatEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** One stem's flat value under its flat key; `undefined` = absent. */
export interface FlatChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** Bytes of an account's flat key. */
export const ACCOUNT_KEY_BYTES = OWNER_BYTES + 1;
/** Bytes of the flat value of an account that has nothing but basic data: version, count - 1, suffix, leaf. */
export const ACCOUNT_VALUE_BYTES = 3 + 32;
/** Where the leaf stands in that value. */
export const ACCOUNT_LEAF_AT = 3;

/**
 * The flat key of an account's first stem, from the `bytesKey` of its address. Equals `encodeFlatKey({ owner: accountOwner(address), treeIndex: 0n })` (a test
 * says so), without its bigint: this runs for each account of each block.
 */
export function accountFlatKey(key: string): Uint8Array {
  const out = new Uint8Array(ACCOUNT_KEY_BYTES);
  writeAccountKey(out, 0, key);
  return out;
}

/** Writes {@link accountFlatKey} into zeros. */
export function writeAccountKey(out: Uint8Array, at: number, key: string): void {
  for (let i = 0; i < 20; i++) out[at + NAMESPACE_BYTES + i] = key.charCodeAt(i);
}

/** The flat value of an account that has nothing but basic data: equals `encodeFlatValue` of its one leaf; the leaf's value is the last 32 bytes. */
export function accountFlatValue(balance: bigint, nonce: number): Uint8Array {
  const out = new Uint8Array(ACCOUNT_VALUE_BYTES);
  out[0] = 1;
  encodeBasicData({ status: 0, codeSize: 0, nonce, balance }, out, ACCOUNT_LEAF_AT);
  return out;
}

/** Whether a flat key is an account's first stem. */
export function isAccountKey(key: Uint8Array): boolean {
  return key.length === ACCOUNT_KEY_BYTES && key[OWNER_BYTES] === 0 && isOfAccounts(key);
}

/** Whether a flat key is of an account: its first stem, code or storage. */
export function isOfAccounts(key: Uint8Array): boolean {
  for (let i = 0; i < NAMESPACE_BYTES; i++) if (key[i] !== ACCOUNTS[i]) return false;
  return true;
}
