import type { Hasher } from '../crypto.ts';
import type { BlockEvent } from '../events.ts';
import type { Address, Hash32, ShardId, TxHash } from '../primitives.ts';
import type { LockMode } from './locks.ts';
import type { CrossShardMessage } from './messages.ts';
import type { Operation } from './operations.ts';
import type { CoordinatorRecord, CrossShardIntent, Moment, OperationOutcome, Settlement } from './types.ts';

/** Reserved namespaces of the protocol's records under the state root (R10). */
export type RecordNamespace = 'coordinator' | 'participant' | 'parked';

/** What the shard offers to a cross-shard protocol while one block executes. All money moves go through it, so that the header's totals stay true. */
export interface ProtocolHost {
  readonly hasher: Hasher;
  readonly chainId: number;
  readonly shard: ShardId;
  /** The block being executed. */
  readonly now: Moment;
  /** Appends a message to the block's outgoing ones; never to the shard itself. */
  emit(destination: ShardId, message: CrossShardMessage): void;
  /** Moves wei of `address`'s balance into escrow. The caller has checked that it is there. */
  escrow(address: Address, amount: bigint): void;
  /** Moves wei from escrow to a balance. */
  unescrow(address: Address, amount: bigint): void;
  /** Moves wei from escrow to the burned total. */
  burnEscrow(amount: bigint): void;
  /** Moves wei from escrow onto its way to `destination` (R15: with a commit Decision), which may be the shard itself. */
  sendValue(destination: ShardId, amount: bigint): void;
  /**
   * Books wei that arrived with a commit Decision: into escrow, from where the protocol credits or parks it at once. False, and nothing is booked, if so many
   * wei can not exist.
   */
  receiveValue(source: ShardId, amount: bigint): boolean;
  /** Where an address lives, as this block sees it (R11). */
  homeOf(address: Address): ShardId;
  /**
   * Executes a participant's operation tentatively, within the block's gas. `busy` when the block cannot afford it (R19). Changes nothing. `txHash` is for those who follow a
   * transaction: nothing depends on it.
   */
  execute(operation: Operation, gasPrice: bigint, txHash: TxHash): OperationOutcome | { readonly kind: 'busy' };
  /**
   * Applies a prepared operation, unless it is a plain credit: its value stands in escrow, and goes where the effects say. `effects` is what {@link execute} gave.
   * Returns the encoded logs, at most `ACK_LOGS_BYTES_MAX`, none if it is a creation's or call's without any. Cannot fail.
   */
  apply(operation: Operation, effects: Uint8Array | undefined, txHash: TxHash): Uint8Array;
  /** Lists a finished transaction with its receipt. */
  settle(settlement: Settlement): void;
  event(event: BlockEvent): void;
  /** Stores (or, with undefined, removes) a record under the state root; `id` is 20 bytes. */
  putRecord(namespace: RecordNamespace, id: Uint8Array, value: Uint8Array | undefined): void;
}

/** What a protocol wants of time. */
export interface ProtocolDue {
  /** Block time after which there is something to do; undefined = nothing waits for time. */
  readonly timestampMs: number | undefined;
  /** Height at which there is something to do; undefined = nothing waits for a height. */
  readonly height: number | undefined;
}

/** Open work, for status, metrics and the checkers. */
export interface ProtocolCounts {
  readonly coordinating: number;
  readonly participating: number;
  readonly waiting: number;
  readonly retrying: number;
  readonly locksHeld: number;
  readonly parked: number;
  /** Messages that fitted no record: late, replayed, or forged by a whole committee. */
  readonly ignoredMessages: number;
}

/**
 * The seam behind which cross-shard protocols live: two-phase commit now, relay (Monoxide) or broker later, for comparison. One instance belongs to one shard's
 * replica, is changed only while a block executes, and is rebuilt from the records under the state root.
 */
export interface CrossShardProtocol {
  readonly name: string;
  /** Adds a record found in state at start, or resets one when a block is undone (undefined: there was none). */
  restore(namespace: RecordNamespace, id: Uint8Array, value: Uint8Array | undefined): void;
  /**
   * Takes a local transaction over as coordinator. `busy`: a pair's budget is full (R19); `locked`: its own part meets a lock. In both cases nothing has
   * changed and the transaction waits in the pool.
   */
  begin(host: ProtocolHost, intent: CrossShardIntent): 'begun' | 'busy' | 'locked';
  /** Consumes one message of another shard's certified block. Whatever it is, this neither throws nor fails. */
  receive(host: ProtocolHost, source: ShardId, origin: Moment, message: CrossShardMessage): void;
  /** After the inbox: deadlines, then retries, then waiters of locks that rested (R7). */
  due(host: ProtocolHost): void;
  /** After the local transactions: writes changed records to the host and ends the block's fairness round. */
  endBlock(host: ProtocolHost): void;
  /** Whether a local transaction that touches `key` must wait (R17). */
  forbids(key: string, mode: LockMode): boolean;
  /** Whether {@link forbids} can be true of any key at all for a `delta`: spares the look-up in the common case. */
  exclusiveHeld(): boolean;
  nextDue(): ProtocolDue;
  counts(): ProtocolCounts;
  /** Open transaction of this id on this shard's coordinator, for traces. */
  coordinating(id: Hash32): CoordinatorRecord | undefined;
}
