import type { BlockEnvironment, EvmTransaction, StateSource } from '@shardlab/shard';

/** Where `ExecutionPool.prepare` has put a transaction that waits for its block: a place of its `TransactionArena`, to be kept beside the transaction. */
export type PreparedTransaction = number;

/** A block's transactions, and the state that they are executed over: it must not change until the result is there. */
export interface ExecutionRequest {
  readonly block: BlockEnvironment;
  readonly transactions: readonly EvmTransaction[];
  /** What `ExecutionPool.prepare` said of each, in the same order; without it, the transaction is packed now. */
  readonly prepared?: readonly (PreparedTransaction | undefined)[];
  readonly source: StateSource;
}
