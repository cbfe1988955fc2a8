import {
  ACCEPT,
  bytesKey,
  checkBatchProof,
  CHUNK_BYTES_MAX,
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
  /** Which source is first in turn when a block can not take from all. */
  private turn = 0;

  constructor(options: InboxOptions, modules: { readonly crypto: Crypto; readonly headers: HeaderCheck }, consumed: ReadonlyMap<ShardId, number>) {
    this.options = options;
    this.crypto = modules.crypto;
    this.headers = modules.headers;
    for (const [shard, sequence] of [...consumed].sort(([a], [b]) => a - b)) {
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

  /** Whether `shard` is another shard of this network. */
  knows(shard: ShardId): boolean {
    return this.sources.has(shard);
  }

  /** Judges one batch, cheapest checks first, and keeps it if it is good and of use. */
  offer(batch: ReceiptBatch): Verdict {
    const { header, entry, firstSequence, messages } = batch;
    const source = this.sources.get(header.shard);
    if (source === undefined) return reject('batch-source');
    if (entry.destination !== this.options.shard) return reject('batch-destination');
    if (firstSequence <= source.taken || source.chunks.has(firstSequence)) return ignore('batch-known');
    const bytes = messages.reduce((sum, message) => sum + message.length, 0);
    // The chunk that the next block waits for is always taken: otherwise a window full of later ones would never empty.
    const full = firstSequence > source.taken + this.options.windowMessages || source.bytes + bytes > this.options.windowBytes;
    if (full && firstSequence !== source.taken + 1) return ignore('batch-window');
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

  /** All other shards of this network. */
  others(): Iterable<ShardId> {
    return this.sources.keys();
  }

  /** The first sequence of `shard` that is not here, sent or not; `undefined` = there is no such shard. */
  next(shard: ShardId): number | undefined {
    const source = this.sources.get(shard);
    if (source === undefined) return undefined;
    let next = source.taken + 1;
    for (;;) {
      const chunk = source.chunks.get(next);
      if (chunk === undefined) return next;
      next += chunk.segment.messages.length;
    }
  }

  /** The first sequence of `shard` that was sent but is not here; `undefined` = nothing is missing. */
  missing(shard: ShardId): number | undefined {
    const next = this.next(shard);
    return next !== undefined && next <= this.sources.get(shard)!.announced ? next : undefined;
  }

  /** Sources that have sent something which is not here and for which there is room: who should be asked. */
  incomplete(): ShardId[] {
    const wanted: ShardId[] = [];
    for (const [shard, source] of this.sources) {
      const first = this.missing(shard);
      if (first === undefined) continue;
      const room = first <= source.taken + this.options.windowMessages && source.bytes + CHUNK_BYTES_MAX <= this.options.windowBytes;
      if (room || first === source.taken + 1) wanted.push(shard);
    }
    return wanted;
  }

  /**
   * Takes what the next block consumes, in order of (source, sequence) (R7): up to `bytesMax` in all, and a chunk more. Sources take turns at being the first to
   * be served.
   */
  take(bytesMax: number): InboxSegment[] {
    const waiting = [...this.sources.values()];
    const shareBytes = Math.ceil(bytesMax / Math.max(1, waiting.length));
    const shareSegments = Math.max(1, Math.floor(INBOX_SEGMENTS_MAX / Math.max(1, waiting.length)));
    const first = waiting.length === 0 ? 0 : this.turn++ % waiting.length;
    const taken: InboxSegment[] = [];
    let bytes = 0;
    for (let at = 0; at < waiting.length && bytes < bytesMax; at++) {
      bytes += this.takeFrom(waiting[(first + at) % waiting.length]!, shareBytes, shareSegments, taken);
    }
    return taken.sort((a, b) => a.source - b.source || a.firstSequence - b.firstSequence);
  }

  private takeFrom(source: Source, bytesMax: number, segmentsMax: number, taken: InboxSegment[]): number {
    let bytes = 0;
    for (let count = 0; count < segmentsMax && bytes < bytesMax; count++) {
      const first = source.taken + 1;
      const chunk = source.chunks.get(first);
      if (chunk === undefined) break;
      source.chunks.delete(first);
      source.taken = first + chunk.segment.messages.length - 1;
      source.bytes -= chunk.bytes;
      source.messages -= chunk.segment.messages.length;
      bytes += chunk.bytes;
      taken.push(chunk.segment);
    }
    return bytes;
  }
}
