import { ShardlabError } from '@shardlab/crosslink';
import { AdmissionBatch, RECORD_BYTES } from '@shardlab/shard';

import type { Done } from '../ports.ts';
import { RECOVER_MAX } from './sender-recovery.ts';
import { type RecoveryRequest, type Slice, sliceRequest } from './slice-queue.ts';

/** Default of {@link RequestBookOptions.queueBytesMax}. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;

/** Bounds of a {@link RequestBook}. */
export interface RequestBookOptions {
  /** Most transactions that wait or run, over all calls; default {@link RECOVER_MAX}. */
  readonly queueMax?: number;
  /** Most bytes of them; default 64 MiB. */
  readonly queueBytesMax?: number;
}

/** The open calls of a sender recovery: takes them in within bounds, cuts them into slices, and completes each once, when all of it is answered or it fails. */
export class RequestBook {
  private readonly queueMax: number;
  private readonly queueBytesMax: number;
  private readonly open = new Set<RecoveryRequest>();
  private transactions = 0;
  private bytes = 0;

  constructor({ queueMax = RECOVER_MAX, queueBytesMax = QUEUE_BYTES_MAX }: RequestBookOptions) {
    this.queueMax = queueMax;
    this.queueBytesMax = queueBytesMax;
  }

  /** Transactions that wait or run. */
  get pending(): number {
    return this.transactions;
  }

  /**
   * Takes a call in: returns the slices that it makes. None if it is empty, or refused: by `refusal`, or because it is beyond the bounds (`recovery/oversized`,
   * `recovery/busy`); then `done` is called in a turn of its own.
   */
  take(raws: readonly Uint8Array[], done: Done<AdmissionBatch>, refusal: ShardlabError | undefined): Slice[] {
    let bytes = 0;
    for (const raw of raws) bytes += raw.length;
    const refused = refusal ?? this.beyond(raws.length, bytes);
    if (refused !== undefined) {
      queueMicrotask(() => done({ ok: false, error: refused }));
      return [];
    }
    const records = new Uint8Array(raws.length * RECORD_BYTES);
    if (raws.length === 0) {
      queueMicrotask(() => done({ ok: true, value: new AdmissionBatch(raws, records) }));
      return [];
    }
    const request: RecoveryRequest = { raws, records, bytes, done, missing: raws.length, closed: false };
    this.open.add(request);
    this.transactions += raws.length;
    this.bytes += bytes;
    return sliceRequest(request);
  }

  private beyond(count: number, bytes: number): ShardlabError | undefined {
    if (count > Math.min(this.queueMax, RECOVER_MAX) || bytes > this.queueBytesMax) {
      return new ShardlabError('recovery/oversized', `${count} transactions of ${bytes} bytes are more than one call may bring`);
    }
    if (this.transactions + count > this.queueMax || this.bytes + bytes > this.queueBytesMax) {
      return new ShardlabError('recovery/busy', 'the recovery queue is full', { pending: this.transactions });
    }
    return undefined;
  }

  /** Writes the answers of one message into the requests of its slices, and completes those that have them all. */
  settle(slices: readonly Slice[], records: Uint8Array): void {
    let at = 0;
    const complete: RecoveryRequest[] = [];
    for (const { request, from, to } of slices) {
      const length = (to - from) * RECORD_BYTES;
      if (!request.closed) {
        request.records.set(records.subarray(at, at + length), from * RECORD_BYTES);
        request.missing -= to - from;
        if (request.missing === 0) complete.push(request);
      }
      at += length;
    }
    for (const request of complete) {
      this.close(request);
      request.done({ ok: true, value: new AdmissionBatch(request.raws, request.records) });
    }
  }

  /** Completes a call with an error, if it is still open. */
  fail(request: RecoveryRequest, error: ShardlabError): void {
    if (request.closed) return;
    this.close(request);
    request.done({ ok: false, error });
  }

  /** Completes all open calls with an error. */
  failAll(error: ShardlabError): void {
    for (const request of this.open) this.fail(request, error);
  }

  private close(request: RecoveryRequest): void {
    request.closed = true;
    this.open.delete(request);
    this.transactions -= request.raws.length;
    this.bytes -= request.bytes;
  }
}
