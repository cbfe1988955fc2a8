import { type Address, bytesKey, type Hash32, type Hasher, keyBytes } from '@shardlab/crosslink';
import type { Account, Contract } from '../../state/account.ts';
import type { StoredCode } from '../../state/code-store.ts';
import type { ExecutionState } from '../../state/execution-state.ts';
import { isOfProtocol, type StateNamespace } from '../../state/namespaces.ts';
import type { ProtocolRecord } from '../../state/record-store.ts';
import type { ShardState, StateDelta } from '../../state/shard-state.ts';
import type { PastStems } from '../evm/simulate/past-stems.ts';
import type { StateSource } from '../evm/types.ts';

const WORD = 32;

/** What a scratch state stands on. */
export interface ScratchStateModules {
  readonly hasher: Pick<Hasher, 'keccak256'>;
  /** Accounts, code and storage as they were. */
  readonly source: Pick<StateSource, 'account' | 'code' | 'storage' | 'hasStorage'>;
  /** The records as they are now. */
  readonly state: Pick<ShardState, 'record' | 'protocolRecords'>;
  /** What differs from that. */
  readonly past: PastStems;
}

/** What was written of an account's storage. */
interface WrittenStorage {
  /** Nothing of what lies below counts. */
  cleared: boolean;
  /** 32 bytes by the `bytesKey` of the slot. */
  readonly slots: Map<string, Uint8Array>;
}

/**
 * A past state of a shard on which one block is executed again: what it writes stays in here, and no trie is made of it. Memory: what the block reads and writes. Valid until
 * the shard's next block executes.
 */
export class ScratchState implements ExecutionState {
  /** Accounts stay the same objects. */
  readonly version = 0;
  private readonly modules: ScratchStateModules;
  private readonly root: Hash32;
  private readonly none: StoredCode;
  private readonly accounts = new Map<string, Account | undefined>();
  private readonly written = new Map<string, WrittenStorage>();
  private readonly codes = new Map<string, Uint8Array>();
  private readonly records = new Map<string, Uint8Array | undefined>();

  /** `root` is what the block says of the state after it, and what {@link commit} answers: it is not computed again. */
  constructor(root: Hash32, modules: ScratchStateModules) {
    const bytes = new Uint8Array(0);
    this.modules = modules;
    this.root = root;
    this.none = { hash: modules.hasher.keccak256(bytes), bytes, users: 0 };
  }

  /** The records of the cross-shard protocol as they were, for it to adopt. Throws `DecodeError` on damage. */
  *protocolRecords(): Iterable<ProtocolRecord> {
    const { state, past } = this.modules;
    for (const record of state.protocolRecords()) if (past.record(record.namespace, record.id) === undefined) yield record;
    for (const { namespace, id, value } of past.records()) if (value !== undefined && isOfProtocol(namespace)) yield { namespace, id, value };
  }

  account(key: string): Account | undefined {
    const known = this.accounts.get(key);
    if (known !== undefined || this.accounts.has(key)) return known;
    const found = this.modules.source.account(keyBytes(key) as Address);
    const account = found === undefined ? undefined : this.fresh(key, found.balance, Number(found.nonce), this.codeOf(found.codeHash));
    this.accounts.set(key, account);
    return account;
  }

  private fresh(key: string, balance: bigint, nonce: number, code: StoredCode): Account {
    const contract: Contract | undefined = code === this.none ? undefined : { id: 0, code, committed: code, slots: 0 };
    return { key, balance, nonce, ref: -1, oldBalance: balance, oldNonce: nonce, touched: false, contract };
  }

  private codeOf(hash: Hash32): StoredCode {
    const bytes = this.modules.source.code(hash);
    return bytes.length === 0 ? this.none : { hash, bytes, users: 1 };
  }

  open(key: string): Account {
    const known = this.account(key);
    if (known !== undefined) return known;
    const account = this.fresh(key, 0n, 0, this.none);
    this.accounts.set(key, account);
    return account;
  }

  /** Nothing is undone here. */
  touch(_account: Account): void {}

  /** Changes are not listed here, in no order. */
  untouch(_account: Account): void {}

  code(key: string): Uint8Array {
    return (this.account(key)?.contract?.code ?? this.none).bytes;
  }

  codeHashOf(account: Account): Hash32 {
    return (account.contract?.code ?? this.none).hash;
  }

  codeByHash(hash: Uint8Array): Uint8Array | undefined {
    return this.codes.get(bytesKey(hash)) ?? this.modules.source.code(hash as Hash32);
  }

  setCode(account: Account, code: Uint8Array, hash: Hash32 = this.modules.hasher.keccak256(code)): void {
    const stored = code.length === 0 ? this.none : { hash: hash.slice() as Hash32, bytes: code.slice(), users: 1 };
    if (account.contract === undefined) account.contract = { id: 0, code: stored, committed: this.none, slots: 0 };
    else account.contract.code = stored;
    this.codes.set(bytesKey(stored.hash), stored.bytes);
  }

  storageOf(account: Account, slot: Uint8Array, out: Uint8Array): void {
    const written = this.written.get(account.key);
    const value = written?.slots.get(bytesKey(slot));
    if (value !== undefined) out.set(value);
    else if (written?.cleared === true) out.fill(0, 0, WORD);
    else this.modules.source.storage(keyBytes(account.key) as Address, slot, out);
  }

  hasStorage(key: string): boolean {
    const written = this.written.get(key);
    for (const value of written?.slots.values() ?? []) if (value.some((byte) => byte !== 0)) return true;
    return written?.cleared !== true && this.modules.source.hasStorage(keyBytes(key) as Address);
  }

  setStorage(account: Account, slot: Uint8Array, value: Uint8Array): void {
    this.writtenOf(account).slots.set(bytesKey(slot), value.slice(0, WORD));
  }

  clearStorage(account: Account): void {
    const written = this.writtenOf(account);
    written.cleared = true;
    written.slots.clear();
  }

  private writtenOf({ key }: Account): WrittenStorage {
    let written = this.written.get(key);
    if (written === undefined) this.written.set(key, (written = { cleared: false, slots: new Map() }));
    return written;
  }

  record(namespace: StateNamespace, id: Uint8Array): Uint8Array | undefined {
    const key = namespace + bytesKey(id);
    if (this.records.has(key)) return this.records.get(key);
    const then = this.modules.past.record(namespace, id);
    return then === undefined ? this.modules.state.record(namespace, id) : then.value;
  }

  putRecord(namespace: StateNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    this.records.set(namespace + bytesKey(id), value);
  }

  commit(): StateDelta {
    return { root: this.root, changes: [], undo: [] };
  }

  /** What was written is dropped with the whole. */
  revert(): ProtocolRecord[] {
    return [];
  }
}
