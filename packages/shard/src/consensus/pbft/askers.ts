import { equalBytes, type Hash32 } from '@shardlab/crosslink';
import type { Committee } from './committee.ts';
import type { ViewChange } from './messages.ts';
import { choose, type ChosenBlock } from './view-change.ts';

/** The view changes of others and of this validator: one of each validator, that for the highest view. */
export class Askers {
  private readonly committee: Committee;
  private readonly changes = new Map<number, ViewChange>();

  constructor(committee: Committee) {
    this.committee = committee;
  }

  /** Whether a validator's view change for this view, or a higher one, is known. */
  knows(validator: number, view: number): boolean {
    return (this.changes.get(validator)?.view ?? -1) >= view;
  }

  /** Whether exactly this view change was checked and kept. */
  holds(change: ViewChange): boolean {
    const kept = this.changes.get(change.validator);
    return kept !== undefined && equalBytes(kept.payload, change.payload) && equalBytes(kept.signature, change.signature);
  }

  /** Keeps a checked view change in place of an earlier one of its validator. */
  add(change: ViewChange): void {
    this.changes.set(change.validator, change);
  }

  get(validator: number): ViewChange | undefined {
    return this.changes.get(validator);
  }

  /** A view is in force: what asked for it, or for a lower one, has done its work. */
  entered(view: number): void {
    for (const [validator, change] of this.changes) if (change.view <= view) this.changes.delete(validator);
  }

  /** Validators that have asked for `view` or a higher one, in order. Who is higher has left this one too, and will not come back. */
  askedFor(view: number): number[] {
    const askers = [...this.changes.values()].filter((change) => change.view >= view);
    return askers.map(({ validator }) => validator).toSorted((a, b) => a - b);
  }

  /** The highest view that f + 1 validators have asked for, or left for a higher one: a correct one is among them. Undefined unless it is above `view`. */
  joinable(view: number): number | undefined {
    const views = [...this.changes.values()].map((change) => change.view).toSorted((a, b) => b - a);
    const reached = views[this.committee.faulty];
    return reached !== undefined && reached > view ? reached : undefined;
  }

  /**
   * The view changes with which this validator can lead `view`: a quorum, of which it has every chosen block, on a head that it has; or the block that
   * it lacks; or `undefined` while too few have asked, or it lacks the head. A correct asker holds what it says, so it is enough to leave the others out: a faulty one must not make everybody wait for a block that
   * nobody has.
   */
  lead(view: number, tip: number, holds: (hash: Hash32) => boolean): ViewChange[] | ChosenBlock | undefined {
    const { quorum } = this.committee;
    let changes = [...this.changes.values()].filter((change) => change.view === view).toSorted((a, b) => a.validator - b.validator);
    if (changes.length < quorum) return undefined;
    const reached = changes.filter((change) => change.head.height <= tip);
    if (reached.length >= quorum) changes = reached;
    for (;;) {
      const { base, blocks } = choose(this.committee, changes);
      if (base.height > tip) return undefined;
      const block = blocks.find(({ hash }) => !holds(hash));
      if (block === undefined) return changes;
      const without = changes.filter(({ prepared }) => !prepared.some(({ header }) => equalBytes(this.committee.hash(header), block.hash)));
      if (without.length < quorum) return block;
      changes = without;
    }
  }
}
