/** A state in memory that blocks are executed over: accounts and codes in maps, the storage of each contract in flat columns. */
import { bytesKey } from '@shardlab/crosslink';
import type { Address, Hash32 } from '@shardlab/crosslink';
import type { SourceAccount, StateSource, WorldChanges } from '@shardlab/shard';
import { FlatSlots } from './flat-slots.ts';

/** See above. All accounts are at home. */
export class FlatState implements StateSource {
  private readonly accounts = new Map<string, SourceAccount>();
  private readonly codes = new Map<string, Uint8Array>();
  private readonly slots = new Map<string, FlatSlots>();
  /** Storage that was asked for last: a world gives the same array for the same address, and slots of one account come one after the other. */
  private lastAddress: Address | undefined;
  private lastSlots: FlatSlots | undefined;

  account(address: Address): SourceAccount | undefined {
    return this.accounts.get(bytesKey(address));
  }

  code(codeHash: Hash32): Uint8Array {
    const found = this.codes.get(bytesKey(codeHash));
    if (found === undefined) throw new Error('a code is lost');
    return found;
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    const slots = this.slotsOf(address);
    if (slots === undefined) out.fill(0);
    else slots.read(key, out);
  }

  hasStorage(address: Address): boolean {
    return this.slots.has(bytesKey(address));
  }

  homeOf(): number {
    return -1;
  }

  setAccount(address: Address, account: SourceAccount, code?: Uint8Array): void {
    this.accounts.set(bytesKey(address), account);
    if (code !== undefined) this.codes.set(bytesKey(account.codeHash), code);
  }

  /** Sets a slot. `key` and `value`: 32 bytes each, copied. */
  setSlot(address: Address, key: Uint8Array, value: Uint8Array): void {
    let slots = this.slotsOf(address);
    if (slots === undefined) {
      slots = new FlatSlots();
      this.slots.set(bytesKey(address), slots);
      this.lastSlots = slots;
    }
    slots.write(key, value);
  }

  private slotsOf(address: Address): FlatSlots | undefined {
    if (address !== this.lastAddress) {
      this.lastAddress = address;
      this.lastSlots = this.slots.get(bytesKey(address));
    }
    return this.lastSlots;
  }

  /** Writes what a block or a world changed. Accounts are never deleted here. */
  apply({ accounts, slots }: WorldChanges): void {
    for (const { address, deleted, nonce, balance, codeHash, code } of accounts) {
      if (deleted) throw new Error('contracts here do not destroy themselves');
      this.setAccount(address, { nonce, balance, codeHash }, code);
    }
    for (const { address, key, value } of slots) this.setSlot(address, key, value);
  }
}
