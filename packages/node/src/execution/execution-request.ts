import type { BlockEnvironment, EvmTransaction, Footprint, StateSource } from '@shardlab/shard';

/** What `ExecutionPool.prepare` makes of a transaction before its block, to be kept beside it. */
export interface PreparedTransaction {
  /** See `packTransaction`. */
  readonly packed: Uint8Array;
  /** What it is predicted to touch; undefined: not known well enough yet. */
  readonly footprint: Footprint | undefined;
}

/** A block's transactions, and the state that they are executed over: it must not change until the result is there. */
export interface ExecutionRequest {
  readonly block: BlockEnvironment;
  readonly transactions: readonly EvmTransaction[];
  /** What `ExecutionPool.prepare` made of each, in the same order; without it, that is made now. */
  readonly prepared?: readonly (PreparedTransaction | undefined)[];
  readonly source: StateSource;
}
