import { randomBytes } from 'node:crypto';

import { type Address, type Hash32, invariant, ShardlabError } from '@shardlab/crosslink';
import {
  AccessPredictor,
  type BlockEnvironment,
  type BlockResult,
  ConflictGraph,
  DEFAULT_PARALLEL,
  type EvmCrypto,
  type EvmTransaction,
  type ExecutionRules,
  type Footprint,
  isProvisional,
  MergedResult,
  packBlock,
  packTransaction,
  packTransactions,
  ParallelBlock,
  type ParallelCounts,
  type ParallelOptions,
  type ParallelStep,
  type RunOrder,
  type RunResult,
  SerialExecutor,
  type SerialReason,
  SharedState,
  sharedStateBytes,
  type SharedStateSize,
  type StateSource,
  type WorldChanges,
} from '@shardlab/shard';

import { resolveLibraries } from '../crypto/create-crypto.ts';
import type { Done } from '../ports.ts';
import { ThreadSet } from './thread-set.ts';

/** Blocks that may wait. */
const QUEUE_MAX = 4;
/** 27 MB and 71 MB, of which only what is used is ever touched: 196 thousand accounts, 786 thousand slots. */
const DEFAULT_SIZE: SharedStateSize = { accountsLog2: 18, slotsLog2: 20 };

/** A block's transactions, and the state that they are executed over: it must not change until the result is there. */
export interface ExecutionRequest {
  readonly block: BlockEnvironment;
  readonly transactions: readonly EvmTransaction[];
  readonly source: StateSource;
}

/** How a block was executed: on threads, or on the main thread and why. */
export type ExecutionPath =
  | { readonly kind: 'parallel'; readonly counts: ParallelCounts }
  | { readonly kind: 'serial'; readonly reason: SerialReason | 'no-workers' | 'workers-lost' };

/** A block that was executed. */
export interface Execution {
  readonly result: BlockResult;
  readonly path: ExecutionPath;
}

/** How an {@link ExecutionPool} works. */
export interface ExecutionPoolOptions extends ExecutionRules {
  /** Threads; 0: blocks are executed serially, on the main thread. */
  readonly workers: number;
  /** See `createCrypto`. */
  readonly libraries?: 'native' | 'portable';
  /** What threads share of the state. */
  readonly size?: SharedStateSize;
  readonly parallel?: Partial<Omit<ParallelOptions, 'workers'>>;
}

/** What {@link ExecutionPool} is built on. */
export interface ExecutionPoolModules {
  readonly crypto: EvmCrypto;
  /** A worker has died and is being replaced: for a warning in the log and a counter. */
  readonly onWorkerLost?: (reason: string) => void;
}

/** What is made of a transaction before its block. */
interface Prepared {
  readonly packed: Uint8Array;
  readonly footprint: Footprint | undefined;
}

interface Job extends ExecutionRequest {
  readonly done: Done<Execution>;
}

interface OpenJob {
  readonly job: Job;
  readonly parallel: ParallelBlock;
  readonly packedBlock: Uint8Array<ArrayBuffer>;
}

/**
 * Executes blocks of EVM transactions on worker threads, one block after the other; what it gives is what serial execution gives. Threads read the state from shared
 * memory, which has to follow the state: see {@link applied} and {@link forget}.
 */
export class ExecutionPool {
  private readonly options: ParallelOptions;
  private readonly rules: ExecutionRules;
  private readonly seed = randomBytes(4).readInt32LE();
  private readonly emptyHash: Hash32;
  private readonly predictor: AccessPredictor;
  private readonly graph = new ConflictGraph();
  private readonly serial: { executor: SerialExecutor | undefined } = { executor: undefined };
  private readonly crypto: EvmCrypto;
  private readonly shared: SharedState | undefined;
  private readonly threads: ThreadSet | undefined;
  private readonly waiting: Job[] = [];
  private open: OpenJob | undefined;
  /** The runs that are on their way, by the number under which threads know them: an answer to anything else is dropped. */
  private readonly sent = new Map<number, number>();
  private nextRun = 0;
  /** As long as their transactions live. */
  private readonly prepared = new WeakMap<EvmTransaction, Prepared>();
  private phase: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: ExecutionPoolOptions, modules: ExecutionPoolModules) {
    const { workers, fork, feePolicy, size = DEFAULT_SIZE, parallel } = options;
    invariant(Number.isInteger(workers) && workers >= 0, 'an execution pool has 0 workers or more');
    this.options = { ...DEFAULT_PARALLEL, ...parallel, workers };
    this.rules = { fork, feePolicy };
    this.crypto = modules.crypto;
    this.emptyHash = modules.crypto.keccak256(new Uint8Array(0));
    this.predictor = new AccessPredictor({ seed: this.seed }, { hasher: modules.crypto });
    if (workers === 0) return;
    const state = new SharedArrayBuffer(sharedStateBytes(size));
    this.shared = new SharedState({ ...size, seed: this.seed }, state);
    const setup = { rules: this.rules, seed: this.seed, size, state, libraries: resolveLibraries(options) };
    this.threads = new ThreadSet(
      { workers, setup },
      {
        onResult: (id, result) => this.onResult(id, result),
        source: () => this.open?.job.source,
        onLost: (reason) => modules.onWorkerLost?.(reason),
        onHopeless: () => this.giveUpThreads(),
      },
    );
  }

  /** The state that threads share, to be filled beforehand; undefined without workers. See `SharedState.markComplete`. */
  get sharedState(): SharedState | undefined {
    return this.shared;
  }

  /** Processor time of each worker so far, in microseconds: for a gauge. */
  get workersCpuUs(): readonly number[] {
    return this.threads?.cpuUs ?? [];
  }

  /** Packs transactions that wait for their block and predicts what they touch, so that it need not be done then. The same objects must come in {@link execute}. */
  prepare(transactions: readonly EvmTransaction[]): void {
    if (this.threads === undefined) return;
    for (const tx of transactions) {
      const footprint = this.predictor.footprint(tx);
      // One to learn from may be known by the time of its block.
      this.prepared.set(tx, { packed: packTransaction(tx), footprint: isProvisional(footprint) ? undefined : footprint });
    }
  }

  /** Executes a block; blocks come back in the order in which they were given. Refused: `execution/stopped`, `execution/busy`; what the state throws comes back too. */
  execute(request: ExecutionRequest, done: Done<Execution>): void {
    const refusal = this.refusal();
    if (refusal !== undefined) {
      queueMicrotask(() => done({ ok: false, error: refusal }));
      return;
    }
    this.waiting.push({ ...request, done });
    if (this.open === undefined && this.waiting.length === 1) queueMicrotask(() => this.next());
  }

  /** The state has changed by `changes`, and is now `source`. Must be called for every change, or {@link forget}; never while a block is executed. */
  applied(changes: WorldChanges, source: StateSource): void {
    invariant(this.open === undefined, 'the state does not change while a block is executed over it');
    this.shared?.apply(changes, source, this.emptyHash);
  }

  /** The state has changed in a way that nobody described, or where accounts live has. */
  forget(): void {
    invariant(this.open === undefined, 'the state does not change while a block is executed over it');
    this.shared?.clear();
  }

  async start(): Promise<void> {
    invariant(this.phase === 'new', 'an execution pool starts once');
    this.phase = 'running';
    await this.threads?.start();
  }

  async stop(): Promise<void> {
    this.phase = 'stopped';
    const error = new ShardlabError('execution/stopped', 'execution was stopped');
    const jobs = [...(this.open === undefined ? [] : [this.open.job]), ...this.waiting.splice(0)];
    this.open = undefined;
    for (const { done } of jobs) done({ ok: false, error });
    await this.threads?.stop();
  }

  private refusal(): ShardlabError | undefined {
    if (this.phase !== 'running') return new ShardlabError('execution/stopped', 'execution is not running');
    if (this.waiting.length >= QUEUE_MAX) return new ShardlabError('execution/busy', `${QUEUE_MAX} blocks wait already`);
    return undefined;
  }

  private next(): void {
    if (this.open !== undefined) return;
    const job = this.waiting.shift();
    if (job === undefined) return;
    const { predictor, graph } = this;
    const parallel = new ParallelBlock(this.options, { predictor, graph, footprint: (tx) => this.prepared.get(tx)?.footprint }, job.transactions);
    this.open = { job, parallel, packedBlock: new Uint8Array(0) };
    if (this.threads === undefined || this.threads.hopeless) {
      this.finishSerial(this.threads === undefined ? 'no-workers' : 'workers-lost');
      return;
    }
    this.open = { job, parallel, packedBlock: packBlock(job.block) };
    this.advance(() => parallel.start());
  }

  /** Takes the next step of the block that is open. What throws is a fault of the state or ours: the block's owner hears of it. */
  private advance(take: (open: OpenJob) => ParallelStep): void {
    const { open } = this;
    if (open === undefined) return;
    try {
      const step = take(open);
      if (step.kind === 'run') this.dispatch(open, step.orders);
      else if (step.kind === 'serial') this.finishSerial(step.reason);
      else if (step.kind === 'done') this.finish({ result: new MergedResult(step.runs, open.job.source, this.emptyHash), path: { kind: 'parallel', counts: open.parallel.counts } });
    } catch (error) {
      this.fail(error);
    }
  }

  private dispatch({ job, packedBlock }: OpenJob, orders: readonly RunOrder[]): void {
    this.shareAccounts(job);
    for (const { id, indices, learn } of orders) {
      const transactions = packTransactions(job.transactions, indices, (tx) => this.prepared.get(tx)?.packed ?? packTransaction(tx));
      this.sent.set(this.nextRun, id);
      this.threads!.run({ id: this.nextRun++, learn, block: packedBlock, transactions });
    }
  }

  private onResult(run: number, result: RunResult): void {
    const id = this.sent.get(run);
    if (id === undefined || !this.sent.delete(run)) return;
    this.advance((open) => open.parallel.completed(id, result));
  }

  /** Senders and recipients are known beforehand: better shared now than asked for one by one. No run is on its way. */
  private shareAccounts({ transactions, source }: Job): void {
    const shared = this.shared!;
    let last: Address | undefined;
    for (const { sender, to } of transactions) {
      // Where everything is shared, a sender that is not there has nothing.
      if (!shared.complete && shared.findAccount(sender) < 0) shared.setAccount(sender, source.account(sender), source.homeOf(sender), this.emptyHash);
      if (to === undefined || to === last) continue;
      last = to;
      if (shared.findAccount(to) < 0) shared.setAccount(to, source.account(to), source.homeOf(to), this.emptyHash);
    }
  }

  private finishSerial(reason: (ExecutionPath & { kind: 'serial' })['reason']): void {
    const { job } = this.open!;
    const { executor } = this.serial;
    try {
      this.serial.executor = executor ?? new SerialExecutor({ ...this.rules, hashSeed: this.seed }, { crypto: this.crypto, source: job.source });
      this.finish({ result: this.serial.executor.execute(job.source, job.block, job.transactions), path: { kind: 'serial', reason } });
    } catch (error) {
      this.fail(error);
    }
  }

  private giveUpThreads(): void {
    if (this.open !== undefined) this.finishSerial('workers-lost');
  }

  private finish(value: Execution): void {
    const { done } = this.open!.job;
    this.close();
    done({ ok: true, value });
    queueMicrotask(() => this.next());
  }

  private close(): void {
    this.open = undefined;
    this.sent.clear();
  }

  private fail(error: unknown): void {
    if (this.open === undefined) throw error;
    const { done } = this.open.job;
    this.close();
    const message = error instanceof Error ? error.message : String(error);
    done({ ok: false, error: error instanceof ShardlabError ? error : new ShardlabError('execution/failed', message, {}, { cause: error }) });
    queueMicrotask(() => this.next());
  }
}
