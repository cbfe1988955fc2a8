import { type Address, invariant } from '@shardlab/crosslink';
import type { EvmTransaction, Footprint } from '@shardlab/shard';

/** Places are counted in units of this many words, so that a record's numbers of 64 bits are aligned. */
const UNIT_WORDS = 2;
/** The first unit says how far the ring was written: the lower half of the next record's place. */
const AT_NEXT = 0;
/** A record's words: its length in words, length of the footprint. The footprint follows, and behind it, aligned, the transaction: */
const AT_LENGTH = 0;
const AT_FOOTPRINT = 1;
const HEADER_WORDS = 2;
/** type and flags; length of the data in bytes; six amounts as numbers of 64 bits; sender; recipient; data. */
const AT_KIND = 0;
const AT_DATA_LENGTH = 1;
const AT_AMOUNTS = 2;
const AMOUNTS = 6;
const AT_SENDER = AT_AMOUNTS + 2 * AMOUNTS;
const AT_TO = AT_SENDER + 5;
const AT_DATA = AT_TO + 5;
const ADDRESS_BYTES = 20;
const HAS_TO = 0x100;
const HAS_CHAIN = 0x200;
/** A record takes at most this part of the arena. */
const RECORD_PART = 1 / 16;
const NONE = -1;
const NO_LIST: readonly never[] = [];
const AMOUNT_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/** Amounts of a transaction in the order in which they are kept. */
function amountsOf(tx: EvmTransaction): readonly bigint[] {
  return [tx.nonce, tx.gasLimit, tx.maxFeePerGas, tx.maxPriorityFeePerGas, tx.value, tx.chainId ?? 0n];
}

/** Whether a transaction has no more than calls usually have, and amounts that a number holds. */
function isPlain(tx: EvmTransaction): boolean {
  if (tx.type === 3 || tx.type === 4 || tx.accessList.length > 0) return false;
  return amountsOf(tx).every((amount) => amount <= AMOUNT_MAX);
}

/**
 * Transactions that wait for their blocks, with what they are predicted to touch, in memory that threads share: what a block sends to threads is where they stand. A ring: the
 * oldest make room. One thread writes. Transactions with access lists, authorizations or large amounts are not kept here.
 *
 * By measurement: 5,000 transactions beside each other in one array are looked through in a third of the time of 5,000 objects with arrays of their own.
 */
export class TransactionArena {
  /** All records. */
  readonly words: Int32Array;
  private readonly numbers: Float64Array;
  private readonly bytes: Uint8Array;
  private readonly units: number;
  /** Place of the next record, in units, since the beginning; the ring's remainder is where it stands. */
  private next = 0;
  /** Nothing at or behind this place may be overwritten. */
  private pinned = Infinity;

  /** `buffer`: zeros at first; its length is a multiple of 8. */
  constructor(buffer: ArrayBufferLike) {
    this.words = new Int32Array(buffer);
    this.numbers = new Float64Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.units = this.words.length / UNIT_WORDS - 1;
  }

  /** Keeps a transaction. Returns its place; undefined where it cannot be kept, or would overwrite what is pinned. */
  put(tx: EvmTransaction, footprint: Footprint | undefined): number | undefined {
    if (!isPlain(tx)) return undefined;
    const footprintWords = footprint?.length ?? 0;
    const body = aligned(HEADER_WORDS + footprintWords);
    const length = body + aligned(AT_DATA + Math.ceil(tx.data.length / 4));
    if (length > RECORD_PART * this.words.length) return undefined;
    const lengthUnits = length / UNIT_WORDS;
    let place = this.next;
    const left = this.units - (place % this.units);
    // A record is in one piece.
    if (left < lengthUnits) place += left;
    if (place + lengthUnits - this.units > this.pinned) return undefined;
    this.next = place + lengthUnits;
    const at = this.at(place);
    const { words } = this;
    // First: whoever copies at the same time what stood there finds out by this.
    Atomics.store(words, AT_NEXT, this.next | 0);
    words[at + AT_LENGTH] = length;
    words[at + AT_FOOTPRINT] = footprintWords;
    if (footprint !== undefined) words.set(footprint, at + HEADER_WORDS);
    this.write(tx, at + body);
    return place;
  }

  /** Whether the record at that place is still there. */
  has(place: number): boolean {
    return place >= this.next - this.units;
  }

  /** From now on nothing is overwritten that stands at that place or was put there later; Infinity: everything may be. */
  pin(place: number): void {
    this.pinned = place;
  }

  /** Where in {@link words} the length of the transaction's footprint stands, which follows; -1: it has none. The record must be there. */
  footprintAt(place: number): number {
    const at = this.at(place) + AT_FOOTPRINT;
    return this.words[at] === 0 ? NONE : at;
  }

  /** Copies of the transactions at those places, for any thread; undefined if one of them was overwritten. */
  read(places: Float64Array): EvmTransaction[] | undefined {
    const { words } = this;
    let total = 0;
    let oldest = Infinity;
    for (const place of places) {
      const length = words[this.at(place)]!;
      // Not what was put there.
      if (length < HEADER_WORDS + AT_DATA || length > RECORD_PART * words.length) return undefined;
      total += length;
      oldest = Math.min(oldest, place);
    }
    const copy = new RecordCopy(total);
    for (const place of places) if (!copy.take(words, this.at(place))) return undefined;
    const written = (Atomics.load(words, AT_NEXT) - oldest) | 0;
    return places.length === 0 || (written > 0 && written <= this.units) ? copy.transactions() : undefined;
  }

  private at(place: number): number {
    return (1 + (place % this.units)) * UNIT_WORDS;
  }

  private write(tx: EvmTransaction, at: number): void {
    const { words, numbers, bytes } = this;
    words[at + AT_KIND] = tx.type | (tx.to === undefined ? 0 : HAS_TO) | (tx.chainId === undefined ? 0 : HAS_CHAIN);
    words[at + AT_DATA_LENGTH] = tx.data.length;
    const amounts = amountsOf(tx);
    for (let i = 0; i < AMOUNTS; i++) numbers[(at + AT_AMOUNTS) / 2 + i] = Number(amounts[i]);
    bytes.set(tx.sender, 4 * (at + AT_SENDER));
    if (tx.to !== undefined) bytes.set(tx.to, 4 * (at + AT_TO));
    bytes.set(tx.data, 4 * (at + AT_DATA));
  }
}

/** Records back to back in memory that is not shared, and the transactions in them. */
class RecordCopy {
  private readonly words: Int32Array;
  private readonly numbers: Float64Array;
  private readonly buffer: ArrayBuffer;
  private end = 0;
  private readonly amounts: number[] = [0, 0, 0, 0, 0, 0];
  /** The same as bigints: most transactions have those of the one before. */
  private readonly bigs: bigint[] = [0n, 0n, 0n, 0n, 0n, 0n];
  private to: Address | undefined;
  private toAt = 0;

  constructor(words: number) {
    this.buffer = new ArrayBuffer(4 * words);
    this.words = new Int32Array(this.buffer);
    this.numbers = new Float64Array(this.buffer);
  }

  /** Copies the record at `at`; false if it has another length than it had. */
  take(from: Int32Array, at: number): boolean {
    const { words, end } = this;
    const length = from[at + AT_LENGTH]!;
    if (end + length > words.length || at + length > from.length) return false;
    words[end] = length;
    for (let i = 1; i < length; i++) words[end + i] = from[at + i]!;
    this.end = end + length;
    return true;
  }

  transactions(): EvmTransaction[] {
    const out: EvmTransaction[] = [];
    for (let at = 0; at < this.end; at += this.words[at + AT_LENGTH]!) out.push(this.read(at + aligned(HEADER_WORDS + this.words[at + AT_FOOTPRINT]!)));
    return out;
  }

  private read(at: number): EvmTransaction {
    const { words, buffer, bigs } = this;
    const kind = words[at + AT_KIND]!;
    const type = kind & 0xff;
    invariant(type === 0 || type === 1 || type === 2, 'a record has a type');
    for (let i = 0; i < AMOUNTS; i++) this.amount(i, this.numbers[(at + AT_AMOUNTS) / 2 + i]!);
    return {
      type,
      sender: new Uint8Array(buffer, 4 * (at + AT_SENDER), ADDRESS_BYTES) as Address,
      nonce: bigs[0]!,
      gasLimit: bigs[1]!,
      maxFeePerGas: bigs[2]!,
      maxPriorityFeePerGas: bigs[3]!,
      value: bigs[4]!,
      chainId: (kind & HAS_CHAIN) === 0 ? undefined : bigs[5]!,
      to: (kind & HAS_TO) === 0 ? undefined : this.recipient(at + AT_TO),
      data: new Uint8Array(buffer, 4 * (at + AT_DATA), words[at + AT_DATA_LENGTH]),
      accessList: NO_LIST,
      blobHashes: NO_LIST,
      maxFeePerBlobGas: 0n,
      authorizations: NO_LIST,
    };
  }

  private amount(index: number, value: number): void {
    if (this.amounts[index] === value) return;
    this.amounts[index] = value;
    this.bigs[index] = BigInt(value);
  }

  /** One array for those that follow each other and are the same. */
  private recipient(at: number): Address {
    const { words, toAt } = this;
    let same = this.to !== undefined;
    for (let i = 0; i < ADDRESS_BYTES / 4 && same; i++) same = words[at + i] === words[toAt + i];
    if (!same) {
      this.toAt = at;
      this.to = new Uint8Array(this.buffer, 4 * at, ADDRESS_BYTES) as Address;
    }
    return this.to!;
  }
}

function aligned(words: number): number {
  return Math.ceil(words / UNIT_WORDS) * UNIT_WORDS;
}
