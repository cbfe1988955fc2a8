import { ShardlabError } from '@shardlab/crosslink';
import { AdmissionBatch, RECORD_BYTES } from '@shardlab/shard';

import type { ThreadSet } from '../execution/thread-set.ts';
import type { Done } from '../ports.ts';
import { RECOVER_MAX, type SenderRecovery } from './sender-recovery.ts';
import { type RecoveryRequest, type Slice, sliceRequest, SliceQueue } from './slice-queue.ts';
import { packRaws } from './wire.ts';

/** Slices in one message: with slices of 64, up to 128 transactions, which take some 8 ms: so long a block may have to wait. */
const SLICES_PER_JOB = 2;
/** Messages on their way for each thread. */
const JOBS_PER_WORKER = 2;

/** Sizes of a {@link ThreadRecovery}. */
export interface ThreadRecoveryOptions {
  /** Threads that there are. */
  readonly workers: number;
  /** Most transactions that wait or run, over all calls; default {@link RECOVER_MAX}. */
  readonly queueMax?: number;
  /** Most bytes of them; default 64 MiB. */
  readonly queueBytesMax?: number;
}

/** {@link SenderRecovery} on the threads of an `ExecutionPool`, which starts and stops them. Small calls travel together; blocks go first. */
export class ThreadRecovery implements SenderRecovery {
  private readonly jobsMax: number;
  private readonly queueMax: number;
  private readonly queueBytesMax: number;
  private readonly threads: Pick<ThreadSet, 'run' | 'library'>;
  private readonly queue = new SliceQueue();
  private readonly open = new Set<RecoveryRequest>();
  private transactions = 0;
  private bytes = 0;
  private jobs = 0;
  private running = false;

  constructor(options: ThreadRecoveryOptions, modules: { readonly threads: Pick<ThreadSet, 'run' | 'library'> }) {
    this.jobsMax = options.workers * JOBS_PER_WORKER;
    this.queueMax = options.queueMax ?? RECOVER_MAX;
    this.queueBytesMax = options.queueBytesMax ?? 64 * 1024 * 1024;
    this.threads = modules.threads;
  }

  get library(): string {
    return this.threads.library;
  }

  /** Transactions that wait or run: for a gauge. */
  get pending(): number {
    return this.transactions;
  }

  recover(raws: readonly Uint8Array[], done: Done<AdmissionBatch>): void {
    const bytes = raws.reduce((sum, { length }) => sum + length, 0);
    const refusal = this.refusal(raws.length, bytes);
    if (refusal !== undefined) {
      queueMicrotask(() => done({ ok: false, error: refusal }));
      return;
    }
    const records = new Uint8Array(raws.length * RECORD_BYTES);
    if (raws.length === 0) {
      queueMicrotask(() => done({ ok: true, value: new AdmissionBatch(raws, records) }));
      return;
    }
    const request: RecoveryRequest = { raws, records, bytes, done, missing: raws.length, closed: false };
    this.open.add(request);
    this.transactions += raws.length;
    this.bytes += bytes;
    this.queue.push(sliceRequest(request));
    this.dispatch();
  }

  async start(): Promise<void> {
    this.running = true;
  }

  async stop(): Promise<void> {
    this.running = false;
    const error = new ShardlabError('recovery/stopped', 'sender recovery was stopped');
    for (const request of this.open) this.fail(request, error);
  }

  private refusal(count: number, bytes: number): ShardlabError | undefined {
    if (!this.running) return new ShardlabError('recovery/stopped', 'sender recovery is not running');
    if (count > Math.min(this.queueMax, RECOVER_MAX) || bytes > this.queueBytesMax) {
      return new ShardlabError('recovery/oversized', `${count} transactions of ${bytes} bytes are more than one call may bring`);
    }
    if (this.transactions + count > this.queueMax || this.bytes + bytes > this.queueBytesMax) {
      return new ShardlabError('recovery/busy', 'the recovery queue is full', { pending: this.transactions });
    }
    return undefined;
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
            if (answer.kind === 'recover') this.settle(slices, new Uint8Array(answer.records));
            this.dispatch();
          },
          failed: (reason) => {
            this.jobs--;
            for (const { request } of slices) this.fail(request, new ShardlabError('recovery/failed', `no thread recovers it: ${reason}`));
            this.dispatch();
          },
          owner: this,
        },
        false,
      );
    }
  }

  /** Writes the answers of one message into their requests, and completes those that have them all. */
  private settle(slices: readonly Slice[], records: Uint8Array): void {
    let at = 0;
    for (const { request, from, to } of slices) {
      const length = (to - from) * RECORD_BYTES;
      if (!request.closed) {
        request.records.set(records.subarray(at, at + length), from * RECORD_BYTES);
        request.missing -= to - from;
        if (request.missing === 0) {
          this.close(request);
          request.done({ ok: true, value: new AdmissionBatch(request.raws, request.records) });
        }
      }
      at += length;
    }
  }

  private close(request: RecoveryRequest): void {
    request.closed = true;
    this.open.delete(request);
    this.transactions -= request.raws.length;
    this.bytes -= request.bytes;
  }

  private fail(request: RecoveryRequest, error: ShardlabError): void {
    if (request.closed) return;
    this.close(request);
    request.done({ ok: false, error });
  }
}
