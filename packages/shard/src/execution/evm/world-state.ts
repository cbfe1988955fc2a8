import type { Address, Hash32, Hasher, Wei } from '@shardlab/crosslink';
import type { Code, CodeCache } from './code.ts';
import type { AccountId, EvmLog, SlotId, SourceAccount, StateSource, Words } from './types.ts';
import { fromBigint } from './words/basic.ts';
import type { EvmWorld } from './world.ts';
import { type AccountChange, type AccountRead, Accounts } from './world/accounts.ts';
import { AddressTable } from './world/address-table.ts';
import { ENTRY, Journal } from './world/journal.ts';
import { Slots, type SlotValue } from './world/slots.ts';
import { TransientSlots } from './world/transient-slots.ts';

const NO_LOGS: EvmLog[] = [];
const NO_CREDITS: WorldCredit[] = [];

/** Value that goes to an account of another shard (R12). */
export interface WorldCredit {
  readonly address: Address;
  readonly wei: Wei;
}

/** What differs from the source. Accounts first, then slots: a deleted account's storage goes with it. Each in the order of first sight. */
export interface WorldChanges {
  readonly accounts: readonly AccountChange[];
  readonly slots: readonly SlotValue[];
}

/** What was read of the source, and what it said. */
export interface WorldReads {
  readonly accounts: readonly AccountRead[];
  readonly slots: readonly SlotValue[];
}

/**
 * What the EVM reads and writes: a write-back overlay over a {@link StateSource} with a journal, for any number of transactions one after the other. Accounts and
 * slots get small numbers when they are first seen; all that is known of them stands in columns, so that storage makes no garbage. Bounded by the gas of the
 * transactions that ran since it was made or reset.
 */
export class WorldState implements EvmWorld {
  private readonly addresses: AddressTable;
  private readonly accounts: Accounts;
  private readonly slots: Slots;
  private readonly transient: TransientSlots;
  private readonly journal = new Journal();
  private readonly isEmptied = (account: AccountId): boolean => this.slots.isEmptied(account);
  private readonly empty = (account: AccountId): void => this.slots.empty(account);
  private transaction = 0;
  private warmLast = 0;
  private refundGas = 0;
  private logList: EvmLog[] = NO_LOGS;
  private creditList: WorldCredit[] = NO_CREDITS;

  /** `hashSeed`: a 32-bit number that keys the hash tables, so that nobody can choose addresses and slots that collide; it changes nothing that can be seen. */
  constructor(source: StateSource, crypto: Pick<Hasher, 'keccak256'>, codeCache: CodeCache, options: { readonly hashSeed?: number } = {}) {
    const seed = (options.hashSeed ?? 0) | 0;
    const { journal } = this;
    const addressOf = (account: AccountId): Address => this.addresses.address(account);
    this.addresses = new AddressTable(seed);
    this.accounts = new Accounts({ source, crypto, codeCache, journal, addressOf });
    this.slots = new Slots({ seed }, { source, journal, addressOf });
    this.transient = new TransientSlots({ seed }, { journal });
    this.beginTransaction();
  }

  /** Forgets everything, numbers included, and goes on over another source. Cheaper than a new one. */
  reset(source: StateSource): void {
    this.addresses.clear();
    this.accounts.reset(source);
    this.slots.reset(source);
    this.beginTransaction();
  }

  accountAt(words: Words, at: number): AccountId {
    const { count } = this.addresses;
    const account = this.addresses.intern(words, at);
    if (account === count) this.addAccount(account);
    return account;
  }

  accountOf(address: Address): AccountId {
    const { count } = this.addresses;
    const account = this.addresses.internBytes(address);
    if (account === count) this.addAccount(account);
    return account;
  }

  /** The address; shared, never written to. */
  address(account: AccountId): Address {
    return this.addresses.address(account);
  }

  /** What the source said of the account; undefined: it has none, or was not asked yet. */
  sourceOf(account: AccountId): SourceAccount | undefined {
    return this.accounts.sourceOf(account);
  }

  addressInto(account: AccountId, words: Words, at: number): void {
    this.addresses.copyTo(account, words, at);
  }

  slotAt(account: AccountId, words: Words, at: number): SlotId {
    return this.slots.slotAt(account, words, at);
  }

  homeOf(account: AccountId): number {
    return this.accounts.homeOf(account);
  }

  /** Starts a transaction: nothing is warm, created or destroyed, transient storage is zero; values as they are now are the original ones. */
  beginTransaction(): void {
    this.transaction++;
    this.journal.clear();
    this.accounts.begin(this.transaction);
    this.slots.begin(this.transaction);
    this.transient.clear();
    this.refundGas = 0;
    // Lists that were handed out are not changed: an empty one never is, because the first entry makes a new one.
    this.logList = NO_LOGS;
    this.creditList = NO_CREDITS;
  }

  /** Ends it: deletes what destroyed itself in the transaction that made it (EIP-6780), and touched accounts that are empty (EIP-161). */
  endTransaction(): void {
    this.accounts.end(this.empty);
    this.journal.clear();
  }

  /** Makes the addresses 1 to `last` warm in all transactions from this one on (EIP-2929: precompiles). Costs nothing when said again. */
  keepWarm(last: number): void {
    if (last === this.warmLast) return;
    this.warmLast = last;
    for (let account = 0; account < this.addresses.count; account++) this.keepWarmIfLow(account);
  }

  snapshot(): number {
    return this.journal.length;
  }

  revertTo(snapshot: number): void {
    const { journal } = this;
    while (journal.length > snapshot) {
      const kind = journal.pop();
      const id = journal.pop();
      switch (kind) {
        case ENTRY.SLOT_VALUE:
          this.slots.undoValue(id);
          break;
        case ENTRY.SLOT_WARM:
          this.slots.undoWarm(id);
          break;
        case ENTRY.TRANSIENT_VALUE:
          this.transient.undo(id);
          break;
        case ENTRY.REFUND:
          this.refundGas = Number(journal.popBigint());
          break;
        case ENTRY.LOG:
          this.logList.pop();
          break;
        case ENTRY.CREDIT:
          this.creditList.pop();
          break;
        default:
          this.accounts.undo(kind, id);
      }
    }
  }

  warmAccount(account: AccountId): boolean {
    return this.accounts.warm(account);
  }

  warmSlot(slot: SlotId): boolean {
    return this.slots.warm(slot);
  }

  /** Whether the state has the account: since EIP-161 that is one that is not empty, or an empty one from before it that nobody touched. */
  exists(account: AccountId): boolean {
    return this.accounts.exists(account);
  }

  isEmpty(account: AccountId): boolean {
    return this.accounts.isEmpty(account);
  }

  balance(account: AccountId): bigint {
    return this.accounts.balance(account);
  }

  balanceInto(account: AccountId, words: Words, at: number): void {
    fromBigint(words, at, this.accounts.observeBalance(account));
  }

  addBalance(account: AccountId, wei: bigint): void {
    this.accounts.addBalance(account, wei);
  }

  /** The caller has seen that the balance suffices. */
  subBalance(account: AccountId, wei: bigint): void {
    this.accounts.addBalance(account, -wei);
  }

  nonce(account: AccountId): bigint {
    return this.accounts.nonce(account);
  }

  setNonce(account: AccountId, nonce: bigint): void {
    this.accounts.setNonce(account, nonce);
  }

  code(account: AccountId): Code {
    return this.accounts.code(account);
  }

  /** keccak-256 of the code; that of no bytes if there is none. */
  codeHash(account: AccountId): Hash32 {
    return this.accounts.codeHash(account);
  }

  setCode(account: AccountId, bytes: Uint8Array): void {
    this.accounts.setCode(account, bytes);
  }

  hasCodeOrNonceOrStorage(account: AccountId): boolean {
    return this.accounts.hasCodeOrNonce(account) || this.slots.hasStorage(account);
  }

  /** The account counts as made in this transaction, and as one of this shard (R11). */
  markCreated(account: AccountId): void {
    this.accounts.markCreated(account);
  }

  wasCreated(account: AccountId): boolean {
    return this.accounts.wasCreated(account);
  }

  /** Contracts that the transaction made, after {@link endTransaction}; for which the state said another home, they need a stub there (R11). */
  created(): Address[] {
    return this.accounts.created();
  }

  selfDestruct(account: AccountId): void {
    this.accounts.selfDestruct(account);
  }

  touch(account: AccountId): void {
    this.accounts.touch(account);
  }

  loadSlot(slot: SlotId, words: Words, at: number): void {
    this.slots.load(slot, words, at);
  }

  storeSlot(slot: SlotId, words: Words, at: number): void {
    this.slots.store(slot, words, at);
  }

  storeStatus(slot: SlotId, words: Words, at: number): number {
    return this.slots.storeStatus(slot, words, at);
  }

  loadTransient(account: AccountId, key: Words, keyAt: number, out: Words, outAt: number): void {
    this.transient.load(account, key, keyAt, out, outAt);
  }

  storeTransient(account: AccountId, key: Words, keyAt: number, value: Words, valueAt: number): void {
    this.transient.store(account, key, keyAt, value, valueAt);
  }

  /** The transaction's refund counter, in gas. */
  get refund(): number {
    return this.refundGas;
  }

  addRefund(gas: number): void {
    this.journal.pushBigint(ENTRY.REFUND, 0, BigInt(this.refundGas));
    this.refundGas += gas;
  }

  log(entry: EvmLog): void {
    this.journal.push(ENTRY.LOG, 0);
    if (this.logList === NO_LOGS) this.logList = [];
    this.logList.push(entry);
  }

  /** Logs of the transaction; the list is not changed by later ones. */
  logs(): readonly EvmLog[] {
    return this.logList;
  }

  credit(account: AccountId, wei: bigint): void {
    this.journal.push(ENTRY.CREDIT, 0);
    if (this.creditList === NO_CREDITS) this.creditList = [];
    this.creditList.push({ address: this.address(account), wei });
  }

  /** Credits of the transaction, in order; the list is not changed by later ones. */
  credits(): readonly WorldCredit[] {
    return this.creditList;
  }

  /** What differs from the source, after {@link endTransaction}. */
  changes(): WorldChanges {
    return { accounts: this.accounts.changed(this.isEmptied), slots: this.slots.changed() };
  }

  /** The accounts of {@link changes}, in the same order. */
  visitChangedAccounts(visit: (change: AccountChange) => void): void {
    this.accounts.visitChanged(this.isEmptied, visit);
  }

  /** The slots of {@link changes}, in the same order: 32 bytes of key and value, which hold until `visit` returns. */
  visitChangedSlots(visit: (address: Address, key: Uint8Array, value: Uint8Array) => void): void {
    this.slots.visitChanged(visit);
  }

  /** What was read of the source since the world was made or reset. */
  reads(): WorldReads {
    return { accounts: this.accounts.wasRead(), slots: this.slots.read() };
  }

  /** Accounts that were seen: their numbers are below. */
  get accountCount(): number {
    return this.addresses.count;
  }

  /** Slots that were seen. */
  get slotCount(): number {
    return this.slots.count;
  }

  /** All that was read or written of an account since the world was made or reset, as bits of `ACCESS`. After {@link endTransaction}. */
  accountAccesses(account: AccountId): number {
    return this.accounts.accesses(account);
  }

  /** The same of each slot that was read or written; its key is at `at` of `words`. */
  visitSlotAccesses(each: (account: AccountId, words: Words, at: number, bits: number) => void): void {
    this.slots.visitAccesses(each);
  }

  private addAccount(account: AccountId): void {
    this.accounts.addAccount(account);
    this.slots.addAccount(account);
    if (this.warmLast !== 0) this.keepWarmIfLow(account);
  }

  private keepWarmIfLow(account: AccountId): void {
    const number = this.addresses.smallNumber(account);
    if (number >= 1 && number <= this.warmLast) this.accounts.keepWarm(account);
  }
}
