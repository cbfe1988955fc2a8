import { type CrossShardMessage, encodeMessage, invariant, type Outgoing, type PairEntry, type ShardId } from '@shardlab/crosslink';

/** The shard's running sums while a block executes. */
export interface RunningTotals {
  balances: bigint;
  escrow: bigint;
  burned: bigint;
  transactions: number;
  logs: number;
}

/** A row of the pair table while a block executes. */
export type MutablePair = { -readonly [K in keyof PairEntry]: PairEntry[K] };

/**
 * One block's books: the totals of its header, what was sent to and consumed from each other shard, and the messages that leave. Wei that move between balances,
 * escrow, other shards and the burned pass through here, so that the header's sums stay true.
 */
export class Ledger {
  readonly totals: RunningTotals;
  private readonly shard: ShardId;
  private readonly pairs: ReadonlyMap<ShardId, MutablePair>;
  private readonly outbox = new Map<ShardId, { firstSequence: number; messages: Uint8Array[] }>();

  /** `pairs` has a row for each other shard. Both are changed in place. */
  constructor(shard: ShardId, totals: RunningTotals, pairs: readonly MutablePair[]) {
    this.shard = shard;
    this.totals = totals;
    this.pairs = new Map(pairs.map((pair) => [pair.shard, pair]));
  }

  private pair(shard: ShardId): MutablePair {
    const pair = this.pairs.get(shard);
    invariant(pair !== undefined, 'no such shard', { shard });
    return pair;
  }

  /** Appends a message to those that leave with the block. */
  emit(destination: ShardId, message: CrossShardMessage): void {
    const pair = this.pair(destination);
    pair.sentSequence++;
    let entry = this.outbox.get(destination);
    if (entry === undefined) this.outbox.set(destination, (entry = { firstSequence: pair.sentSequence, messages: [] }));
    entry.messages.push(encodeMessage(message));
  }

  /** Books one consumed message. */
  consumed(source: ShardId, sequence: number): void {
    const pair = this.pair(source);
    invariant(sequence === pair.consumedSequence + 1, 'inbox sequence with a gap', { source, sequence });
    pair.consumedSequence = sequence;
  }

  /** Wei leave escrow for `destination`; for the shard itself they are taken up again by {@link receive} at once. */
  send(destination: ShardId, amount: bigint): void {
    this.totals.escrow -= amount;
    if (destination !== this.shard) this.pair(destination).sentValue += amount;
  }

  /** Wei arrive in escrow. False, and nothing is booked, if so many can not exist: sums of real wei stay below 2^128 (R9), whatever a lying shard says that it sent. */
  receive(source: ShardId, amount: bigint): boolean {
    const { totals } = this;
    if ((totals.balances + totals.escrow + totals.burned + amount) >> 128n !== 0n) return false;
    if (source !== this.shard) {
      const pair = this.pair(source);
      if ((pair.receivedValue + amount) >> 128n !== 0n) return false;
      pair.receivedValue += amount;
    }
    totals.escrow += amount;
    return true;
  }

  /** Wei go from balances to escrow. */
  toEscrow(amount: bigint): void {
    this.totals.balances -= amount;
    this.totals.escrow += amount;
  }

  /** Wei go from escrow to balances. */
  fromEscrow(amount: bigint): void {
    this.totals.balances += amount;
    this.totals.escrow -= amount;
  }

  /** Wei in escrow are burned. */
  burnEscrow(amount: bigint): void {
    this.totals.escrow -= amount;
    this.totals.burned += amount;
  }

  /** Wei of balances are burned. */
  burn(amount: bigint): void {
    this.totals.balances -= amount;
    this.totals.burned += amount;
  }

  /** What leaves with the block, in ascending order of destination. */
  outgoing(): Outgoing[] {
    const each = [...this.outbox].map(([destination, { firstSequence, messages }]) => ({ destination, firstSequence, messages }));
    return each.sort((a, b) => a.destination - b.destination);
  }
}
