import {
  accountOwner,
  type Address,
  BASIC_DATA_POSITION,
  bytesKey,
  decodeBasicData,
  DecodeError,
  decodeFlatKey,
  decodeFlatValue,
  deriveStem,
  deriveStems,
  encodeBasicData,
  type Hash32,
  type Hasher,
  invariant,
  keyBytes,
  NAMESPACE_BYTES,
  OWNER_BYTES,
  type RecordNamespace,
  stateKey,
} from '@shardlab/crosslink';
import { AccountDelta } from './account-delta.ts';
import { type FlatChange, type FlatEntry, isAccountKey } from './flat-account.ts';
import { RecordStore, type StateRecord } from './record-store.ts';
import { Trie } from './trie/trie.ts';

/** An account as the executor works on it. Change it only between {@link ShardState.touch} and {@link ShardState.commit}. */
export interface Account {
  /** `bytesKey` of the address. */
  readonly key: string;
  /** Wei, below 2^128. */
  balance: bigint;
  nonce: number;
  /** Reference of its stem in the trie; -1 while it is in none. */
  ref: number;
  /** Balance and nonce at the start of the block, valid while it is touched. */
  oldBalance: bigint;
  oldNonce: number;
  touched: boolean;
}

/** What one block changed: the new flat values, and the old ones, with which it can be undone. Entry i of both has the same key. */
export interface StateDelta {
  readonly root: Hash32;
  readonly changes: readonly FlatChange[];
  readonly undo: readonly FlatChange[];
}

/** Reads that admission makes, synchronously, of the latest executed block. */
export interface AccountReader {
  /** The account under a `bytesKey` of its address; absent ones have nonce 0 and balance 0. */
  account(key: string): Readonly<Pick<Account, 'balance' | 'nonce'>> | undefined;
}

const { suffix: BASIC_DATA } = BASIC_DATA_POSITION;
const ABSENT = new Uint8Array(32);

/**
 * The state of one shard: accounts and protocol records as objects, and the trie that commits to them (R9, R10). Not versioned: a block's delta undoes it.
 */
export class ShardState implements AccountReader {
  readonly trie: Trie;
  private readonly hasher: Hasher;
  private readonly accounts = new Map<string, Account>();
  private readonly records: RecordStore;
  private touchedAccounts: Account[] = [];

  constructor(hasher: Hasher, accountsExpected = 1024) {
    this.hasher = hasher;
    this.trie = new Trie(hasher, accountsExpected);
    this.records = new RecordStore(hasher, this.trie);
  }

  /** Number of accounts that are not empty, and of those emptied since the last commit. */
  get accountCount(): number {
    return this.accounts.size;
  }

  account(key: string): Account | undefined {
    return this.accounts.get(key);
  }

  /** The account, made if it is absent. {@link touch} must follow: an empty one vanishes at commit. */
  open(key: string): Account {
    const known = this.accounts.get(key);
    if (known !== undefined) return known;
    const fresh: Account = { key, balance: 0n, nonce: 0, ref: -1, oldBalance: 0n, oldNonce: 0, touched: false };
    this.accounts.set(key, fresh);
    return fresh;
  }

  /** Must be called before an account's fields are changed. */
  touch(account: Account): void {
    if (account.touched) return;
    account.touched = true;
    account.oldBalance = account.balance;
    account.oldNonce = account.nonce;
    this.touchedAccounts.push(account);
  }

  /** Stores (undefined: removes) a record of at most 8 KiB under the state root; `id` has 20 bytes. */
  putRecord(namespace: RecordNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    this.records.put(namespace, id, value);
  }

  /** All records, for the protocol to adopt at start. */
  allRecords(): Iterable<StateRecord & { readonly value: Uint8Array }> {
    return this.records.all();
  }

  /** Fills an empty state from flat entries (from the database or a genesis), all at once. Throws `DecodeError` on damage. */
  load(entries: Iterable<FlatEntry>): Hash32 {
    invariant(this.accounts.size === 0 && this.records.size === 0, 'a state is loaded when it is empty');
    const loaded: Account[] = [];
    const others: FlatEntry[] = [];
    for (const entry of entries) {
      if (isAccountKey(entry.key)) loaded.push(this.loadAccount(entry));
      else others.push(entry);
    }
    this.loadStems(loaded);
    this.records.load(others);
    return this.trie.commit().root;
  }

  private loadAccount({ key, value }: FlatEntry): Account {
    const leaves = decodeFlatValue(value);
    const leaf = leaves[0];
    if (leaf === undefined || leaves.length > 1 || leaf.suffix !== BASIC_DATA) throw new DecodeError('state/account', 'an account has basic data and nothing else');
    const accountKey = bytesKey(key.subarray(NAMESPACE_BYTES, OWNER_BYTES));
    if (this.accounts.has(accountKey)) throw new DecodeError('state/account', 'an account is listed twice');
    const { balance, nonce, codeSize, status } = decodeBasicData(leaf.value);
    // Nothing here writes them, so no root covers them: whoever hands out a state must not be able to slip them in.
    if (codeSize !== 0 || status !== 0) throw new DecodeError('state/account', 'an account has a code size or a status, and this network has no contracts');
    const account = this.open(accountKey);
    account.balance = balance;
    account.nonce = nonce;
    return account;
  }

  private loadStems(accounts: readonly Account[]): void {
    const owners = new Uint8Array(accounts.length * OWNER_BYTES);
    accounts.forEach(({ key }, index) => {
      for (let i = 0; i < key.length; i++) owners[index * OWNER_BYTES + NAMESPACE_BYTES + i] = key.charCodeAt(i);
    });
    const refs = this.trie.load(deriveStems(this.hasher, owners));
    const value = new Uint8Array(32);
    accounts.forEach((account, index) => {
      account.ref = refs[index]!;
      encodeBasicData({ status: 0, codeSize: 0, nonce: account.nonce, balance: account.balance }, value);
      this.trie.set(account.ref, BASIC_DATA, value);
    });
  }

  /** Commits all changes to the trie and hands over what to store. */
  commit(): StateDelta {
    const changes: FlatChange[] = [];
    const undo: FlatChange[] = [];
    const delta = new AccountDelta(this.touchedAccounts.length, this.trie, changes, undo);
    for (const account of this.touchedAccounts) this.commitAccount(account, delta);
    this.touchedAccounts = [];
    this.records.commit(changes, undo);
    return { root: this.trie.commit().root, changes, undo };
  }

  private commitAccount(account: Account, delta: AccountDelta): void {
    account.touched = false;
    const { key, balance, nonce, oldBalance, oldNonce } = account;
    if (balance !== oldBalance || nonce !== oldNonce) {
      const wasAbsent = oldBalance === 0n && oldNonce === 0;
      const leafAt = delta.add(key, wasAbsent ? -1 : account.ref, balance, nonce);
      this.trie.set(this.refOf(account), BASIC_DATA, delta.bytes, leafAt);
    }
    // The commit that follows frees the reference of a stem without leaves: the object must not outlive it.
    if (balance === 0n && nonce === 0) this.accounts.delete(key);
  }

  private refOf(account: Account): number {
    if (account.ref < 0) account.ref = this.trie.stemRef(deriveStem(this.hasher, accountOwner(keyBytes(account.key) as Address), 0n));
    return account.ref;
  }

  /**
   * Sets everything back to what `delta.undo` says; the block must be the last one, and nothing be changed since. Returns the records that changed, for the protocol
   * to follow.
   */
  revert(delta: StateDelta): StateRecord[] {
    invariant(this.touchedAccounts.length === 0, 'a state with changes under way is not set back');
    const others: FlatChange[] = [];
    for (const change of delta.undo) {
      if (isAccountKey(change.key)) this.revertAccount(change);
      else others.push(change);
    }
    const restored = this.records.revert(others);
    this.trie.commit();
    return restored;
  }

  private revertAccount({ key, value }: FlatChange): void {
    const { owner } = decodeFlatKey(key);
    const account = this.open(bytesKey(owner.subarray(NAMESPACE_BYTES)));
    const leaf = value === undefined ? ABSENT : value.subarray(value.length - 32);
    const { balance, nonce } = decodeBasicData(leaf);
    account.balance = balance;
    account.nonce = nonce;
    this.trie.set(this.refOf(account), BASIC_DATA, leaf);
    if (value === undefined) this.accounts.delete(account.key);
  }

  /** Key and proof of an account's basic data in the committed state (see `verifyStateProof`). */
  proveAccount(address: Address): { readonly key: Uint8Array; readonly proof: Uint8Array } {
    const key = stateKey(this.hasher, accountOwner(address), BASIC_DATA_POSITION);
    return { key, proof: this.trie.prove(key) };
  }
}
