import { availableParallelism, cpus } from 'node:os';
import { threadCpuUsage } from 'node:process';
import type { EvmCrypto } from '@shardlab/shard';
import { type Execution, ExecutionPool } from '../../packages/node/src/execution/execution-pool.ts';
import type { ExecutionRequest } from '../../packages/node/src/execution/execution-request.ts';
import { BLOCK, FORK } from '../support/contract-host.ts';
import { TokenBench } from './parallel-workloads.ts';

/** One kind of block on worker threads and on none, in the same process, in turns; one JSON line of `npm run bench`. */
export interface ParallelBench {
  readonly bench: string;
  /** What one transaction is. */
  readonly kind: string;
  /** Part of the transactions that depend on each other. */
  readonly conflicts: number;
  /** Transactions executed in a second of wall time, best round: outcomes and changes made. No root, no recovery. */
  readonly perSecond: number;
  /** The same with no workers. */
  readonly serialPerSecond: number;
  /** `perSecond` / `serialPerSecond`, of the best rounds. */
  readonly ratio: number;
  /** The same of the medians. */
  readonly ratioMedian: number;
  /**
   * The same of processor time on the critical path, which other processes on the machine disturb less: the main thread's, where its own run counts only if it took longer
   * than the busiest worker's, over all rounds. What the ratio would be on a quiet machine with a core for each thread.
   */
  readonly ratioCpu: number;
  readonly ratioTarget: number | null;
  /** Blocks of the rounds that count that threads executed. */
  readonly parallelBlocks: number;
  readonly workers: number;
  readonly blockTransactions: number;
  readonly accounts: number;
  readonly rounds: number;
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
}

const WORKERS = 2;
const ACCOUNTS = 100_000;
const COUNT = 5_000;
const ROUNDS = 24;
/** First rounds that do not count: code is compiled, and the predictor learns. */
const DISCARDED = 8;
const CONFLICTS = [0, 0.1, 0.5, 1] as const;
/** By part of conflicts. */
const TARGETS: Readonly<Record<number, number>> = { 0: 1.6, 1: 0.9 };

type Work = Pick<ExecutionRequest, 'transactions' | 'prepared'>;

function execute(pool: ExecutionPool, bench: TokenBench, work: Work): Promise<Execution> {
  return new Promise((resolve, reject) => {
    pool.execute({ block: BLOCK, ...work, source: bench.state }, (result) => (result.ok ? resolve(result.value) : reject(result.error)));
  });
}

interface Round {
  readonly ms: number;
  /** Processor time of the critical path: the main thread's, but its own run only where that took longer than the busiest worker's. */
  readonly cpuUs: number;
  readonly execution: Execution;
}

async function timed(pool: ExecutionPool, bench: TokenBench, work: Work): Promise<Round> {
  globalThis.gc?.();
  const workersBefore = pool.workersCpuUs;
  const ownBefore = pool.ownCpuUs;
  const cpuBefore = threadCpuUsage();
  const start = performance.now();
  const execution = await execute(pool, bench, work);
  execution.result.changes();
  const ms = performance.now() - start;
  const { user, system } = threadCpuUsage(cpuBefore);
  const busiest = Math.max(0, ...pool.workersCpuUs.map((cpuUs, index) => cpuUs - (workersBefore[index] ?? 0)));
  const ownUs = pool.ownCpuUs - ownBefore;
  return { ms, cpuUs: user + system - ownUs + Math.max(ownUs, busiest), execution };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function measure(crypto: EvmCrypto, bench: TokenBench, pools: readonly [ExecutionPool, ExecutionPool], conflicts: number): Promise<ParallelBench> {
  const [serialPool, pool] = pools;
  const serial: number[] = [];
  const parallel: number[] = [];
  const cpuUs = new Map([[serialPool, 0], [pool, 0]]);
  let parallelBlocks = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const transactions = bench.block(COUNT, conflicts);
    // What is done once, when a transaction is admitted; serial execution gets its transactions decoded, too.
    const prepared = transactions.map((tx) => pool.prepare(tx));
    // In turns, and the one that comes first in turns too: what else the machine does hits both.
    const order = round % 2 === 0 ? [serialPool, pool] : [pool, serialPool];
    let last: Round | undefined;
    for (const each of order) {
      const one = await timed(each, bench, { transactions, prepared });
      if (last !== undefined && last.execution.result.gasUsed !== one.execution.result.gasUsed) throw new Error('workers make a difference');
      last = one;
      if (round < DISCARDED) continue;
      (each === pool ? parallel : serial).push(one.ms);
      cpuUs.set(each, cpuUs.get(each)! + one.cpuUs);
      if (each === pool && one.execution.path.kind === 'parallel') parallelBlocks++;
    }
    const changes = last!.execution.result.changes();
    bench.state.apply(changes);
    pool.applied(changes, bench.state);
  }
  return {
    bench: `parallel-erc20-${Math.round(100 * conflicts)}`,
    kind: "transfer of OpenZeppelin's ERC-20",
    conflicts,
    perSecond: Math.round((COUNT / Math.min(...parallel)) * 1_000),
    serialPerSecond: Math.round((COUNT / Math.min(...serial)) * 1_000),
    ratio: Number((Math.min(...serial) / Math.min(...parallel)).toFixed(2)),
    ratioMedian: Number((median(serial) / median(parallel)).toFixed(2)),
    ratioCpu: Number((cpuUs.get(serialPool)! / cpuUs.get(pool)!).toFixed(2)),
    ratioTarget: TARGETS[conflicts] ?? null,
    parallelBlocks,
    workers: WORKERS,
    blockTransactions: COUNT,
    accounts: ACCOUNTS,
    rounds: ROUNDS - DISCARDED,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.versions.node,
  };
}

/** Measures blocks with more and more conflicts on two workers, against none. */
export async function benchParallel(crypto: EvmCrypto): Promise<ParallelBench[]> {
  const bench = new TokenBench(crypto, ACCOUNTS);
  const rules = { fork: FORK, feePolicy: 'ethereum' } as const;
  const serial = new ExecutionPool({ ...rules, workers: 0 }, { crypto });
  const pool = new ExecutionPool({ ...rules, workers: WORKERS }, { crypto });
  await Promise.all([serial.start(), pool.start()]);
  try {
    bench.share(pool.sharedState!);
    const results: ParallelBench[] = [];
    for (const conflicts of CONFLICTS) results.push(await measure(crypto, bench, [serial, pool], conflicts));
    return results;
  } finally {
    await Promise.all([serial.stop(), pool.stop()]);
  }
}
