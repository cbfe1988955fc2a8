import type { EventBlock } from '../rpc/methods.ts';
import { HashIndex } from './hash-index.ts';
import type { LoadBook } from './book.ts';

/**
 * Matches blocks' events with the run's transactions. A transaction ends with `applied` on its own shard (intra-shard) or with `acked` on its
 * coordinator (cross-shard): the user-visible end. What other clients sent is passed over.
 */
export class OutcomeTracker {
  private readonly book: LoadBook;
  private readonly index: HashIndex;
  private readonly ended: (index: number) => void;

  /** `ended` is called once for each transaction that the chain ends. */
  constructor(book: LoadBook, ended: (index: number) => void) {
    this.book = book;
    this.index = new HashIndex(book.load.hashes);
    this.ended = ended;
  }

  /** Takes one final block of `shard`, which arrived at `nowMs`. */
  block(shard: number, block: EventBlock, nowMs: number): void {
    for (const event of block.events) {
      const index = this.index.find(event.txHash);
      if (index === -1) continue;
      if (event.phase !== 'submitted') this.book.phase(event.phase, index, block.timestampMs, nowMs);
      const final = event.phase === 'acked' || (event.phase === 'applied' && event.peer === shard);
      if (!final || event.outcome === 'none') continue;
      const outcome = event.outcome === 'commit' ? 'committed' : 'aborted';
      if (this.book.settle(index, outcome, event.reason, nowMs)) this.ended(index);
    }
  }
}
