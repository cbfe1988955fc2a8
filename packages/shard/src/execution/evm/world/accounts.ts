import { type Address, equalBytes, type Hash32, type Hasher } from '@shardlab/crosslink';
import { type Code, type CodeCache, EMPTY_CODE } from '../code.ts';
import { type AccountId, HERE, type SourceAccount, type StateSource } from '../types.ts';
import { ACCESS, ACCOUNT_READ, ACCOUNT_WRITE, MADE, OBSERVED } from './access-bits.ts';
import type { AccountChange, AccountRead } from './account-records.ts';
import { grownInt32, grownUint32, grownUint8, KEEP_ACCOUNTS } from './columns.ts';
import { ENTRY, type Journal } from './journal.ts';

export type { AccountChange, AccountRead } from './account-records.ts';

const ACCOUNTS_START = 256;
/** In the column of homes: not asked yet. */
const UNKNOWN_HOME = -2;
/** In the column of warmth: in every transaction. */
const ALWAYS = 0xffff_ffff;

const NO_CODE = new Uint8Array(0);

/** Accounts over a {@link StateSource}, in columns by account. */
export class Accounts {
  private source: StateSource;
  private readonly crypto: Pick<Hasher, 'keccak256'>;
  private readonly codeCache: CodeCache;
  private readonly journal: Journal;
  private readonly addressOf: (account: AccountId) => Address;
  private readonly emptyHash: Hash32;
  private transaction = 0;
  private count = 0;
  private readonly sources: (SourceAccount | undefined)[] = [];
  private readonly nonces: bigint[] = [];
  private readonly balances: bigint[] = [];
  private readonly hashes: Hash32[] = [];
  /** undefined: not asked for yet. */
  private readonly codes: (Code | undefined)[] = [];
  private readonly oldCodes: { readonly hash: Hash32; readonly code: Code | undefined }[] = [];
  private loaded: Uint8Array = new Uint8Array(ACCOUNTS_START);
  /** Bits of what was read, and written, also where it was undone. */
  private reads: Uint8Array = new Uint8Array(ACCOUNTS_START);
  /** 1: the state had it at the start of the transaction. Such an account exists even if it is empty, until a transaction that touched it ends. */
  private present: Uint8Array = new Uint8Array(ACCOUNTS_START);
  private homes: Int32Array = new Int32Array(ACCOUNTS_START);
  private warmIn: Uint32Array = new Uint32Array(ACCOUNTS_START);
  private createdIn: Uint32Array = new Uint32Array(ACCOUNTS_START);
  private destroyedIn: Uint32Array = new Uint32Array(ACCOUNTS_START);
  private touchedIn: Uint32Array = new Uint32Array(ACCOUNTS_START);
  /** Accounts of this transaction that are touched, and those that are to be deleted. */
  private readonly touched: AccountId[] = [];
  private touchedCount = 0;
  private readonly destroyed: AccountId[] = [];

  constructor(modules: {
    readonly source: StateSource;
    readonly crypto: Pick<Hasher, 'keccak256'>;
    readonly codeCache: CodeCache;
    readonly journal: Journal;
    readonly addressOf: (account: AccountId) => Address;
  }) {
    this.source = modules.source;
    this.crypto = modules.crypto;
    this.codeCache = modules.codeCache;
    this.journal = modules.journal;
    this.addressOf = modules.addressOf;
    this.emptyHash = modules.crypto.keccak256(NO_CODE);
  }

  reset(source: StateSource): void {
    this.source = source;
    const { count } = this;
    this.count = 0;
    if (count <= KEEP_ACCOUNTS) return;
    for (const column of [this.sources, this.nonces, this.balances, this.hashes, this.codes]) column.length = 0;
  }

  begin(transaction: number): void {
    this.transaction = transaction;
    this.touchedCount = 0;
    if (this.touched.length > KEEP_ACCOUNTS) this.touched.length = 0;
    if (this.destroyed.length !== 0) this.destroyed.length = 0;
    if (this.oldCodes.length !== 0) this.oldCodes.length = 0;
  }

  /** To be called for each new account. */
  addAccount(account: AccountId): void {
    const accounts = account + 1;
    this.count = accounts;
    this.loaded = grownUint8(this.loaded, accounts);
    this.reads = grownUint8(this.reads, accounts);
    this.present = grownUint8(this.present, accounts);
    this.homes = grownInt32(this.homes, accounts);
    this.warmIn = grownUint32(this.warmIn, accounts);
    this.createdIn = grownUint32(this.createdIn, accounts);
    this.destroyedIn = grownUint32(this.destroyedIn, accounts);
    this.touchedIn = grownUint32(this.touchedIn, accounts);
    this.loaded[account] = 0;
    this.reads[account] = 0;
    this.present[account] = 0;
    this.homes[account] = UNKNOWN_HOME;
    this.warmIn[account] = 0;
    this.createdIn[account] = 0;
    this.destroyedIn[account] = 0;
    this.touchedIn[account] = 0;
    this.sources[account] = undefined;
    this.nonces[account] = 0n;
    this.balances[account] = 0n;
    this.hashes[account] = this.emptyHash;
    this.codes[account] = undefined;
  }

  /** What the source said; undefined: it has none, or was not asked yet. */
  sourceOf(account: AccountId): SourceAccount | undefined {
    return this.sources[account];
  }

  homeOf(account: AccountId): number {
    const known = this.homes[account]!;
    if (known !== UNKNOWN_HOME) return known;
    const home = this.source.homeOf(this.addressOf(account));
    this.homes[account] = home;
    return home;
  }

  /** Makes the account warm in all transactions. */
  keepWarm(account: AccountId): void {
    this.warmIn[account] = ALWAYS;
  }

  warm(account: AccountId): boolean {
    const warmIn = this.warmIn[account];
    if (warmIn === this.transaction || warmIn === ALWAYS) return false;
    this.warmIn[account] = this.transaction;
    this.journal.push(ENTRY.ACCOUNT_WARM, account);
    return true;
  }

  exists(account: AccountId): boolean {
    return !this.isEmpty(account) || this.present[account] === 1;
  }

  isEmpty(account: AccountId): boolean {
    // The part that changes least comes first, because what follows is not read.
    this.read(account, ACCESS.CODE_READ);
    if (this.hashes[account] !== this.emptyHash) return false;
    return this.nonce(account) === 0n && this.balance(account) === 0n;
  }

  balance(account: AccountId): bigint {
    this.read(account, ACCESS.BALANCE_READ);
    return this.balances[account]!;
  }

  /** The balance, for code that asks for it. */
  observeBalance(account: AccountId): bigint {
    this.read(account, ACCESS.BALANCE_READ | OBSERVED);
    return this.balances[account]!;
  }

  /** Adds `wei`, which may be negative, without reading: what it was matters to nobody here. */
  addBalance(account: AccountId, wei: bigint): void {
    this.touch(account);
    if (wei === 0n) return;
    if (this.loaded[account] === 0) this.load(account);
    const old = this.balances[account]!;
    this.journal.pushBigint(ENTRY.BALANCE, account, old);
    this.note(account, ACCESS.BALANCE_ADD);
    this.balances[account] = old + wei;
  }

  nonce(account: AccountId): bigint {
    this.read(account, ACCESS.NONCE_READ);
    return this.nonces[account]!;
  }

  setNonce(account: AccountId, nonce: bigint): void {
    this.touch(account);
    if (this.loaded[account] === 0) this.load(account);
    this.journal.pushBigint(ENTRY.NONCE, account, this.nonces[account]!);
    this.note(account, ACCESS.NONCE_WRITE);
    this.nonces[account] = nonce;
  }

  code(account: AccountId): Code {
    const known = this.codes[account];
    if (known !== undefined) return known;
    this.read(account, ACCESS.CODE_READ);
    const hash = this.hashes[account]!;
    const code = hash === this.emptyHash ? EMPTY_CODE : (this.codeCache.recent(hash) ?? this.cachedCode(hash));
    this.codes[account] = code;
    return code;
  }

  private cachedCode(hash: Hash32): Code {
    return this.codeCache.get(hash, () => this.source.code(hash));
  }

  codeHash(account: AccountId): Hash32 {
    this.read(account, ACCESS.CODE_READ);
    return this.hashes[account]!;
  }

  setCode(account: AccountId, bytes: Uint8Array): void {
    this.touch(account);
    if (this.loaded[account] === 0) this.load(account);
    this.oldCodes.push({ hash: this.hashes[account]!, code: this.codes[account] });
    this.journal.push(ENTRY.CODE, account);
    this.note(account, ACCESS.CODE_WRITE);
    const hash = bytes.length === 0 ? this.emptyHash : this.crypto.keccak256(bytes);
    this.hashes[account] = hash;
    this.codes[account] = bytes.length === 0 ? EMPTY_CODE : this.codeCache.get(hash, () => bytes);
  }

  hasCodeOrNonce(account: AccountId): boolean {
    this.read(account, ACCESS.NONCE_READ | ACCESS.CODE_READ);
    return this.nonces[account] !== 0n || this.hashes[account] !== this.emptyHash;
  }

  markCreated(account: AccountId): void {
    const home = this.homeOf(account);
    this.journal.pushBigint(ENTRY.CREATED, account, BigInt(home));
    this.createdIn[account] = this.transaction;
    this.note(account, MADE);
    this.homes[account] = HERE;
    this.touch(account);
  }

  wasCreated(account: AccountId): boolean {
    return this.createdIn[account] === this.transaction;
  }

  /** Contracts that the transaction made and that are there at its end. */
  created(): Address[] {
    const out: Address[] = [];
    for (let account = 0; account < this.count; account++) {
      if (this.createdIn[account] === this.transaction && this.nonces[account] !== 0n) out.push(this.addressOf(account));
    }
    return out;
  }

  selfDestruct(account: AccountId): void {
    if (this.destroyedIn[account] === this.transaction) return;
    this.destroyedIn[account] = this.transaction;
    this.destroyed.push(account);
    this.journal.push(ENTRY.DESTROYED, account);
    this.note(account, MADE);
  }

  touch(account: AccountId): void {
    if (this.touchedIn[account] === this.transaction) return;
    this.touchedIn[account] = this.transaction;
    this.touched[this.touchedCount++] = account;
    this.journal.push(ENTRY.TOUCHED, account);
  }

  /** Undoes the entry of the journal whose kind and account were just taken. */
  undo(kind: number, account: AccountId): void {
    switch (kind) {
      case ENTRY.ACCOUNT_WARM:
        this.warmIn[account] = 0;
        return;
      case ENTRY.BALANCE:
        this.balances[account] = this.journal.popBigint();
        return;
      case ENTRY.NONCE:
        this.nonces[account] = this.journal.popBigint();
        return;
      case ENTRY.CODE: {
        const { hash, code } = this.oldCodes.pop()!;
        this.hashes[account] = hash;
        this.codes[account] = code;
        return;
      }
      case ENTRY.CREATED:
        this.createdIn[account] = 0;
        this.homes[account] = Number(this.journal.popBigint());
        return;
      case ENTRY.DESTROYED:
        this.destroyedIn[account] = 0;
        this.destroyed.pop();
        return;
      case ENTRY.TOUCHED:
        this.touchedIn[account] = 0;
        this.touchedCount--;
    }
  }

  /** Removes what destroyed itself (EIP-6780) and what was touched and is empty (EIP-161). `emptied` is told of each whose storage goes. */
  end(emptied: (account: AccountId) => void): void {
    for (const account of this.destroyed) this.remove(account, emptied);
    for (let i = 0; i < this.touchedCount; i++) {
      const account = this.touched[i]!;
      if (this.loaded[account] === 0) this.load(account);
      if (!this.hasNothing(account)) {
        this.present[account] = 1;
        continue;
      }
      // What was absent before and is so still: nothing rests on that, and later reads must be noted as of the source.
      if (this.sources[account] === undefined && this.present[account] === 0) continue;
      this.reads[account] = (this.reads[account]! & ~OBSERVED) | ACCOUNT_READ | MADE;
      this.remove(account, emptied);
    }
  }

  /** Accounts that differ from the source, in the order in which they were first seen. */
  changed(storageEmptied: (account: AccountId) => boolean): AccountChange[] {
    const out: AccountChange[] = [];
    this.visitChanged(storageEmptied, (change) => void out.push(change));
    return out;
  }

  /** The same, one by one. */
  visitChanged(storageEmptied: (account: AccountId) => boolean, visit: (change: AccountChange) => void): void {
    for (let account = 0; account < this.count; account++) {
      if (this.loaded[account] === 0) continue;
      const source = this.sources[account];
      const emptied = source !== undefined && storageEmptied(account);
      const balanceBefore = source?.balance ?? 0n;
      const codeBefore = source?.codeHash ?? this.emptyHash;
      const sameCode = codeBefore === this.hashes[account] || equalBytes(codeBefore, this.hashes[account]!);
      const gone = source !== undefined && this.present[account] === 0 && this.hasNothing(account);
      const same = sameCode && balanceBefore === this.balances[account] && (source?.nonce ?? 0n) === this.nonces[account];
      if (same && !emptied && !gone) continue;
      visit({
        address: this.addressOf(account),
        deleted: gone,
        storageEmptied: emptied,
        nonce: this.nonces[account]!,
        nonceBefore: source?.nonce ?? 0n,
        balance: this.balances[account]!,
        balanceBefore,
        codeHash: this.hashes[account]!,
        code: sameCode ? undefined : this.code(account).bytes,
      });
    }
  }

  /**
   * Bits of `ACCESS`: all that was read or written of the account since the world was made or reset, also where it was undone; rather too much than too little. After the end of
   * a transaction.
   */
  accesses(account: AccountId): number {
    const bits = this.reads[account]!;
    if ((bits & MADE) !== 0) return ACCOUNT_WRITE;
    // Where an account lives rests on whether it is here, which creation alone can change in a block.
    const home = this.homes[account] === UNKNOWN_HOME ? 0 : ACCESS.CODE_READ;
    return (bits & ACCOUNT_WRITE) | home;
  }

  /** What of the source was read. */
  wasRead(): AccountRead[] {
    const out: AccountRead[] = [];
    for (let account = 0; account < this.count; account++) {
      const reads = this.reads[account]!;
      if ((reads & (ACCOUNT_READ | OBSERVED)) === 0) continue;
      const source = this.sources[account];
      out.push({
        address: this.addressOf(account),
        nonce: (reads & ACCESS.NONCE_READ) === 0 ? undefined : (source?.nonce ?? 0n),
        balance: (reads & ACCESS.BALANCE_READ) === 0 ? undefined : (source?.balance ?? 0n),
        codeHash: (reads & ACCESS.CODE_READ) === 0 ? undefined : (source?.codeHash ?? this.emptyHash),
        observed: (reads & OBSERVED) !== 0,
      });
    }
    return out;
  }

  private hasNothing(account: AccountId): boolean {
    return this.nonces[account] === 0n && this.balances[account] === 0n && this.hashes[account] === this.emptyHash;
  }

  private remove(account: AccountId, emptied: (account: AccountId) => void): void {
    this.nonces[account] = 0n;
    this.balances[account] = 0n;
    this.hashes[account] = this.emptyHash;
    this.codes[account] = EMPTY_CODE;
    this.present[account] = 0;
    this.homes[account] = UNKNOWN_HOME;
    emptied(account);
  }

  private read(account: AccountId, parts: number): void {
    if (this.loaded[account] === 0) this.load(account);
    this.note(account, parts);
  }

  private note(account: AccountId, bits: number): void {
    this.reads[account] = this.reads[account]! | bits;
  }

  private load(account: AccountId): void {
    this.loaded[account] = 1;
    const source = this.source.account(this.addressOf(account));
    if (source === undefined) return;
    this.sources[account] = source;
    this.present[account] = 1;
    this.nonces[account] = source.nonce;
    this.balances[account] = source.balance;
    // One object stands for no code, so that it is recognised without comparing bytes.
    if (!equalBytes(source.codeHash, this.emptyHash)) this.hashes[account] = source.codeHash;
  }
}
