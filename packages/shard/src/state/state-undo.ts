import {
  BASIC_DATA_POSITION,
  bytesKey,
  CODE_OFFSET,
  decodeBasicData,
  decodeFlatValue,
  deriveFlatStems,
  firstSlotOf,
  HEADER_STORAGE_OFFSET,
  isStorageKey,
  NAMESPACE_BYTES,
  OWNER_BYTES,
  STEM_BYTES,
} from '@shardlab/crosslink';
import type { Account } from './account.ts';
import { ACCOUNT_LEAF_AT, ACCOUNT_VALUE_BYTES, type FlatChange, isAccountKey } from './flat-account.ts';
import type { StateParts } from './parts.ts';
import type { StateFollower } from './state-follower.ts';

const { suffix: BASIC_DATA } = BASIC_DATA_POSITION;
const ABSENT = new Uint8Array(32);

/** Sets the stems of accounts back to what they were before a block. The trie is committed by the caller, after the last one. */
export class StateUndo {
  /** All accounts that changed; those that are gone have neither balance nor nonce. */
  readonly accounts = new Set<Account>();
  private readonly parts: StateParts;
  private readonly tellSlot: StateFollower['slot'] | undefined;
  /** Accounts of which more than basic data changed. */
  private readonly changed = new Set<Account>();

  /** `tellSlot` hears of each storage slot that is set back, or may be. */
  constructor(parts: StateParts, tellSlot?: StateFollower['slot']) {
    this.parts = parts;
    this.tellSlot = tellSlot;
  }

  /** Takes one change of a stem of an account, in any order. */
  take(change: FlatChange): void {
    const { key, value } = change;
    const account = this.parts.accounts.open(bytesKey(key.subarray(NAMESPACE_BYTES, OWNER_BYTES)));
    this.accounts.add(account);
    if (!isAccountKey(key)) this.takeStem(account, change);
    else if (account.contract === undefined && (value === undefined || value.length === ACCOUNT_VALUE_BYTES)) this.takePlain(account, value);
    else this.takeHeader(account, value);
  }

  /** To be called after the last one: code, and what is gone. */
  finish(): void {
    for (const account of this.changed) {
      const contract = this.parts.accounts.contractOf(account);
      const code = this.parts.contractCode.read(account);
      this.parts.codes.release(contract.code);
      this.parts.codes.release(contract.committed);
      contract.code = code;
      contract.committed = this.parts.codes.share(code);
      const bare = this.parts.accounts.dropBare(account);
      if (bare && account.balance === 0n && account.nonce === 0) this.parts.accounts.delete(account);
    }
  }

  private takePlain(account: Account, value: Uint8Array | undefined): void {
    const leaf = value === undefined ? ABSENT : value.subarray(ACCOUNT_LEAF_AT);
    const { balance, nonce } = decodeBasicData(leaf);
    account.balance = balance;
    account.nonce = nonce;
    this.parts.trie.set(this.parts.accounts.headerRef(account), BASIC_DATA, leaf);
    if (value === undefined) this.parts.accounts.delete(account);
  }

  private takeHeader(account: Account, value: Uint8Array | undefined): void {
    const ref = this.parts.accounts.headerRef(account);
    const slot = new Uint8Array(32);
    this.restore(ref, value, (suffix, leaf) => {
      if (suffix < HEADER_STORAGE_OFFSET || suffix >= CODE_OFFSET) return;
      slot[STEM_BYTES] = suffix - HEADER_STORAGE_OFFSET;
      this.adopt(account, slot, leaf, ref);
    });
    const { balance, nonce } = decodeBasicData(this.parts.trie.get(ref, BASIC_DATA) ?? ABSENT);
    account.balance = balance;
    account.nonce = nonce;
    this.changed.add(account);
  }

  private takeStem(account: Account, { key, value }: FlatChange): void {
    const ref = this.parts.trie.stemRef(deriveFlatStems(this.parts.hasher, [key], 1));
    const slot = isStorageKey(key) ? firstSlotOf(key) : undefined;
    this.restore(ref, value, (suffix, leaf) => {
      if (slot === undefined) return;
      slot[STEM_BYTES] = suffix;
      this.adopt(account, slot, leaf, ref);
    });
    this.changed.add(account);
  }

  private adopt(account: Account, slot: Uint8Array, value: Uint8Array, ref: number): void {
    this.parts.slots.adopt(this.parts.accounts.contractOf(account), slot, value, ref);
    this.tellSlot?.(account, slot, value);
  }

  /** Sets all leaves of a stem to those of a flat value, and tells of each that it sets, or makes absent (zeros). */
  private restore(ref: number, value: Uint8Array | undefined, told: (suffix: number, leaf: Uint8Array) => void): void {
    const leaves = value === undefined ? [] : decodeFlatValue(value);
    const kept = new Set(leaves.map((leaf) => leaf.suffix));
    for (const { suffix } of this.parts.trie.leaves(ref)) {
      if (kept.has(suffix)) continue;
      this.parts.trie.set(ref, suffix, ABSENT);
      told(suffix, ABSENT);
    }
    for (const { suffix, value: leaf } of leaves) {
      this.parts.trie.set(ref, suffix, leaf);
      told(suffix, leaf);
    }
  }
}
