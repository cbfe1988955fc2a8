import {
  type Address,
  BASIC_DATA_POSITION,
  bytesKey,
  decodeBasicData,
  decodeFlatKey,
  decodeFlatValue,
  decodeRecord,
  deriveStem,
  deriveStems,
  encodeBasicData,
  encodeFlatKey,
  encodeFlatValue,
  encodeRecord,
  type Hash32,
  type Hasher,
  invariant,
  keyBytes,
  type Namespace,
  owner,
  type Owner,
  OWNER_BYTES,
  recordChunkPosition,
  stateKey,
  STEM_BYTES,
  accountOwner,
} from '@shardlab/crosslink';
import { Trie } from './trie/trie.ts';
import { accountFlatKey, accountFlatValue, type FlatEntry, isAccountKey } from './flat-account.ts';
import type { RecordNamespace } from '@shardlab/crosslink';
import { namespaceOf, recordNamespaceOf } from './namespaces.ts';

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

/** One stem's flat value under its flat key; `undefined` = absent. */
export interface FlatChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** What one block changed: the new flat values, and the old ones, with which it can be undone. */
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

interface RecordEntry {
  readonly namespace: RecordNamespace;
  readonly id: Uint8Array;
  value: Uint8Array | undefined;
  old: Uint8Array | undefined;
  dirty: boolean;
}

/**
 * The state of one shard: accounts and protocol records as objects, and the trie that commits to them (R9, R10). Not versioned: a block's delta undoes it.
 */
export class ShardState implements AccountReader {
  readonly trie: Trie;
  private readonly hasher: Hasher;
  private readonly accounts = new Map<string, Account>();
  private readonly records = new Map<string, RecordEntry>();
  private touchedAccounts: Account[] = [];
  private dirtyRecords: RecordEntry[] = [];

  constructor(hasher: Hasher, accountsExpected = 1024) {
    this.hasher = hasher;
    this.trie = new Trie(hasher, accountsExpected);
  }

  /** Number of accounts that are not empty, and of those emptied since the last commit. */
  get accountCount(): number {
    return this.accounts.size;
  }

  account(key: string): Account | undefined {
    return this.accounts.get(key);
  }

  /** The account, made if it is absent. An empty one vanishes at commit. */
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

  /** Stores (undefined: removes) a record of at most 8 KiB under the state root. */
  putRecord(namespace: RecordNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    const key = namespace + bytesKey(id);
    let entry = this.records.get(key);
    if (entry === undefined) {
      if (value === undefined) return;
      entry = { namespace, id: id.slice(), value: undefined, old: undefined, dirty: false };
      this.records.set(key, entry);
    }
    if (!entry.dirty) {
      entry.dirty = true;
      entry.old = entry.value;
      this.dirtyRecords.push(entry);
    }
    entry.value = value;
  }

  /** All records, for the protocol to adopt at start. */
  *allRecords(): Iterable<{ readonly namespace: RecordNamespace; readonly id: Uint8Array; readonly value: Uint8Array }> {
    for (const { namespace, id, value } of this.records.values()) if (value !== undefined) yield { namespace, id, value };
  }

  /** Fills an empty state from flat entries (from the database or a genesis), all at once. Throws `DecodeError` on damage. */
  load(entries: Iterable<FlatEntry>): Hash32 {
    invariant(this.accounts.size === 0 && this.records.size === 0, 'a state is loaded when it is empty');
    const owners: Owner[] = [];
    const loaded: Account[] = [];
    const others: { owner: Owner; treeIndex: bigint; value: Uint8Array }[] = [];
    for (const { key, value } of entries) {
      const { owner: of, treeIndex } = decodeFlatKey(key);
      if (!isAccountKey(key)) {
        others.push({ owner: of, treeIndex, value });
        continue;
      }
      const leaf = decodeFlatValue(value)[0]!;
      invariant(leaf.suffix === BASIC_DATA_POSITION.suffix, 'an account has basic data');
      const { balance, nonce } = decodeBasicData(leaf.value);
      const account = this.open(bytesKey(of.subarray(12)));
      account.balance = balance;
      account.nonce = nonce;
      loaded.push(account);
      owners.push(of);
    }
    this.loadAccounts(loaded, owners);
    for (const each of others) this.loadStem(each.owner, each.treeIndex, each.value);
    this.adoptRecords(others);
    return this.trie.commit().root;
  }

  private loadAccounts(accounts: readonly Account[], owners: readonly Owner[]): void {
    const joined = new Uint8Array(owners.length * OWNER_BYTES);
    owners.forEach((each, index) => joined.set(each, index * OWNER_BYTES));
    const refs = this.trie.load(deriveStems(this.hasher, joined));
    const value = new Uint8Array(32);
    accounts.forEach((account, index) => {
      account.ref = refs[index]!;
      encodeBasicData({ status: 0, codeSize: 0, nonce: account.nonce, balance: account.balance }, value);
      this.trie.set(account.ref, BASIC_DATA_POSITION.suffix, value);
    });
  }

  private loadStem(of: Owner, treeIndex: bigint, flatValue: Uint8Array): void {
    const ref = this.trie.stemRef(deriveStem(this.hasher, of, treeIndex));
    for (const { suffix, value } of decodeFlatValue(flatValue)) this.trie.set(ref, suffix, value);
  }

  /** Records of more than one stem are joined by their owner; stems come in the order of their index. */
  private adoptRecords(stems: readonly { owner: Owner; treeIndex: bigint; value: Uint8Array }[]): void {
    const chunks = new Map<string, { owner: Owner; values: { index: bigint; values: Uint8Array[] }[] }>();
    for (const { owner: of, treeIndex, value } of stems) {
      const key = bytesKey(of);
      const entry = chunks.get(key) ?? { owner: of, values: [] };
      entry.values.push({ index: treeIndex, values: decodeFlatValue(value).map((leaf) => leaf.value) });
      chunks.set(key, entry);
    }
    for (const { owner: of, values } of chunks.values()) {
      const namespace = recordNamespaceOf(of.subarray(0, 12) as Namespace);
      const id = of.slice(12);
      const ordered = values.sort((a, b) => (a.index < b.index ? -1 : 1)).flatMap((each) => each.values);
      const value = decodeRecord(ordered).slice();
      this.records.set(namespace + bytesKey(id), { namespace, id, value, old: undefined, dirty: false });
    }
  }

  /** Commits all changes to the trie and hands over what to store. */
  commit(): StateDelta {
    const changes: FlatChange[] = [];
    const undo: FlatChange[] = [];
    for (const account of this.touchedAccounts) this.commitAccount(account, changes, undo);
    for (const entry of this.dirtyRecords) this.commitRecord(entry, changes, undo);
    this.touchedAccounts = [];
    this.dirtyRecords = [];
    return { root: this.trie.commit().root, changes, undo };
  }

  private commitAccount(account: Account, changes: FlatChange[], undo: FlatChange[]): void {
    account.touched = false;
    const { balance, nonce, oldBalance, oldNonce } = account;
    const empty = balance === 0n && nonce === 0;
    if (balance !== oldBalance || nonce !== oldNonce) {
      const key = accountFlatKey(account.key);
      const value = empty ? undefined : accountFlatValue(balance, nonce);
      changes.push({ key, value });
      undo.push({ key, value: oldBalance === 0n && oldNonce === 0 ? undefined : accountFlatValue(oldBalance, oldNonce) });
      if (account.ref < 0) account.ref = this.trie.stemRef(deriveStem(this.hasher, accountOwner(keyBytes(account.key) as Address), 0n));
      // The leaf's 32 bytes stand at the end of the flat value of a stem with one leaf.
      if (value === undefined) this.trie.set(account.ref, BASIC_DATA_POSITION.suffix, ABSENT);
      else this.trie.set(account.ref, BASIC_DATA_POSITION.suffix, value, value.length - 32);
    }
    if (empty) this.accounts.delete(account.key);
  }

  private commitRecord(entry: RecordEntry, changes: FlatChange[], undo: FlatChange[]): void {
    const before = entry.old === undefined ? [] : encodeRecord(entry.old);
    const after = entry.value === undefined ? [] : encodeRecord(entry.value);
    const of = owner(namespaceOf(entry.namespace), entry.id);
    entry.dirty = false;
    entry.old = undefined;
    if (entry.value === undefined) this.records.delete(entry.namespace + bytesKey(entry.id));
    for (let first = 0; first < Math.max(before.length, after.length); first += 256) {
      const { treeIndex } = recordChunkPosition(first);
      const key = encodeFlatKey({ owner: of, treeIndex });
      changes.push({ key, value: stemOf(after.slice(first, first + 256)) });
      undo.push({ key, value: stemOf(before.slice(first, first + 256)) });
      const ref = this.trie.stemRef(deriveStem(this.hasher, of, treeIndex));
      for (let chunk = first; chunk < Math.min(first + 256, Math.max(before.length, after.length)); chunk++) {
        this.trie.set(ref, chunk - first, after[chunk] ?? ABSENT);
      }
    }
  }

  /** Sets everything back to what `delta.undo` says; the block must be the last one. Returns the records that changed, for the protocol to follow. */
  revert(delta: StateDelta): { readonly namespace: RecordNamespace; readonly id: Uint8Array; readonly value: Uint8Array | undefined }[] {
    const restored = new Map<string, RecordEntry>();
    for (const { key, value } of delta.undo) {
      const { owner: of } = decodeFlatKey(key);
      if (isAccountKey(key)) this.revertAccount(bytesKey(of.subarray(12)), value);
      else this.revertStem(key, value, restored);
    }
    this.trie.commit();
    return [...restored.values()];
  }

  private revertAccount(key: string, value: Uint8Array | undefined): void {
    const account = this.open(key);
    const data = value === undefined ? { balance: 0n, nonce: 0 } : decodeBasicData(value, value.length - 32);
    account.balance = data.balance;
    account.nonce = data.nonce;
    if (account.ref < 0) account.ref = this.trie.stemRef(deriveStem(this.hasher, accountOwner(keyBytes(key) as Address), 0n));
    if (value === undefined) this.trie.set(account.ref, BASIC_DATA_POSITION.suffix, ABSENT);
    else this.trie.set(account.ref, BASIC_DATA_POSITION.suffix, value, value.length - 32);
    if (value === undefined) this.accounts.delete(key);
  }

  private revertStem(key: Uint8Array, value: Uint8Array | undefined, restored: Map<string, RecordEntry>): void {
    const { owner: of, treeIndex } = decodeFlatKey(key);
    invariant(treeIndex === 0n, 'a record fits one stem');
    const leaves = value === undefined ? [] : decodeFlatValue(value);
    const ref = this.trie.stemRef(deriveStem(this.hasher, of, treeIndex));
    for (const { suffix } of this.trie.leaves(ref)) this.trie.set(ref, suffix, ABSENT);
    for (const leaf of leaves) this.trie.set(ref, leaf.suffix, leaf.value);
    const namespace = recordNamespaceOf(of.subarray(0, 12) as Namespace);
    const id = of.slice(12);
    const record = leaves.length === 0 ? undefined : decodeRecord(leaves.map((leaf) => leaf.value)).slice();
    const entry: RecordEntry = { namespace, id, value: record, old: undefined, dirty: false };
    restored.set(namespace + bytesKey(id), entry);
    if (record === undefined) this.records.delete(namespace + bytesKey(id));
    else this.records.set(namespace + bytesKey(id), entry);
  }

  /** Key and proof of an account's basic data in the committed state (see `verifyStateProof`). */
  proveAccount(address: Address): { readonly key: Uint8Array; readonly proof: Uint8Array } {
    const key = stateKey(this.hasher, accountOwner(address), BASIC_DATA_POSITION);
    return { key, proof: this.trie.prove(key) };
  }
}

const ABSENT = new Uint8Array(32);

function stemOf(chunks: readonly Uint8Array[]): Uint8Array | undefined {
  return chunks.length === 0 ? undefined : encodeFlatValue(chunks.map((value, suffix) => ({ suffix, value })));
}

invariant(STEM_BYTES === 31, 'the trie and the key layout agree');
