import type { AbortReason } from '../events.ts';
import type { Address, Hash32, Height, ShardId, TxHash } from '../primitives.ts';
import type { Lock } from './locks.ts';
import type { Operation } from './operations.ts';

/** Most participants of one cross-shard transaction: a coordinator's record with all of them and all its locks fits into a state record. */
export const PARTICIPANTS_MAX = 32;

/** Most bytes of what an operation does, as its shard encodes it. */
export const EFFECTS_BYTES_MAX = 128 * 1024;

/** A height of some shard and its block time. */
export interface Moment {
  readonly height: Height;
  readonly timestampMs: number;
}

/** How far one participant is, as its coordinator knows. */
export type ParticipantStatus =
  /** Prepare sent, no vote yet. */
  | 'pending'
  | 'yes'
  /** Voted anything but yes: it holds nothing, and hears nothing more of this attempt. */
  | 'ended'
  /** A Decision is on its way. */
  | 'deciding'
  | 'acked';

/** One participant in a coordinator's record. */
export interface ParticipantProgress {
  readonly shard: ShardId;
  readonly operation: Operation;
  readonly status: ParticipantStatus;
  /** From its vote; undefined until it voted. */
  readonly gasUsed: number | undefined;
  /** Where it said that the account lives now (R11): the next attempt asks there. */
  readonly movedTo: ShardId | undefined;
  /** Stubs that its vote asked of other shards (R11): the next attempt asks them. */
  readonly needs: readonly Needed[];
  /** Encoded logs from its Ack; empty before. */
  readonly logs: Uint8Array;
}

/** A stub that `shard` has to keep, because a participant would make a contract at `address`. */
export interface Needed {
  readonly shard: ShardId;
  readonly address: Address;
}

/** Where a coordinator's record stands. */
export type CoordinatorPhase = 'preparing' | 'committing' | 'aborting' | 'retrying';

/**
 * What a coordinator must remember of one open cross-shard transaction. Lives under the state root (R10), in the `coordinator` namespace under the first 20 bytes
 * of `id`. Its escrow is `escrowValue + escrowFee`.
 */
export interface CoordinatorRecord {
  readonly id: Hash32;
  readonly txHash: TxHash;
  readonly sender: Address;
  readonly phase: CoordinatorPhase;
  readonly attempt: number;
  /** First attempt's block time: the age (R17). */
  readonly ageMs: number;
  readonly deadlineMs: number;
  /** Height from which a `retrying` record prepares again; 0 otherwise. */
  readonly retryHeight: Height;
  readonly reason: AbortReason;
  readonly participants: readonly ParticipantProgress[];
  /** Wei held for the participants; 0 once a commit Decision carried it away. */
  readonly escrowValue: bigint;
  /** Wei held for gas: gasLimit * gasPrice. */
  readonly escrowFee: bigint;
  /** Fixed at Prepare (R18). */
  readonly gasPrice: bigint;
  readonly gasLimit: number;
  /** Intrinsic gas and what finished attempts used. */
  readonly gasCharged: number;
  /** Granted locks; while `retrying` wanted ones (run 0), for then nothing is held. */
  readonly locks: readonly Lock[];
  readonly transactionType: number;
  readonly to: Address | undefined;
  /** Where the raw transaction stands. */
  readonly bodyHeight: Height;
  readonly bodyIndex: number;
  readonly prepared: Moment;
  /** Last vote: the participant's block. */
  readonly voted: Moment | undefined;
  readonly decided: Moment | undefined;
  /** Last Ack: the participant's block. */
  readonly applied: Moment | undefined;
}

/**
 * What a participant must remember of one open cross-shard transaction. Lives under the state root (R10), in the `participant` namespace under the first 20
 * bytes of `id`. A `waiting` one waits for locks and has not voted.
 */
export interface ParticipantRecord {
  readonly id: Hash32;
  readonly txHash: TxHash;
  readonly coordinator: ShardId;
  readonly status: 'waiting' | 'prepared';
  readonly attempt: number;
  readonly ageMs: number;
  readonly deadlineMs: number;
  /** Wei per gas. */
  readonly gasPrice: bigint;
  /** Without its data once it is prepared. */
  readonly operation: Operation;
  /** Of the last execution. */
  readonly gasUsed: number;
  /** What the operation does once it is committed, as its shard encodes it: undefined for a plain credit, and while waiting. */
  readonly effects: Uint8Array | undefined;
  /** Granted locks when prepared; wanted ones (run 0) while waiting. */
  readonly locks: readonly Lock[];
  readonly since: Moment;
}

/** A transaction that turned out to cross shards, offered to the protocol. */
export interface CrossShardIntent {
  readonly txHash: TxHash;
  readonly sender: Address;
  readonly to: Address | undefined;
  readonly transactionType: number;
  /** One for each shard; the coordinator's own may be among them. */
  readonly operations: readonly { readonly shard: ShardId; readonly operation: Operation }[];
  /** Sum over the operations, wei. */
  readonly value: bigint;
  readonly gasPrice: bigint;
  readonly gasLimit: number;
  readonly intrinsicGas: number;
  /** What the coordinator's own part reads and writes. */
  /** None if the own shard has an operation: its execution names them. */
  readonly locks: readonly Pick<Lock, 'key' | 'mode'>[];
  readonly bodyIndex: number;
}

/** What a participant's execution of an operation came to. */
export type OperationOutcome =
  | {
      readonly kind: 'yes';
      readonly gasUsed: number;
      readonly locks: readonly Pick<Lock, 'key' | 'mode'>[];
      /** At most {@link EFFECTS_BYTES_MAX}; undefined for a plain credit. */
      readonly effects: Uint8Array | undefined;
    }
  | { readonly kind: 'no'; readonly gasUsed: number; readonly reason: AbortReason }
  | { readonly kind: 'moved'; readonly shard: ShardId }
  | { readonly kind: 'needs'; readonly gasUsed: number; readonly accounts: readonly Needed[] };

/** The end of a cross-shard transaction on its coordinator: to be listed with its receipt (R18). */
export interface Settlement {
  readonly record: CoordinatorRecord;
  readonly commit: boolean;
  readonly gasUsed: number;
  readonly acked: Moment;
  /** Encoded lists of logs, in the order of the participants; none if it aborted. */
  readonly logs: readonly Uint8Array[];
}
