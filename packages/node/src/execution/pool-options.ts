import type { AdmissionPolicy, BlockResult, ExecutionRules, ParallelCounts, ParallelOptions, SerialReason, SharedStateSize } from '@shardlab/shard';

/** How a block was executed: on threads, or on the main thread and why. */
export type ExecutionPath =
  | { readonly kind: 'parallel'; readonly counts: ParallelCounts }
  | { readonly kind: 'serial'; readonly reason: SerialReason | 'no-workers' | 'workers-lost' };

/** A block that was executed. */
export interface Execution {
  readonly result: BlockResult;
  readonly path: ExecutionPath;
}

/** How an `ExecutionPool` works. */
export interface ExecutionPoolOptions extends ExecutionRules {
  /** Threads; 0: blocks are executed serially, on the main thread. With two or more the main thread is one of those that execute a block. */
  readonly workers: number;
  /** See `createCrypto`. */
  readonly libraries?: 'native' | 'portable';
  /** What threads share of the state. */
  readonly size?: SharedStateSize;
  /** Bytes for transactions that wait for their blocks: see `ExecutionPool.prepare`. A multiple of 8. */
  readonly arenaBytes?: number;
  readonly parallel?: Partial<Omit<ParallelOptions, 'workers'>>;
  /** What `ExecutionPool.recovery` judges transactions by; without it there is no recovery here. */
  readonly admission?: AdmissionPolicy;
  /** How transactions are signed: see `createCrypto`. */
  readonly transactions?: 'secp256k1' | 'keyed-hash';
}
