import type { AccountId, Words } from '../types.ts';
import { copyWord, equalWords, LIMBS, setSmall } from '../words/basic.ts';
import { grownUint32 } from './columns.ts';
import { ENTRY, type Journal } from './journal.ts';
import { SlotTable } from './slot-table.ts';

const SLOTS_START = 64;

/** Transient storage (EIP-1153): zero at the start of each transaction. */
export class TransientSlots {
  private readonly table: SlotTable;
  private readonly journal: Journal;
  private values: Uint32Array = new Uint32Array(SLOTS_START * LIMBS);

  constructor(options: { readonly seed: number }, modules: { readonly journal: Journal }) {
    this.table = new SlotTable(options.seed);
    this.journal = modules.journal;
  }

  clear(): void {
    if (this.table.count !== 0) this.table.clear();
  }

  load(account: AccountId, key: Words, keyAt: number, out: Words, outAt: number): void {
    const slot = this.table.find(account, key, keyAt);
    if (slot < 0) setSmall(out, outAt, 0);
    else copyWord(out, outAt, this.values, slot * LIMBS);
  }

  store(account: AccountId, key: Words, keyAt: number, value: Words, valueAt: number): void {
    const { count } = this.table;
    const slot = this.table.intern(account, key, keyAt);
    const own = slot * LIMBS;
    if (slot === count) {
      this.values = grownUint32(this.values, own + LIMBS);
      setSmall(this.values, own, 0);
    }
    if (equalWords(this.values, own, value, valueAt)) return;
    this.journal.pushWord(ENTRY.TRANSIENT_VALUE, slot, this.values, own);
    copyWord(this.values, own, value, valueAt);
  }

  undo(slot: number): void {
    this.journal.popWord(this.values, slot * LIMBS);
  }
}
