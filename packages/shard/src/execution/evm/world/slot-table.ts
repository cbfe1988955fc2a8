import type { AccountId, SlotId, Words } from '../types.ts';
import { copyWord, LIMBS } from '../words/basic.ts';
import { Buckets, hashSlot } from './buckets.ts';
import { grownUint32 } from './columns.ts';

const SLOTS_START = 512;

/** Words of a row in {@link SlotTable.rows}: a line of the processor's cache, because slots are met in no order. */
export const ROW_WORDS = 16;
/** Place of the account in a row, behind the 8 limbs of the key. */
export const ROW_ACCOUNT: number = LIMBS;
/** First word of a row that is the table's owner's; zero in a new row. */
export const ROW_FREE = 9;

/** Numbers pairs of an account and a 256-bit key. */
export class SlotTable {
  /** By slot: the key, the account, and 7 words for the owner. */
  rows: Uint32Array = new Uint32Array(SLOTS_START * ROW_WORDS);
  private readonly buckets = new Buckets();
  private readonly seed: number;
  private readonly hashOf = (id: SlotId): number => hashSlot(this.seed, this.accountOf(id), this.rows, id * ROW_WORDS);

  constructor(seed: number) {
    this.seed = seed;
  }

  /** Slots that have a number. */
  get count(): number {
    return this.buckets.count;
  }

  /** The number of a slot, which it now gets if it had none: then it is the old `count`. */
  intern(account: AccountId, words: Words, at: number): SlotId {
    const hash = hashSlot(this.seed, account, words, at);
    const bucket = this.probe(hash, account, words, at);
    const id = this.buckets.table[2 * bucket + 1]! - 1;
    return id >= 0 ? id : this.add(bucket, hash, account, words, at);
  }

  /** The number of a slot; -1 if it has none. */
  find(account: AccountId, words: Words, at: number): SlotId {
    const bucket = this.probe(hashSlot(this.seed, account, words, at), account, words, at);
    return this.buckets.table[2 * bucket + 1]! - 1;
  }

  accountOf(slot: SlotId): AccountId {
    return this.rows[slot * ROW_WORDS + ROW_ACCOUNT]!;
  }

  clear(): void {
    this.buckets.clear(this.hashOf);
  }

  /** By differences of limbs, not by comparing them: what is above 2^31 would be compared as a double. */
  private holds(row: number, account: AccountId, words: Words, at: number): boolean {
    const { rows } = this;
    const low = (rows[row]! ^ words[at]!) | (rows[row + 1]! ^ words[at + 1]!) | (rows[row + 2]! ^ words[at + 2]!) | (rows[row + 3]! ^ words[at + 3]!);
    const high = (rows[row + 4]! ^ words[at + 4]!) | (rows[row + 5]! ^ words[at + 5]!) | (rows[row + 6]! ^ words[at + 6]!) | (rows[row + 7]! ^ words[at + 7]!);
    return (low | high | (rows[row + ROW_ACCOUNT]! ^ account)) === 0;
  }

  /** The bucket of the slot, or the empty one where it would go. */
  private probe(hash: number, account: AccountId, words: Words, at: number): number {
    const { table, mask } = this.buckets;
    let bucket = hash & mask;
    for (;;) {
      const id = table[2 * bucket + 1]! - 1;
      if (id < 0) return bucket;
      if (table[2 * bucket] === hash && this.holds(id * ROW_WORDS, account, words, at)) return bucket;
      bucket = (bucket + 1) & mask;
    }
  }

  private add(bucket: number, hash: number, account: AccountId, words: Words, at: number): SlotId {
    const id = this.buckets.add(bucket, hash);
    const row = id * ROW_WORDS;
    const rows = grownUint32(this.rows, row + ROW_WORDS);
    this.rows = rows;
    copyWord(rows, row, words, at);
    rows[row + ROW_ACCOUNT] = account;
    rows.fill(0, row + ROW_FREE, row + ROW_WORDS);
    return id;
  }
}
