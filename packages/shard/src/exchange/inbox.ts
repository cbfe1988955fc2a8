import {
  ACCEPT,
  bytesKey,
  checkBatchProof,
  CHUNK_BYTES_MAX,
  type Crypto,
  encodeHeader,
  equalBytes,
  type Hash32,
  ignore,
  type InboxSegment,
  INBOX_SEGMENTS_MAX,
  type PairTable,
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
  /** Last sequence that a final block has consumed. */
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

  /** Whether the message that comes next after what a block has consumed is here, of some source. */
  ready(after: PairTable): boolean {
    return after.some(({ shard, consumedSequence }) => this.sources.get(shard)?.chunks.has(consumedSequence + 1) === true);
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
   * What a block that follows on one with the pair table `after` consumes, in order of (source, sequence) (R7): up to `bytesMax` in all, and a chunk more. Sources
   * take turns at being the first to be served. Nothing leaves before {@link settle}: the block may never be decided.
   */
  select(after: PairTable, bytesMax: number): InboxSegment[] {
    const shareBytes = Math.ceil(bytesMax / Math.max(1, after.length));
    const shareSegments = Math.max(1, Math.floor(INBOX_SEGMENTS_MAX / Math.max(1, after.length)));
    const first = after.length === 0 ? 0 : this.turn++ % after.length;
    const taken: InboxSegment[] = [];
    let bytes = 0;
    for (let at = 0; at < after.length && bytes < bytesMax; at++) {
      const { shard, consumedSequence } = after[(first + at) % after.length]!;
      bytes += this.selectFrom(shard, consumedSequence, shareBytes, shareSegments, taken);
    }
    return taken.sort((a, b) => a.source - b.source || a.firstSequence - b.firstSequence);
  }

  private selectFrom(shard: ShardId, consumed: number, bytesMax: number, segmentsMax: number, taken: InboxSegment[]): number {
    const source = this.sources.get(shard);
    let bytes = 0;
    let next = consumed + 1;
    for (let count = 0; count < segmentsMax && bytes < bytesMax; count++) {
      const chunk = source?.chunks.get(next);
      if (chunk === undefined) break;
      next += chunk.segment.messages.length;
      bytes += chunk.bytes;
      taken.push(chunk.segment);
    }
    return bytes;
  }

  /**
   * Whether a segment of somebody else's block is a chunk that was verified here. Chunks are a function of the source's block, so that every validator has the same
   * ones: what differs is a lie, what is missing may still come.
   */
  holds(segment: InboxSegment): 'yes' | 'missing' | 'differs' {
    const known = this.sources.get(segment.source)?.chunks.get(segment.firstSequence)?.segment;
    if (known === undefined) return 'missing';
    const same =
      known.sourceHeight === segment.sourceHeight &&
      known.sourceTimestampMs === segment.sourceTimestampMs &&
      equalBytes(known.sourceHash, segment.sourceHash) &&
      known.messages.length === segment.messages.length &&
      known.messages.every((message, at) => equalBytes(message, segment.messages[at]!));
    return same ? 'yes' : 'differs';
  }

  /** A final block has consumed up to here. */
  settle(after: PairTable): void {
    for (const { shard, consumedSequence } of after) {
      const source = this.sources.get(shard);
      if (source === undefined || consumedSequence <= source.taken) continue;
      source.taken = consumedSequence;
      source.announced = Math.max(source.announced, consumedSequence);
      for (const [first, { segment, bytes }] of source.chunks) {
        if (first > consumedSequence) continue;
        source.chunks.delete(first);
        source.bytes -= bytes;
        source.messages -= segment.messages.length;
      }
    }
  }
}
