import { ACCOUNTS, encodeBasicData, NAMESPACE_BYTES, OWNER_BYTES } from '@shardlab/crosslink';

/** One stem as the database keeps it: see crosslink's `encodeFlatKey` and `encodeFlatValue`. */
export interface FlatEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * The flat key of an account's first stem, from the `bytesKey` of its address. Equals `encodeFlatKey({ owner: accountOwner(address), treeIndex: 0n })` (a test
 * says so), without its bigint: this runs for each account of each block.
 */
export function accountFlatKey(key: string): Uint8Array {
  const out = new Uint8Array(OWNER_BYTES + 1);
  for (let i = 0; i < 20; i++) out[NAMESPACE_BYTES + i] = key.charCodeAt(i);
  return out;
}

/** The flat value of an account that has nothing but basic data: equals `encodeFlatValue` of its one leaf; the leaf's value is the last 32 bytes. */
export function accountFlatValue(balance: bigint, nonce: number): Uint8Array {
  const out = new Uint8Array(2 + 1 + 32);
  out[0] = 1;
  encodeBasicData({ status: 0, codeSize: 0, nonce, balance }, out, 3);
  return out;
}

/** Whether a flat key is an account's first stem. */
export function isAccountKey(key: Uint8Array): boolean {
  if (key.length !== OWNER_BYTES + 1 || key[OWNER_BYTES] !== 0) return false;
  for (let i = 0; i < NAMESPACE_BYTES; i++) if (key[i] !== ACCOUNTS[i]) return false;
  return true;
}
