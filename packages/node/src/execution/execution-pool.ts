import { randomBytes } from 'node:crypto';
import { threadCpuUsage } from 'node:process';

import { type Address, type Hash32, invariant, ShardlabError } from '@shardlab/crosslink';
import {
  AccessPredictor,
  ConflictGraph,
  DEFAULT_PARALLEL,
  type EvmCrypto,
  type EvmTransaction,
  type ExecutionRules,
  isProvisional,
  MergedResult,
  packBlock,
  ParallelBlock,
  type ParallelOptions,
  type ParallelStep,
  RunExecutor,
  type RunOrder,
  SerialExecutor,
  SharedSource,
  SharedState,
  sharedStateBytes,
  type SharedStateSize,
  type Speculation,
  type StateSource,
  type WorldChanges,
} from '@shardlab/shard';

import { resolveLibraries } from '../crypto/create-crypto.ts';
import type { Done } from '../ports.ts';
import type { SenderRecovery } from '../recovery/sender-recovery.ts';
import { ThreadRecovery } from '../recovery/thread-recovery.ts';
import type { ExecutionRequest, PreparedTransaction } from './execution-request.ts';
import { FoundTransactions } from './found-transactions.ts';
import type { ThreadAnswer, ThreadRequest } from './messages.ts';
import type { Execution, ExecutionPath, ExecutionPoolOptions } from './pool-options.ts';
import { ThreadSet } from './thread-set.ts';
import { TransactionArena } from './transaction-arena.ts';
import { TransactionPlaces } from './transaction-places.ts';

/** Blocks that may wait. */
const QUEUE_MAX = 4;
/** Of the block's gas, what calls that threads execute beforehand may need by prediction, which is rather too much than too little. */
const PREDICTED_GAS_MAX = 1.25;
/** 27 MB and 71 MB, of which only what is used is ever touched: 196 thousand accounts, 786 thousand slots. */
const DEFAULT_SIZE: SharedStateSize = { accountsLog2: 18, slotsLog2: 20 };
/** Room for 70 thousand calls that wait for their blocks, of which only what is used is ever touched. */
const DEFAULT_ARENA_BYTES = 1 << 24;

/** What {@link ExecutionPool} is built on. */
export interface ExecutionPoolModules {
  readonly crypto: EvmCrypto;
  /** A worker has died and is being replaced: for a warning in the log and a counter. */
  readonly onWorkerLost?: (reason: string) => void;
}

/** A block to be executed, or one about which threads are to find out what they can. */
type Job = ExecutionRequest & ({ readonly kind: 'execute'; readonly done: Done<Execution> } | { readonly kind: 'speculate'; readonly done: Done<Speculation> });

interface OpenJob {
  readonly job: Job;
  /** undefined without workers. */
  readonly places: TransactionPlaces | undefined;
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
  private serial: SerialExecutor | undefined;
  private readonly crypto: EvmCrypto;
  private readonly shared: SharedState | undefined;
  private readonly threads: ThreadSet | undefined;
  private readonly arena: TransactionArena | undefined;
  private readonly waiting: Job[] = [];
  private open: OpenJob | undefined;
  private readonly mainShare: boolean;
  private readonly recovers: boolean;
  private own: RunExecutor | undefined;
  private ownUs = 0;
  private phase: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: ExecutionPoolOptions, modules: ExecutionPoolModules) {
    const { workers, fork, feePolicy, size = DEFAULT_SIZE, arenaBytes = DEFAULT_ARENA_BYTES, parallel, admission, transactions = 'secp256k1' } = options;
    invariant(Number.isInteger(workers) && workers >= 0, 'an execution pool has 0 workers or more');
    this.options = { ...DEFAULT_PARALLEL, ...parallel, workers };
    this.mainShare = workers > 1;
    this.recovers = admission !== undefined;
    this.rules = { fork, feePolicy };
    this.crypto = modules.crypto;
    this.emptyHash = modules.crypto.keccak256(new Uint8Array(0));
    this.predictor = new AccessPredictor({ seed: this.seed }, { hasher: modules.crypto });
    if (workers === 0) return;
    const state = new SharedArrayBuffer(sharedStateBytes(size));
    this.shared = new SharedState({ ...size, seed: this.seed }, state);
    const arena = new SharedArrayBuffer(arenaBytes);
    this.arena = new TransactionArena(arena);
    const setup = { rules: this.rules, seed: this.seed, size, state, arena, libraries: resolveLibraries(options), transactions, admission };
    this.threads = new ThreadSet(
      { workers, setup },
      {
        source: () => this.open?.job.source,
        onLost: (reason) => modules.onWorkerLost?.(reason),
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

  /** Processor time that the main thread has spent in runs of its own, in microseconds. */
  get ownCpuUs(): number {
    return this.ownUs;
  }

  /** Recovers senders on the same threads, behind what belongs to blocks; undefined without workers or an admission policy. Starts and stops apart. */
  recovery(): SenderRecovery | undefined {
    const { threads } = this;
    return threads === undefined || !this.recovers ? undefined : new ThreadRecovery({ workers: this.options.workers }, { threads });
  }

  /**
   * Puts a transaction that waits for its block where threads find it, with what it is predicted to touch, so that neither need be done then. undefined without workers, for a
   * transaction that does not fit there, or while the block that is executed needs the room.
   */
  prepare(tx: EvmTransaction): PreparedTransaction | undefined {
    if (this.arena === undefined) return undefined;
    const footprint = this.predictor.footprint(tx);
    // One to learn from may be known by the time of its block.
    return this.arena.put(tx, isProvisional(footprint) ? undefined : footprint);
  }

  /** Executes a block; blocks come back in the order in which they were given. Refused: `execution/stopped`, `execution/busy`; what the state throws comes back too. */
  execute(request: ExecutionRequest, done: Done<Execution>): void {
    const refusal = this.refusal();
    if (refusal !== undefined) {
      queueMicrotask(() => done({ ok: false, error: refusal }));
      return;
    }
    this.push({ ...request, kind: 'execute', done });
  }

  /**
   * Lets threads execute a block's transactions beforehand, for one who executes the block itself: see {@link Speculation}. The main thread stays free. Nothing is known of
   * blocks that are not worth it, or when threads are lost, nor of what is beyond the block's gas. The state must not change until the answer is there, and threads' share of it must follow it. Refused as {@link execute}.
   */
  speculate(request: ExecutionRequest, done: Done<Speculation>): void {
    const refusal = this.refusal();
    if (refusal !== undefined) {
      queueMicrotask(() => done({ ok: false, error: refusal }));
      return;
    }
    this.push({ ...request, kind: 'speculate', done });
  }

  private push(job: Job): void {
    this.waiting.push(job);
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
    const transactions = job.kind === 'speculate' ? this.withinGas(job) : job.transactions;
    const places = this.arena === undefined ? undefined : new TransactionPlaces(this.arena, job);
    const parallel = new ParallelBlock(this.options, { predictor, graph, ...(places === undefined ? {} : { footprints: places }) }, transactions);
    this.open = { job, places, parallel, packedBlock: new Uint8Array(0) };
    if (job.kind === 'speculate') {
      this.beginSpeculation(this.open, job.done);
      return;
    }
    if (this.threads === undefined || this.threads.hopeless) {
      this.finishSerial(this.threads === undefined ? 'no-workers' : 'workers-lost');
      return;
    }
    this.open = { ...this.open, packedBlock: packBlock(job.block) };
    this.advance(() => parallel.start());
  }

  /** The first transactions of a block, as many as it may have gas for: candidates are taken from a pool by the gas that they need at least, and most blocks get more than they can hold. */
  private withinGas({ block, transactions }: Job): readonly EvmTransaction[] {
    let gasLeft = PREDICTED_GAS_MAX * Number(block.gasLimit);
    const end = transactions.findIndex((tx) => (gasLeft -= Math.min(this.predictor.kindOf(tx).gas, Number(tx.gasLimit))) < 0);
    return end < 0 ? transactions : transactions.slice(0, end);
  }

  private beginSpeculation(open: OpenJob, done: Done<Speculation>): void {
    const { job, parallel } = open;
    const { threads } = this;
    const found = new FoundTransactions();
    const finish = (): void => {
      if (this.open !== open) return;
      this.close();
      done({ ok: true, value: found });
      queueMicrotask(() => this.next());
    };
    try {
      // A block waits neither for threads that are being replaced nor for what one has died over: it can be executed without.
      const step = threads?.ready === true ? parallel.start() : undefined;
      if (threads === undefined || step?.kind !== 'run') {
        finish();
        return;
      }
      const block = packBlock(job.block);
      this.shareAccounts(job);
      let missing = step.orders.length;
      for (const { indices, learn } of step.orders) {
        const request = (): ThreadRequest => ({ kind: 'speculate', block, transactions: open.places!.send(indices) });
        const take = (answer?: ThreadAnswer): void => {
          if (this.open !== open) return;
          if (answer?.kind === 'speculate') found.take(indices, answer.packed);
          for (const position of learn) found.teach(this.predictor, job.transactions, indices[position]!);
          if (--missing === 0) finish();
        };
        threads.run({ request, done: take, failed: () => take(), owner: open, once: true }, true);
      }
    } catch (error) {
      this.fail(error);
    }
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

  private dispatch(open: OpenJob, orders: readonly RunOrder[]): void {
    const { job, packedBlock } = open;
    this.shareAccounts(job);
    // With threads at work already, this one does a part too: on a machine of few cores it is one of them.
    const own = this.mainShare && orders.length > 1 ? orders.at(-1) : undefined;
    for (const order of orders) {
      if (order === own) continue;
      this.threads!.run(
        {
          request: () => ({ kind: 'run', exact: order.exact, learn: order.learn, block: packedBlock, transactions: open.places!.send(order.indices) }),
          done: (answer) => this.onAnswer(open, order.id, answer),
          failed: () => this.giveUp(open),
          owner: open,
        },
        true,
      );
    }
    if (own !== undefined) this.runHere(open, own);
  }

  private runHere(open: OpenJob, order: RunOrder): void {
    const start = threadCpuUsage();
    const { job } = open;
    const source = new SharedSource({ emptyHash: this.emptyHash }, { shared: this.shared!, fallback: job.source });
    const transactions = Array.from(order.indices, (index) => job.transactions[index]!);
    const result = this.ownExecutor(job).executeHere(source, job.block, transactions, order, () => this.threads!.answerAll());
    const used = threadCpuUsage(start);
    this.ownUs += used.user + used.system;
    if (this.open === open) this.advance(() => open.parallel.completed(order.id, result));
  }

  /** What comes too late, for a block that has come to its end otherwise, is dropped. */
  private onAnswer(open: OpenJob, id: number, answer: ThreadAnswer): void {
    if (this.open !== open) return;
    if (answer.kind !== 'run') this.giveUp(open);
    else this.advance(() => open.parallel.completed(id, answer.result));
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

  /** The main thread's: for runs, and its machine for whole blocks, so that what it remembers serves both. */
  private ownExecutor({ source }: Job): RunExecutor {
    return (this.own ??= new RunExecutor({ ...this.rules, seed: this.seed }, { crypto: this.crypto, source }));
  }

  private finishSerial(reason: (ExecutionPath & { kind: 'serial' })['reason']): void {
    const { job } = this.open!;
    try {
      this.serial ??= new SerialExecutor({ ...this.rules, hashSeed: this.seed }, { crypto: this.crypto, source: job.source, machine: this.ownExecutor(job).machine });
      this.finish({ result: this.serial.execute(job.source, job.block, job.transactions), path: { kind: 'serial', reason } });
    } catch (error) {
      this.fail(error);
    }
  }

  private giveUp(open: OpenJob): void {
    if (this.open === open) this.finishSerial('workers-lost');
  }

  private finish(value: Execution): void {
    const { job } = this.open!;
    this.close();
    if (job.kind === 'execute') job.done({ ok: true, value });
    queueMicrotask(() => this.next());
  }

  private close(): void {
    this.threads?.clear(this.open);
    this.open?.places?.release();
    this.open = undefined;
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
