import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import { createCrypto } from '../../src/crypto/create-crypto.ts';
import { RecoveryPool } from '../../src/recovery/recovery-pool.ts';
import { mustRecover, POLICY, signedTransfers } from '../unit/recovery-support.ts';
import type { BenchAnswer, BenchRequest } from './recovery-bench-worker.ts';

const SEED = 1;
const BATCH = 500;
const WARM_MS = 500;
/** The two kinds take turns, so that a machine that slows down in between does not bend their ratio. */
const ROUND_MS = 500;
const ROUNDS = 6;

/** One line of the benchmark `recovery`. */
export interface RecoveryBench {
  readonly bench: 'recovery';
  /** Bare recovers of 32-byte hashes, warm, on all cores at once: the physical bound of signed transactions a second. */
  readonly perSecond: number;
  readonly library: string;
  readonly cores: number;
  readonly batch: number;
  /** Whole `recoverBatch` (decode, three keccaks, recover, checks, record), on all cores at once. */
  readonly pipelinePerSecond: number;
  /** `pipelinePerSecond` / `perSecond`. */
  readonly pipelineRatio: number;
  /** The same through the worker pool, with packing, transfer and the making of pool transactions on this thread. */
  readonly poolPerSecond: number;
  readonly poolRatio: number;
}

async function ask(workers: readonly Worker[], request: BenchRequest): Promise<{ perSecond: number; library: string }> {
  const answers = await Promise.all(
    workers.map(async (worker) => {
      const answer = once(worker, 'message') as Promise<[BenchAnswer]>;
      worker.postMessage(request);
      return (await answer)[0];
    }),
  );
  const perSecond = answers.reduce((sum, { count, elapsedMs }) => sum + (count / elapsedMs) * 1_000, 0);
  return { perSecond, library: answers[0]!.library };
}

async function measurePool(cores: number, raws: readonly Uint8Array[], durationMs: number): Promise<number> {
  const pool = new RecoveryPool({ policy: POLICY, workers: cores });
  await pool.start();
  try {
    let good = 0;
    const feed = async (until: number): Promise<void> => {
      while (performance.now() < until) {
        const found = await mustRecover(pool, raws);
        for (let i = 0; i < found.count; i++) if (found.transaction(i).gasLimit === 21_000) good++;
      }
    };
    const feedAll = (until: number): Promise<void[]> => Promise.all(Array.from({ length: 3 * cores }, () => feed(until)));
    await feedAll(performance.now() + WARM_MS);
    good = 0;
    const start = performance.now();
    await feedAll(start + durationMs);
    return (good / (performance.now() - start)) * 1_000;
  } finally {
    await pool.stop();
  }
}

/** Measures sender recovery on all cores at once, about 11 s in all; fixed seed. */
export async function benchRecovery(): Promise<RecoveryBench> {
  const cores = availableParallelism();
  const workers = Array.from(
    { length: cores },
    (_, i) => new Worker(new URL('./recovery-bench-worker.ts', import.meta.url), { workerData: { seed: SEED + i, batch: BATCH } }),
  );
  try {
    const { library } = await ask(workers, { what: 'recover', durationMs: WARM_MS });
    await ask(workers, { what: 'pipeline', durationMs: WARM_MS });
    let bound = 0;
    let pipeline = 0;
    for (let round = 0; round < ROUNDS; round++) {
      bound += (await ask(workers, { what: 'recover', durationMs: ROUND_MS })).perSecond / ROUNDS;
      pipeline += (await ask(workers, { what: 'pipeline', durationMs: ROUND_MS })).perSecond / ROUNDS;
    }
    await Promise.all(workers.map((worker) => worker.terminate()));
    const pool = await measurePool(cores, signedTransfers(BATCH, SEED, await createCrypto()), ROUNDS * ROUND_MS);
    return {
      bench: 'recovery',
      perSecond: Math.round(bound),
      library,
      cores,
      batch: BATCH,
      pipelinePerSecond: Math.round(pipeline),
      pipelineRatio: Number((pipeline / bound).toFixed(3)),
      poolPerSecond: Math.round(pool),
      poolRatio: Number((pool / bound).toFixed(3)),
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await benchRecovery())}\n`);
