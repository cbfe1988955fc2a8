import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { invariant, ShardlabError } from '@shardlab/crosslink';
import type { StateSource } from '@shardlab/shard';

import { AnswerBox } from './answer-box.ts';
import type { ExecutionSetup, ThreadAnswer, ThreadMessage, ThreadRequest } from './messages.ts';

/** Jobs that a thread has at a time: the next one waits there, so that it never idles while the main thread is busy. */
const JOBS_PER_THREAD = 2;
/** After so many deaths of threads over one job it is given up; after so many before a thread was ready, in a row, threads are. */
const DEATHS_MAX = 3;
/** Megabytes of a thread's heap: code, its analyses and what is compiled from it. */
const HEAP_MB = 512;
/** A thread that is not needed any more may take so long until it has loaded. */
const LOADING_MS_MAX = 20_000;

/** What {@link ThreadSet} tells its owner. */
export interface ThreadSetModules {
  /** The state that questions are about; undefined: no block is executed. */
  readonly source: () => StateSource | undefined;
  /** A thread has died and is being replaced. */
  readonly onLost: (reason: string) => void;
}

interface Slot {
  readonly worker: Worker;
  readonly box: AnswerBox;
  readonly inFlight: Map<number, OpenRun>;
  ready: boolean;
  /** Resolves when it is ready, or gone. */
  readonly loaded: Promise<void>;
  reason: string;
  cpuUs: number;
}

/** Something for a thread to do. */
export interface ThreadJob {
  /** Makes the message, whose bytes go over to the thread: once for each thread that gets it. */
  readonly request: () => ThreadRequest;
  readonly done: (answer: ThreadAnswer) => void;
  /** It will not be answered: threads die over it, or at all, or they were stopped. */
  readonly failed: (reason: string) => void;
  /** By what {@link ThreadSet.clear} forgets it. */
  readonly owner: unknown;
  /** Not worth waiting for a new thread: it fails with the one that dies over it. */
  readonly once?: boolean;
}

interface OpenRun extends ThreadJob {
  readonly id: number;
  deaths: number;
}

/** Ends a thread. One that still loads its libraries is left to finish that: to tear down a native library or the module loader half-way is what can end the process. */
async function retire({ worker, loaded }: Slot): Promise<void> {
  await Promise.race([loaded, delay(LOADING_MS_MAX, undefined, { ref: false })]);
  await worker.terminate();
}

/** The threads of an `ExecutionPool`. What belongs to blocks goes before what recovers senders. A thread that dies is replaced, and what it had is done again by another. */
export class ThreadSet {
  private readonly workers: number;
  private readonly setup: Omit<ExecutionSetup, 'answers'>;
  private readonly modules: ThreadSetModules;
  private readonly slots = new Set<Slot>();
  /** What belongs to blocks, and what can wait; bounded by those who give it. */
  private urgent: OpenRun[] = [];
  private later: OpenRun[] = [];
  private nextId = 0;
  private runningLibrary = 'not started';
  private readonly started = Promise.withResolvers<void>();
  private failedStarts = 0;
  private phase: 'new' | 'running' | 'stopped' | 'hopeless' = 'new';

  constructor(options: { readonly workers: number; readonly setup: Omit<ExecutionSetup, 'answers'> }, modules: ThreadSetModules) {
    this.workers = options.workers;
    this.setup = options.setup;
    this.modules = modules;
  }

  /** Whether threads were given up. */
  get hopeless(): boolean {
    return this.phase === 'hopeless';
  }

  /** Whether a thread could begin at once, or behind what it has. */
  get ready(): boolean {
    return [...this.slots].some(({ ready }) => ready);
  }

  /** Processor time of each thread so far, as of its last answer. */
  get cpuUs(): number[] {
    return Array.from(this.slots, ({ cpuUs }) => cpuUs);
  }

  /** Which secp256k1 library runs in the threads. */
  get library(): string {
    return this.runningLibrary;
  }

  /** Queues a job, at once or behind all that is `urgent`. */
  run(job: ThreadJob, urgent: boolean): void {
    if (this.phase !== 'running') {
      queueMicrotask(() => job.failed(`threads are ${this.phase}`));
      return;
    }
    (urgent ? this.urgent : this.later).push({ ...job, id: this.nextId++, deaths: 0 });
    this.dispatch();
  }

  /** Forgets what an owner has given and no thread has yet. */
  clear(owner: unknown): void {
    this.urgent = this.urgent.filter((run) => run.owner !== owner);
  }

  /** Answers what threads have asked in the meantime: for a main thread that works for long. */
  answerAll(): void {
    for (const slot of this.slots) this.answer(slot);
  }

  async start(): Promise<void> {
    this.phase = 'running';
    for (let i = 0; i < this.workers; i++) this.spawn();
    await this.started.promise;
  }

  async stop(): Promise<void> {
    this.phase = 'stopped';
    this.started.reject(new ShardlabError('execution/stopped', 'stopped while it started'));
    // Whoever awaits start() sees this; where nobody does, it is no unhandled rejection.
    this.started.promise.catch(() => undefined);
    for (const run of this.drain()) run.failed('threads were stopped');
    await Promise.all(Array.from(this.slots, retire));
  }

  private spawn(): void {
    const box = new AnswerBox();
    const workerData: ExecutionSetup = { ...this.setup, answers: box.buffer };
    const worker = new Worker(new URL('./execution-worker.ts', import.meta.url), { workerData, name: 'execution', resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
    const loaded = Promise.withResolvers<void>();
    const slot: Slot = { worker, box, inFlight: new Map(), ready: false, loaded: loaded.promise, reason: '', cpuUs: 0 };
    this.slots.add(slot);
    // The first message says that it is ready.
    worker.once('message', loaded.resolve);
    worker.once('exit', loaded.resolve);
    worker.on('message', (message: ThreadMessage) => this.onMessage(slot, message));
    worker.on('error', (error: unknown) => {
      slot.reason = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', (code) => this.onExit(slot, slot.reason === '' ? `exit code ${code}` : slot.reason));
  }

  private onMessage(slot: Slot, message: ThreadMessage): void {
    switch (message.kind) {
      case 'ready':
        slot.ready = true;
        this.runningLibrary = message.library;
        this.failedStarts = 0;
        if ([...this.slots].every(({ ready }) => ready)) this.started.resolve();
        break;
      case 'question':
        this.answer(slot);
        return;
      case 'answer': {
        const run = slot.inFlight.get(message.id);
        // Threads that are being ended may still have answered.
        if (this.phase !== 'running') return;
        invariant(run !== undefined, 'a thread answers what it was asked', { id: message.id });
        slot.inFlight.delete(message.id);
        slot.cpuUs = message.cpuUs;
        run.done(message.answer);
      }
    }
    this.dispatch();
  }

  /** A state that cannot be read is the fault of the block's owner, who hears of it when the main thread executes the block. */
  private answer(slot: Slot): void {
    try {
      slot.box.answer(this.modules.source());
    } catch (error) {
      slot.reason = error instanceof Error ? error.message : String(error);
    }
  }

  private dispatch(): void {
    while (this.phase === 'running' && this.urgent.length + this.later.length > 0) {
      let target: Slot | undefined;
      for (const slot of this.slots) {
        if (!slot.ready || slot.inFlight.size >= JOBS_PER_THREAD) continue;
        if (target === undefined || slot.inFlight.size < target.inFlight.size) target = slot;
      }
      if (target === undefined) return;
      const run = (this.urgent.shift() ?? this.later.shift())!;
      target.inFlight.set(run.id, run);
      const request = run.request();
      target.worker.postMessage({ id: run.id, request }, request.kind === 'recover' ? [request.packed] : [request.transactions.places.buffer, request.transactions.packed.buffer]);
    }
  }

  private onExit(slot: Slot, reason: string): void {
    this.slots.delete(slot);
    if (this.phase !== 'running') return;
    this.modules.onLost(reason);
    const again = [...slot.inFlight.values()];
    for (const run of again) run.deaths++;
    const isOver = ({ deaths, once }: OpenRun): boolean => once === true || deaths >= DEATHS_MAX;
    const kept = again.filter((run) => !isOver(run));
    if (!slot.ready && ++this.failedStarts >= DEATHS_MAX) {
      this.giveUp(reason, again);
      return;
    }
    // What was in work goes first, whoever gave it: the bounds are those of the whole.
    this.urgent.unshift(...kept);
    this.spawn();
    for (const run of again) if (isOver(run)) run.failed(reason);
    this.dispatch();
  }

  private giveUp(reason: string, lost: readonly OpenRun[]): void {
    this.phase = 'hopeless';
    const open = [...lost, ...this.drain()];
    this.started.resolve();
    for (const slot of this.slots) void retire(slot);
    for (const run of open) run.failed(reason);
  }

  /** Takes all that is open. */
  private drain(): OpenRun[] {
    const open = [...Array.from(this.slots, ({ inFlight }) => [...inFlight.values()]).flat(), ...this.urgent, ...this.later];
    for (const { inFlight } of this.slots) inFlight.clear();
    this.urgent = [];
    this.later = [];
    return open;
  }
}
