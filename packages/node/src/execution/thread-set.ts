import { Worker } from 'node:worker_threads';

import { invariant, ShardlabError } from '@shardlab/crosslink';
import type { RunResult, StateSource } from '@shardlab/shard';

import { AnswerBox } from './answer-box.ts';
import type { ExecutionSetup, RunMessage, ThreadMessage } from './messages.ts';

/** Runs that a thread has at a time: the next one waits there, so that it never idles while the main thread is busy. */
const RUNS_PER_THREAD = 2;
/** After so many deaths of threads over one run, or before a thread was ready, in a row, threads are given up. */
const DEATHS_MAX = 3;
/** Megabytes of a thread's heap: code, its analyses and what is compiled from it. */
const HEAP_MB = 512;

/** What {@link ThreadSet} tells its owner. */
export interface ThreadSetModules {
  readonly onResult: (id: number, result: RunResult) => void;
  /** The state that questions are about; undefined: no block is executed. */
  readonly source: () => StateSource | undefined;
  /** A thread has died and is being replaced. */
  readonly onLost: (reason: string) => void;
  /** Threads die again and again: no run will be answered any more. */
  readonly onHopeless: (reason: string) => void;
}

interface Slot {
  readonly worker: Worker;
  readonly box: AnswerBox;
  readonly inFlight: Map<number, OpenRun>;
  ready: boolean;
  reason: string;
  cpuUs: number;
}

interface OpenRun {
  readonly message: RunMessage;
  deaths: number;
}

/** The threads of an `ExecutionPool`. A thread that dies is replaced, and what it had is run again by another. */
export class ThreadSet {
  private readonly workers: number;
  private readonly setup: Omit<ExecutionSetup, 'answers'>;
  private readonly modules: ThreadSetModules;
  private readonly slots = new Set<Slot>();
  private readonly queue: OpenRun[] = [];
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

  /** Processor time of each thread so far, as of its last answer. */
  get cpuUs(): number[] {
    return Array.from(this.slots, ({ cpuUs }) => cpuUs);
  }

  /** Queues a run: no more than the runs of one block are ever there. */
  run(message: RunMessage): void {
    this.queue.push({ message, deaths: 0 });
    this.dispatch();
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
    await Promise.all(Array.from(this.slots, ({ worker }) => worker.terminate()));
  }

  private spawn(): void {
    const box = new AnswerBox();
    const workerData: ExecutionSetup = { ...this.setup, answers: box.buffer };
    const worker = new Worker(new URL('./execution-worker.ts', import.meta.url), { workerData, name: 'execution', resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
    const slot: Slot = { worker, box, inFlight: new Map(), ready: false, reason: '', cpuUs: 0 };
    this.slots.add(slot);
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
        this.failedStarts = 0;
        if ([...this.slots].every(({ ready }) => ready)) this.started.resolve();
        break;
      case 'question':
        this.answer(slot, message.question);
        return;
      case 'result':
        invariant(slot.inFlight.delete(message.id), 'a thread answers what it was asked', { id: message.id });
        slot.cpuUs = message.cpuUs;
        this.modules.onResult(message.id, message.result);
    }
    this.dispatch();
  }

  /** A state that cannot be read is the fault of the block's owner, who hears of it when the main thread executes the block. */
  private answer(slot: Slot, question: Parameters<AnswerBox['answer']>[0]): void {
    try {
      slot.box.answer(question, this.modules.source());
    } catch (error) {
      slot.reason = error instanceof Error ? error.message : String(error);
    }
  }

  private dispatch(): void {
    while (this.phase === 'running' && this.queue.length > 0) {
      let target: Slot | undefined;
      for (const slot of this.slots) {
        if (!slot.ready || slot.inFlight.size >= RUNS_PER_THREAD) continue;
        if (target === undefined || slot.inFlight.size < target.inFlight.size) target = slot;
      }
      if (target === undefined) return;
      const run = this.queue.shift()!;
      target.inFlight.set(run.message.id, run);
      // Copied, not transferred: if the thread dies, another one gets it.
      target.worker.postMessage(run.message);
    }
  }

  private onExit(slot: Slot, reason: string): void {
    this.slots.delete(slot);
    if (this.phase !== 'running') return;
    this.modules.onLost(reason);
    const again = [...slot.inFlight.values()];
    for (const run of again) run.deaths++;
    if ((!slot.ready && ++this.failedStarts >= DEATHS_MAX) || again.some(({ deaths }) => deaths >= DEATHS_MAX)) {
      this.giveUp(reason);
      return;
    }
    this.queue.unshift(...again);
    this.spawn();
    this.dispatch();
  }

  private giveUp(reason: string): void {
    this.phase = 'hopeless';
    this.queue.length = 0;
    this.started.resolve();
    for (const { worker } of this.slots) void worker.terminate();
    this.modules.onHopeless(reason);
  }
}
