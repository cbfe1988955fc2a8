import { ShardlabError } from '@shardlab/crosslink';
import type { RpcClient } from '../rpc/client.ts';
import type { ShardEndpoints } from '../rpc/endpoints.ts';
import type { HttpAnswer, HttpTransport } from '../rpc/http.ts';
import type { SignedLoad } from '../workload/signed-load.ts';

/** Transactions in one request (contract). */
const BATCH_MAX = 2000;
/** Bytes in one request: the contract allows 1 MiB. */
const BATCH_BYTES_MAX = 1_000_000;
/** How long a node may take for one batch. */
const BATCH_TIMEOUT_MS = 15_000;
/**
 * A validator gets requests this far apart at the least, in milliseconds, unless {@link GATHERED_ENOUGH} transactions are due: each request costs every validator of the shard a job of sender recovery and
 * more, which for one transaction is more than the transaction itself. Committees make blocks half as often, and share what comes among their validators.
 */
const GATHER_MS = 100;
const COMMITTEE_GATHER_MS = 250;
const GATHERED_ENOUGH = 64;
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 1000;

/** What a node said about one transaction that it did not take. */
export interface Refusal {
  readonly index: number;
  readonly code: string;
}

/** Takes what came of a batch. */
export interface SubmitterEvents {
  /** Whether it still has to be sent. */
  wantsSending(index: number): boolean;
  accepted(index: number): void;
  /** Returns true when it is to be tried again. */
  refused(refusal: Refusal): boolean;
  /** The shard takes batches again after it could not be reached: what its pool held may be gone. */
  back(): void;
  /** Nothing that can be tried again: the run ends with this error. */
  failed(error: ShardlabError): void;
}

/** A first-in-first-out list of transaction numbers. */
class Fifo {
  private items: number[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  push(item: number): void {
    this.items.push(item);
  }

  shift(): number {
    const item = this.items[this.head++]!;
    if (this.head > 4096 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  peek(): number {
    return this.items[this.head]!;
  }
}

/**
 * Sends a shard's transactions, or those of a part of its senders, by one of its validators: everything that is due in one request, and one request at a time, so that a sender's nonces arrive in order; a node
 * that lags gets larger batches, not more of them. What could not be delivered goes first next time, after a pause that doubles to a second.
 */
export class ShardSubmitter {
  private readonly shard: number;
  private readonly gatherMs: number;
  private readonly load: SignedLoad;
  private readonly endpoints: ShardEndpoints;
  private readonly http: HttpTransport;
  private readonly events: SubmitterEvents;
  private readonly fresh = new Fifo();
  private again: number[] = [];
  private busy = false;
  /** When the last request began. */
  private sentMs = Number.NEGATIVE_INFINITY;
  private pauseUntilMs = 0;
  private backoffMs = BACKOFF_MIN_MS;
  /** Why the last request failed; undefined while the shard answers. */
  private trouble: string | undefined;
  /** Whether the shard could not be reached last time. */
  private away = false;

  constructor(
    options: { readonly shard: number; readonly validators: number; readonly load: SignedLoad },
    modules: { readonly endpoints: ShardEndpoints; readonly http: HttpTransport; readonly events: SubmitterEvents },
  ) {
    this.shard = options.shard;
    this.gatherMs = options.validators === 1 ? GATHER_MS : COMMITTEE_GATHER_MS;
    this.load = options.load;
    this.endpoints = modules.endpoints;
    this.http = modules.http;
    this.events = modules.events;
  }

  /** Why nothing gets through at the moment. */
  get problem(): string | undefined {
    return this.trouble;
  }

  /** Adds a transaction that may be sent now. The pacer's windows bound the queue. */
  enqueue(index: number): void {
    this.fresh.push(index);
  }

  /** Adds one that a node had before: it goes ahead of new ones, in order of the plan. */
  enqueueAgain(index: number): void {
    this.again.push(index);
  }

  /** The shard answers again, as another connection has seen: no need to wait. */
  hurry(): void {
    this.pauseUntilMs = 0;
    this.backoffMs = BACKOFF_MIN_MS;
  }

  /** What this shard's validator took seems forgotten, although others make blocks: sends by another one of them from now on. */
  turn(): void {
    this.endpoints.stale(this.endpoints.current);
  }

  /** Starts a request if there is something to send and none is under way. Called at each tick. */
  pump(nowMs: number, signal: AbortSignal): void {
    if (this.busy || nowMs < this.pauseUntilMs || signal.aborted) return;
    if (nowMs - this.sentMs < this.gatherMs && this.fresh.length + this.again.length < GATHERED_ENOUGH) return;
    const batch = this.take();
    if (batch.length === 0) return;
    this.busy = true;
    this.sentMs = nowMs;
    void this.send(batch, nowMs, signal);
  }

  private take(): number[] {
    const batch: number[] = [];
    let sizeBytes = 4;
    const add = (index: number): boolean => {
      if (!this.events.wantsSending(index)) return true;
      const frameBytes = this.load.frame(index).length;
      if (batch.length === BATCH_MAX || sizeBytes + frameBytes > BATCH_BYTES_MAX) return false;
      batch.push(index);
      sizeBytes += frameBytes;
      return true;
    };
    // Numbers ascend with nonces, so sorting restores each sender's order, however the failures came back.
    const again = this.again.sort((a, b) => a - b).filter((index, at, all) => index !== all[at - 1]);
    let taken = 0;
    while (taken < again.length && add(again[taken]!)) taken += 1;
    this.again = again.slice(taken);
    while (this.again.length === 0 && this.fresh.length > 0 && add(this.fresh.peek())) this.fresh.shift();
    return batch;
  }

  private async send(batch: readonly number[], nowMs: number, signal: AbortSignal): Promise<void> {
    const client = this.endpoints.current;
    try {
      const url = `${client.url}/shard/${this.shard}/submit`;
      const body = this.body(batch);
      const answer = await this.http.post({ url, contentType: 'application/octet-stream', body, timeoutMs: BATCH_TIMEOUT_MS, signal });
      if (answer.status === 200) this.delivered(batch, refusals(url, answer, batch.length), nowMs);
      else if (answer.status === 429 || answer.status >= 500) this.retry(batch, `HTTP status ${answer.status}`, nowMs);
      else throw new ShardlabError('load/refused', `${url} refuses batches: HTTP status ${answer.status} ${answer.body.toString('utf8', 0, 200)}`);
      if (answer.status === 503) this.lost(client);
    } catch (error) {
      const code = error instanceof ShardlabError ? error.code : '';
      if (code === 'rpc/unreachable' || code === 'rpc/timeout') {
        this.lost(client);
        this.retry(batch, (error as ShardlabError).message, nowMs);
      } else if (code !== 'rpc/cancelled') {
        this.events.failed(error instanceof ShardlabError ? error : new ShardlabError('load/failed', String(error), {}, { cause: error }));
      }
    } finally {
      this.busy = false;
    }
  }

  private body(batch: readonly number[]): Uint8Array {
    const frames = batch.map((index) => this.load.frame(index));
    const count = Buffer.alloc(4);
    count.writeUInt32BE(batch.length);
    return Buffer.concat([count, ...frames]);
  }

  private delivered(batch: readonly number[], refused: ReadonlyMap<number, string>, nowMs: number): void {
    this.trouble = undefined;
    this.backoffMs = BACKOFF_MIN_MS;
    // Before this batch counts as taken: only what the shard had before may be forgotten.
    if (this.away) this.events.back();
    this.away = false;
    const again: number[] = [];
    batch.forEach((index, at) => {
      const code = refused.get(at);
      if (code === undefined) this.events.accepted(index);
      else if (this.events.refused({ index, code })) again.push(index);
    });
    if (again.length > 0) this.retry(again, 'the pool is full', nowMs);
  }

  private lost(client: RpcClient): void {
    this.away = true;
    this.endpoints.failed(client);
  }

  private retry(batch: readonly number[], trouble: string, nowMs: number): void {
    this.trouble = trouble;
    for (const index of batch) this.again.push(index);
    this.pauseUntilMs = nowMs + this.backoffMs;
    this.backoffMs = Math.min(BACKOFF_MAX_MS, this.backoffMs * 2);
  }
}

/** Reads an answer of `/submit`: codes by place in the batch. Throws `load/refused` for what the contract does not say. */
function refusals(url: string, answer: HttpAnswer, count: number): ReadonlyMap<number, string> {
  const codes = new Map<number, string>();
  try {
    const parsed = JSON.parse(answer.body.toString('utf8')) as { accepted: number; rejected: { index: number; code: string }[] };
    for (const { index, code } of parsed.rejected) {
      if (!Number.isInteger(index) || index < 0 || index >= count || typeof code !== 'string') throw new Error('bad entry');
      codes.set(index, code);
    }
    if (parsed.accepted + codes.size !== count) throw new Error('counts do not add up');
  } catch (cause) {
    throw new ShardlabError('load/refused', `${url} gives an answer that is not understood`, { url }, { cause });
  }
  return codes;
}
