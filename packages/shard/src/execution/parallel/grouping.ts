import type { ConflictGraph } from './conflict-graph.ts';

/** A component is placed by itself, the heaviest first, if it has at least this part of a run's fair share; the others fill up. */
const HEAVY_PART = 1 / 8;

/** Transactions in groups that are executed beside each other. */
export interface Grouping {
  /** Transactions of each group, in ascending order; the heaviest group first. */
  readonly groups: readonly Uint32Array[];
  /** Weight of the heaviest component, and of all. */
  readonly largest: number;
  readonly total: number;
}

/**
 * Distributes the graph's owners over at most `count` groups of about equal weight, components as wholes. `weights`: by owner. `names`: the number under which an
 * owner appears in the groups, ascending with the owners; its own, if there are none.
 */
export function groupComponents(graph: ConflictGraph, weights: Float64Array, count: number, names?: Uint32Array): Grouping {
  const owners = weights.length;
  const linked = graph.solve();
  const roots = new Uint32Array(owners);
  const componentWeights = new Float64Array(owners);
  let total = 0;
  for (let owner = 0; owner < owners; owner++) {
    const root = linked ? graph.root(owner) : owner;
    roots[owner] = root;
    componentWeights[root] = componentWeights[root]! + weights[owner]!;
    total += weights[owner]!;
  }
  let largest = 0;
  const heavy: number[] = [];
  const heavyFrom = (total / count) * HEAVY_PART;
  for (let root = 0; root < owners; root++) {
    const weight = componentWeights[root]!;
    if (weight > largest) largest = weight;
    if (weight >= heavyFrom && roots[root] === root) heavy.push(root);
  }
  const loads = new Float64Array(count);
  const groupOf = new Int32Array(owners).fill(-1);
  const place = (root: number): number => {
    let lightest = 0;
    for (let group = 1; group < count; group++) if (loads[group]! < loads[lightest]!) lightest = group;
    loads[lightest] = loads[lightest]! + componentWeights[root]!;
    groupOf[root] = lightest;
    return lightest;
  };
  for (const root of heavy.toSorted((a, b) => componentWeights[b]! - componentWeights[a]! || a - b)) place(root);
  const sizes = new Uint32Array(count);
  const members = Array.from({ length: count }, () => new Uint32Array(owners));
  for (let owner = 0; owner < owners; owner++) {
    const root = roots[owner]!;
    const known = groupOf[root]!;
    const group = known === -1 ? place(root) : known;
    members[group]![sizes[group]!++] = names === undefined ? owner : names[owner]!;
  }
  const order = members.map((_, group) => group).filter((group) => sizes[group]! > 0);
  order.sort((a, b) => loads[b]! - loads[a]! || a - b);
  return { groups: order.map((group) => members[group]!.subarray(0, sizes[group]!)), largest, total };
}
