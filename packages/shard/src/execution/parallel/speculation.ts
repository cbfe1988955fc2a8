/**
 * The seam between execution on threads and the execution of blocks. Threads execute a block's transactions beforehand, on the state of its parent, and bring back what each read
 * and changed. The block itself is executed in order, in one thread, as a function of state and proposal alone: where what a transaction read is still so, its changes
 * are taken as they are; else it is executed. A speculation that is wrong, old or missing costs time and changes nothing.
 */
import { type Address, equalBytes, type Hash32 } from '@shardlab/crosslink';
import type { AppliedTransaction } from '../evm/transaction.ts';
import type { StateSource } from '../evm/types.ts';
import type { WorldChanges, WorldReads } from '../evm/world-state.ts';
import type { AccountRead } from '../evm/world/accounts.ts';

/** Where an account was said to live: see `StateSource.homeOf`. */
export interface HomeRead {
  readonly address: Address;
  readonly home: number;
}

/** All that a transaction's outcome and changes rest on, besides the transaction and its block's environment. */
export interface SpeculativeReads extends WorldReads {
  readonly homes: readonly HomeRead[];
  /** What nobody read, and the changes set to what it was: it has to be so, too. No lock stands for it, since whoever executes the transaction takes none. */
  readonly unread: readonly AccountRead[];
}

/** What a transaction did on the state that it saw. */
export interface SpeculatedTransaction {
  /** Without the output, which no block keeps: returned memory costs so little gas that a block's worth of it is hundreds of megabytes. */
  readonly outcome: AppliedTransaction;
  readonly reads: SpeculativeReads;
  /** Balances are to be applied as differences: see `applyWorldChanges`. */
  readonly changes: WorldChanges;
}

/** What threads found out about a block's transactions. */
export interface Speculation {
  /** Of the transaction at that place in the proposal; undefined: nothing is known, execute it. */
  at(index: number): SpeculatedTransaction | undefined;
}

/**
 * Whether everything that was read is so in `source`: then the transaction would do there what it did. `emptyHash`: keccak-256 of no bytes, the code hash of an account
 * that is not there.
 */
export function validates(reads: SpeculativeReads, source: StateSource, emptyHash: Hash32): boolean {
  for (const read of reads.accounts) if (!isStill(read, source, emptyHash)) return false;
  for (const read of reads.unread) if (!isStill(read, source, emptyHash)) return false;
  const value = new Uint8Array(32);
  for (const slot of reads.slots) {
    source.storage(slot.address, slot.key, value);
    if (!equalBytes(slot.value, value)) return false;
  }
  return reads.homes.every(({ address, home }) => source.homeOf(address) === home);
}

function isStill({ address, nonce, balance, codeHash }: AccountRead, source: StateSource, emptyHash: Hash32): boolean {
  const account = source.account(address);
  if (nonce !== undefined && nonce !== (account?.nonce ?? 0n)) return false;
  if (balance !== undefined && balance !== (account?.balance ?? 0n)) return false;
  return codeHash === undefined || equalBytes(codeHash, account?.codeHash ?? emptyHash);
}
