import { equalBytes } from '@shardlab/crosslink';
import type { Findings } from './findings.ts';

/** Bytes kept of each message's hash: enough that no other message has them. */
const DIGEST_BYTES = 16;

/** Which block of the source messages left with. */
export interface BlockOrigin {
  readonly height: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
  readonly timestampMs: number;
}

/** Messages of one block to one shard, or of one inbox segment, contiguous in sequence. */
export interface MessageRun {
  readonly firstSequence: number;
  readonly count: number;
  readonly origin: BlockOrigin;
  /** Height at which this side recorded the run. */
  readonly height: number;
  /** Index of its first digest. */
  readonly at: number;
}

/** Digests of the messages of one ordered pair of shards as one side has them, 16 bytes a message. */
export class MessageLog {
  readonly runs: MessageRun[] = [];
  gaps = 0;
  duplicates = 0;
  private digests = new Uint8Array(DIGEST_BYTES * 64);
  private messages = 0;
  private last = 0;

  /** Appends messages by their hashes (32 bytes each); gaps and repetitions in their sequences are counted and told. */
  append(firstSequence: number, hashes: readonly Uint8Array[], origin: BlockOrigin, height: number): 'good' | 'gap' | 'duplicate' {
    const lastSequence = firstSequence + hashes.length - 1;
    const order = firstSequence === this.last + 1 ? 'good' : firstSequence > this.last ? 'gap' : 'duplicate';
    if (order === 'gap') this.gaps += firstSequence - this.last - 1;
    if (order === 'duplicate') this.duplicates += Math.min(lastSequence, this.last) - firstSequence + 1;
    this.last = Math.max(this.last, lastSequence);
    this.runs.push({ firstSequence, count: hashes.length, origin, height, at: this.messages });
    this.reserve(hashes.length);
    for (const hash of hashes) {
      for (let k = 0; k < DIGEST_BYTES; k++) this.digests[this.messages * DIGEST_BYTES + k] = hash[k]!;
      this.messages++;
    }
    return order;
  }

  private reserve(more: number): void {
    const wanted = (this.messages + more) * DIGEST_BYTES;
    if (wanted <= this.digests.length) return;
    const grown = new Uint8Array(Math.max(wanted, 2 * this.digests.length));
    grown.set(this.digests);
    this.digests = grown;
  }

  /** The run in which `sequence` is; runs are in order unless their sequences are wrong already. */
  private runWith(sequence: number): MessageRun | undefined {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.runs[middle]!.firstSequence <= sequence) low = middle + 1;
      else high = middle;
    }
    const run = this.runs[low - 1];
    return run !== undefined && sequence < run.firstSequence + run.count ? run : undefined;
  }

  private digest(at: number): Uint8Array {
    return this.digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES);
  }

  /** Says of each run that the destination consumed whether this, the source's log, has it, byte for byte and of that very block. */
  compare(consumed: MessageLog, pair: { readonly source: number; readonly destination: number }, findings: Findings): void {
    for (const run of consumed.runs) {
      const place = { shard: pair.destination, height: run.height };
      const names = `messages ${run.firstSequence} to ${run.firstSequence + run.count - 1} of shard ${pair.source}`;
      const sent = this.runWith(run.firstSequence);
      if (sent === undefined || run.firstSequence + run.count > sent.firstSequence + sent.count) {
        findings.add('message-unknown', `consumed ${names}, which no block of it sent so`, place);
        continue;
      }
      const { height, hash, timestampMs } = sent.origin;
      if (run.origin.height !== height || run.origin.timestampMs !== timestampMs || !equalBytes(run.origin.hash, hash)) {
        findings.add('message-origin', `consumed ${names} as of block ${run.origin.height}, they left with block ${height}`, place);
      }
      const offset = run.firstSequence - sent.firstSequence;
      for (let k = 0; k < run.count; k++) {
        if (equalBytes(this.digest(sent.at + offset + k), consumed.digest(run.at + k))) continue;
        findings.add('message-differs', `consumed message ${run.firstSequence + k} of shard ${pair.source} with other bytes than it was sent with`, place);
      }
    }
  }
}

/** The logs of all ordered pairs of shards, from both sides. */
export class MessageBook {
  private readonly sent = new Map<number, MessageLog>();
  private readonly consumed = new Map<number, MessageLog>();
  private readonly findings: Findings;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  private log(side: Map<number, MessageLog>, source: number, destination: number): MessageLog {
    const key = source * 0x10000 + destination;
    let log = side.get(key);
    if (log === undefined) side.set(key, (log = new MessageLog()));
    return log;
  }

  /** Notes what a block sends, by the messages' hashes. */
  send(source: number, destination: number, firstSequence: number, hashes: readonly Uint8Array[], origin: BlockOrigin): void {
    const order = this.log(this.sent, source, destination).append(firstSequence, hashes, origin, origin.height);
    this.judge(order, `sends ${firstSequence} to shard ${destination}`, { shard: source, height: origin.height, hash: origin.hash });
  }

  /** Notes what a block consumes, by the messages' hashes. */
  consume(source: number, destination: number, firstSequence: number, hashes: readonly Uint8Array[], origin: BlockOrigin, height: number): void {
    // The hash is a view of the block that it came with.
    const kept = { ...origin, hash: origin.hash.slice() };
    const order = this.log(this.consumed, source, destination).append(firstSequence, hashes, kept, height);
    this.judge(order, `consumes ${firstSequence} of shard ${source}`, { shard: destination, height });
  }

  private judge(order: 'good' | 'gap' | 'duplicate', what: string, place: { shard: number; height: number; hash?: Uint8Array }): void {
    if (order === 'gap') this.findings.add('sequence-gap', `${what}, and leaves out what comes before`, place);
    if (order === 'duplicate') this.findings.add('sequence-duplicate', `${what} a second time`, place);
  }

  /** Compares both sides of every pair: to be called when all shards have been walked up to a consistent cut. */
  compare(): void {
    for (const [key, log] of this.consumed) {
      const source = Math.floor(key / 0x10000);
      const destination = key % 0x10000;
      this.log(this.sent, source, destination).compare(log, { source, destination }, this.findings);
    }
  }

  /** Messages left out and repeated, on both sides. */
  totals(): { readonly gaps: number; readonly duplicates: number } {
    const all = [...this.sent.values(), ...this.consumed.values()];
    return { gaps: all.reduce((sum, log) => sum + log.gaps, 0), duplicates: all.reduce((sum, log) => sum + log.duplicates, 0) };
  }
}
