import type {
  BlockBody,
  BlockEvent,
  EncodedReceipts,
  Hash32,
  Height,
  InboxSegment,
  Outgoing,
  Settlement,
  ShardHeader,
  TransactionReceipt,
} from '@shardlab/crosslink';
import type { StateDelta } from '../state/shard-state.ts';
import type { PoolTransaction } from '../transaction/types.ts';

/** What a block is to be made from. Everything that is not the shard's own state stands here, so that execution is a function of both. */
export interface BlockProposal {
  readonly height: Height;
  readonly timestampMs: number;
  readonly epoch: number;
  readonly epochCertificateHash: Hash32;
  readonly proposer: number;
  readonly inbox: readonly InboxSegment[];
  readonly transactions: readonly PoolTransaction[];
  /**
   * `build`: transactions that do not fit are left out, with a reason. `verify`: the list is a proposer's, and one that does not fit makes the block
   * invalid.
   */
  readonly mode: 'build' | 'verify';
}

/**
 * Why a candidate is not in the block. `later`: its nonce, the base fee or the block's gas did not allow it; `blocked`: a lock, or the budget of its pair of
 * shards (R17, R19), did not; in both cases it stays in the pool. Otherwise it never fits and goes; `refused`: by the EVM's rules (a sender with code).
 */
export type Leftover = 'later' | 'blocked' | 'nonce-too-low' | 'insufficient-funds' | 'refused';

/** A block that has been executed, and all that belongs to it. */
export interface ExecutedBlock {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly body: BlockBody;
  readonly transactions: readonly PoolTransaction[];
  readonly outgoing: readonly Outgoing[];
  readonly receipts: readonly TransactionReceipt[];
  /** The same as bytes, for the block's record. */
  readonly encodedReceipts: EncodedReceipts;
  readonly events: readonly BlockEvent[];
  /** Cross-shard transactions that ended here as coordinator. */
  readonly settled: readonly Settlement[];
  readonly delta: StateDelta;
  /** Candidates that were left out; empty when verifying. */
  readonly leftovers: readonly { readonly transaction: PoolTransaction; readonly why: Leftover }[];
}
