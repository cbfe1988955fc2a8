import { type Address, address, bytesKey, concatBytes, type Hash32, hash32, keyBytes } from '@shardlab/crosslink';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { CodeCache, EMPTY_CODE, type Code } from '../../../src/execution/evm/code.ts';
import { Evm } from '../../../src/execution/evm/evm.ts';
import { OPCODES } from '../../../src/execution/evm/opcodes.ts';
import type {
  AccountId,
  BlockEnvironment,
  EvmCrypto,
  EvmFork,
  EvmLog,
  Precompile,
  SlotId,
  Words,
} from '../../../src/execution/evm/types.ts';
import { fromBytes, isZeroWord, toBytes } from '../../../src/execution/evm/words/basic.ts';
import type { EvmWorld } from '../../../src/execution/evm/world.ts';

interface Account {
  nonce: bigint;
  balance: bigint;
  code: Uint8Array;
  destroyed: boolean;
  created: boolean;
}

/** Everything that a revert undoes. */
interface State {
  accounts: Map<AccountId, Account>;
  slots: Map<string, string>;
  transient: Map<string, string>;
  warmAccounts: Set<AccountId>;
  warmSlots: Set<SlotId>;
  logs: EvmLog[];
  credits: [AccountId, bigint][];
  refund: number;
}

const ZERO = '\0'.repeat(32);

function copyState(state: State): State {
  return {
    accounts: new Map([...state.accounts].map(([id, account]) => [id, { ...account }])),
    slots: new Map(state.slots),
    transient: new Map(state.transient),
    warmAccounts: new Set(state.warmAccounts),
    warmSlots: new Set(state.warmSlots),
    logs: [...state.logs],
    credits: [...state.credits],
    refund: state.refund,
  };
}

function word(words: Words, at: number): string {
  const bytes = new Uint8Array(32);
  toBytes(words, at, bytes, 0);
  return bytesKey(bytes);
}

/** A world of maps that are copied as a whole by each snapshot: as slow as it is easy to believe. */
export class FakeWorld implements EvmWorld {
  state: State = {
    accounts: new Map(),
    slots: new Map(),
    transient: new Map(),
    warmAccounts: new Set(),
    warmSlots: new Set(),
    logs: [],
    credits: [],
    refund: 0,
  };
  readonly homes = new Map<AccountId, number>();
  private readonly snapshots: State[] = [];
  private readonly addresses: Address[] = [];
  private readonly ids = new Map<string, AccountId>();
  private readonly slotKeys: string[] = [];
  private readonly slotIds = new Map<string, SlotId>();
  private original = new Map<string, string>();
  private readonly codes = new CodeCache();

  beginTransaction(): void {
    this.original = new Map(this.state.slots);
    this.state.transient.clear();
    this.state.warmAccounts.clear();
    this.state.warmSlots.clear();
    this.state.logs = [];
    this.state.credits = [];
    this.state.refund = 0;
    for (const account of this.state.accounts.values()) account.created = false;
  }
  put(at: Address, account: Partial<Account>): AccountId {
    const id = this.accountOf(at);
    Object.assign(this.account(id), account);
    return id;
  }
  account(id: AccountId): Account {
    let account = this.state.accounts.get(id);
    if (account === undefined) {
      account = { nonce: 0n, balance: 0n, code: new Uint8Array(0), destroyed: false, created: false };
      this.state.accounts.set(id, account);
    }
    return account;
  }
  accountAt(words: Words, at: number): AccountId {
    return this.accountOf(address(keyBytes(word(words, at)).slice(12)));
  }
  accountOf(at: Address): AccountId {
    const key = bytesKey(at);
    let id = this.ids.get(key);
    if (id === undefined) {
      id = this.addresses.length;
      this.addresses.push(address(at.slice()));
      this.ids.set(key, id);
    }
    return id;
  }
  address(id: AccountId): Address {
    return this.addresses[id]!;
  }
  addressInto(id: AccountId, words: Words, at: number): void {
    fromBytes(words, at, this.address(id), 0, 20);
  }
  slotAt(id: AccountId, words: Words, at: number): SlotId {
    const key = `${id}:${word(words, at)}`;
    let slot = this.slotIds.get(key);
    if (slot === undefined) {
      slot = this.slotKeys.length;
      this.slotKeys.push(key);
      this.slotIds.set(key, slot);
    }
    return slot;
  }
  homeOf(id: AccountId): number {
    return this.homes.get(id) ?? -1;
  }
  snapshot(): number {
    this.snapshots.push(copyState(this.state));
    return this.snapshots.length - 1;
  }
  revertTo(snapshot: number): void {
    this.state = copyState(this.snapshots[snapshot]!);
  }
  warmAccount(id: AccountId): boolean {
    const cold = !this.state.warmAccounts.has(id);
    this.state.warmAccounts.add(id);
    return cold;
  }
  warmSlot(slot: SlotId): boolean {
    const cold = !this.state.warmSlots.has(slot);
    this.state.warmSlots.add(slot);
    return cold;
  }
  isEmpty(id: AccountId): boolean {
    const account = this.account(id);
    return account.nonce === 0n && account.balance === 0n && account.code.length === 0;
  }
  balance(id: AccountId): bigint {
    return this.account(id).balance;
  }
  balanceInto(id: AccountId, words: Words, at: number): void {
    const bytes = new Uint8Array(32);
    let rest = this.balance(id);
    for (let i = 31; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
    fromBytes(words, at, bytes, 0, 32);
  }
  addBalance(id: AccountId, wei: bigint): void {
    this.account(id).balance += wei;
  }
  subBalance(id: AccountId, wei: bigint): void {
    this.account(id).balance -= wei;
    if (this.account(id).balance < 0n) throw new Error('a balance below zero');
  }
  nonce(id: AccountId): bigint {
    return this.account(id).nonce;
  }
  setNonce(id: AccountId, nonce: bigint): void {
    this.account(id).nonce = nonce;
  }
  code(id: AccountId): Code {
    const { code } = this.account(id);
    return code.length === 0 ? EMPTY_CODE : this.codes.get(hash32(keccak_256(code)), () => code);
  }
  codeHash(id: AccountId): Hash32 {
    return hash32(keccak_256(this.account(id).code));
  }
  setCode(id: AccountId, bytes: Uint8Array): void {
    this.account(id).code = bytes;
  }
  hasCodeOrNonceOrStorage(id: AccountId): boolean {
    const { code, nonce } = this.account(id);
    return code.length !== 0 || nonce !== 0n || [...this.state.slots.keys()].some((key) => key.startsWith(`${id}:`));
  }
  markCreated(id: AccountId): void {
    this.account(id).created = true;
  }
  wasCreated(id: AccountId): boolean {
    return this.account(id).created;
  }
  selfDestruct(id: AccountId): void {
    this.account(id).destroyed = true;
  }
  touch(_id: AccountId): void {}
  loadSlot(slot: SlotId, words: Words, at: number): void {
    fromBytes(words, at, keyBytes(this.state.slots.get(this.slotKeys[slot]!) ?? ZERO), 0, 32);
  }
  storeSlot(slot: SlotId, words: Words, at: number): void {
    if (isZeroWord(words, at)) this.state.slots.delete(this.slotKeys[slot]!);
    else this.state.slots.set(this.slotKeys[slot]!, word(words, at));
  }
  storeStatus(slot: SlotId, words: Words, at: number): number {
    const value = word(words, at);
    const current = this.state.slots.get(this.slotKeys[slot]!) ?? ZERO;
    const original = this.original.get(this.slotKeys[slot]!) ?? ZERO;
    const bits = [value === current, original === current, original === ZERO, current === ZERO, value === ZERO, original === value];
    return bits.reduce((status, bit, i) => status | (bit ? 1 << i : 0), 0);
  }
  loadTransient(id: AccountId, key: Words, keyAt: number, out: Words, outAt: number): void {
    fromBytes(out, outAt, keyBytes(this.state.transient.get(`${id}:${word(key, keyAt)}`) ?? ZERO), 0, 32);
  }
  storeTransient(id: AccountId, key: Words, keyAt: number, value: Words, valueAt: number): void {
    this.state.transient.set(`${id}:${word(key, keyAt)}`, word(value, valueAt));
  }
  get refund(): number {
    return this.state.refund;
  }
  addRefund(gas: number): void {
    this.state.refund += gas;
  }
  log(entry: EvmLog): void {
    this.state.logs.push(entry);
  }
  credit(id: AccountId, wei: bigint): void {
    this.state.credits.push([id, wei]);
  }
  /** The value of a slot, as a number. */
  storage(id: AccountId, key: number): bigint {
    const words = new Uint32Array(8);
    words[0] = key;
    const value = this.state.slots.get(`${id}:${word(words, 0)}`) ?? ZERO;
    return keyBytes(value).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }
}

const identity: Precompile = {
  gas: (input) => 15 + 3 * Math.ceil(input.length / 32),
  run: (input) => input.slice(),
};
const failing: Precompile = { gas: () => 100, run: () => undefined };

/** noble's hash, the identity precompile at 4, and one at 9 that always fails. */
export const testCrypto: EvmCrypto = {
  keccak256: (data) => hash32(keccak_256(data)),
  precompiles: () =>
    new Map([
      [4, identity],
      [9, failing],
    ]),
};

export const testBlock: BlockEnvironment = {
  chainId: 7n,
  number: 1000n,
  timestamp: 1_700_000_000n,
  gasLimit: 30_000_000n,
  coinbase: address(new Uint8Array(20).fill(0xcb)),
  prevRandao: hash32(new Uint8Array(32).fill(0x5a)),
  baseFeePerGas: 9n,
  blobBaseFee: 1n,
  blockHash: (number) => hash32(new Uint8Array(32).fill(Number(number & 0xffn))),
};

/** An address of 20 equal bytes. */
export function addressOf(byte: number): Address {
  return address(new Uint8Array(20).fill(byte));
}

const CODES = new Map(OPCODES.flatMap((opcode, code) => (opcode === undefined ? [] : [[opcode.name, code] as const])));

/** Assembles mnemonics; numbers and bigints are pushed with as few bytes as they need, `0x…` strings byte by byte as they are. */
export function assemble(...items: readonly (string | number | bigint | Uint8Array)[]): Uint8Array {
  return concatBytes(...items.map(assembleItem));
}

function assembleItem(item: string | number | bigint | Uint8Array): Uint8Array {
  if (item instanceof Uint8Array) return item;
  if (typeof item === 'string') {
    const code = CODES.get(item);
    if (code === undefined) throw new Error(`no such instruction: ${item}`);
    return Uint8Array.of(code);
  }
  const hex = BigInt(item).toString(16);
  const digits = hex.length % 2 === 0 ? hex : `0${hex}`;
  const bytes = Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  return Uint8Array.from([0x5f + bytes.length, ...bytes]);
}

/** A world with a rich caller (0xaa…) and code at 0xcc…; runs it. */
export function newMachine(fork: EvmFork = 'cancun'): { world: FakeWorld; evm: Evm; caller: AccountId; contract: AccountId } {
  const world = new FakeWorld();
  const evm = new Evm({ fork, memoEntriesLog2: 4 }, { crypto: testCrypto, world });
  const caller = world.put(addressOf(0xaa), { balance: 10n ** 20n });
  const contract = world.put(addressOf(0xcc), { nonce: 1n });
  evm.begin(testBlock, { origin: addressOf(0xaa), gasPrice: 11n, blobHashes: [new Uint8Array(32).fill(0xb1)] });
  return { world, evm, caller, contract };
}
