import { ShardlabError } from '@shardlab/crosslink';
import { type AdmissionPolicy, type EvmFeePolicy, type ExecutionCrypto, type SharedStateSize, type ShardState, StateMirror } from '@shardlab/shard';
import { inlineExecutor, speculatingExecutor } from '../execution/block-execution.ts';
import { ExecutionPool } from '../execution/execution-pool.ts';
import { RecoveryPool } from '../recovery/recovery-pool.ts';
import type { SenderRecovery } from '../recovery/sender-recovery.ts';
import type { ShardNode } from '../runtime/assemble.ts';
import type { ExecuteBlock } from '../runtime/node-runtime.ts';

/** Rows of the tables that threads share, as powers of 2: for four times what the state has, within these bounds. Only what is used takes memory: 104 and 68 bytes a row. */
const ACCOUNTS_LOG2 = { min: 16, max: 22 };
const SLOTS_LOG2 = { min: 18, max: 23 };
const ROOM = 4;

/** How many threads, and by what rules they work. */
export interface NodeThreadsOptions {
  /** Execution threads; 0: one thread that recovers senders. */
  readonly workers: number;
  readonly policy: AdmissionPolicy;
  readonly feePolicy: EvmFeePolicy;
}

/** What threads work for. */
export interface NodeThreadsModules {
  readonly crypto: ExecutionCrypto;
  /** undefined: a beacon, which needs none. */
  readonly shard: Pick<ShardNode, 'executor' | 'state'> | undefined;
  readonly onWorkerLost: (reason: string) => void;
  readonly failed: (error: Error) => void;
}

/** What a node has its threads for. It may be stopped before it was started. */
export interface NodeThreads {
  readonly recovery: SenderRecovery;
  readonly execute: ExecuteBlock;
  start(): Promise<void>;
  stop(): Promise<void>;
}

function log2For(count: number, { min, max }: typeof ACCOUNTS_LOG2): number {
  return Math.min(max, Math.max(min, Math.ceil(Math.log2(ROOM * count + 1))));
}

function sizeFor({ accountCount, slotCount }: ShardState): SharedStateSize {
  return { accountsLog2: log2For(accountCount, ACCOUNTS_LOG2), slotsLog2: log2For(slotCount, SLOTS_LOG2) };
}

function executesNothing(): never {
  throw new ShardlabError('invariant', 'a beacon executes nothing');
}

const defer = (task: () => void): void => void setImmediate(task);

function withPool({ workers, policy, feePolicy }: NodeThreadsOptions, modules: NodeThreadsModules, { executor, state }: Pick<ShardNode, 'executor' | 'state'>): NodeThreads {
  const { crypto, onWorkerLost, failed } = modules;
  const pool = new ExecutionPool({ workers, fork: policy.fork, feePolicy, admission: policy, size: sizeFor(state) }, { crypto, onWorkerLost });
  const mirror = new StateMirror({ emptyHash: crypto.keccak256(new Uint8Array(0)) }, { state, shared: pool.sharedState! });
  const recovery = pool.recovery()!;
  const execute = speculatingExecutor({ executor, mirror, speculate: (request, done) => pool.speculate(request, done), defer, failed });
  return {
    recovery,
    execute,
    start: async () => {
      await pool.start();
      await recovery.start();
    },
    stop: async () => {
      await recovery.stop();
      await pool.stop();
    },
  };
}

/** A node's threads, not started. */
export function nodeThreads(options: NodeThreadsOptions, modules: NodeThreadsModules): NodeThreads {
  const { shard, onWorkerLost, failed } = modules;
  if (shard !== undefined && options.workers > 0) return withPool(options, modules, shard);
  const recovery = new RecoveryPool({ policy: options.policy, workers: 1 }, { onWorkerLost });
  const stop = (): Promise<void> => recovery.stop();
  if (shard === undefined) return { recovery, execute: executesNothing, start: () => Promise.resolve(), stop };
  return { recovery, execute: inlineExecutor(shard.executor, defer, failed), start: () => recovery.start(), stop };
}
