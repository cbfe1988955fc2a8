import { ShardlabError } from '@shardlab/crosslink';
import type { AdmissionBatch } from '@shardlab/shard';

import type { ThreadSet } from '../execution/thread-set.ts';
import type { Done } from '../ports.ts';
import { RequestBook, type RequestBookOptions } from './request-book.ts';
import type { SenderRecovery } from './sender-recovery.ts';
import { SliceQueue } from './slice-queue.ts';
import { packRaws } from './wire.ts';

/** Slices in one message: with slices of 64, up to 128 transactions, which take some 8 ms: so long a block may have to wait. */
const SLICES_PER_JOB = 2;
/** Messages on their way for each thread. */
const JOBS_PER_WORKER = 2;

/** Sizes of a {@link ThreadRecovery}. */
export interface ThreadRecoveryOptions extends RequestBookOptions {
  /** Threads that there are. */
  readonly workers: number;
}

/** {@link SenderRecovery} on the threads of an `ExecutionPool`, which starts and stops them. Small calls travel together; blocks go first. */
export class ThreadRecovery implements SenderRecovery {
  private readonly jobsMax: number;
  private readonly threads: Pick<ThreadSet, 'run' | 'library'>;
  private readonly queue = new SliceQueue();
  private readonly book: RequestBook;
  private jobs = 0;
  private running = false;

  constructor(options: ThreadRecoveryOptions, modules: { readonly threads: Pick<ThreadSet, 'run' | 'library'> }) {
    this.jobsMax = options.workers * JOBS_PER_WORKER;
    this.book = new RequestBook(options);
    this.threads = modules.threads;
  }

  get library(): string {
    return this.threads.library;
  }

  /** Transactions that wait or run: for a gauge. */
  get pending(): number {
    return this.book.pending;
  }

  recover(raws: readonly Uint8Array[], done: Done<AdmissionBatch>): void {
    const refusal = this.running ? undefined : new ShardlabError('recovery/stopped', 'sender recovery is not running');
    this.queue.push(this.book.take(raws, done, refusal));
    this.dispatch();
  }

  async start(): Promise<void> {
    this.running = true;
  }

  async stop(): Promise<void> {
    this.running = false;
    this.book.failAll(new ShardlabError('recovery/stopped', 'sender recovery was stopped'));
  }

  private dispatch(): void {
    while (this.running && this.jobs < this.jobsMax && this.queue.length > 0) {
      const slices = this.queue.take(SLICES_PER_JOB);
      if (slices.length === 0) return;
      this.jobs++;
      this.threads.run(
        {
          request: () => ({ kind: 'recover', packed: packRaws(slices.flatMap(({ request, from, to }) => request.raws.slice(from, to))) }),
          done: (answer) => {
            this.jobs--;
            if (answer.kind === 'recover') this.book.settle(slices, new Uint8Array(answer.records));
            this.dispatch();
          },
          failed: (reason) => {
            this.jobs--;
            for (const { request } of slices) this.book.fail(request, new ShardlabError('recovery/failed', `no thread recovers it: ${reason}`));
            this.dispatch();
          },
          owner: this,
        },
        false,
      );
    }
  }
}
