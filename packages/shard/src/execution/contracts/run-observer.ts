import type { Operation, OperationOutcome, TxHash } from '@shardlab/crosslink';
import type { Tracer } from '../evm/tracer.ts';
import type { Halt } from '../evm/types.ts';

/** What code came to. */
export interface ObservedRun {
  /** undefined: it succeeded. */
  readonly halt: Halt | undefined;
  /** Of a whole transaction; of a part, without the intrinsic gas, which its coordinator takes. */
  readonly gasUsed: number;
  /** Return or revert data of the last call; for a creation, the code. */
  readonly output: Uint8Array;
}

/** What became of a part of a cross-shard transaction here, in one block. */
export type JudgedOutcome = OperationOutcome | { readonly kind: 'busy' };

/** Is told what a block runs of which transaction, to trace it. It changes nothing. */
export interface RunObserver {
  /**
   * Code of a transaction, or of its part on this shard, begins to run: the tracer that follows it, if any. What ran of the same transaction earlier in the block was undone:
   * it made a contract whose stub another shard keeps, or waited for a lock.
   */
  begins(txHash: TxHash): Tracer | undefined;
  /** What began last has ended. */
  ended(txHash: TxHash, run: ObservedRun): void;
  /** A part of a cross-shard transaction was judged. If code ran for that, it has ended. */
  judged(txHash: TxHash, operation: Operation, outcome: JudgedOutcome): void;
}
