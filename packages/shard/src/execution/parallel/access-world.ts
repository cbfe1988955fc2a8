import { type Address, equalBytes, type Hash32, type Hasher } from '@shardlab/crosslink';
import type { Code, CodeCache } from '../evm/code.ts';
import type { AccountId, SlotId, StateSource, Words } from '../evm/types.ts';
import { copyWord, LIMBS } from '../evm/words/basic.ts';
import { grownInt32, grownUint32, grownUint8 } from '../evm/world/columns.ts';
import { WorldState } from '../evm/world-state.ts';
import { ACCESS, ACCESS_WORDS, ACCOUNT_READ, ACCOUNT_WRITE, accountHigh, accountLow, slotHash } from './access.ts';

const START = 256;

/**
 * A {@link WorldState} that notes what its transactions touch, one by one: every part of an account and every slot that an outcome may rest on, and everything that was
 * written, also in between and where it was undone. It notes rather too much: then a conflict is seen that is none.
 */
export class AccessWorld extends WorldState {
  private readonly emptyHash: Hash32;
  private readonly seed: number;
  private notedAccounts = 0;
  private notedSlots = 0;
  private accountBits: Uint8Array = new Uint8Array(START);
  private accountHashes: Int32Array = new Int32Array(2 * START);
  /** Number of the transaction in which the account was last touched, from 1. */
  private accountSeen: Int32Array = new Int32Array(START);
  private slotBits: Uint8Array = new Uint8Array(START);
  private slotHashes: Int32Array = new Int32Array(2 * START);
  private slotAccounts: Int32Array = new Int32Array(START);
  private slotKeys: Uint32Array = new Uint32Array(START * LIMBS);
  /** Accounts (n) and slots (-1 - n) in the order in which transactions touched them, and where each transaction's begin. */
  private touches: Int32Array = new Int32Array(4 * START);
  private touchCount = 0;
  private touchStarts: Int32Array = new Int32Array(START);
  private current = 0;
  private readonly touchedForNothing: AccountId[] = [];
  private readonly scratch: Uint32Array = new Uint32Array(LIMBS);

  /** `seed`: keys the hashes of places and of tables; the same in all worlds whose accesses are compared. 32 bits. */
  constructor(source: StateSource, crypto: Pick<Hasher, 'keccak256'>, codeCache: CodeCache, options: { readonly seed: number }) {
    super(source, crypto, codeCache, { hashSeed: options.seed });
    this.seed = options.seed | 0;
    this.emptyHash = crypto.keccak256(new Uint8Array(0));
  }

  /** Forgets everything, as {@link WorldState.reset}. */
  override reset(source: StateSource): void {
    super.reset(source);
    this.notedAccounts = 0;
    this.notedSlots = 0;
    this.touchCount = 0;
    this.current = 0;
    this.touchedForNothing.length = 0;
  }

  /** To be called before each transaction: what is touched from now on is that one's. */
  openTransaction(): void {
    this.touchStarts = grownInt32(this.touchStarts, this.current + 1);
    this.touchStarts[this.current++] = this.touchCount;
    this.touchedForNothing.length = 0;
  }

  override accountAt(words: Words, at: number): AccountId {
    const account = super.accountAt(words, at);
    if (account >= this.notedAccounts) this.noteAccount(account);
    return account;
  }

  override accountOf(address: Address): AccountId {
    const account = super.accountOf(address);
    if (account >= this.notedAccounts) this.noteAccount(account);
    return account;
  }

  override slotAt(account: AccountId, words: Words, at: number): SlotId {
    const slot = super.slotAt(account, words, at);
    if (slot >= this.notedSlots) this.noteSlot(slot, account, words, at);
    return slot;
  }

  /** Where an account lives rests on whether it is here, which creation alone can change in a block. */
  override homeOf(account: AccountId): number {
    this.mark(account, ACCESS.CODE_READ);
    return super.homeOf(account);
  }

  /** Before a slot is read or written it is made warm: the first time in a transaction is noted here, and costs the later times nothing. */
  override warmSlot(slot: SlotId): boolean {
    if (!super.warmSlot(slot)) return false;
    this.slotBits[slot] = this.slotBits[slot]! | ACCESS.SLOT_READ;
    this.push(-1 - slot);
    return true;
  }

  override storeSlot(slot: SlotId, words: Words, at: number): void {
    this.slotBits[slot] = this.slotBits[slot]! | ACCESS.SLOT_WRITE;
    super.storeSlot(slot, words, at);
  }

  /** Not empty because of its code: then nothing else was looked at. */
  override isEmpty(account: AccountId): boolean {
    this.markExistence(account);
    return super.isEmpty(account);
  }

  override exists(account: AccountId): boolean {
    this.markExistence(account);
    return super.exists(account);
  }

  override balance(account: AccountId): bigint {
    this.mark(account, ACCESS.BALANCE_READ);
    return super.balance(account);
  }

  override balanceInto(account: AccountId, words: Words, at: number): void {
    this.mark(account, ACCESS.BALANCE_READ);
    super.balanceInto(account, words, at);
  }

  override addBalance(account: AccountId, wei: bigint): void {
    if (wei === 0n) this.touchedForNothing.push(account);
    else this.mark(account, ACCESS.BALANCE_ADD);
    super.addBalance(account, wei);
  }

  override subBalance(account: AccountId, wei: bigint): void {
    if (wei === 0n) this.touchedForNothing.push(account);
    else this.mark(account, ACCESS.BALANCE_ADD);
    super.subBalance(account, wei);
  }

  override touch(account: AccountId): void {
    this.touchedForNothing.push(account);
    super.touch(account);
  }

  override nonce(account: AccountId): bigint {
    this.mark(account, ACCESS.NONCE_READ);
    return super.nonce(account);
  }

  override setNonce(account: AccountId, nonce: bigint): void {
    this.mark(account, ACCESS.NONCE_WRITE);
    super.setNonce(account, nonce);
  }

  override code(account: AccountId): Code {
    this.mark(account, ACCESS.CODE_READ);
    return super.code(account);
  }

  override codeHash(account: AccountId): Hash32 {
    this.mark(account, ACCESS.CODE_READ);
    return super.codeHash(account);
  }

  override setCode(account: AccountId, bytes: Uint8Array): void {
    this.mark(account, ACCESS.CODE_WRITE);
    super.setCode(account, bytes);
  }

  override hasCodeOrNonceOrStorage(account: AccountId): boolean {
    this.mark(account, ACCOUNT_READ);
    return super.hasCodeOrNonceOrStorage(account);
  }

  override markCreated(account: AccountId): void {
    this.mark(account, ACCOUNT_WRITE);
    super.markCreated(account);
  }

  override selfDestruct(account: AccountId): void {
    this.mark(account, ACCOUNT_WRITE);
    super.selfDestruct(account);
  }

  /**
   * What is touched and empty is removed (EIP-161): only what is of a state before EIP-161 can be empty and there. What is not empty now can become so only through one who
   * reads its balance, and on the absence of what was absent before nothing rests.
   */
  override endTransaction(): void {
    for (const account of this.touchedForNothing) if (super.isEmpty(account) && super.exists(account)) this.mark(account, ACCOUNT_READ | ACCOUNT_WRITE);
    super.endTransaction();
  }

  /** All accesses, {@link ACCESS_WORDS} each: accounts by number, then slots. */
  accesses(): Int32Array<ArrayBuffer> {
    const out = new Int32Array((this.notedAccounts + this.notedSlots) * ACCESS_WORDS);
    let at = 0;
    for (let account = 0; account < this.notedAccounts; account++, at += ACCESS_WORDS) {
      out[at] = this.accountHashes[2 * account]!;
      out[at + 1] = this.accountHashes[2 * account + 1]!;
      out[at + 2] = this.accountBits[account]!;
    }
    for (let slot = 0; slot < this.notedSlots; slot++, at += ACCESS_WORDS) {
      out[at] = this.slotHashes[2 * slot]!;
      out[at + 1] = this.slotHashes[2 * slot + 1]!;
      out[at + 2] = this.slotBits[slot]!;
    }
    return out;
  }

  /** Which accesses (by their place in {@link accesses}) each transaction has: the transactions' starts, one more for the end, and then the list. */
  touched(): Int32Array<ArrayBuffer> {
    const start = this.current + 1;
    const out = new Int32Array(start + this.touchCount);
    for (let i = 0; i < this.current; i++) out[i] = start + this.touchStarts[i]!;
    out[this.current] = start + this.touchCount;
    for (let i = 0; i < this.touchCount; i++) {
      const place = this.touches[i]!;
      out[start + i] = place >= 0 ? place : this.notedAccounts - 1 - place;
    }
    return out;
  }

  /** Calls `each` for each slot that the transaction that was opened last has touched. */
  slotsOfLast(each: (account: AccountId, keys: Words, keyAt: number, bits: number) => void): void {
    for (let i = this.touchStarts[this.current - 1]!; i < this.touchCount; i++) {
      const slot = -1 - this.touches[i]!;
      if (slot >= 0) each(this.slotAccounts[slot]!, this.slotKeys, slot * LIMBS, this.slotBits[slot]!);
    }
  }

  private mark(account: AccountId, bits: number): void {
    this.accountBits[account] = this.accountBits[account]! | bits;
    if (this.accountSeen[account] === this.current) return;
    this.accountSeen[account] = this.current;
    this.push(account);
  }

  private markExistence(account: AccountId): void {
    if (!equalBytes(super.codeHash(account), this.emptyHash)) this.mark(account, ACCESS.CODE_READ);
    else if (super.nonce(account) !== 0n) this.mark(account, ACCESS.CODE_READ | ACCESS.NONCE_READ);
    else this.mark(account, ACCOUNT_READ);
  }

  private push(place: number): void {
    this.touches = grownInt32(this.touches, this.touchCount + 1);
    this.touches[this.touchCount++] = place;
  }

  private noteAccount(account: AccountId): void {
    this.notedAccounts = account + 1;
    this.accountBits = grownUint8(this.accountBits, account + 1);
    this.accountHashes = grownInt32(this.accountHashes, 2 * account + 2);
    this.accountSeen = grownInt32(this.accountSeen, account + 1);
    this.accountBits[account] = 0;
    this.accountSeen[account] = 0;
    this.addressInto(account, this.scratch, 0);
    this.accountHashes[2 * account] = accountLow(this.seed, this.scratch, 0);
    this.accountHashes[2 * account + 1] = accountHigh(this.seed, this.scratch, 0);
  }

  private noteSlot(slot: SlotId, account: AccountId, words: Words, at: number): void {
    this.notedSlots = slot + 1;
    this.slotBits = grownUint8(this.slotBits, slot + 1);
    this.slotHashes = grownInt32(this.slotHashes, 2 * slot + 2);
    this.slotAccounts = grownInt32(this.slotAccounts, slot + 1);
    this.slotKeys = grownUint32(this.slotKeys, (slot + 1) * LIMBS);
    this.slotBits[slot] = 0;
    this.slotAccounts[slot] = account;
    copyWord(this.slotKeys, slot * LIMBS, words, at);
    this.slotHashes[2 * slot] = slotHash(this.accountHashes[2 * account]!, words, at);
    this.slotHashes[2 * slot + 1] = slotHash(this.accountHashes[2 * account + 1]!, words, at);
  }
}
