import { accountOwner, type Address, deriveStem, type Hasher, invariant, keyBytes } from '@shardlab/crosslink';
import type { Account, Contract } from './account.ts';
import { AccountTable } from './account-table.ts';
import type { CodeStore } from './code-store.ts';
import type { Trie } from './trie/trie.ts';

/** The accounts of a state as objects, and which of them a block has touched. */
export class Accounts {
  private readonly byKey: AccountTable;
  private readonly hasher: Hasher;
  private readonly trie: Trie;
  private readonly codes: CodeStore;
  private touchedList: Account[] = [];
  /** By the id of their contract. */
  private readonly contracts: (Account | undefined)[] = [];
  private readonly freeIds: number[] = [];

  /** `hashSeed` keys the table of accounts, see `ShardState`. */
  constructor(options: { readonly hashSeed: number }, modules: { readonly hasher: Hasher; readonly trie: Trie; readonly codes: CodeStore }) {
    this.byKey = new AccountTable(options.hashSeed);
    this.hasher = modules.hasher;
    this.trie = modules.trie;
    this.codes = modules.codes;
  }

  get size(): number {
    return this.byKey.size;
  }

  /** Accounts touched since {@link takeTouched}. */
  get touchedCount(): number {
    return this.touchedList.length;
  }

  get(key: string): Account | undefined {
    return this.byKey.get(key);
  }

  /** The account, made if it is absent. */
  open(key: string): Account {
    const known = this.byKey.get(key);
    if (known !== undefined) return known;
    const fresh: Account = { key, balance: 0n, nonce: 0, ref: -1, oldBalance: 0n, oldNonce: 0, touched: false, contract: undefined };
    this.byKey.add(fresh);
    return fresh;
  }

  touch(account: Account): void {
    if (account.touched) return;
    account.touched = true;
    account.oldBalance = account.balance;
    account.oldNonce = account.nonce;
    this.touchedList.push(account);
  }

  /** Takes back the last {@link touch}: nothing has come of it. */
  untouch(account: Account): void {
    invariant(this.touchedList.pop() === account && account.balance === account.oldBalance && account.nonce === account.oldNonce, 'only the last touch is taken back');
    account.touched = false;
  }

  takeTouched(): readonly Account[] {
    const touched = this.touchedList;
    this.touchedList = [];
    return touched;
  }

  /** Forgets an account, whose stem the next commit of the trie takes out. */
  delete(account: Account): void {
    this.byKey.delete(account.key);
  }

  /** The account's contract, made if it has none. */
  contractOf(account: Account): Contract {
    if (account.contract !== undefined) return account.contract;
    const id = this.freeIds.pop() ?? this.contracts.length;
    const { none } = this.codes;
    const contract: Contract = { id, code: none, committed: none, slots: 0 };
    this.contracts[id] = account;
    account.contract = contract;
    return contract;
  }

  /** The account of a contract's id. */
  ofContract(id: number): Account {
    return this.contracts[id]!;
  }

  /** All accounts. */
  all(): Iterable<Account> {
    return this.byKey.values();
  }

  /** Accounts that have a contract. */
  *withContract(): Iterable<Account> {
    for (const account of this.contracts) if (account !== undefined) yield account;
  }

  /** Drops the contract if there is neither code nor storage; whether there is none now. */
  dropBare(account: Account): boolean {
    const { contract } = account;
    if (contract === undefined) return true;
    const { none } = this.codes;
    if (contract.slots > 0 || contract.code !== none || contract.committed !== none) return false;
    account.contract = undefined;
    this.contracts[contract.id] = undefined;
    this.freeIds.push(contract.id);
    return true;
  }

  /** The reference of the account's stem, which is put into the trie if it is not there. */
  headerRef(account: Account): number {
    if (account.ref < 0) account.ref = this.trie.stemRef(deriveStem(this.hasher, accountOwner(keyBytes(account.key) as Address), 0n));
    return account.ref;
  }
}
