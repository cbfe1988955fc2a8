import type { PairEntry, PairTable } from '@shardlab/crosslink';
import type { Findings, Place } from './findings.ts';

type Moving = { -readonly [K in keyof PairEntry]: PairEntry[K] };

/** A shard's pair table, moved on by the messages of one block. */
export class PairMoves {
  private readonly entries: Map<number, Moving>;

  /** `before` is the parent's table. */
  constructor(before: PairTable) {
    this.entries = new Map(before.map((entry) => [entry.shard, { ...entry }]));
  }

  /** Messages left for `shard`. */
  sent(shard: number, count: number): void {
    const entry = this.entries.get(shard);
    if (entry !== undefined) entry.sentSequence += count;
  }

  /** Messages of `shard` were consumed. */
  consumed(shard: number, count: number): void {
    const entry = this.entries.get(shard);
    if (entry !== undefined) entry.consumedSequence += count;
  }

  /** A commit Decision took wei to `shard`. */
  gave(shard: number, value: bigint): void {
    const entry = this.entries.get(shard);
    if (entry !== undefined) entry.sentValue += value;
  }

  /** A commit Decision brought wei from `shard`. */
  received(shard: number, value: bigint): void {
    const entry = this.entries.get(shard);
    if (entry !== undefined) entry.receivedValue += value;
  }

  /** Whether `table` is what the parent's table and the messages come to. */
  equals(table: PairTable): boolean {
    return table.length === this.entries.size && table.every((entry) => same(this.entries.get(entry.shard), entry));
  }
}

function same(a: PairEntry | undefined, b: PairEntry): boolean {
  return (
    a !== undefined &&
    a.sentSequence === b.sentSequence &&
    a.consumedSequence === b.consumedSequence &&
    a.sentValue === b.sentValue &&
    a.receivedValue === b.receivedValue
  );
}

/** Checks that a block's pair table follows from its parent's and from the block's messages. */
export function checkPairTable(moves: PairMoves, table: PairTable, place: Place, findings: Findings): void {
  if (!moves.equals(table)) findings.add('pair-table', 'the pair table does not follow from its parent and the messages of the block', place);
}
