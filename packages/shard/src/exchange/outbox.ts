import type { Height, Outgoing, ShardId } from '@shardlab/crosslink';

/** One block's messages to one shard, not yet known to be consumed. The bodies stand in the block of that height. */
export interface OutboxEntry {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly height: Height;
}

/** Where the messages that a shard sent stand, until their destination has consumed them (R14). */
export class Outbox {
  private readonly entries = new Map<ShardId, OutboxEntry[]>();

  /** Adds what was found in the database at start; in order of sequence. */
  adopt(destination: ShardId, entry: OutboxEntry): void {
    const list = this.entries.get(destination);
    if (list === undefined) this.entries.set(destination, [entry]);
    else list.push(entry);
  }

  /** Messages that are kept. */
  get size(): number {
    let sum = 0;
    for (const list of this.entries.values()) for (const entry of list) sum += entry.lastSequence - entry.firstSequence + 1;
    return sum;
  }

  /** Adds a committed block's messages. */
  add(height: Height, outgoing: readonly Outgoing[]): void {
    for (const { destination, firstSequence, messages } of outgoing) {
      this.adopt(destination, { firstSequence, lastSequence: firstSequence + messages.length - 1, height });
    }
  }

  /** Entries for `destination` that reach to `sequence` or beyond, in order, at most `max`. */
  from(destination: ShardId, sequence: number, max: number): readonly OutboxEntry[] {
    const list = this.entries.get(destination) ?? [];
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle]!.lastSequence >= sequence) high = middle;
      else low = middle + 1;
    }
    return list.slice(low, low + max);
  }

  /** Drops what `destination` has consumed up to `sequence`; returns what was dropped, for the database. */
  consumed(destination: ShardId, sequence: number): { destination: ShardId; firstSequence: number }[] {
    const list = this.entries.get(destination) ?? [];
    let count = 0;
    while (count < list.length && list[count]!.lastSequence <= sequence) count++;
    return list.splice(0, count).map(({ firstSequence }) => ({ destination, firstSequence }));
  }
}
