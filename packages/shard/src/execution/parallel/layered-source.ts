import { type Address, bytesKey, type Hash32 } from '@shardlab/crosslink';
import { HERE, type SourceAccount, type StateSource } from '../evm/types.ts';
import type { WorldChanges } from '../evm/world-state.ts';
import type { HomeRead } from './speculation.ts';

/** A source with the changes of earlier transactions on top, which notes what is asked about homes. Bounded by the gas of the transactions whose changes are applied. */
export class LayeredSource implements StateSource {
  private readonly below: StateSource;
  /** undefined: it was deleted. */
  private readonly accounts = new Map<string, SourceAccount | undefined>();
  private readonly codes = new Map<string, Uint8Array>();
  /** By account, by key. */
  private readonly slots = new Map<string, Map<string, Uint8Array>>();
  /** Accounts whose storage below is void. */
  private readonly emptied = new Set<string>();
  private homes: HomeRead[] = [];
  private storageAsked = false;

  constructor(below: StateSource) {
    this.below = below;
  }

  account(address: Address): SourceAccount | undefined {
    const key = bytesKey(address);
    const known = this.accounts.get(key);
    return known !== undefined || this.accounts.has(key) ? known : this.below.account(address);
  }

  code(codeHash: Hash32): Uint8Array {
    return this.codes.get(bytesKey(codeHash)) ?? this.below.code(codeHash);
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    if (this.slots.size > 0 || this.emptied.size > 0) {
      const account = bytesKey(address);
      const known = this.slots.get(account)?.get(bytesKey(key));
      if (known !== undefined) {
        out.set(known);
        return;
      }
      if (this.emptied.has(account)) {
        out.fill(0);
        return;
      }
    }
    this.below.storage(address, key, out);
  }

  hasStorage(address: Address): boolean {
    this.storageAsked = true;
    const account = bytesKey(address);
    for (const value of this.slots.get(account)?.values() ?? []) if (value.some((byte) => byte !== 0)) return true;
    return !this.emptied.has(account) && this.below.hasStorage(address);
  }

  homeOf(address: Address): number {
    const home = this.accounts.get(bytesKey(address)) === undefined ? this.below.homeOf(address) : HERE;
    this.homes.push({ address, home });
    return home;
  }

  /** What was asked about homes since the last call. */
  takeHomes(): readonly HomeRead[] {
    const { homes } = this;
    this.homes = [];
    return homes;
  }

  /** Whether it was asked since the last call if an account has storage: only creations do. */
  takeStorageAsked(): boolean {
    const asked = this.storageAsked;
    this.storageAsked = false;
    return asked;
  }

  /** Puts a transaction's changes on top. */
  apply({ accounts, slots }: WorldChanges): void {
    for (const { address, deleted, storageEmptied, nonce, balance, codeHash, code } of accounts) {
      const key = bytesKey(address);
      if (deleted || storageEmptied) {
        this.slots.delete(key);
        this.emptied.add(key);
      }
      this.accounts.set(key, deleted ? undefined : { nonce, balance, codeHash });
      if (code !== undefined) this.codes.set(bytesKey(codeHash), code);
    }
    for (const { address, key, value } of slots) {
      const account = bytesKey(address);
      let own = this.slots.get(account);
      if (own === undefined) this.slots.set(account, (own = new Map()));
      own.set(bytesKey(key), value);
    }
  }
}
