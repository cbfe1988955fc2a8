/** What crosses between the execution pool and its threads. Byte arrays are transferred. */
import type { AdmissionPolicy, ExecutionRules, RunResult, SharedStateSize } from '@shardlab/shard';

import type { SentTransactions } from './transaction-places.ts';

/** What a thread is started with. */
export interface ExecutionSetup {
  readonly rules: ExecutionRules;
  /** Keys hashes; the same in all threads of a pool. */
  readonly seed: number;
  readonly size: SharedStateSize;
  /** Of a `SharedState`. */
  readonly state: SharedArrayBuffer;
  /** Of a `TransactionArena`. */
  readonly arena: SharedArrayBuffer;
  /** Of an `AnswerBox`. */
  readonly answers: SharedArrayBuffer;
  readonly libraries: 'native' | 'portable';
  /** How transactions are signed: see `createCrypto`. */
  readonly transactions: 'secp256k1' | 'keyed-hash';
  /** What senders' recovery judges transactions by; undefined: these threads recover none. */
  readonly admission: AdmissionPolicy | undefined;
}

/** Pool to thread: a run of a block, of which accesses are wanted. */
export interface RunMessage {
  readonly kind: 'run';
  /** See `packBlock`. */
  readonly block: Uint8Array<ArrayBuffer>;
  readonly transactions: SentTransactions;
  /** See `RunMode`. */
  readonly exact: boolean;
  readonly learn: readonly number[];
}

/** Pool to thread: transactions of a block, of each of which it is wanted what it read and changed. */
export interface SpeculateMessage {
  readonly kind: 'speculate';
  readonly block: Uint8Array<ArrayBuffer>;
  readonly transactions: SentTransactions;
}

/** Pool to thread: signed transactions whose senders are wanted. */
export interface RecoverMessage {
  readonly kind: 'recover';
  /** See `packRaws`. */
  readonly packed: ArrayBuffer;
}

/** What a thread does. */
export type ThreadRequest = RunMessage | SpeculateMessage | RecoverMessage;

/** What comes of it. */
export type ThreadAnswer =
  | { readonly kind: 'run'; readonly result: RunResult }
  /** See `packSpeculated`. */
  | { readonly kind: 'speculate'; readonly packed: Uint8Array<ArrayBuffer> }
  /** The block has ended meanwhile, and its transactions are gone. */
  | { readonly kind: 'stale' }
  /** Admission records, back to back. */
  | { readonly kind: 'recover'; readonly records: ArrayBuffer };

/** What a thread wants to know of the state: see `AnswerBox`. */
export type Question =
  | { readonly what: 'account' | 'home' | 'has-storage'; readonly address: Uint8Array }
  | { readonly what: 'storage'; readonly address: Uint8Array; readonly key: Uint8Array }
  | { readonly what: 'code'; readonly codeHash: Uint8Array };

/** Thread to pool: it is ready; there is a question in its `AnswerBox`, for whose answer it stands still; a request is done. */
export type ThreadMessage =
  | { readonly kind: 'ready'; /** Which secp256k1 library runs. */ readonly library: string }
  | { readonly kind: 'question' }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: ThreadAnswer; /** Processor time of the thread so far. */ readonly cpuUs: number };
