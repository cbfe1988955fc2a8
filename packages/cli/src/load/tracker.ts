import type { EventBlock } from '../rpc/methods.ts';
import { HashIndex } from './hash-index.ts';
import type { LoadBook } from './book.ts';

/** Takes what blocks tell of the run. */
export interface TrackerEvents {
  /** A block of its sender's shard holds it. */
  included(index: number): void;
  /** A block of `shard` took nothing of the run from its pool. */
  blockWithout(shard: number, nowMs: number): void;
  /** Called once for each transaction that the chain ends. */
  ended(index: number): void;
}

/**
 * Matches blocks' events with the run's transactions. A transaction ends with `applied` on its own shard (intra-shard) or with `acked` on its
 * coordinator (cross-shard): the user-visible end. What other clients sent is passed over.
 */
export class OutcomeTracker {
  private readonly book: LoadBook;
  private readonly index: HashIndex;
  private readonly events: TrackerEvents;

  constructor(book: LoadBook, events: TrackerEvents) {
    this.book = book;
    this.index = new HashIndex(book.load.hashes);
    this.events = events;
  }

  /** Takes one final block of `shard`, which arrived at `nowMs`. */
  block(shard: number, block: EventBlock, nowMs: number): void {
    let taken = 0;
    for (const event of block.events) {
      const index = this.index.find(event.txHash);
      if (index === -1) continue;
      if (event.phase !== 'submitted') this.book.phase(event.phase, index, block.timestampMs, nowMs);
      if (event.phase === 'prepared' || (event.phase === 'applied' && event.peer === shard)) {
        taken += 1;
        this.events.included(index);
      }
      const final = event.phase === 'acked' || (event.phase === 'applied' && event.peer === shard);
      if (!final || event.outcome === 'none') continue;
      const outcome = event.outcome === 'commit' ? 'committed' : 'aborted';
      if (this.book.settle(index, outcome, event.reason === 'none' ? '' : event.reason, nowMs)) this.events.ended(index);
    }
    if (taken === 0) this.events.blockWithout(shard, nowMs);
  }
}
