import { Reader, Writer } from '@shardlab/crosslink';
import type { AccountRead } from '../evm/world/accounts.ts';
import type { SlotValue } from '../evm/world/slots.ts';
import { readAccountChange, writeAccountChange } from './account-change-codec.ts';
import { readOutcome, writeOutcome } from './outcome-codec.ts';
import type { HomeRead, SpeculatedTransaction } from './speculation.ts';

const LIST_MAX = 1 << 20;
/** Room for one transfer of a token. */
const BYTES_PER_TRANSACTION = 1_024;
/** Bits of what was read of an account. */
const NONCE = 1;
const BALANCE = 2;
const CODE = 4;
const OBSERVED = 8;

function writeSlot(writer: Writer, { address, key, value }: SlotValue): void {
  writer.fixed(address, 20).fixed(key, 32).fixed(value, 32);
}

function readSlot(reader: Reader): SlotValue {
  return { address: reader.address(), key: reader.fixed(32), value: reader.fixed(32) };
}

function writeAccountRead(writer: Writer, { address, nonce, balance, codeHash, observed }: AccountRead): void {
  writer.fixed(address, 20).u8((nonce === undefined ? 0 : NONCE) | (balance === undefined ? 0 : BALANCE) | (codeHash === undefined ? 0 : CODE) | (observed ? OBSERVED : 0));
  if (nonce !== undefined) writer.u256(nonce);
  if (balance !== undefined) writer.u256(balance);
  if (codeHash !== undefined) writer.fixed(codeHash, 32);
}

function readAccountRead(reader: Reader): AccountRead {
  const [address, bits] = [reader.address(), reader.u8()];
  const nonce = (bits & NONCE) === 0 ? undefined : reader.u256();
  const balance = (bits & BALANCE) === 0 ? undefined : reader.u256();
  return { address, nonce, balance, codeHash: (bits & CODE) === 0 ? undefined : reader.hash(), observed: (bits & OBSERVED) !== 0 };
}

function writeHome(writer: Writer, { address, home }: HomeRead): void {
  writer.fixed(address, 20).u32(home >>> 0);
}

function readHome(reader: Reader): HomeRead {
  return { address: reader.address(), home: reader.u32() | 0 };
}

/** What threads found out, for the main thread. */
export function packSpeculated(all: readonly (SpeculatedTransaction | undefined)[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer(Math.max(8192, all.length * BYTES_PER_TRANSACTION));
  writer.list(all, LIST_MAX, (to, one) => {
    to.bool(one !== undefined);
    if (one === undefined) return;
    const { outcome, reads, changes } = one;
    writeOutcome(to, outcome);
    to.list(reads.accounts, LIST_MAX, writeAccountRead).list(reads.slots, LIST_MAX, writeSlot).list(reads.homes, LIST_MAX, writeHome).list(reads.unread, LIST_MAX, writeAccountRead);
    to.list(changes.accounts, LIST_MAX, writeAccountChange).list(changes.slots, LIST_MAX, writeSlot);
  });
  return writer.finish() as Uint8Array<ArrayBuffer>;
}

/** The inverse of {@link packSpeculated}; bytes are views. */
export function unpackSpeculated(packed: Uint8Array): (SpeculatedTransaction | undefined)[] {
  return new Reader(packed).list(LIST_MAX, (reader) => {
    if (!reader.bool()) return undefined;
    const outcome = readOutcome(reader);
    const [accounts, slots] = [reader.list(LIST_MAX, readAccountRead), reader.list(LIST_MAX, readSlot)];
    const reads = { accounts, slots, homes: reader.list(LIST_MAX, readHome), unread: reader.list(LIST_MAX, readAccountRead) };
    const changes = { accounts: reader.list(LIST_MAX, readAccountChange), slots: reader.list(LIST_MAX, readSlot) };
    return 'invalid' in outcome ? undefined : { outcome, reads, changes };
  });
}
