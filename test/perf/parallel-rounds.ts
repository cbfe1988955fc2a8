/** One round of `npm run bench -- parallel`: a block, executed and timed. */
import { threadCpuUsage } from 'node:process';
import { AdmissionBatch, type EvmTransaction, recoverBatch, toEvmTransaction } from '@shardlab/shard';
import { createCrypto } from '../../packages/node/src/crypto/create-crypto.ts';
import type { ExecutionPool } from '../../packages/node/src/execution/execution-pool.ts';
import type { Execution } from '../../packages/node/src/execution/pool-options.ts';
import type { ExecutionRequest, PreparedTransaction } from '../../packages/node/src/execution/execution-request.ts';
import type { SenderRecovery } from '../../packages/node/src/recovery/sender-recovery.ts';
import { BLOCK } from '../support/contract-host.ts';
import { type BenchState, SIGNED_POLICY } from './parallel-workloads.ts';

/** Transactions of one call to the recovery: a node admits them in such batches. */
const SIGNED_BATCH = 512;
/** Cores that the processor time of recovery is spread over at most. */
const CORES = 2;

/** Processor time of a round, in milliseconds. */
export interface RoundCpu {
  /** Of the main thread, but for its own run of the block. */
  readonly mainMs: number;
  /** Of the main thread's own run, and of the busiest worker's. */
  readonly ownMs: number;
  readonly busiestMs: number;
  /** Of recovery, which comes first: all threads together, and the busiest. */
  readonly recoveryMs: number;
  readonly recoveryBusiestMs: number;
}

/** A round. */
export interface Timed {
  readonly wallMs: number;
  readonly cpu: RoundCpu;
  /** Processor time of making objects of the changes, afterwards. */
  readonly changesMs: number;
  readonly execution: Execution;
}

const serialSigning = await createCrypto();
const recoveries = new WeakMap<ExecutionPool, SenderRecovery>();

/** Starts the pool's recovery, to be stopped by the caller. */
export async function warmedUp(pool: ExecutionPool): Promise<SenderRecovery> {
  const recovery = pool.recovery();
  if (recovery === undefined) throw new Error('this pool recovers no senders');
  await recovery.start();
  recoveries.set(pool, recovery);
  return recovery;
}

/**
 * Processor time on the critical path: the main thread's, whose own run counts only where it took longer than the busiest worker's. While senders are recovered all threads work
 * beside each other: as long as the busiest takes, but not shorter than their sum on {@link CORES} cores.
 */
export function processorMs({ mainMs, ownMs, busiestMs, recoveryMs, recoveryBusiestMs }: RoundCpu): number {
  return Math.max(recoveryBusiestMs, recoveryMs / CORES) + mainMs + Math.max(ownMs, busiestMs);
}

function ownCpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = threadCpuUsage(since);
  return (user + system) / 1_000;
}

function execute(pool: ExecutionPool, bench: BenchState, work: Pick<ExecutionRequest, 'transactions' | 'prepared'>): Promise<Execution> {
  return new Promise((resolve, reject) => {
    pool.execute({ block: BLOCK, ...work, source: bench.state }, (result) => (result.ok ? resolve(result.value) : reject(result.error)));
  });
}

function workersMs(pool: ExecutionPool, before: readonly number[]): number[] {
  return pool.workersCpuUs.map((cpuUs, index) => (cpuUs - (before[index] ?? 0)) / 1_000);
}

/** Executes a block of transactions whose senders are known. */
export async function executed(pool: ExecutionPool, bench: BenchState, work: Pick<ExecutionRequest, 'transactions' | 'prepared'>): Promise<Timed> {
  globalThis.gc?.();
  const workersBefore = pool.workersCpuUs;
  const ownBefore = pool.ownCpuUs;
  const cpuBefore = threadCpuUsage();
  const start = performance.now();
  const execution = await execute(pool, bench, work);
  const wallMs = performance.now() - start;
  const mainMs = ownCpuMs(cpuBefore);
  const ownMs = (pool.ownCpuUs - ownBefore) / 1_000;
  const busiestMs = Math.max(0, ...workersMs(pool, workersBefore));
  const beforeChanges = threadCpuUsage();
  execution.result.changes();
  return { wallMs, cpu: { mainMs: mainMs - ownMs, ownMs, busiestMs, recoveryMs: 0, recoveryBusiestMs: 0 }, changesMs: ownCpuMs(beforeChanges), execution };
}

function decoded(batch: AdmissionBatch): EvmTransaction[] {
  return Array.from({ length: batch.count }, (_, index) => {
    const error = batch.error(index);
    if (error !== undefined) throw new Error(`a signed transaction is bad: ${error}`);
    return toEvmTransaction(batch.transaction(index));
  });
}

/** On the pool's threads, in batches as they are admitted; each is prepared while the next is recovered. */
async function recoverOnThreads(pool: ExecutionPool, recovery: SenderRecovery, raws: readonly Uint8Array[]): Promise<Pick<ExecutionRequest, 'transactions' | 'prepared'>> {
  const batches: Promise<{ readonly transactions: EvmTransaction[]; readonly prepared: (PreparedTransaction | undefined)[] }>[] = [];
  for (let from = 0; from < raws.length; from += SIGNED_BATCH) {
    const recovered = new Promise<AdmissionBatch>((resolve, reject) => {
      recovery.recover(raws.slice(from, from + SIGNED_BATCH), (result) => (result.ok ? resolve(result.value) : reject(result.error)));
    });
    batches.push(
      recovered.then((batch) => {
        const transactions = decoded(batch);
        return { transactions, prepared: transactions.map((tx) => pool.prepare(tx)) };
      }),
    );
  }
  const all = await Promise.all(batches);
  return { transactions: all.flatMap(({ transactions }) => transactions), prepared: all.flatMap(({ prepared }) => prepared) };
}

/** Executes a block from its signed bytes on: senders are recovered, then it is executed. Without workers both on this thread. */
export async function recoveredAndExecuted(pool: ExecutionPool, bench: BenchState, raws: readonly Uint8Array[]): Promise<Timed> {
  globalThis.gc?.();
  const recovery = recoveries.get(pool);
  const workersBefore = pool.workersCpuUs;
  const cpuBefore = threadCpuUsage();
  const start = performance.now();
  const work = recovery === undefined ? { transactions: decoded(new AdmissionBatch(raws, recoverBatch(raws, serialSigning, SIGNED_POLICY))) } : await recoverOnThreads(pool, recovery, raws);
  const recoveryWallMs = performance.now() - start;
  const mainMs = ownCpuMs(cpuBefore);
  const workers = workersMs(pool, workersBefore);
  const round = await executed(pool, bench, work);
  const sum = workers.reduce((all, each) => all + each, mainMs);
  // On one thread nothing is beside anything.
  const recoveryCpu = workers.length === 0 ? { recoveryMs: 0, recoveryBusiestMs: mainMs } : { recoveryMs: sum, recoveryBusiestMs: Math.max(mainMs, ...workers) };
  return { ...round, wallMs: recoveryWallMs + round.wallMs, cpu: { ...round.cpu, ...recoveryCpu } };
}
