/** What a run of transactions brings back, in flat arrays that threads can hand over: nothing in it is an object per transaction. */
import { type Address, Reader } from '@shardlab/crosslink';
import type { TransactionOutcome } from '../evm/transaction.ts';
import { readOutcome } from './outcome-codec.ts';
import type { RunChanges } from './run-changes.ts';

/** A run's outcomes, accesses and changes. */
export interface RunResult {
  /** Outcomes in order, back to back: see `readOutcome`. */
  readonly outcomes: Uint8Array<ArrayBuffer>;
  /** Where each outcome begins. */
  readonly outcomeStarts: Uint32Array<ArrayBuffer>;
  /** Of all transactions. */
  readonly gasUsed: number;
  /** What all transactions together touched, `ACCESS_WORDS` each; some may have no bits. */
  readonly accesses: Int32Array<ArrayBuffer>;
  /** Which of these each transaction has, where that was wanted: see `AccessWorld.touched`. */
  readonly touched: Int32Array<ArrayBuffer> | undefined;
  /** What the transactions to learn from have touched. */
  readonly samples: readonly AccessSample[];
  /** What changed; undefined for a result that stayed in the thread that wants it: see {@link KeptResult}. */
  readonly changes: RunChanges | undefined;
}

/** A result that stays in its thread: outcomes are as they were made, and changes are collected when they are asked for first. */
export interface KeptResult extends RunResult {
  readonly kept: readonly TransactionOutcome[];
  readonly changesLater: () => RunChanges;
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

/** What the transaction at a position of the run did. */
export function outcomeIn(result: RunResult | KeptResult, position: number): TransactionOutcome {
  if ('kept' in result) return result.kept[position]!;
  return readOutcome(new Reader(result.outcomes.subarray(result.outcomeStarts[position]!)));
}

/** What the run changed. */
export function changesOf(result: RunResult | KeptResult): RunChanges {
  return 'kept' in result ? result.changesLater() : result.changes!;
}

/** Everything in a result that a thread hands over instead of copying it. */
export function transferables({ outcomes, outcomeStarts, accesses, touched, changes }: RunResult): ArrayBuffer[] {
  const arrays: { readonly buffer: ArrayBuffer }[] = [outcomes, outcomeStarts, accesses];
  if (touched !== undefined) arrays.push(touched);
  if (changes !== undefined) {
    arrays.push(changes.accountAddresses, changes.accountValues, changes.slotOwnerOf, changes.slotOwners, changes.slots);
    if (changes.irregular !== undefined) arrays.push(changes.irregular);
  }
  return arrays.map(({ buffer }) => buffer);
}
