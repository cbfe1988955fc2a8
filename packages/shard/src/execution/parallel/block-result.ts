import { type Address, bytesKey, type Hash32 } from '@shardlab/crosslink';
import type { TransactionOutcome } from '../evm/transaction.ts';
import type { StateSource } from '../evm/types.ts';
import type { WorldChanges } from '../evm/world-state.ts';
import type { AccountChange } from '../evm/world/accounts.ts';
import type { SlotValue } from '../evm/world/slots.ts';
import { forEachAccount, forEachSlot } from './run-changes.ts';
import { changesOf, outcomeIn, type RunResult } from './run-result.ts';

/** What the transactions of a block did, in their order. The same, byte for byte, however many threads it took. */
export interface BlockResult {
  /** Transactions. */
  readonly count: number;
  /** Gas of all transactions together. */
  readonly gasUsed: number;
  /** What the transaction at `index` (0 to `count` - 1) did. */
  outcome(index: number): TransactionOutcome;
  /** What differs from the state that the block stands on: each account and slot once, in no particular order. */
  changes(): WorldChanges;
}

/** A run that counts: the places of its transactions in the block, and what they did. */
export interface CountedRun {
  readonly indices: Uint32Array;
  readonly result: RunResult;
}

/** {@link BlockResult} of runs between which there is no conflict; read when it is asked for. */
export class MergedResult implements BlockResult {
  readonly count: number;
  readonly gasUsed: number;
  private readonly runs: readonly CountedRun[];
  private readonly source: StateSource;
  private readonly emptyHash: Hash32;
  /** By transaction: its run, and its position there. */
  private readonly runOf: Uint32Array;
  private readonly positionOf: Uint32Array;

  /** `source`: the state that all ran over; `emptyHash`: keccak-256 of no bytes. */
  constructor(runs: readonly CountedRun[], source: StateSource, emptyHash: Hash32) {
    this.runs = runs;
    this.source = source;
    this.emptyHash = emptyHash;
    this.count = runs.reduce((sum, { indices }) => sum + indices.length, 0);
    this.gasUsed = runs.reduce((sum, { result }) => sum + result.gasUsed, 0);
    this.runOf = new Uint32Array(this.count);
    this.positionOf = new Uint32Array(this.count);
    runs.forEach(({ indices }, run) => {
      for (let position = 0; position < indices.length; position++) {
        this.runOf[indices[position]!] = run;
        this.positionOf[indices[position]!] = position;
      }
    });
  }

  outcome(index: number): TransactionOutcome {
    return outcomeIn(this.runs[this.runOf[index]!]!.result, this.positionOf[index]!);
  }

  changes(): WorldChanges {
    const accounts: AccountChange[] = [];
    const slots: SlotValue[] = [];
    const shared = new Map<string, AccountChange>();
    const codeHashOf = (address: Address): Hash32 => this.source.account(address)?.codeHash ?? this.emptyHash;
    for (const { result } of this.runs) {
      const changes = changesOf(result);
      forEachAccount(changes, this.emptyHash, codeHashOf, (change, sole) => {
        if (sole) {
          accounts.push(change);
          return;
        }
        const key = bytesKey(change.address);
        const other = shared.get(key);
        shared.set(key, other === undefined ? change : combined(other, change));
      });
      forEachSlot(changes, (slot) => slots.push(slot));
    }
    // What several added to and took from may be as it was.
    for (const change of shared.values()) if (!this.isNothing(change)) accounts.push(change);
    return { accounts, slots };
  }

  private isNothing({ address, deleted, storageEmptied, balance, balanceBefore, nonce, code }: AccountChange): boolean {
    if (deleted || storageEmptied || code !== undefined || balance !== balanceBefore) return false;
    return nonce === (this.source.account(address)?.nonce ?? 0n);
  }
}

/** What two runs did to one account: they only added to its balance, but for one of them, which may have given it a nonce or code without looking at the balance. */
function combined(a: AccountChange, b: AccountChange): AccountChange {
  const whole = b.code === undefined ? a : b;
  return {
    address: a.address,
    deleted: a.deleted || b.deleted,
    storageEmptied: a.storageEmptied || b.storageEmptied,
    nonce: a.nonce > b.nonce ? a.nonce : b.nonce,
    nonceBefore: a.nonceBefore,
    balance: a.balance + b.balance - b.balanceBefore,
    balanceBefore: a.balanceBefore,
    codeHash: whole.codeHash,
    code: whole.code,
  };
}
