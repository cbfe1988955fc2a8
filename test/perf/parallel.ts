import { availableParallelism, cpus } from 'node:os';
import type { EvmCrypto, EvmTransaction } from '@shardlab/shard';
import { createCrypto } from '../../packages/node/src/crypto/create-crypto.ts';
import { ExecutionPool } from '../../packages/node/src/execution/execution-pool.ts';
import type { ExecutionPoolOptions } from '../../packages/node/src/execution/pool-options.ts';
import { FORK } from '../support/contract-host.ts';
import { executed, processorMs, recoveredAndExecuted, type RoundCpu, type Timed, warmedUp } from './parallel-rounds.ts';
import { type BenchState, SIGNED_POLICY, SwapBench, TokenBench } from './parallel-workloads.ts';

/** One kind of block on worker threads and on none, in the same process, in turns; one JSON line of `npm run bench`. */
export interface ParallelBench {
  readonly bench: string;
  /** What one transaction is. */
  readonly kind: string;
  /** Part of the transactions that depend on each other. */
  readonly conflicts: number;
  /** What is timed: until all outcomes are known, and what changed; `with recovery`: from signed bytes on. No root. */
  readonly timed: 'execution' | 'with recovery';
  /** Transactions in a second of wall time, median of the rounds. */
  readonly perSecond: number;
  /** The same with no workers. */
  readonly serialPerSecond: number;
  /** `perSecond` / `serialPerSecond`. */
  readonly ratio: number;
  /** The same of the best rounds. */
  readonly ratioBest: number;
  /**
   * The same of processor time on the critical path, medians, which other processes on the machine disturb less: see {@link processorMs}. What the ratio would be on a quiet
   * machine with a core for each thread.
   */
  readonly ratioCpu: number;
  /** {@link ratioCpu} when the changes are made into objects, too, one by one on the main thread on both sides. */
  readonly ratioCpuWithChanges: number;
  readonly ratioTarget: number | null;
  /** Milliseconds of processor time on the critical path, medians: serial, and in parallel. */
  readonly serialCpuMs: number;
  readonly cpuMs: number;
  /** What that consists of: the main thread's beside its own run, its own run, and the busiest worker's. */
  readonly mainCpuMs: number;
  readonly ownCpuMs: number;
  readonly workerCpuMs: number;
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

/** What is measured, and how long. */
interface Row {
  readonly bench: string;
  readonly kind: string;
  readonly conflicts: number;
  readonly target: number | null;
  readonly accounts: number;
  readonly count: number;
  readonly rounds: number;
  /** First rounds that do not count: code is compiled, and the predictor learns. */
  readonly discarded: number;
  readonly block: () => readonly EvmTransaction[];
  /** Signed bytes instead, which are recovered first. */
  readonly signed?: () => readonly Uint8Array[];
}

interface Rounds {
  readonly wallMs: number[];
  readonly cpuMs: number[];
  readonly changesCpuMs: number[];
  readonly parts: RoundCpu[];
  parallelBlocks: number;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function note(rounds: Rounds, { wallMs, cpu, changesMs, execution }: Timed): void {
  const cpuMs = processorMs(cpu);
  rounds.wallMs.push(wallMs);
  rounds.cpuMs.push(cpuMs);
  rounds.parts.push(cpu);
  rounds.changesCpuMs.push(cpuMs + changesMs);
  if (execution.path.kind === 'parallel') rounds.parallelBlocks++;
}

function rounded(value: number): number {
  return Number(value.toFixed(2));
}

async function measure(state: BenchState, pools: readonly [ExecutionPool, ExecutionPool], row: Row): Promise<ParallelBench> {
  const [serialPool, pool] = pools;
  const all = new Map(pools.map((each): [ExecutionPool, Rounds] => [each, { wallMs: [], cpuMs: [], changesCpuMs: [], parts: [], parallelBlocks: 0 }]));
  for (let round = 0; round < row.rounds + row.discarded; round++) {
    const raws = row.signed?.();
    const transactions = raws === undefined ? row.block() : [];
    // What is done once, when a transaction is admitted; serial execution gets its transactions decoded, too.
    const prepared = transactions.map((tx) => pool.prepare(tx));
    // In turns, and the one that comes first in turns too: what else the machine does hits both.
    let last: Timed | undefined;
    for (const each of round % 2 === 0 ? [serialPool, pool] : [pool, serialPool]) {
      const one = await (raws === undefined ? executed(each, state, { transactions, prepared }) : recoveredAndExecuted(each, state, raws));
      if (last !== undefined && last.execution.result.gasUsed !== one.execution.result.gasUsed) throw new Error('workers make a difference');
      if (round >= row.discarded) note(all.get(each)!, one);
      last = one;
    }
    const changes = last!.execution.result.changes();
    state.state.apply(changes);
    pool.applied(changes, state.state);
  }
  const [serial, parallel] = [all.get(serialPool)!, all.get(pool)!];
  return {
    bench: row.bench,
    kind: row.kind,
    conflicts: row.conflicts,
    timed: row.signed === undefined ? 'execution' : 'with recovery',
    perSecond: Math.round((row.count / median(parallel.wallMs)) * 1_000),
    serialPerSecond: Math.round((row.count / median(serial.wallMs)) * 1_000),
    ratio: rounded(median(serial.wallMs) / median(parallel.wallMs)),
    ratioBest: rounded(Math.min(...serial.wallMs) / Math.min(...parallel.wallMs)),
    ratioCpu: rounded(median(serial.cpuMs) / median(parallel.cpuMs)),
    ratioCpuWithChanges: rounded(median(serial.changesCpuMs) / median(parallel.changesCpuMs)),
    ratioTarget: row.target,
    serialCpuMs: rounded(median(serial.cpuMs)),
    cpuMs: rounded(median(parallel.cpuMs)),
    mainCpuMs: rounded(median(parallel.parts.map(({ mainMs }) => mainMs))),
    ownCpuMs: rounded(median(parallel.parts.map(({ ownMs }) => ownMs))),
    workerCpuMs: rounded(median(parallel.parts.map(({ busiestMs }) => busiestMs))),
    parallelBlocks: parallel.parallelBlocks,
    workers: WORKERS,
    blockTransactions: row.count,
    accounts: row.accounts,
    rounds: row.rounds,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.versions.node,
  };
}

/** Measures some kinds of blocks over one state, with pools of their own. */
async function measureAll(crypto: EvmCrypto, state: BenchState, rows: readonly Row[]): Promise<ParallelBench[]> {
  const options: Omit<ExecutionPoolOptions, 'workers'> = { fork: FORK, feePolicy: 'ethereum', admission: SIGNED_POLICY };
  const pools = [new ExecutionPool({ ...options, workers: 0 }, { crypto }), new ExecutionPool({ ...options, workers: WORKERS }, { crypto })] as const;
  await Promise.all(pools.map((pool) => pool.start()));
  const recovery = await warmedUp(pools[1]);
  try {
    state.share(pools[1].sharedState!);
    const results: ParallelBench[] = [];
    for (const row of rows) results.push(await measure(state, pools, row));
    return results;
  } finally {
    await recovery.stop();
    await Promise.all(pools.map((pool) => pool.stop()));
  }
}

const HOLDERS = 100_000;
/** Holders that sign: a block has each of them once or twice. */
const SIGNERS = 20_000;
const TRADERS = 5_000;
const TRANSFERS = 5_000;
const SWAPS = 1_000;
const CONFLICTS = [0, 0.1, 0.5, 1] as const;
/** By part of conflicts. */
const TARGETS: Readonly<Record<number, number>> = { 0: 1.6, 1: 0.9 };
const ROUNDS = 16;
const ROUNDS_SIGNED = 8;
const DISCARDED = 24;

/** Measures blocks with more and more conflicts on two workers, against none; swaps in one hot pool; and transfers from their signed bytes on. */
export async function benchParallel(crypto: EvmCrypto): Promise<ParallelBench[]> {
  const kind = "transfer of OpenZeppelin's ERC-20";
  const common = { rounds: ROUNDS, discarded: DISCARDED, count: TRANSFERS, accounts: HOLDERS, kind };
  const tokens = new TokenBench(crypto, { accounts: HOLDERS });
  const transfers = CONFLICTS.map((conflicts): Row => {
    return { ...common, bench: `parallel-erc20-${Math.round(100 * conflicts)}`, conflicts, target: TARGETS[conflicts] ?? null, block: () => tokens.block(TRANSFERS, conflicts) };
  });
  const results = await measureAll(crypto, tokens, transfers);
  const swaps = new SwapBench(crypto, { accounts: TRADERS, blocks: ROUNDS + DISCARDED, count: SWAPS });
  const swap: Row = { ...common, bench: 'parallel-swap-hot-pool', kind: swaps.kind, conflicts: 1, target: 0.9, count: SWAPS, accounts: TRADERS, block: () => swaps.block() };
  results.push(...(await measureAll(crypto, swaps, [swap])));
  const signed = new TokenBench(crypto, { accounts: HOLDERS, signers: SIGNERS, signer: await createCrypto() });
  const recovery: Row = { ...common, bench: 'parallel-erc20-recovery', kind: `signed ${kind}`, conflicts: 0, target: 1.8, rounds: ROUNDS_SIGNED, block: () => [], signed: () => signed.signedBlock(TRANSFERS) };
  results.push(...(await measureAll(crypto, signed, [recovery])));
  return results;
}
