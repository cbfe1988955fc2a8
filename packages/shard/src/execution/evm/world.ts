import type { Address, Hash32 } from '@shardlab/crosslink';
import type { Code } from './code.ts';
import type { AccountId, EvmLog, SlotId, Words } from './types.ts';

/** What the EVM needs of the world state; {@link WorldState} is the implementation. Everything that writes is journaled between `snapshot` and `revertTo`. */
export interface EvmWorld {
  /** The account whose address is the low 160 bits of a word. */
  accountAt(words: Words, at: number): AccountId;
  accountOf(address: Address): AccountId;
  address(account: AccountId): Address;
  addressInto(account: AccountId, words: Words, at: number): void;
  slotAt(account: AccountId, words: Words, at: number): SlotId;
  /** The shard of a foreign account; -1: it lives here (R12). */
  homeOf(account: AccountId): number;
  snapshot(): number;
  revertTo(snapshot: number): void;
  /** Makes the account warm (EIP-2929); true if it was cold. */
  warmAccount(account: AccountId): boolean;
  /** Makes the slot warm (EIP-2929); true if it was cold. */
  warmSlot(slot: SlotId): boolean;
  /** EIP-161: no nonce, balance or code. */
  isEmpty(account: AccountId): boolean;
  balance(account: AccountId): bigint;
  balanceInto(account: AccountId, words: Words, at: number): void;
  addBalance(account: AccountId, wei: bigint): void;
  subBalance(account: AccountId, wei: bigint): void;
  nonce(account: AccountId): bigint;
  setNonce(account: AccountId, nonce: bigint): void;
  code(account: AccountId): Code;
  codeHash(account: AccountId): Hash32;
  setCode(account: AccountId, bytes: Uint8Array): void;
  /** Whether a contract may not be made there (EIP-684, EIP-7610). */
  hasCodeOrNonceOrStorage(account: AccountId): boolean;
  markCreated(account: AccountId): void;
  wasCreated(account: AccountId): boolean;
  /** Marks for deletion at the end of the transaction. */
  selfDestruct(account: AccountId): void;
  touch(account: AccountId): void;
  loadSlot(slot: SlotId, words: Words, at: number): void;
  storeSlot(slot: SlotId, words: Words, at: number): void;
  /** Bits: 1 new = current, 2 original = current, 4 original = 0, 8 current = 0, 16 new = 0, 32 original = new. */
  storeStatus(slot: SlotId, words: Words, at: number): number;
  loadTransient(account: AccountId, key: Words, keyAt: number, out: Words, outAt: number): void;
  storeTransient(account: AccountId, key: Words, keyAt: number, value: Words, valueAt: number): void;
  readonly refund: number;
  addRefund(gas: number): void;
  log(entry: EvmLog): void;
  /** Queues value for an account of another shard (R12). */
  credit(account: AccountId, wei: bigint): void;
}
