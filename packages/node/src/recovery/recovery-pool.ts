import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import { invariant, ShardlabError } from '@shardlab/crosslink';
import type { AdmissionBatch, AdmissionPolicy } from '@shardlab/shard';

import { resolveLibraries } from '../crypto/create-crypto.ts';
import type { Done } from '../ports.ts';
import { RequestBook, type RequestBookOptions } from './request-book.ts';
import type { SenderRecovery } from './sender-recovery.ts';
import { type Slice, SliceQueue } from './slice-queue.ts';
import { packRaws, type WorkerMessage, type WorkerRequest, type WorkerSetup } from './wire.ts';

/** Slices in one message: with slices of 64, batches of up to 512 transactions. */
const SLICES_PER_MESSAGE = 8;
/** Messages that a worker has at a time: the next one waits there, so that it never idles while this thread is busy. */
const MESSAGES_PER_WORKER = 2;
/** A slice over which this many workers have died is given up. */
const DEATHS_MAX = 3;
/** The pool gives up when this many workers in a row die before they are ready. */
const FAILED_STARTS_MAX = 5;

/** Sizes of a {@link RecoveryPool}. */
export interface RecoveryPoolOptions extends RequestBookOptions {
  readonly policy: AdmissionPolicy;
  /** Threads; default: the cores of the machine. */
  readonly workers?: number;
  /** See `createCrypto`. */
  readonly libraries?: 'native' | 'portable';
  /** See `createCrypto`. */
  readonly transactions?: 'secp256k1' | 'keyed-hash';
}

/** What {@link RecoveryPool} tells its owner. */
export interface RecoveryPoolModules {
  /** A worker has died and is being replaced: for a warning in the log and a counter. */
  readonly onWorkerLost?: (reason: string) => void;
}

interface Slot {
  readonly worker: Worker;
  readonly inFlight: Map<number, readonly Slice[]>;
  ready: boolean;
  reason: string;
}

/**
 * {@link SenderRecovery} on worker threads. Calls are cut into slices, and slices of several calls travel together, so that many small calls cost
 * no more messages than a large one. A worker that dies is replaced, and what it had is done again by another.
 */
export class RecoveryPool implements SenderRecovery {
  private readonly workers: number;
  private readonly setup: WorkerSetup;
  private readonly modules: RecoveryPoolModules;
  private readonly slots = new Set<Slot>();
  private readonly queue = new SliceQueue();
  private readonly book: RequestBook;
  private dispatching = false;
  private nextId = 0;
  private failedStarts = 0;
  private phase: 'new' | 'running' | 'stopped' = 'new';
  private failure: ShardlabError | undefined;
  private runningLibrary = 'not started';
  private readonly started = Promise.withResolvers<void>();

  constructor(options: RecoveryPoolOptions, modules: RecoveryPoolModules = {}) {
    this.workers = options.workers ?? availableParallelism();
    invariant(Number.isInteger(this.workers) && this.workers >= 1, 'a recovery pool has at least one worker');
    this.book = new RequestBook(options);
    this.setup = { policy: options.policy, libraries: resolveLibraries(options), transactions: options.transactions ?? 'secp256k1' };
    this.modules = modules;
  }

  get library(): string {
    return this.runningLibrary;
  }

  /** Transactions that wait or run: for a gauge. */
  get pending(): number {
    return this.book.pending;
  }

  recover(raws: readonly Uint8Array[], done: Done<AdmissionBatch>): void {
    this.queue.push(this.book.take(raws, done, this.refusal()));
    if (this.dispatching) return;
    this.dispatching = true;
    // Not at once: what else comes in this turn, of each of the committee a few, goes to a worker in the same message, and comes back in one.
    setImmediate(() => {
      this.dispatching = false;
      this.dispatch();
    });
  }

  async start(): Promise<void> {
    invariant(this.phase === 'new', 'a recovery pool starts once');
    this.phase = 'running';
    for (let i = 0; i < this.workers; i++) this.spawn();
    await this.started.promise;
  }

  async stop(): Promise<void> {
    if (this.phase === 'running') this.started.reject(new ShardlabError('recovery/stopped', 'stopped while it started'));
    // Whoever awaits start() sees this; where nobody does, it is no unhandled rejection.
    this.started.promise.catch(() => undefined);
    this.phase = 'stopped';
    this.book.failAll(new ShardlabError('recovery/stopped', 'sender recovery was stopped'));
    await Promise.all(Array.from(this.slots, (slot) => slot.worker.terminate()));
  }

  /** Why no call can be taken, if so. */
  private refusal(): ShardlabError | undefined {
    return this.phase === 'running' ? this.failure : new ShardlabError('recovery/stopped', 'sender recovery is not running');
  }

  private spawn(): void {
    const worker = new Worker(new URL('./recovery-worker.ts', import.meta.url), {
      workerData: this.setup,
      name: 'recovery',
      // A batch needs under a megabyte; a small young generation keeps a node's memory small.
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
    });
    const slot: Slot = { worker, inFlight: new Map(), ready: false, reason: '' };
    this.slots.add(slot);
    worker.on('message', (message: WorkerMessage) => this.onMessage(slot, message));
    worker.on('error', (error: unknown) => {
      slot.reason = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', (code) => this.onExit(slot, slot.reason === '' ? `exit code ${code}` : slot.reason));
  }

  private onMessage(slot: Slot, message: WorkerMessage): void {
    if (message.kind === 'ready') {
      slot.ready = true;
      this.failedStarts = 0;
      this.runningLibrary = message.library;
      if (this.slots.size === this.workers && [...this.slots].every((each) => each.ready)) this.started.resolve();
    } else {
      const slices = slot.inFlight.get(message.id);
      invariant(slices !== undefined, 'a worker answered what it was not asked', { id: message.id });
      slot.inFlight.delete(message.id);
      this.book.settle(slices, new Uint8Array(message.records));
    }
    this.dispatch();
  }

  /** Hands waiting slices out; the least loaded worker first, and each a fair share, so that one call uses all cores. */
  private dispatch(): void {
    while (this.phase === 'running' && this.queue.length > 0) {
      let target: Slot | undefined;
      for (const slot of this.slots) {
        if (!slot.ready || slot.inFlight.size >= MESSAGES_PER_WORKER) continue;
        if (target === undefined || slot.inFlight.size < target.inFlight.size) target = slot;
      }
      if (target === undefined) return;
      const slices = this.queue.take(Math.min(SLICES_PER_MESSAGE, Math.ceil(this.queue.length / this.workers)));
      if (slices.length === 0) continue;
      const raws = slices.flatMap(({ request, from, to }) => request.raws.slice(from, to));
      const request: WorkerRequest = { id: this.nextId++, packed: packRaws(raws) };
      target.inFlight.set(request.id, slices);
      target.worker.postMessage(request, [request.packed]);
    }
  }

  private onExit(slot: Slot, reason: string): void {
    this.slots.delete(slot);
    if (this.phase !== 'running') return;
    this.modules.onWorkerLost?.(reason);
    if (!slot.ready && ++this.failedStarts >= FAILED_STARTS_MAX) {
      this.failure = new ShardlabError('recovery/failed', `recovery workers do not start: ${reason}`);
      this.started.reject(this.failure);
      this.book.failAll(this.failure);
      return;
    }
    const again: Slice[] = [];
    for (const slice of [...slot.inFlight.values()].flat()) {
      slice.deaths++;
      if (slice.deaths < DEATHS_MAX) again.push(slice);
      else this.book.fail(slice.request, new ShardlabError('recovery/failed', `${DEATHS_MAX} recovery workers died over it: ${reason}`));
    }
    this.queue.unshift(again);
    this.spawn();
    this.dispatch();
  }
}
