import type { FaultKind } from './options.ts';

/** Faults that have really struck, by kind: a message that was lost, a node that died; not what was planned and met nobody. */
export class Strikes {
  readonly counts = new Map<FaultKind, number>();

  add(kind: FaultKind): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }
}

/** Sums counts by kind into `into`. */
export function addCounts(into: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [kind, count] of Object.entries(counts)) into[kind] = (into[kind] ?? 0) + count;
}
