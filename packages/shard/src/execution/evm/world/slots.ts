import type { Address } from '@shardlab/crosslink';
import type { AccountId, SlotId, StateSource, Words } from '../types.ts';
import { copyWord, equalWords, isZeroWord, LIMBS, readWord, setSmall, toBytes, writeWord } from '../words/basic.ts';
import { ACCESS } from './access-bits.ts';
import { grownUint32, grownUint8 } from './columns.ts';
import { ENTRY, type Journal } from './journal.ts';
import { ROW_ACCOUNT, ROW_FREE, ROW_WORDS, SlotTable } from './slot-table.ts';

const SLOTS_START = 512;

/** Places in a slot's row of {@link SlotTable}: the transaction in which it is warm, … */
const WARM_IN = ROW_FREE;
/** … that wrote it last, … */
const WRITTEN_IN = ROW_FREE + 1;
/** … where its value came from (the bits below), … */
const FLAGS = ROW_FREE + 2;
/** … and the slot of the same account that was seen before, plus 1; 0: there is none. */
const PREVIOUS = ROW_FREE + 3;

/** The value is there. */
const LOADED = 1;
/** It was read from the source; otherwise the account's storage was emptied before, and the value was 0 whatever the source says. */
const FROM_SOURCE = 2;
/** It was written; what it was before stands in `sources`. */
const WRITTEN = 4;

/** Words by slot in `values`: the value, and behind it what it was at the start of the transaction that WRITTEN_IN names. */
const VALUE_WORDS = 2 * LIMBS;

/** Bits of {@link Slots.storeStatus}. */
const NEW_IS_CURRENT = 1;
const ORIGINAL_IS_CURRENT = 2;
const ORIGINAL_IS_ZERO = 4;
const CURRENT_IS_ZERO = 8;
const NEW_IS_ZERO = 16;
const ORIGINAL_IS_NEW = 32;

/** A slot and what it held or holds: 32 bytes each, big-endian. */
export interface SlotValue {
  readonly address: Address;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Storage over a {@link StateSource}, in rows by slot. */
export class Slots {
  private readonly table: SlotTable;
  private readonly journal: Journal;
  private source: StateSource;
  /** Number of the transaction that runs: from 1 on, and never the same again. */
  private transaction = 0;
  private values: Uint32Array = new Uint32Array(SLOTS_START * VALUE_WORDS);
  /** As the source has it, where it was written. */
  private sources: Uint32Array = new Uint32Array(SLOTS_START * LIMBS);
  /** By account: the slot that was seen last, plus 1; 0: there is none. */
  private last: Uint32Array = new Uint32Array(SLOTS_START);
  /** By account: 1 if its storage was emptied. */
  private emptied: Uint8Array = new Uint8Array(SLOTS_START);
  private readonly keyBytes: Uint8Array = new Uint8Array(32);
  private readonly keyView = new DataView(this.keyBytes.buffer);
  private readonly valueBytes: Uint8Array = new Uint8Array(32);
  private readonly valueView = new DataView(this.valueBytes.buffer);
  private readonly addressOf: (account: AccountId) => Address;

  constructor(
    options: { readonly seed: number },
    modules: { readonly source: StateSource; readonly journal: Journal; readonly addressOf: (account: AccountId) => Address },
  ) {
    this.table = new SlotTable(options.seed);
    this.source = modules.source;
    this.journal = modules.journal;
    this.addressOf = modules.addressOf;
  }

  reset(source: StateSource): void {
    this.source = source;
    this.table.clear();
  }

  begin(transaction: number): void {
    this.transaction = transaction;
  }

  /** To be called for each new account. */
  addAccount(account: AccountId): void {
    this.last = grownUint32(this.last, account + 1);
    this.emptied = grownUint8(this.emptied, account + 1);
    this.last[account] = 0;
    this.emptied[account] = 0;
  }

  /** Slots that have a number. */
  get count(): number {
    return this.table.count;
  }

  slotAt(account: AccountId, words: Words, at: number): SlotId {
    const { count } = this.table;
    const slot = this.table.intern(account, words, at);
    if (slot === count) this.add(slot, account);
    return slot;
  }

  warm(slot: SlotId): boolean {
    const { rows } = this.table;
    const at = slot * ROW_WORDS + WARM_IN;
    if (rows[at] === this.transaction) return false;
    rows[at] = this.transaction;
    this.journal.push(ENTRY.SLOT_WARM, slot);
    return true;
  }

  load(slot: SlotId, words: Words, at: number): void {
    if (this.table.rows[slot * ROW_WORDS + FLAGS] === 0) this.fetch(slot);
    copyWord(words, at, this.values, slot * VALUE_WORDS);
  }

  store(slot: SlotId, words: Words, at: number): void {
    const { rows } = this.table;
    const row = slot * ROW_WORDS;
    if (rows[row + FLAGS] === 0) this.fetch(slot);
    const own = slot * VALUE_WORDS;
    const { values } = this;
    if (rows[row + WRITTEN_IN] !== this.transaction) {
      rows[row + WRITTEN_IN] = this.transaction;
      copyWord(values, own + LIMBS, values, own);
      this.keepSource(slot);
    }
    this.journal.pushWord(ENTRY.SLOT_VALUE, slot, values, own);
    copyWord(values, own, words, at);
  }

  /** Bits: 1 new = current, 2 original = current, 4 original = 0, 8 current = 0, 16 new = 0, 32 original = new. */
  storeStatus(slot: SlotId, words: Words, at: number): number {
    const { rows } = this.table;
    const row = slot * ROW_WORDS;
    if (rows[row + FLAGS] === 0) this.fetch(slot);
    const own = slot * VALUE_WORDS;
    const { values } = this;
    const currentIsZero = isZeroWord(values, own);
    const newIsCurrent = equalWords(values, own, words, at);
    let status = 0;
    if (newIsCurrent) status |= NEW_IS_CURRENT;
    if (currentIsZero) status |= CURRENT_IS_ZERO;
    if (isZeroWord(words, at)) status |= NEW_IS_ZERO;
    if (rows[row + WRITTEN_IN] !== this.transaction) {
      status |= ORIGINAL_IS_CURRENT;
      if (currentIsZero) status |= ORIGINAL_IS_ZERO;
      return newIsCurrent ? status | ORIGINAL_IS_NEW : status;
    }
    const original = own + LIMBS;
    if (equalWords(values, original, values, own)) status |= ORIGINAL_IS_CURRENT;
    if (isZeroWord(values, original)) status |= ORIGINAL_IS_ZERO;
    if (equalWords(values, original, words, at)) status |= ORIGINAL_IS_NEW;
    return status;
  }

  undoValue(slot: SlotId): void {
    this.journal.popWord(this.values, slot * VALUE_WORDS);
  }

  undoWarm(slot: SlotId): void {
    this.table.rows[slot * ROW_WORDS + WARM_IN] = 0;
  }

  /** Whether the account, which has neither nonce nor code, has a slot that is not zero. Nothing writes to the storage of such an account, so that the source's word counts. */
  hasStorage(account: AccountId): boolean {
    return this.emptied[account] === 0 && this.source.hasStorage(this.addressOf(account));
  }

  /** Sets all slots of an account to zero; at the end of a transaction, so that it is not journaled. */
  empty(account: AccountId): void {
    this.emptied[account] = 1;
    const { rows } = this.table;
    for (let next = this.last[account]!; next !== 0; next = rows[(next - 1) * ROW_WORDS + PREVIOUS]!) {
      const slot = next - 1;
      if (rows[slot * ROW_WORDS + FLAGS] === 0) continue;
      this.keepSource(slot);
      setSmall(this.values, slot * VALUE_WORDS, 0);
    }
  }

  isEmptied(account: AccountId): boolean {
    return this.emptied[account] === 1;
  }

  /** Slots that differ from the source, in the order in which they were first seen. */
  changed(): SlotValue[] {
    const out: SlotValue[] = [];
    for (let slot = 0; slot < this.table.count; slot++) if (this.isChanged(slot)) out.push(this.describe(slot, this.values, slot * VALUE_WORDS));
    return out;
  }

  /** The same, without an object for each: the arrays are overwritten by the next one. */
  visitChanged(visit: (address: Address, key: Uint8Array, value: Uint8Array) => void): void {
    for (let slot = 0; slot < this.table.count; slot++) {
      if (!this.isChanged(slot)) continue;
      writeWord(this.keyView, 0, this.table.rows, slot * ROW_WORDS);
      writeWord(this.valueView, 0, this.values, slot * VALUE_WORDS);
      visit(this.addressOf(this.table.accountOf(slot)), this.keyBytes, this.valueBytes);
    }
  }

  /** Calls `each` for each slot that was read or written, also where it was undone: its account, its key at `at` of `words`, and bits of `ACCESS`. */
  visitAccesses(each: (account: AccountId, words: Words, at: number, bits: number) => void): void {
    const { rows, count } = this.table;
    for (let row = 0; row < count * ROW_WORDS; row += ROW_WORDS) {
      const flags = rows[row + FLAGS]!;
      if (flags === 0) continue;
      each(rows[row + ROW_ACCOUNT]!, rows, row, (flags & WRITTEN) === 0 ? ACCESS.SLOT_READ : ACCESS.SLOT_READ | ACCESS.SLOT_WRITE);
    }
  }

  private isChanged(slot: SlotId): boolean {
    if ((this.table.rows[slot * ROW_WORDS + FLAGS]! & WRITTEN) === 0) return false;
    return !equalWords(this.values, slot * VALUE_WORDS, this.sources, slot * LIMBS);
  }

  /** Slots that were read from the source, with what it said. */
  read(): SlotValue[] {
    const out: SlotValue[] = [];
    for (let slot = 0; slot < this.table.count; slot++) {
      const flags = this.table.rows[slot * ROW_WORDS + FLAGS]!;
      if ((flags & FROM_SOURCE) === 0) continue;
      const written = (flags & WRITTEN) !== 0;
      out.push(written ? this.describe(slot, this.sources, slot * LIMBS) : this.describe(slot, this.values, slot * VALUE_WORDS));
    }
    return out;
  }

  private describe(slot: SlotId, words: Words, at: number): SlotValue {
    const [key, value] = [new Uint8Array(32), new Uint8Array(32)];
    toBytes(this.table.rows, slot * ROW_WORDS, key, 0);
    toBytes(words, at, value, 0);
    return { address: this.addressOf(this.table.accountOf(slot)), key, value };
  }

  /** Before a slot is first written. */
  private keepSource(slot: SlotId): void {
    const at = slot * ROW_WORDS + FLAGS;
    const flags = this.table.rows[at]!;
    if ((flags & WRITTEN) !== 0) return;
    this.table.rows[at] = flags | WRITTEN;
    copyWord(this.sources, slot * LIMBS, this.values, slot * VALUE_WORDS);
  }

  private fetch(slot: SlotId): void {
    const account = this.table.accountOf(slot);
    const flags = slot * ROW_WORDS + FLAGS;
    if (this.emptied[account] === 1) {
      this.table.rows[flags] = LOADED;
      setSmall(this.values, slot * VALUE_WORDS, 0);
      return;
    }
    this.table.rows[flags] = LOADED | FROM_SOURCE;
    writeWord(this.keyView, 0, this.table.rows, slot * ROW_WORDS);
    this.source.storage(this.addressOf(account), this.keyBytes, this.valueBytes);
    readWord(this.valueView, 0, this.values, slot * VALUE_WORDS);
  }

  private add(slot: SlotId, account: AccountId): void {
    this.values = grownUint32(this.values, (slot + 1) * VALUE_WORDS);
    this.sources = grownUint32(this.sources, (slot + 1) * LIMBS);
    this.table.rows[slot * ROW_WORDS + PREVIOUS] = this.last[account]!;
    this.last[account] = slot + 1;
  }
}
