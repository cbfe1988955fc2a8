import { decodeMessage, equalBytes, type PairEntry, type ShardId } from '@shardlab/crosslink';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/** Messages of one ordered pair that may be sent and not consumed before the checker gives up: far above what backpressure allows (R19). */
const UNCONSUMED_MAX = 262_144;

interface Pair {
  sent: number;
  consumed: number;
  sentValue: bigint;
  receivedValue: bigint;
  /** Bytes of what was sent and not consumed yet, by sequence. */
  readonly underway: Map<number, Uint8Array>;
}

/** Wei that a message carries: a commit Decision's (R15), and a credit's (R12). */
function carried(bytes: Uint8Array): bigint {
  const message = decodeMessage(bytes);
  if (message.kind === 'credit') return message.value;
  return message.kind === 'decision' && message.commit ? message.value : 0n;
}

/**
 * Each (source, destination, sequence) is sent once and consumed once, in order, with the same bytes, after it was sent; pair tables say so, and count the wei that
 * Decisions and credits carry. Memory: the messages under way.
 */
export class SequenceChecker implements BlockChecker {
  private readonly violations: Violations;
  private readonly pairs = new Map<string, Pair>();

  constructor(modules: { readonly violations: Violations }) {
    this.violations = modules.violations;
  }

  /** Messages that were sent and not consumed. */
  get underway(): number {
    let count = 0;
    for (const pair of this.pairs.values()) count += pair.underway.size;
    return count;
  }

  block({ block }: ShardBlockRecord): void {
    const { header, body, outgoing } = block;
    const own = header.shard;
    let source = -1;
    for (const segment of body.inbox) {
      if (segment.source < source) this.violations.add('sequences', `block ${header.height} of shard ${own} consumes its sources out of order`);
      source = segment.source;
      segment.messages.forEach((bytes, index) => this.consume(segment.source, own, segment.firstSequence + index, bytes));
    }
    let last = -1;
    for (const { destination, firstSequence, messages } of outgoing) {
      if (destination <= last || destination === own) this.violations.add('sequences', `shard ${own} sends to ${destination} out of order`);
      last = destination;
      messages.forEach((bytes, index) => this.send(own, destination, firstSequence + index, bytes));
    }
    for (const entry of body.pairs) this.table(own, entry);
  }

  atRest(): void {
    for (const [name, { underway }] of this.pairs) {
      if (underway.size > 0) this.violations.add('sequences', `${underway.size} messages of ${name} were never consumed`);
    }
  }

  private pair(source: ShardId, destination: ShardId): Pair {
    const name = `${source}->${destination}`;
    let pair = this.pairs.get(name);
    if (pair === undefined) this.pairs.set(name, (pair = { sent: 0, consumed: 0, sentValue: 0n, receivedValue: 0n, underway: new Map() }));
    return pair;
  }

  private send(source: ShardId, destination: ShardId, sequence: number, bytes: Uint8Array): void {
    const pair = this.pair(source, destination);
    if (sequence !== pair.sent + 1) this.fail(source, destination, sequence, `was sent after ${pair.sent}`);
    pair.sent = sequence;
    pair.sentValue += carried(bytes);
    if (pair.underway.size >= UNCONSUMED_MAX) this.fail(source, destination, sequence, 'is one too many that nobody consumes');
    else pair.underway.set(sequence, bytes.slice());
  }

  private consume(source: ShardId, destination: ShardId, sequence: number, bytes: Uint8Array): void {
    const pair = this.pair(source, destination);
    if (sequence !== pair.consumed + 1) this.fail(source, destination, sequence, `was consumed after ${pair.consumed}`);
    pair.consumed = sequence;
    const sent = pair.underway.get(sequence);
    if (sent === undefined) this.fail(source, destination, sequence, 'was consumed though nobody holds it as sent');
    else if (!equalBytes(sent, bytes)) this.fail(source, destination, sequence, 'was consumed with other bytes than it was sent with');
    pair.underway.delete(sequence);
    pair.receivedValue += carried(bytes);
  }

  private table(own: ShardId, entry: PairEntry): void {
    const out = this.pair(own, entry.shard);
    const into = this.pair(entry.shard, own);
    const right = entry.sentSequence === out.sent && entry.consumedSequence === into.consumed;
    if (!right) this.violations.add('sequences', `the pair table of shard ${own} for ${entry.shard} does not count its messages`);
    const paid = entry.sentValue === out.sentValue && entry.receivedValue === into.receivedValue;
    if (!paid) this.violations.add('sequences', `the pair table of shard ${own} for ${entry.shard} does not count the wei of its messages`);
  }

  private fail(source: ShardId, destination: ShardId, sequence: number, what: string): void {
    this.violations.add('sequences', `message ${sequence} of ${source}->${destination} ${what}`);
  }
}
