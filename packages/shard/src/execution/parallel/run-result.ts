/** What a run of transactions brings back, in flat arrays that threads can hand over: nothing in it is an object per transaction. */
import { type Address, type Hash32, Reader, Writer } from '@shardlab/crosslink';
import type { TransactionOutcome } from '../evm/transaction.ts';
import { LIMBS, toBytes } from '../evm/words/basic.ts';
import type { AccountChange } from '../evm/world/accounts.ts';
import type { SlotValue } from '../evm/world/slots.ts';
import type { AccessWorld } from './access-world.ts';
import { readAccountChange, writeAccountChange } from './account-change-codec.ts';
import { readOutcome } from './outcome-codec.ts';

const CHANGES_MAX = 1 << 22;
const ADDRESS_BYTES = 20;
/** Of an account's row: nonce before and after, balance before and after in 4 each, whether it has code. */
const VALUES_PER_ACCOUNT = 11;
/** Of a slot's row: number of the contract in `slotOwners`, key, value. */
const WORDS_PER_SLOT = 1 + 2 * LIMBS;
const WORD_BITS = 64n;

/** A run's outcomes, accesses and changes. */
export interface RunResult {
  /** Outcomes in order, back to back: see `readOutcome`. */
  readonly outcomes: Uint8Array<ArrayBuffer>;
  /** Where each outcome begins. */
  readonly outcomeStarts: Uint32Array<ArrayBuffer>;
  /** The outcomes themselves, where the run stayed in the thread that wants them: then nothing is in the two above. */
  readonly kept: readonly TransactionOutcome[] | undefined;
  /** Of all transactions. */
  readonly gasUsed: number;
  /** See `AccessWorld.accesses`. */
  readonly accesses: Int32Array<ArrayBuffer>;
  /** See `AccessWorld.touched`. */
  readonly touched: Int32Array<ArrayBuffer>;
  /** Addresses of accounts whose nonce or balance changed, 20 bytes each, and {@link VALUES_PER_ACCOUNT} values each. */
  readonly accountAddresses: Uint8Array<ArrayBuffer>;
  readonly accountValues: BigUint64Array<ArrayBuffer>;
  /** All account changes instead, if some are more than that. */
  readonly irregular: Uint8Array<ArrayBuffer> | undefined;
  /** Contracts whose slots changed, 20 bytes each, and the slots. */
  readonly slotOwners: Uint8Array<ArrayBuffer>;
  readonly slots: Uint32Array<ArrayBuffer>;
  /** What the transactions to learn from have touched. */
  readonly samples: readonly AccessSample[];
}

/** What one transaction touched of storage, in full. */
export interface AccessSample {
  /** Its place in the run. */
  readonly position: number;
  readonly slots: readonly SampledSlot[];
}

/** A slot that a transaction touched. */
export interface SampledSlot {
  readonly address: Address;
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** Bits of `ACCESS`. */
  readonly bits: number;
}

/** What a run changed, in flat arrays. */
export type RunChanges = Pick<RunResult, 'accountAddresses' | 'accountValues' | 'irregular' | 'slotOwners' | 'slots'>;

function writeWide(values: BigUint64Array, at: number, value: bigint): void {
  // An element takes a bigint modulo 2^64.
  values[at] = value;
  values[at + 1] = value >> WORD_BITS;
  values[at + 2] = value >> 128n;
  values[at + 3] = value >> 192n;
}

function readWide(values: BigUint64Array, at: number): bigint {
  let value = 0n;
  for (let i = 3; i >= 0; i--) if (value !== 0n || values[at + i] !== 0n) value = (value << WORD_BITS) | values[at + i]!;
  return value;
}

function collectAccounts(world: AccessWorld): Pick<RunResult, 'accountAddresses' | 'accountValues'> {
  const addresses = new Uint8Array(world.accountsSeen * ADDRESS_BYTES);
  const values = new BigUint64Array(world.accountsSeen * VALUES_PER_ACCOUNT);
  let count = 0;
  for (let account = 0; account < world.accountsSeen; account++) {
    if (!world.mayHaveChanged(account)) continue;
    // To have changed it was loaded.
    const before = world.sourceOf(account);
    const [nonceBefore, balanceBefore] = [before?.nonce ?? 0n, before?.balance ?? 0n];
    const [nonce, balance] = [world.finalNonce(account), world.finalBalance(account)];
    if (nonce === nonceBefore && balance === balanceBefore) continue;
    addresses.set(world.address(account), count * ADDRESS_BYTES);
    const at = count * VALUES_PER_ACCOUNT;
    values[at] = nonceBefore;
    values[at + 1] = nonce;
    writeWide(values, at + 2, balanceBefore);
    writeWide(values, at + 6, balance);
    values[at + 10] = world.finalCode(account) ? 1n : 0n;
    count++;
  }
  return { accountAddresses: addresses.slice(0, count * ADDRESS_BYTES), accountValues: values.slice(0, count * VALUES_PER_ACCOUNT) };
}

function collectSlots(world: AccessWorld): Pick<RunResult, 'slotOwners' | 'slots'> {
  let rows = new Uint32Array(world.slotsSeen * WORDS_PER_SLOT);
  const owners: Address[] = [];
  let last = -1;
  let at = 0;
  world.changedSlots((account, keys, keyAt, values, valueAt) => {
    if (account !== last) owners.push(world.address(account));
    last = account;
    rows[at] = owners.length - 1;
    for (let i = 0; i < LIMBS; i++) {
      rows[at + 1 + i] = keys[keyAt + i]!;
      rows[at + 1 + LIMBS + i] = values[valueAt + i]!;
    }
    at += WORDS_PER_SLOT;
  });
  rows = rows.slice(0, at);
  const slotOwners = new Uint8Array(owners.length * ADDRESS_BYTES);
  owners.forEach((address, index) => slotOwners.set(address, index * ADDRESS_BYTES));
  return { slotOwners, slots: rows };
}

function packIrregular(changes: readonly AccountChange[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer(8192);
  writer.list(changes, CHANGES_MAX, writeAccountChange);
  return writer.finish() as Uint8Array<ArrayBuffer>;
}

function unpackIrregular(packed: Uint8Array): AccountChange[] {
  return new Reader(packed).list(CHANGES_MAX, readAccountChange);
}

/** What the world's transactions changed. */
export function collectChanges(world: AccessWorld): RunChanges {
  if (!world.irregular) return { ...collectAccounts(world), irregular: undefined, ...collectSlots(world) };
  const irregular = packIrregular(world.changes().accounts);
  return { accountAddresses: new Uint8Array(0), accountValues: new BigUint64Array(0), irregular, ...collectSlots(world) };
}

/**
 * Calls `each` for each account that changed. `sole`: its nonce changed, so that no other run without a conflict has touched it. `codeHashOf` gives the code's hash
 * where there is code that has not changed; `emptyHash` is keccak-256 of no bytes.
 */
export function forEachAccount(changes: RunChanges, emptyHash: Hash32, codeHashOf: (address: Address) => Hash32, each: (change: AccountChange, sole: boolean) => void): void {
  if (changes.irregular !== undefined) {
    for (const change of unpackIrregular(changes.irregular)) each(change, false);
    return;
  }
  const { accountAddresses, accountValues } = changes;
  for (let index = 0; index * ADDRESS_BYTES < accountAddresses.length; index++) {
    const address = accountAddresses.subarray(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES) as Uint8Array as Address;
    const at = index * VALUES_PER_ACCOUNT;
    const [nonceBefore, nonce] = [accountValues[at]!, accountValues[at + 1]!];
    const [balanceBefore, balance] = [readWide(accountValues, at + 2), readWide(accountValues, at + 6)];
    const codeHash = accountValues[at + 10] === 0n ? emptyHash : codeHashOf(address);
    each({ address, deleted: false, storageEmptied: false, nonce, nonceBefore, balance, balanceBefore, codeHash, code: undefined }, nonce !== nonceBefore);
  }
}

/** What the transaction at a position of the run did. */
export function outcomeIn({ outcomes, outcomeStarts, kept }: RunResult, position: number): TransactionOutcome {
  return kept?.[position] ?? readOutcome(new Reader(outcomes.subarray(outcomeStarts[position]!)));
}

/** Calls `each` for each slot that changed: the arrays are views and its own. */
export function forEachSlot(changes: RunChanges, each: (slot: SlotValue) => void): void {
  const { slotOwners, slots } = changes;
  const bytes = new Uint8Array((slots.length / WORDS_PER_SLOT) * 64);
  let [owner, address] = [-1, slotOwners as Uint8Array as Address];
  for (let at = 0, to = 0; at < slots.length; at += WORDS_PER_SLOT, to += 64) {
    if (slots[at] !== owner) {
      owner = slots[at]!;
      address = slotOwners.subarray(owner * ADDRESS_BYTES, (owner + 1) * ADDRESS_BYTES) as Uint8Array as Address;
    }
    toBytes(slots, at + 1, bytes, to);
    toBytes(slots, at + 1 + LIMBS, bytes, to + 32);
    each({ address, key: bytes.subarray(to, to + 32), value: bytes.subarray(to + 32, to + 64) });
  }
}

/** Everything in a result that a thread hands over instead of copying it. */
export function transferables(result: RunResult): ArrayBuffer[] {
  const { outcomes, outcomeStarts, accesses, touched, accountAddresses, accountValues, irregular, slotOwners, slots } = result;
  const all = [outcomes, outcomeStarts, accesses, touched, accountAddresses, accountValues, slotOwners, slots].map(({ buffer }) => buffer);
  return irregular === undefined ? all : [...all, irregular.buffer];
}
