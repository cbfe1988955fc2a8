/**
 * A copy of (part of) a shard's state in one buffer that threads share: the main thread writes it while no run is on its way, and the threads read it as a
 * {@link StateSource} without a message.
 *
 * Chosen by measurement, for 5,000 ERC-20 transfers a block over 100 k holders. To send with each batch what it will read, in transferred buffers, the main thread needs 8.2 ms to
 * hash the slots' keys and 10.7 ms to read and pack their values, before anything can run, of 45 ms that the whole block takes serially; and what was not foreseen is missing.
 * To write a block's changes into shared memory takes 5.5 ms, after the block, and threads read it at the price of a hash table. (AMD EPYC, 2 cores, busy; Node 24.21.)
 */
import { type Address, type Hash32, invariant } from '@shardlab/crosslink';
import type { SourceAccount, StateSource } from '../evm/types.ts';
import { copyWord, equalWords, fromBytes, LIMBS, toBytes } from '../evm/words/basic.ts';
import { hashAddress, hashSlot } from '../evm/world/buckets.ts';
import type { WorldChanges } from '../evm/world-state.ts';

/** Words before the tables. */
const HEADER_WORDS = 16;
const AT_ACCOUNTS = 0;
const AT_SLOTS = 1;
const AT_COMPLETE = 2;
/** An account's row: used, address (5), presence, home, hash of the code (8), nonce (2), balance (8; as 4 of 64 bits, aligned). */
const ACCOUNT_WORDS = 26;
const AT_ADDRESS = 1;
const AT_PRESENT = 6;
const AT_HOME = 7;
const AT_CODE_HASH = 8;
const AT_NONCE = 16;
const AT_BALANCE = 18;
/** A slot's row: row of the account + 1 (0: empty), key, value. */
const SLOT_WORDS = 1 + 2 * LIMBS;
/** What {@link AT_PRESENT} says: known not to be there; there without code; there with code. */
const ABSENT = 0;
const PLAIN = 1;
const CONTRACT = 2;
/** Used rows of 4. */
const LOAD_MAX = 3;
const NONE = -1;
/** Rows that there have to be for each used one, for all to fit with room to grow. */
const FITS = 2;

/** How much a {@link SharedState} holds: rows, as powers of 2, of which three in four are used. */
export interface SharedStateSize {
  readonly accountsLog2: number;
  readonly slotsLog2: number;
}

/** Bytes of the buffer that a {@link SharedState} of that size needs. */
export function sharedStateBytes({ accountsLog2, slotsLog2 }: SharedStateSize): number {
  return 4 * (HEADER_WORDS + 2 ** accountsLog2 * ACCOUNT_WORDS + 2 ** slotsLog2 * SLOT_WORDS);
}

/** Reads and, in one thread, writes the buffer. Full, it forgets everything and starts again. */
export class SharedState {
  /** Zeros at first; {@link sharedStateBytes} long. */
  readonly buffer: ArrayBufferLike;
  private readonly seed: number;
  private readonly words: Uint32Array;
  private readonly wide: BigUint64Array;
  private readonly accountMask: number;
  private readonly slotMask: number;
  private readonly slotsAt: number;
  private readonly key: Uint32Array = new Uint32Array(LIMBS);

  /** `seed`: keys the tables; the same in all threads. 32 bits. */
  constructor(options: SharedStateSize & { readonly seed: number }, buffer: ArrayBufferLike) {
    invariant(buffer.byteLength === sharedStateBytes(options), 'a shared state has the size of its tables', { bytes: buffer.byteLength });
    this.buffer = buffer;
    this.seed = options.seed | 0;
    this.words = new Uint32Array(buffer);
    this.wide = new BigUint64Array(buffer);
    this.accountMask = 2 ** options.accountsLog2 - 1;
    this.slotMask = 2 ** options.slotsLog2 - 1;
    this.slotsAt = HEADER_WORDS + 2 ** options.accountsLog2 * ACCOUNT_WORDS;
  }

  /** Whether everything is in it: then what is not, is not there. */
  get complete(): boolean {
    return this.words[AT_COMPLETE] === 1;
  }

  /** Says that everything is in it, before any block. Until it overflows. */
  markComplete(): void {
    this.words[AT_COMPLETE] = 1;
  }

  /** Whether so many accounts and slots have room, with some to grow. */
  fits(accounts: number, slots: number): boolean {
    return FITS * accounts <= this.accountMask && FITS * slots <= this.slotMask;
  }

  /** Forgets everything. */
  clear(): void {
    this.words.fill(0);
  }

  /** The row of the account; -1 if it is not known. */
  findAccount(address: Uint8Array): number {
    fromBytes(this.key, 0, address, 0, 20);
    const row = this.probeAccount();
    return this.words[row] === 0 ? NONE : row;
  }

  /** The account in a row; undefined: there is none, as the source said. `emptyHash`: keccak-256 of no bytes. */
  accountIn(row: number, emptyHash: Hash32): SourceAccount | undefined {
    const { words, wide } = this;
    const present = words[row + AT_PRESENT]!;
    if (present === ABSENT) return undefined;
    const at = (row + AT_BALANCE) >>> 1;
    let balance = wide[at]!;
    if (wide[at + 1] !== 0n) balance |= wide[at + 1]! << 64n;
    if (wide[at + 2] !== 0n) balance |= wide[at + 2]! << 128n;
    if (wide[at + 3] !== 0n) balance |= wide[at + 3]! << 192n;
    return { nonce: wide[(row + AT_NONCE) >>> 1]!, balance, codeHash: present === CONTRACT ? this.codeHashIn(row) : emptyHash };
  }

  /** Where the account in a row lives: see {@link StateSource.homeOf}. */
  homeIn(row: number): number {
    return this.words[row + AT_HOME]! | 0;
  }

  /** Writes the slot's value to `out`; false if it is not known. `row`: of the account. */
  readSlot(row: number, key: Uint8Array, out: Uint8Array): boolean {
    fromBytes(this.key, 0, key, 0, 32);
    const at = this.probeSlot(row);
    if (this.words[at] === 0) return false;
    toBytes(this.words, at + 1 + LIMBS, out, 0);
    return true;
  }

  /** Sets an account, or that there is none. `emptyHash`: keccak-256 of no bytes. */
  setAccount(address: Address, account: SourceAccount | undefined, home: number, emptyHash: Hash32): void {
    const row = this.rowFor(address);
    const { words, wide } = this;
    words[row + AT_HOME] = home;
    words[row + AT_PRESENT] = ABSENT;
    if (account === undefined) return;
    const { nonce, balance, codeHash } = account;
    const hasCode = codeHash.some((byte, index) => byte !== emptyHash[index]);
    words[row + AT_PRESENT] = hasCode ? CONTRACT : PLAIN;
    if (hasCode) fromBytes(words, row + AT_CODE_HASH, codeHash, 0, 32);
    wide[(row + AT_NONCE) >>> 1] = nonce;
    this.writeBalance(row, balance);
  }

  /** Sets a slot. An account that is not known is taken from `source` first. */
  setSlot(address: Address, key: Uint8Array, value: Uint8Array, source: Pick<StateSource, 'account' | 'homeOf'>, emptyHash: Hash32): void {
    let row = this.findAccount(address);
    if (row === NONE) {
      this.setAccount(address, source.account(address), source.homeOf(address), emptyHash);
      row = this.findAccount(address);
    }
    fromBytes(this.key, 0, key, 0, 32);
    const at = this.probeSlot(row);
    const { words } = this;
    if (words[at] === 0) {
      if (4 * (words[AT_SLOTS]! + 1) > LOAD_MAX * this.slotMask) {
        this.clear();
        this.setSlot(address, key, value, source, emptyHash);
        return;
      }
      words[AT_SLOTS] = words[AT_SLOTS]! + 1;
      words[at] = row + 1;
      copyWord(words, at + 1, this.key, 0);
    }
    fromBytes(words, at + 1 + LIMBS, value, 0, 32);
  }

  /** Follows the state: to be called with all that changed there, after it changed. `source`: the state as it is now. */
  apply(changes: WorldChanges, source: StateSource, emptyHash: Hash32): void {
    // What becomes of the slots of an account that lost its storage cannot be said row by row.
    if (changes.accounts.some(({ storageEmptied, deleted }) => storageEmptied || deleted)) {
      this.clear();
      return;
    }
    for (const { address, balance, balanceBefore, nonce, code } of changes.accounts) {
      const row = this.findAccount(address);
      if (row === NONE || code !== undefined || this.words[row + AT_PRESENT] === ABSENT) {
        this.setAccount(address, source.account(address), source.homeOf(address), emptyHash);
      } else {
        if (balance !== balanceBefore) this.writeBalance(row, balance);
        this.wide[(row + AT_NONCE) >>> 1] = nonce;
      }
    }
    for (const { address, key, value } of changes.slots) this.setSlot(address, key, value, source, emptyHash);
  }

  private writeBalance(row: number, balance: bigint): void {
    const at = (row + AT_BALANCE) >>> 1;
    const { wide } = this;
    // An element takes a bigint modulo 2^64.
    wide[at] = balance;
    wide[at + 1] = balance >> 64n;
    wide[at + 2] = balance >> 128n;
    wide[at + 3] = balance >> 192n;
  }

  private codeHashIn(row: number): Hash32 {
    const hash = new Uint8Array(32);
    toBytes(this.words, row + AT_CODE_HASH, hash, 0);
    return hash as Hash32;
  }

  private rowFor(address: Address): number {
    fromBytes(this.key, 0, address, 0, 20);
    const { words } = this;
    let row = this.probeAccount();
    if (words[row] !== 0) return row;
    if (4 * (words[AT_ACCOUNTS]! + 1) > LOAD_MAX * this.accountMask) {
      this.clear();
      row = this.probeAccount();
    }
    words[AT_ACCOUNTS] = words[AT_ACCOUNTS]! + 1;
    words[row] = 1;
    for (let i = 0; i < 5; i++) words[row + AT_ADDRESS + i] = this.key[i]!;
    return row;
  }

  /** The row of the address in `key`, or the empty one where it would go. */
  private probeAccount(): number {
    const { words, key, accountMask } = this;
    let bucket = hashAddress(this.seed, key, 0) & accountMask;
    for (;;) {
      const row = HEADER_WORDS + bucket * ACCOUNT_WORDS;
      if (words[row] === 0) return row;
      const at = row + AT_ADDRESS;
      if (words[at] === key[0] && words[at + 1] === key[1] && words[at + 2] === key[2] && words[at + 3] === key[3] && words[at + 4] === key[4]) return row;
      bucket = (bucket + 1) & accountMask;
    }
  }

  /** The row of the slot whose key is in `key`, or the empty one where it would go. */
  private probeSlot(account: number): number {
    const { words, key, slotMask, slotsAt } = this;
    let bucket = hashSlot(this.seed, account, key, 0) & slotMask;
    for (;;) {
      const at = slotsAt + bucket * SLOT_WORDS;
      if (words[at] === 0 || (words[at] === account + 1 && equalWords(words, at + 1, key, 0))) return at;
      bucket = (bucket + 1) & slotMask;
    }
  }
}

/** The state as a thread reads it: from the {@link SharedState}, and from `fallback` what is not there. */
export class SharedSource implements StateSource {
  private readonly shared: SharedState;
  private readonly fallback: StateSource;
  private readonly emptyHash: Hash32;
  private lastAddress: Address | undefined;
  private lastRow = NONE;

  /** `emptyHash`: keccak-256 of no bytes. */
  constructor(options: { readonly emptyHash: Hash32 }, modules: { readonly shared: SharedState; readonly fallback: StateSource }) {
    this.emptyHash = options.emptyHash;
    this.shared = modules.shared;
    this.fallback = modules.fallback;
  }

  /** Must be called before each run: what was found where may have changed since. */
  refresh(): void {
    this.lastAddress = undefined;
  }

  account(address: Address): SourceAccount | undefined {
    const row = this.shared.findAccount(address);
    if (row !== NONE) return this.shared.accountIn(row, this.emptyHash);
    return this.shared.complete ? undefined : this.fallback.account(address);
  }

  code(codeHash: Hash32): Uint8Array {
    return this.fallback.code(codeHash);
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    // By identity: a world hands over one array per address.
    if (address !== this.lastAddress) {
      this.lastAddress = address;
      this.lastRow = this.shared.findAccount(address);
    }
    if (this.lastRow !== NONE && this.shared.readSlot(this.lastRow, key, out)) return;
    if (this.shared.complete) out.fill(0);
    else this.fallback.storage(address, key, out);
  }

  hasStorage(address: Address): boolean {
    return this.fallback.hasStorage(address);
  }

  homeOf(address: Address): number {
    const row = this.shared.findAccount(address);
    return row === NONE ? this.fallback.homeOf(address) : this.shared.homeIn(row);
  }
}
