import {
  ACCEPT,
  bytesKey,
  checkBatchProof,
  type Crypto,
  encodeHeader,
  type Hash32,
  ignore,
  type InboxSegment,
  INBOX_SEGMENTS_MAX,
  type ReceiptBatch,
  reject,
  type ShardId,
  type Verdict,
} from '@shardlab/crosslink';
import type { HeaderCheck } from './header-check.ts';

/** Bounds of what waits to be consumed. */
export interface InboxOptions {
  readonly shard: ShardId;
  readonly shards: number;
  /** Messages of one source that may wait; beyond, batches are ignored and pulled again later. */
  readonly windowMessages: number;
  /** Bytes of one source's waiting messages. */
  readonly windowBytes: number;
}

/** What one testbed shard can hold of each other shard. */
export const DEFAULT_INBOX = { windowMessages: 131_072, windowBytes: 32 << 20 } as const;

interface Waiting {
  readonly segment: InboxSegment;
  readonly bytes: number;
}

interface Source {
  /** Last sequence that a block under way or done has consumed. */
  taken: number;
  /** Verified chunks by first sequence. */
  readonly chunks: Map<number, Waiting>;
  bytes: number;
  messages: number;
  /** Last sequence that the source is known to have sent. */
  announced: number;
}

/**
 * Receipt batches that were verified and wait for a block. Deduplication rests on the sequences alone (R14): a chunk is used when its first sequence is the
 * next one, once.
 */
export class Inbox {
  private readonly options: InboxOptions;
  private readonly crypto: Crypto;
  private readonly headers: HeaderCheck;
  private readonly sources = new Map<ShardId, Source>();

  constructor(options: InboxOptions, modules: { readonly crypto: Crypto; readonly headers: HeaderCheck }, consumed: ReadonlyMap<ShardId, number>) {
    this.options = options;
    this.crypto = modules.crypto;
    this.headers = modules.headers;
    for (const [shard, sequence] of consumed) {
      this.sources.set(shard, { taken: sequence, chunks: new Map(), bytes: 0, messages: 0, announced: sequence });
    }
  }

  /** Messages that wait. */
  get size(): number {
    let sum = 0;
    for (const source of this.sources.values()) sum += source.messages;
    return sum;
  }

  /** Whether some source's next message is here. */
  get ready(): boolean {
    for (const source of this.sources.values()) if (source.chunks.has(source.taken + 1)) return true;
    return false;
  }

  /** Judges one batch, cheapest checks first, and keeps it if it is good and of use. */
  offer(batch: ReceiptBatch): Verdict {
    const { header, entry, firstSequence, messages } = batch;
    const source = this.sources.get(header.shard);
    if (source === undefined) return reject('batch-source');
    if (entry.destination !== this.options.shard) return reject('batch-destination');
    if (firstSequence <= source.taken || source.chunks.has(firstSequence)) return ignore('batch-known');
    const bytes = messages.reduce((sum, message) => sum + message.length, 0);
    if (firstSequence > source.taken + this.options.windowMessages || source.bytes + bytes > this.options.windowBytes) return ignore('batch-window');
    const hash = this.crypto.sha256(encodeHeader(header));
    const wrong = checkBatchProof(this.crypto, batch);
    if (wrong !== undefined) return reject(wrong);
    const verdict = this.headers.check(header, batch.certificate, bytesKey(hash));
    if (verdict !== undefined) return verdict;
    this.keep(source, batch, hash, bytes);
    return ACCEPT;
  }

  private keep(source: Source, batch: ReceiptBatch, hash: Hash32, bytes: number): void {
    const { header, firstSequence, messages } = batch;
    const segment: InboxSegment = {
      source: header.shard,
      sourceHeight: header.height,
      sourceHash: hash,
      sourceTimestampMs: header.timestampMs,
      firstSequence,
      messages,
    };
    source.chunks.set(firstSequence, { segment, bytes });
    source.bytes += bytes;
    source.messages += messages.length;
    source.announced = Math.max(source.announced, batch.entry.lastSequence);
  }

  /** The source is known, by a certified header, to have sent up to `sequence`. */
  announce(shard: ShardId, sequence: number): void {
    const source = this.sources.get(shard);
    if (source !== undefined) source.announced = Math.max(source.announced, sequence);
  }

  /** The first sequence of `shard` that was sent but is not here; `undefined` = nothing is missing. */
  missing(shard: ShardId): number | undefined {
    const source = this.sources.get(shard);
    if (source === undefined) return undefined;
    let next = source.taken + 1;
    for (;;) {
      const chunk = source.chunks.get(next);
      if (chunk === undefined) break;
      next += chunk.segment.messages.length;
    }
    return next <= source.announced ? next : undefined;
  }

  /** Sources that have sent something which is not here. */
  incomplete(): ShardId[] {
    return [...this.sources.keys()].filter((shard) => this.missing(shard) !== undefined).sort((a, b) => a - b);
  }

  /** Takes what the next block consumes, in order of (source, sequence) (R7), up to `bytesMax` in all; each source gets its share. */
  take(bytesMax: number): InboxSegment[] {
    const segments: InboxSegment[] = [];
    const shards = [...this.sources.keys()].sort((a, b) => a - b);
    const share = Math.ceil(bytesMax / Math.max(1, shards.length));
    for (const shard of shards) this.takeFrom(this.sources.get(shard)!, share, segments);
    return segments;
  }

  private takeFrom(source: Source, bytesMax: number, segments: InboxSegment[]): void {
    let bytes = 0;
    while (bytes < bytesMax && segments.length < INBOX_SEGMENTS_MAX) {
      const first = source.taken + 1;
      const chunk = source.chunks.get(first);
      if (chunk === undefined) return;
      source.chunks.delete(first);
      source.taken = first + chunk.segment.messages.length - 1;
      source.bytes -= chunk.bytes;
      source.messages -= chunk.segment.messages.length;
      bytes += chunk.bytes;
      segments.push(chunk.segment);
    }
  }
}
