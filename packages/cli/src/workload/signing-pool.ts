import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ShardlabError } from '@shardlab/crosslink';
import type { AddressJob, AddressResult, SigningJob, SigningResult, SignJob, SignResult } from './signing-job.ts';

/** Most signing threads, whatever the machine has: nodes run on it too. */
const WORKERS_MAX = 8;
/** Jobs that may wait; callers hand over chunks as earlier ones return, so more is a bug. */
const WAITING_MAX = 4096;

interface Waiting {
  readonly job: SigningJob;
  readonly resolve: (result: SigningResult) => void;
  readonly reject: (error: Error) => void;
}

function buffersOf(job: SigningJob): ArrayBuffer[] {
  return job.kind === 'sign' ? [job.records.buffer, job.data.buffer, job.dataEnds.buffer] : [job.secrets.buffer];
}

/**
 * A bounded pool of signing threads for the time before a run. One promise and one transferred message for each chunk of transactions. A thread that
 * dies fails the pool: its chunk is named nowhere else, and a run must not begin without it.
 */
export class SigningPool {
  /** Threads. */
  readonly size: number;
  private readonly idle: Worker[] = [];
  private readonly workers = new Set<Worker>();
  private readonly running = new Map<Worker, Waiting>();
  private readonly waiting: Waiting[] = [];
  private failure: ShardlabError | undefined;

  constructor(options: { readonly workers?: number } = {}) {
    this.size = Math.max(1, Math.min(options.workers ?? availableParallelism(), WORKERS_MAX));
  }

  /** Makes addresses; the secrets stay with the caller. Rejects with `workload/signing-failed` or `workload/signing-busy`. */
  addresses(job: AddressJob): Promise<AddressResult> {
    return this.submit({ ...job, secrets: job.secrets.slice() }, job.secrets.length) as Promise<AddressResult>;
  }

  /** Signs; records and data are transferred away. Rejects with `workload/signing-failed` or `workload/signing-busy`. */
  sign(job: SignJob): Promise<SignResult> {
    return this.submit(job, job.records.length) as Promise<SignResult>;
  }

  /** Ends all threads. Jobs still waiting are rejected. */
  async stop(): Promise<void> {
    this.fail(new ShardlabError('workload/signing-failed', 'the signing threads were stopped'));
    await Promise.all([...this.workers].map((worker) => worker.terminate()));
  }

  private submit(job: SigningJob, sizeBytes: number): Promise<SigningResult> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.waiting.length >= WAITING_MAX) {
      return Promise.reject(new ShardlabError('workload/signing-busy', `more than ${WAITING_MAX} chunks wait to be signed`, { sizeBytes }));
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ job, resolve, reject });
      this.dispatch();
    });
  }

  private dispatch(): void {
    while (this.waiting.length > 0) {
      const worker = this.idle.pop() ?? (this.workers.size < this.size ? this.start() : undefined);
      if (worker === undefined) return;
      const next = this.waiting.shift()!;
      this.running.set(worker, next);
      worker.postMessage(next.job, buffersOf(next.job));
    }
  }

  private start(): Worker {
    const worker = new Worker(new URL('./signing-worker.ts', import.meta.url));
    this.workers.add(worker);
    worker.on('message', (result: SigningResult) => {
      const done = this.running.get(worker);
      this.running.delete(worker);
      this.idle.push(worker);
      done?.resolve(result);
      this.dispatch();
    });
    worker.on('error', (cause) => this.fail(new ShardlabError('workload/signing-failed', `signing failed: ${String(cause)}`, {}, { cause })));
    worker.on('exit', () => {
      this.workers.delete(worker);
      this.fail(new ShardlabError('workload/signing-failed', 'a signing thread ended'));
    });
    return worker;
  }

  private fail(failure: ShardlabError): void {
    this.failure ??= failure;
    for (const { reject } of [...this.running.values(), ...this.waiting.splice(0)]) reject(this.failure);
    this.running.clear();
  }
}
