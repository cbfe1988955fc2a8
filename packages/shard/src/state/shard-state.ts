import {
  accountOwner,
  type Address,
  BASIC_DATA_POSITION,
  CODE_HASH_POSITION,
  CODE_SIZE_MAX,
  encodeBasicData,
  type Hash32,
  type Hasher,
  invariant,
  stateKey,
  storagePosition,
} from '@shardlab/crosslink';
import type { Account } from './account.ts';
import { AccountDelta } from './account-delta.ts';
import { Accounts } from './accounts.ts';
import { CodeStore } from './code-store.ts';
import { ContractCode } from './contract-code.ts';
import { type FlatChange, type FlatEntry, isOfAccounts } from './flat-account.ts';
import { isOfProtocol, type StateNamespace } from './namespaces.ts';
import { type ProtocolRecord, RecordStore } from './record-store.ts';
import type { StateParts } from './parts.ts';
import type { StateFollower } from './state-follower.ts';
import { StateLoader } from './state-loader.ts';
import { StateUndo } from './state-undo.ts';
import { StemJournal } from './stem-journal.ts';
import { SlotStore } from './storage/slot-store.ts';
import { Trie } from './trie/trie.ts';

export type { Account } from './account.ts';

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

/** A key of the state tree, and what the committed state says about it (see `verifyStateProof`). */
export interface ProvenKey {
  readonly key: Uint8Array;
  readonly proof: Uint8Array;
}

const { suffix: BASIC_DATA } = BASIC_DATA_POSITION;

/**
 * The state of one shard: accounts, code, storage and protocol records, and the trie that commits to them (R9, R10). Reads see what was written, committed or not. Not
 * versioned: a block's delta undoes it.
 */
export class ShardState implements AccountReader {
  readonly trie: Trie;
  /** Grows with each commit and revert, after which objects of accounts that were at hand may no longer be the state's. */
  version = 0;
  private readonly hasher: Hasher;
  private readonly codes: CodeStore;
  private readonly accounts: Accounts;
  private readonly journal: StemJournal;
  private readonly slots: SlotStore;
  private readonly contractCode: ContractCode;
  private readonly records: RecordStore;
  private follower: StateFollower | undefined;
  /** Room for basic data of contracts. */
  private readonly leaf = new Uint8Array(32);

  /**
   * An empty state; `accountsExpected` reserves memory at once. `hashSeed`, a 32-bit number, keys the tables of accounts and of storage slots, so that nobody can choose
   * any that collide: a node gives a random one. Nothing that can be seen depends on it.
   */
  constructor(hasher: Hasher, accountsExpected = 1024, hashSeed = 0) {
    const trie = new Trie(hasher, accountsExpected);
    const codes = new CodeStore(hasher);
    const accounts = new Accounts({ hashSeed }, { hasher, trie, codes });
    const journal = new StemJournal(trie);
    this.hasher = hasher;
    this.trie = trie;
    this.codes = codes;
    this.accounts = accounts;
    this.journal = journal;
    this.slots = new SlotStore({ hashSeed }, { hasher, trie, journal, accounts });
    this.contractCode = new ContractCode({ hasher, trie, journal, accounts, codes });
    this.records = new RecordStore(hasher, trie);
  }

  /** Number of accounts that are not empty, and of those emptied since the last commit. */
  get accountCount(): number {
    return this.accounts.size;
  }

  /** Number of storage slots that are not zero, and of those emptied since the last commit. */
  get slotCount(): number {
    return this.slots.count;
  }

  account(key: string): Account | undefined {
    return this.accounts.get(key);
  }

  /** The account, made if it is absent. {@link touch} must follow: an empty one vanishes at commit. */
  open(key: string): Account {
    return this.accounts.open(key);
  }

  /** Must be called before an account's fields are changed. */
  touch(account: Account): void {
    this.accounts.touch(account);
  }

  /**
   * Takes back a {@link touch} that was the last one, and the first of its account, which is as it was: changes stand in the order of touches, and what was left out of a
   * block must leave no trace in that.
   */
  untouch(account: Account): void {
    this.accounts.untouch(account);
  }

  /** The code of an account, shared, never written to; no bytes if it has none. */
  code(key: string): Uint8Array {
    return (this.accounts.get(key)?.contract?.code ?? this.codes.none).bytes;
  }

  /** The keccak-256 of an account's code; that of no bytes if it has none, or is absent. */
  codeHash(key: string): Hash32 {
    return (this.accounts.get(key)?.contract?.code ?? this.codes.none).hash;
  }

  /** The same of an account that is at hand. */
  codeHashOf(account: Readonly<Account>): Hash32 {
    return (account.contract?.code ?? this.codes.none).hash;
  }

  /** As {@link storage}, of an account that is at hand. */
  storageOf(account: Account, slot: Uint8Array, out: Uint8Array): void {
    this.slots.read(account.contract, slot, out);
  }

  /** The code under its keccak-256, shared, never written to; undefined if no account has it. */
  codeByHash(hash: Uint8Array): Uint8Array | undefined {
    return this.codes.find(hash)?.bytes;
  }

  /** Writes the 32 bytes of an account's storage slot (32 bytes, big-endian) to `out`; zeros if it is absent. */
  storage(key: string, slot: Uint8Array, out: Uint8Array): void {
    this.slots.read(this.accounts.get(key)?.contract, slot, out);
  }

  /** Whether an account has a slot that is not zero. */
  hasStorage(key: string): boolean {
    return (this.accounts.get(key)?.contract?.slots ?? 0) > 0;
  }

  /** Gives an account this code (copied; no bytes: none); `hash` is its keccak-256, if the caller knows it. Throws `invariant` for code of 2^24 bytes and more. */
  setCode(account: Account, code: Uint8Array, hash?: Hash32): void {
    invariant(code.length <= CODE_SIZE_MAX, 'code above the size that fits', { codeSize: code.length });
    this.touch(account);
    const contract = this.accounts.contractOf(account);
    const old = contract.code;
    // Taken before the old one is given back: it may be the same.
    contract.code = this.codes.use(code, hash);
    this.codes.release(old);
  }

  /** Sets a storage slot (32 bytes, big-endian) to 32 bytes; zeros make it absent. An account with storage must have a nonce, balance or code at commit. */
  setStorage(account: Account, slot: Uint8Array, value: Uint8Array): void {
    this.touch(account);
    this.slots.write(this.accounts.contractOf(account), slot, value);
  }

  /** Makes all storage of an account absent. Takes time in proportion to the storage of the whole state, if there is any of this account. */
  clearStorage(account: Account): void {
    this.touch(account);
    if (account.contract !== undefined) this.slots.clear(account.contract);
  }

  /** Stores (undefined: removes) a record of at most 8 KiB under the state root; `id` has 20 bytes. */
  putRecord(namespace: StateNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    this.records.put(namespace, id, value);
  }

  /** A record's bytes, shared, never written to; undefined if it is absent. */
  record(namespace: StateNamespace, id: Uint8Array): Uint8Array | undefined {
    return this.records.get(namespace, id);
  }

  /** The records of the cross-shard protocol, for it to adopt at start. */
  *protocolRecords(): Iterable<ProtocolRecord & { readonly value: Uint8Array }> {
    for (const { namespace, id, value } of this.records.all()) if (isOfProtocol(namespace)) yield { namespace, id, value };
  }

  /** Fills an empty state from flat entries (from the database or a genesis), all at once. Throws `DecodeError` on damage. */
  load(entries: Iterable<FlatEntry>): Hash32 {
    invariant(this.accounts.size === 0 && this.records.size === 0, 'a state is loaded when it is empty');
    this.records.load(new StateLoader(this.parts()).load(entries));
    return this.trie.commit().root;
  }

  /** Commits all changes to the trie and hands over what to store. */
  commit(): StateDelta {
    this.version++;
    const changes: FlatChange[] = [];
    const undo: FlatChange[] = [];
    const touched = this.accounts.takeTouched();
    if (this.follower !== undefined) this.tellChanges(this.follower, touched);
    const delta = new AccountDelta(touched.length, this.trie, changes, undo);
    const contracts: Account[] = [];
    for (const account of touched) {
      account.touched = false;
      if (account.contract === undefined) this.commitAccount(account, delta);
      else {
        this.commitContract(account);
        contracts.push(account);
      }
    }
    if (contracts.length > 0) this.finishContracts(contracts, changes, undo);
    this.records.commit(changes, undo);
    return { root: this.trie.commit().root, changes, undo };
  }

  /** From here on, `follower` is told what commits and reverts do. One at a time. */
  follow(follower: StateFollower): void {
    invariant(this.follower === undefined, 'a state has one follower');
    this.follower = follower;
  }

  /** Tells a follower everything, between blocks. */
  tellAll(follower: StateFollower): void {
    invariant(this.accounts.touchedCount === 0, 'a state with changes under way is not told');
    for (const account of this.accounts.all()) follower.account(account);
    this.slots.visit(false, (account, key, value) => follower.slot(account, key, value));
  }

  private tellChanges(follower: StateFollower, touched: readonly Account[]): void {
    for (const account of touched) follower.account(account);
    this.slots.visit(true, (account, key, value) => follower.slot(account, key, value));
  }

  private commitAccount(account: Account, delta: AccountDelta): void {
    const { key, balance, nonce, oldBalance, oldNonce } = account;
    if (balance !== oldBalance || nonce !== oldNonce) {
      const wasAbsent = oldBalance === 0n && oldNonce === 0;
      const leafAt = delta.add(key, wasAbsent ? -1 : account.ref, balance, nonce);
      this.trie.set(this.accounts.headerRef(account), BASIC_DATA, delta.bytes, leafAt);
    }
    // The commit that follows frees the reference of a stem without leaves: the object must not outlive it.
    if (balance === 0n && nonce === 0) this.accounts.delete(account);
  }

  private commitContract(account: Account): void {
    const { balance, nonce, oldBalance, oldNonce } = account;
    const contract = this.accounts.contractOf(account);
    const newCode = contract.code !== contract.committed;
    if (newCode) this.contractCode.commit(account, contract);
    if (!newCode && balance === oldBalance && nonce === oldNonce) return;
    this.contractCode.captureHeader(account);
    encodeBasicData({ status: 0, codeSize: contract.code.bytes.length, nonce, balance }, this.leaf);
    this.trie.set(this.accounts.headerRef(account), BASIC_DATA, this.leaf);
  }

  /** Writes storage, hands over the stems of contracts, and drops what is gone. */
  private finishContracts(contracts: readonly Account[], changes: FlatChange[], undo: FlatChange[]): void {
    this.slots.commit();
    this.journal.finish(changes, undo);
    for (const account of contracts) {
      const { balance, nonce, contract } = account;
      const empty = balance === 0n && nonce === 0 && contract?.code === this.codes.none;
      const bare = this.accounts.dropBare(account);
      if (!empty) continue;
      invariant(bare, 'an account that is empty has no storage');
      this.accounts.delete(account);
    }
  }

  /**
   * Sets everything back to what `delta.undo` says; the block must be the last one, and nothing be changed since. Returns the records of the protocol that changed,
   * for it to follow.
   */
  revert(delta: StateDelta): ProtocolRecord[] {
    this.version++;
    invariant(this.accounts.touchedCount === 0, 'a state with changes under way is not set back');
    const others: FlatChange[] = [];
    const { follower } = this;
    const stems = new StateUndo(this.parts(), follower === undefined ? undefined : (account, key, value) => follower.slot(account, key, value));
    for (const change of delta.undo) {
      if (isOfAccounts(change.key)) stems.take(change);
      else others.push(change);
    }
    stems.finish();
    const restored = this.records.revert(others);
    this.trie.commit();
    // Behind the records, which say where some of them live.
    if (follower !== undefined) for (const account of stems.accounts) follower.account(account);
    return restored.flatMap(({ namespace, id, value }) => (isOfProtocol(namespace) ? [{ namespace, id, value }] : []));
  }

  /** Key and proof of an account's basic data in the committed state. */
  proveAccount(address: Address): ProvenKey {
    return this.prove(stateKey(this.hasher, accountOwner(address), BASIC_DATA_POSITION));
  }

  /** Key and proof of a storage slot (0 to 2^256 - 1) of an account in the committed state. Throws `state/range`. */
  proveStorage(address: Address, slot: bigint): ProvenKey {
    return this.prove(stateKey(this.hasher, accountOwner(address), storagePosition(slot)));
  }

  /** Key and proof of the hash of an account's code in the committed state; absent for one without code. */
  proveCodeHash(address: Address): ProvenKey {
    return this.prove(stateKey(this.hasher, accountOwner(address), CODE_HASH_POSITION));
  }

  private prove(key: Uint8Array): ProvenKey {
    return { key, proof: this.trie.prove(key) };
  }

  private parts(): StateParts {
    const { hasher, trie, accounts, slots, codes, contractCode } = this;
    return { hasher, trie, accounts, slots, codes, contractCode };
  }
}
