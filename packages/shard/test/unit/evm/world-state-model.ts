/** The world state, told again in maps of strings that are copied whole: what the property test holds the real one against. */
import { type Address, bytesKey } from '@shardlab/crosslink';
import type { ModelAccount } from './map-source.ts';

/** Everything that a revert brings back. */
export interface ModelState {
  accounts: Map<string, ModelAccount>;
  transient: Map<string, bigint>;
  warm: Set<string>;
  created: Set<string>;
  destroyed: Set<string>;
  touched: Set<string>;
  refund: number;
  logs: string[];
  credits: string[];
}

function copy(state: ModelState): ModelState {
  return {
    accounts: new Map([...state.accounts].map(([key, account]) => [key, { ...account, storage: new Map(account.storage) }])),
    transient: new Map(state.transient),
    warm: new Set(state.warm),
    created: new Set(state.created),
    destroyed: new Set(state.destroyed),
    touched: new Set(state.touched),
    refund: state.refund,
    logs: [...state.logs],
    credits: [...state.credits],
  };
}

function isEmptyAccount(account: ModelAccount): boolean {
  return account.nonce === 0n && account.balance === 0n && account.code === '';
}

/** The model. Accounts are named by `bytesKey` of their address. */
export class Model {
  state: ModelState;
  private original: Map<string, ModelAccount>;
  private readonly snapshots = new Map<number, ModelState>();

  constructor(accounts: ReadonlyMap<string, ModelAccount>) {
    this.state = copy({
      accounts: new Map(accounts),
      transient: new Map(),
      warm: new Set(),
      created: new Set(),
      destroyed: new Set(),
      touched: new Set(),
      refund: 0,
      logs: [],
      credits: [],
    });
    this.original = copy(this.state).accounts;
  }

  /** The account as it is; a fresh empty one if there is none, which becomes part of the state with `write`. */
  account(key: string): ModelAccount {
    return this.state.accounts.get(key) ?? { nonce: 0n, balance: 0n, code: '', storage: new Map() };
  }

  /** The account to change, which is touched by that. */
  write(key: string): ModelAccount {
    const account = this.account(key);
    this.state.accounts.set(key, account);
    this.state.touched.add(key);
    return account;
  }

  load(key: string, slot: bigint): bigint {
    return this.account(key).storage.get(slot) ?? 0n;
  }

  originalOf(key: string, slot: bigint): bigint {
    return this.original.get(key)?.storage.get(slot) ?? 0n;
  }

  store(key: string, slot: bigint, value: bigint): void {
    const account = this.account(key);
    this.state.accounts.set(key, account);
    if (value === 0n) account.storage.delete(slot);
    else account.storage.set(slot, value);
  }

  exists(key: string): boolean {
    const account = this.state.accounts.get(key);
    return account !== undefined && (!isEmptyAccount(account) || this.original.has(key));
  }

  isEmpty(key: string): boolean {
    return isEmptyAccount(this.account(key));
  }

  begin(): void {
    const { accounts } = this.state;
    this.state = new Model(accounts).state;
    this.original = copy(this.state).accounts;
    this.snapshots.clear();
  }

  end(): void {
    const { accounts, destroyed, touched } = this.state;
    for (const key of destroyed) accounts.delete(key);
    for (const key of touched) if (this.isEmpty(key)) accounts.delete(key);
    // What is empty and was never in the state only looked as if it were there: the model made it to have something to change.
    for (const [key, account] of accounts) if (isEmptyAccount(account) && !this.original.has(key)) accounts.delete(key);
  }

  snapshot(name: number): void {
    this.snapshots.set(name, copy(this.state));
  }

  revertTo(name: number): void {
    this.state = copy(this.snapshots.get(name)!);
    for (const later of this.snapshots.keys()) if (later > name) this.snapshots.delete(later);
  }
}

/** A name of a slot. */
export function slotName(account: Address, slot: bigint): string {
  return `${bytesKey(account)}/${slot}`;
}
