import type { Words } from '../types.ts';
import { LIMBS } from '../words/basic.ts';

const WORDS_START = 4096;
/** Most old values that stay in memory when all is forgotten: setting a list's length to 0 throws its memory away. */
const KEEP_BIGINTS = 64;

/** What an entry of the journal undoes. */
export const ENTRY = {
  SLOT_VALUE: 0,
  SLOT_WARM: 1,
  TRANSIENT_VALUE: 2,
  ACCOUNT_WARM: 3,
  BALANCE: 4,
  NONCE: 5,
  CODE: 6,
  CREATED: 7,
  DESTROYED: 8,
  TOUCHED: 9,
  REFUND: 10,
  LOG: 11,
  CREDIT: 12,
} as const;

/**
 * What changed in a transaction, newest last, so that it can be undone to any earlier length. Entries are words in one array, the kind last: they are read backwards.
 * Bounded by the transaction's gas: nothing that adds an entry is free.
 */
export class Journal {
  /** Words that are in use; the snapshot that revertTo takes. */
  length = 0;
  private words: Uint32Array = new Uint32Array(WORDS_START);
  /** Numbers that are wider than a word, and objects, stand beside. */
  private readonly bigints: bigint[] = [];
  private bigintCount = 0;

  clear(): void {
    this.length = 0;
    this.bigintCount = 0;
    if (this.bigints.length > KEEP_BIGINTS) this.bigints.length = 0;
  }

  /** An entry of a kind and a number. */
  push(kind: number, id: number): void {
    if (this.length + 2 > this.words.length) this.grow();
    this.words[this.length] = id;
    this.words[this.length + 1] = kind;
    this.length += 2;
  }

  /** An entry with an old value. */
  pushBigint(kind: number, id: number, old: bigint): void {
    this.bigints[this.bigintCount++] = old;
    this.push(kind, id);
  }

  /** An entry with the old value of a word. */
  pushWord(kind: number, id: number, words: Words, at: number): void {
    if (this.length + LIMBS + 2 > this.words.length) this.grow();
    const own = this.words;
    const { length } = this;
    own[length] = words[at]!;
    own[length + 1] = words[at + 1]!;
    own[length + 2] = words[at + 2]!;
    own[length + 3] = words[at + 3]!;
    own[length + 4] = words[at + 4]!;
    own[length + 5] = words[at + 5]!;
    own[length + 6] = words[at + 6]!;
    own[length + 7] = words[at + 7]!;
    own[length + 8] = id;
    own[length + 9] = kind;
    this.length = length + LIMBS + 2;
  }

  /** Takes the last word. */
  pop(): number {
    return this.words[--this.length]!;
  }

  /** Takes the old value of the last entry that has one. */
  popBigint(): bigint {
    return this.bigints[--this.bigintCount]!;
  }

  /** Takes the last word of 8 limbs into `words`. */
  popWord(words: Words, at: number): void {
    this.length -= LIMBS;
    for (let i = 0; i < LIMBS; i++) words[at + i] = this.words[this.length + i]!;
  }

  private grow(): void {
    const grown = new Uint32Array(2 * this.words.length);
    grown.set(this.words);
    this.words = grown;
  }
}
