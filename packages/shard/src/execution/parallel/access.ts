/**
 * What a run of transactions touches: places, each known by 64 bits of a keyed hash, and what was done there. Two places of one hash only look like a conflict, and
 * the same place always has the same hash, so that collisions cost time and nothing else.
 */
import type { Words } from '../evm/types.ts';
import { ACCESS } from '../evm/world/access-bits.ts';
import { hashAddress, hashSlot } from '../evm/world/buckets.ts';

export { ACCESS, ACCOUNT_READ, ACCOUNT_WRITE } from '../evm/world/access-bits.ts';

const WRITES = ACCESS.CODE_WRITE | ACCESS.NONCE_WRITE | ACCESS.SLOT_WRITE;
const BALANCE = ACCESS.BALANCE_READ | ACCESS.BALANCE_ADD;

/** Words of one access in a list: hash low, hash high, bits. */
export const ACCESS_WORDS = 3;

/** Whether what several did at one place, all bits together, depends on their order. */
export function isOrdered(bits: number): boolean {
  return (bits & WRITES) !== 0 || (bits & BALANCE) === BALANCE;
}

/** The lower half of an account's hash; `words` has the address as a word at `at`. */
export function accountLow(seed: number, words: Words, at: number): number {
  return hashAddress(seed, words, at);
}

/** The upper half of an account's hash. */
export function accountHigh(seed: number, words: Words, at: number): number {
  return hashAddress(Math.imul(seed, 0x2c1b_3c6d) ^ 0x297a_2d39, words, at);
}

/** Half of a slot's hash, from the same half of its account's; `words` has the key at `at`. */
export function slotHash(accountHalf: number, words: Words, at: number): number {
  return hashSlot(accountHalf, accountHalf, words, at);
}
