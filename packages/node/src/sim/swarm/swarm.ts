import { Worker } from 'node:worker_threads';
import { ShardlabError } from '@shardlab/crosslink';
import { schemeOf, type SwarmOptions } from './options.ts';
import type { SeedResult } from './run.ts';
import { addCounts } from './strikes.ts';

/** What all seeds came to: the last line of `shardlab sim --json`. */
export interface SwarmSummary {
  readonly ok: boolean;
  readonly seedsRun: number;
  /** Seeds that failed, in order. */
  readonly failed: readonly number[];
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  readonly committed: number;
  readonly crossShard: number;
  readonly virtualSeconds: number;
  readonly wallSeconds: number;
  readonly aborted: number;
  /** Seeds that ran with the real signatures; all others ran with keyed hashes. */
  readonly realSignatures: number;
}

/** Sums results up as they come. */
export class SwarmTally {
  private readonly faults: Record<string, number> = {};
  private readonly failed: number[] = [];
  private seedsRun = 0;
  private committed = 0;
  private crossShard = 0;
  private aborted = 0;
  private virtualMs = 0;
  private realSignatures = 0;

  add(result: SeedResult): void {
    this.seedsRun++;
    if (!result.ok) this.failed.push(result.seed);
    if (schemeOf(result.seed) === 'real') this.realSignatures++;
    this.committed += result.committed;
    this.crossShard += result.crossShard;
    this.aborted += result.aborted;
    this.virtualMs += result.virtualMs;
    addCounts(this.faults, result.faults);
  }

  summary(wallMs: number): SwarmSummary {
    const { seedsRun, committed, crossShard, aborted, realSignatures } = this;
    const faults = Object.fromEntries(Object.entries(this.faults).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const failed = this.failed.toSorted((a, b) => a - b);
    const virtualSeconds = Math.round(this.virtualMs / 1_000);
    const wallSeconds = Math.round(wallMs / 100) / 10;
    return { ok: failed.length === 0, seedsRun, failed, faults, committed, crossShard, virtualSeconds, wallSeconds, aborted, realSignatures };
  }
}

/** How a range of seeds is run. */
export interface SwarmRun {
  readonly options: SwarmOptions;
  readonly seeds: Iterable<number>;
  /** Threads, at least 1. */
  readonly workers: number;
  /** Called for each seed, in the order of the seeds, whatever the number of workers. */
  readonly onResult: (result: SeedResult) => void;
  /** Stops the run: seeds under way are dropped. */
  readonly signal?: AbortSignal | undefined;
}

/** Room for short-lived objects: a network makes many, and a small room would be swept all the time. */
const YOUNG_MIB = 128;

/** Results that wait for an earlier seed: a slow one must not let the others run away from it. */
const AHEAD_MAX = 1_024;

/** Runs seeds on worker threads, one whole network in each. Rejects with `sim/worker` when a thread dies: that is a bug, not a finding. */
export async function runSwarm(run: SwarmRun): Promise<void> {
  const order = new InOrder(run.onResult);
  const seeds = run.seeds[Symbol.iterator]();
  const workers: Worker[] = [];
  try {
    await Promise.all(Array.from({ length: run.workers }, () => work(run, seeds, order, workers)));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function work(run: SwarmRun, seeds: Iterator<number>, order: InOrder, workers: Worker[]): Promise<void> {
  return new Promise((resolve, fail) => {
    const worker = new Worker(new URL('./swarm-worker.ts', import.meta.url), { workerData: run.options, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB } });
    workers.push(worker);
    const next = (): void => {
      if (run.signal?.aborted === true) return resolve();
      if (order.waiting >= AHEAD_MAX) return order.whenShorter(next);
      const { value, done } = seeds.next();
      if (done === true) return resolve();
      order.expect(value);
      worker.postMessage(value);
    };
    worker.on('message', (result: SeedResult) => {
      order.take(result);
      next();
    });
    worker.on('error', (error) => fail(new ShardlabError('sim/worker', `a simulation thread died: ${error.message}`)));
    run.signal?.addEventListener('abort', () => resolve(), { once: true });
    next();
  });
}

/** Hands results on in the order in which their seeds were given out. */
class InOrder {
  private readonly onResult: (result: SeedResult) => void;
  private readonly expected: number[] = [];
  private readonly here = new Map<number, SeedResult>();
  private stopped: (() => void)[] = [];

  constructor(onResult: (result: SeedResult) => void) {
    this.onResult = onResult;
  }

  /** Calls `go` once when the slow seed that all wait for is there. */
  whenShorter(go: () => void): void {
    this.stopped.push(go);
  }

  get waiting(): number {
    return this.here.size;
  }

  expect(seed: number): void {
    this.expected.push(seed);
  }

  take(result: SeedResult): void {
    this.here.set(result.seed, result);
    for (;;) {
      const first = this.expected[0];
      const ready = first === undefined ? undefined : this.here.get(first);
      if (ready === undefined) break;
      this.expected.shift();
      this.here.delete(ready.seed);
      this.onResult(ready);
    }
    if (this.waiting >= AHEAD_MAX) return;
    const { stopped } = this;
    this.stopped = [];
    for (const go of stopped) go();
  }
}
