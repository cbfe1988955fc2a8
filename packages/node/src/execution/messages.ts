/** What crosses between the execution pool and its threads. Byte arrays are transferred. */
import type { ExecutionRules, RunResult, SharedStateSize } from '@shardlab/shard';

/** What a thread is started with. */
export interface ExecutionSetup {
  readonly rules: ExecutionRules;
  /** Keys hashes; the same in all threads of a pool. */
  readonly seed: number;
  readonly size: SharedStateSize;
  /** Of a `SharedState`. */
  readonly state: SharedArrayBuffer;
  /** Of an `AnswerBox`. */
  readonly answers: SharedArrayBuffer;
  readonly libraries: 'native' | 'portable';
}

/** Pool to thread: a run. */
export interface RunMessage {
  readonly id: number;
  /** See `packBlock`. */
  readonly block: Uint8Array<ArrayBuffer>;
  /** See `packTransactions`. */
  readonly transactions: Uint8Array<ArrayBuffer>;
  /** See `RunOrder.learn`. */
  readonly learn: readonly number[];
}

/** What a thread wants to know of the state; the answer comes through its `AnswerBox`. */
export type Question =
  | { readonly what: 'account' | 'home' | 'has-storage'; readonly address: Uint8Array }
  | { readonly what: 'storage'; readonly address: Uint8Array; readonly key: Uint8Array }
  | { readonly what: 'code'; readonly codeHash: Uint8Array };

/** Thread to pool: it is ready; a question, for whose answer it stands still; a run is done. */
export type ThreadMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'question'; readonly question: Question }
  | { readonly kind: 'result'; readonly id: number; readonly result: RunResult; /** Processor time of the thread so far. */ readonly cpuUs: number };
