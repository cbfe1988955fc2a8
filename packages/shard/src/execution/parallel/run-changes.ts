/** What a run of transactions changed, in flat arrays that threads can hand over: nothing in it is an object per account or slot. */
import { type Address, equalBytes, type Hash32, Reader, Writer } from '@shardlab/crosslink';
import type { WorldState } from '../evm/world-state.ts';
import type { AccountChange } from '../evm/world/accounts.ts';
import type { SlotValue } from '../evm/world/slots.ts';
import { readAccountChange, writeAccountChange } from './account-change-codec.ts';

const CHANGES_MAX = 1 << 22;
const ADDRESS_BYTES = 20;
/** Of an account's row: nonce before and after, balance before and after in 4 each, whether it has code. */
const VALUES_PER_ACCOUNT = 11;
/** Of a slot's row: key, value. */
const SLOT_BYTES = 64;
const WORD_BITS = 64n;
const WORD_MAX = (1n << WORD_BITS) - 1n;

/** A run's changes. */
export interface RunChanges {
  /** Accounts of which the nonce or the balance changed: how many, 20 bytes of address each, and {@link VALUES_PER_ACCOUNT} values each. */
  readonly accountCount: number;
  readonly accountAddresses: Uint8Array<ArrayBuffer>;
  readonly accountValues: BigUint64Array<ArrayBuffer>;
  /** Accounts of which more changed. */
  readonly irregular: Uint8Array<ArrayBuffer> | undefined;
  /** Slots that changed: how many, the number of the contract in `slotOwners` each, and 32 bytes of key and of value each. */
  readonly slotCount: number;
  readonly slotOwnerOf: Uint32Array<ArrayBuffer>;
  readonly slots: Uint8Array<ArrayBuffer>;
  /** Contracts whose slots changed, 20 bytes each. */
  readonly slotOwners: Uint8Array<ArrayBuffer>;
}

/** The array is zero beforehand. */
function writeWide(values: BigUint64Array, at: number, value: bigint): void {
  // An element takes a bigint modulo 2^64.
  values[at] = value;
  if (value <= WORD_MAX) return;
  values[at + 1] = value >> WORD_BITS;
  values[at + 2] = value >> 128n;
  values[at + 3] = value >> 192n;
}

function readWide(values: BigUint64Array, at: number): bigint {
  let value = 0n;
  for (let i = 3; i >= 0; i--) if (value !== 0n || values[at + i] !== 0n) value = (value << WORD_BITS) | values[at + i]!;
  return value;
}

function collectAccounts(world: WorldState, emptyHash: Hash32): Pick<RunChanges, 'accountCount' | 'accountAddresses' | 'accountValues' | 'irregular'> {
  const accountAddresses = new Uint8Array(world.accountCount * ADDRESS_BYTES);
  const accountValues = new BigUint64Array(world.accountCount * VALUES_PER_ACCOUNT);
  const irregular: AccountChange[] = [];
  let accountCount = 0;
  world.visitChangedAccounts((change) => {
    const { address, nonce, nonceBefore, balance, balanceBefore, codeHash } = change;
    if (change.deleted || change.storageEmptied || change.code !== undefined) {
      irregular.push(change);
      return;
    }
    accountAddresses.set(address, accountCount * ADDRESS_BYTES);
    const at = accountCount * VALUES_PER_ACCOUNT;
    accountValues[at] = nonceBefore;
    accountValues[at + 1] = nonce;
    writeWide(accountValues, at + 2, balanceBefore);
    writeWide(accountValues, at + 6, balance);
    if (!equalBytes(codeHash, emptyHash)) accountValues[at + 10] = 1n;
    accountCount++;
  });
  return { accountCount, accountAddresses, accountValues, irregular: irregular.length === 0 ? undefined : packIrregular(irregular) };
}

function collectSlots(world: WorldState): Pick<RunChanges, 'slotCount' | 'slotOwnerOf' | 'slots' | 'slotOwners'> {
  const slots = new Uint8Array(world.slotCount * SLOT_BYTES);
  const slotOwnerOf = new Uint32Array(world.slotCount);
  const owners: Address[] = [];
  let last: Address | undefined;
  let slotCount = 0;
  world.visitChangedSlots((address, key, value) => {
    // By identity: a world has one array for an address.
    if (address !== last) owners.push(address);
    last = address;
    slotOwnerOf[slotCount] = owners.length - 1;
    slots.set(key, slotCount * SLOT_BYTES);
    slots.set(value, slotCount * SLOT_BYTES + 32);
    slotCount++;
  });
  const slotOwners = new Uint8Array(owners.length * ADDRESS_BYTES);
  owners.forEach((address, index) => slotOwners.set(address, index * ADDRESS_BYTES));
  return { slotCount, slotOwnerOf, slots, slotOwners };
}

function packIrregular(changes: readonly AccountChange[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer(8192);
  writer.list(changes, CHANGES_MAX, writeAccountChange);
  return writer.finish() as Uint8Array<ArrayBuffer>;
}

function unpackIrregular(packed: Uint8Array): AccountChange[] {
  return new Reader(packed).list(CHANGES_MAX, readAccountChange);
}

/** What the world's transactions changed. `emptyHash`: keccak-256 of no bytes. */
export function collectChanges(world: WorldState, emptyHash: Hash32): RunChanges {
  return { ...collectAccounts(world, emptyHash), ...collectSlots(world) };
}

/**
 * Calls `each` for each account that changed. `sole`: its nonce and no more than its balance changed beside, so that no other run without a conflict has touched it.
 * `codeHashOf` gives the code's hash where there is code that has not changed; `emptyHash` is keccak-256 of no bytes.
 */
export function forEachAccount(changes: RunChanges, emptyHash: Hash32, codeHashOf: (address: Address) => Hash32, each: (change: AccountChange, sole: boolean) => void): void {
  const { accountCount, accountAddresses, accountValues, irregular } = changes;
  if (irregular !== undefined) for (const change of unpackIrregular(irregular)) each(change, false);
  for (let index = 0; index < accountCount; index++) {
    const address = accountAddresses.subarray(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES) as Uint8Array as Address;
    const at = index * VALUES_PER_ACCOUNT;
    const [nonceBefore, nonce] = [accountValues[at]!, accountValues[at + 1]!];
    const [balanceBefore, balance] = [readWide(accountValues, at + 2), readWide(accountValues, at + 6)];
    const codeHash = accountValues[at + 10] === 0n ? emptyHash : codeHashOf(address);
    each({ address, deleted: false, storageEmptied: false, nonce, nonceBefore, balance, balanceBefore, codeHash, code: undefined }, nonce !== nonceBefore);
  }
}

/** Calls `each` for each slot that changed: the arrays are views. */
export function forEachSlot(changes: RunChanges, each: (slot: SlotValue) => void): void {
  const { slotCount, slotOwnerOf, slotOwners, slots } = changes;
  let [owner, address] = [-1, slotOwners as Uint8Array as Address];
  for (let index = 0; index < slotCount; index++) {
    if (slotOwnerOf[index] !== owner) {
      owner = slotOwnerOf[index]!;
      address = slotOwners.subarray(owner * ADDRESS_BYTES, (owner + 1) * ADDRESS_BYTES) as Uint8Array as Address;
    }
    const at = index * SLOT_BYTES;
    each({ address, key: slots.subarray(at, at + 32), value: slots.subarray(at + 32, at + SLOT_BYTES) });
  }
}
