/** One read or write of a versioned key by a transaction. Versions of a key are counted by the caller: a write makes the next one. */
export interface Access {
  readonly transaction: string;
  readonly key: string;
  /** The version that was read, or that was made. */
  readonly version: number;
}

/** Who made a version of a key, and who read it; transactions by number. */
interface Version {
  writer: number | undefined;
  readonly readers: number[];
}

interface Edge {
  readonly to: number;
  readonly why: string;
  /** Version that the edge is about; undefined for real time. */
  readonly version: number | undefined;
}

/** Longest cycle that is told in full. */
const TOLD_MAX = 12;

/**
 * Dependencies between committed transactions, and their cycles: a history is strictly serializable only if there is none (Adya, Liskov, O'Neil, "Generalized
 * Isolation Level Definitions", ICDE 2000; Elle: Kingsbury and Alvaro, VLDB 2020). Edges: who wrote a version comes before who read it (wr) and before who wrote the
 * next one (ww); who read a version comes before who wrote the next one (rw); and who was answered before another was submitted comes before it (real time). Cost is
 * linear in accesses and transactions, but for sorting: real time is a chain of moments, not an edge for each pair.
 */
export class DependencyGraph {
  private readonly numbers = new Map<string, number>();
  private readonly names: string[] = [];
  private readonly keys = new Map<string, Map<number, Version>>();
  private readonly submitted = new Map<number, number>();
  private readonly answered = new Map<number, number>();

  read({ transaction, key, version }: Access): void {
    this.version(key, version).readers.push(this.number(transaction));
  }

  /** Returns false when somebody else has made this version: then the history is no history. */
  write({ transaction, key, version }: Access): boolean {
    const entry = this.version(key, version);
    const writer = this.number(transaction);
    if (entry.writer !== undefined && entry.writer !== writer) return false;
    entry.writer = writer;
    return true;
  }

  /** The client has offered it for the first time; any unit of time, as long as all share it. */
  submit(transaction: string, at: number): void {
    const number = this.number(transaction);
    if (!this.submitted.has(number)) this.submitted.set(number, at);
  }

  /** The client has seen that it is committed. */
  answer(transaction: string, at: number): void {
    const number = this.number(transaction);
    if (!this.answered.has(number)) this.answered.set(number, at);
  }

  /** A cycle, as readable steps; undefined when there is none. */
  cycle(): string | undefined {
    const edges = this.connect();
    const component = knot(edges);
    return component === undefined ? undefined : this.tell(edges, component);
  }

  private number(transaction: string): number {
    let number = this.numbers.get(transaction);
    if (number === undefined) {
      this.numbers.set(transaction, (number = this.names.length));
      this.names.push(transaction);
    }
    return number;
  }

  private version(key: string, version: number): Version {
    let versions = this.keys.get(key);
    if (versions === undefined) this.keys.set(key, (versions = new Map()));
    let entry = versions.get(version);
    if (entry === undefined) versions.set(version, (entry = { writer: undefined, readers: [] }));
    return entry;
  }

  /** Edges by the number of where they begin: transactions first, then the moments. */
  private connect(): Edge[][] {
    const edges: Edge[][] = this.names.map(() => []);
    for (const [key, versions] of this.keys) {
      const ordered = [...versions].toSorted(([a], [b]) => a - b);
      // From the newest: whoever wrote next is known then, also where a version between is not.
      let next: number | undefined;
      for (const [version, { writer, readers }] of ordered.toReversed()) {
        for (const reader of readers) {
          if (writer !== undefined && reader !== writer) edges[writer]!.push({ to: reader, why: `wr ${key}`, version });
          if (next !== undefined && reader !== next) edges[reader]!.push({ to: next, why: `rw ${key}`, version });
        }
        if (writer === undefined) continue;
        if (next !== undefined && writer !== next) edges[writer]!.push({ to: next, why: `ww ${key}`, version });
        next = writer;
      }
    }
    this.connectTime(edges);
    return edges;
  }

  /** Moments are nodes in a chain: whoever was answered comes before its moment, and a moment before whoever is submitted after it. */
  private connectTime(edges: Edge[][]): void {
    const first = edges.length;
    const moments = [...this.answered].toSorted(([, a], [, b]) => a - b);
    moments.forEach(([transaction], index) => {
      edges.push([]);
      edges[transaction]!.push({ to: first + index, why: 'answered', version: undefined });
      if (index > 0) edges[first + index - 1]!.push({ to: first + index, why: 'then', version: undefined });
    });
    let last = -1;
    for (const [transaction, at] of [...this.submitted].toSorted(([, a], [, b]) => a - b)) {
      while (last + 1 < moments.length && moments[last + 1]![1] < at) last++;
      if (last >= 0) edges[first + last]!.push({ to: transaction, why: 'submitted', version: undefined });
    }
  }

  /** A shortest way round within the component, from its first node back to it. */
  private tell(edges: readonly (readonly Edge[])[], component: readonly number[]): string {
    const members = new Set(component);
    const start = component.find((node) => node < this.names.length)!;
    const cameFrom = new Map<number, { readonly from: number; readonly edge: Edge }>();
    const queue = [start];
    for (const node of queue) {
      for (const edge of edges[node]!) {
        if (!members.has(edge.to) || cameFrom.has(edge.to)) continue;
        cameFrom.set(edge.to, { from: node, edge });
        queue.push(edge.to);
      }
      if (cameFrom.has(start)) break;
    }
    const way: { readonly from: number; readonly edge: Edge }[] = [];
    for (let node = start; way.length === 0 || node !== start; node = way[0]!.from) way.unshift(cameFrom.get(node)!);
    return this.words(way);
  }

  private words(way: readonly { readonly from: number; readonly edge: Edge }[]): string {
    const steps: string[] = [];
    let answered: number | undefined;
    for (const { from, edge } of way) {
      const isMoment = edge.to >= this.names.length;
      if (isMoment) answered ??= from;
      else if (edge.version === undefined) steps.push(`${this.names[answered!]} -(answered, before the other was submitted)-> ${this.names[edge.to]}`);
      else steps.push(`${this.names[from]} -(${edge.why}@${edge.version})-> ${this.names[edge.to]}`);
      if (!isMoment) answered = undefined;
    }
    const rest = steps.length - TOLD_MAX;
    return rest > 0 ? `${steps.slice(0, TOLD_MAX).join(', ')}, and ${rest} steps back` : steps.join(', ');
  }
}

/** Tarjan's strongly connected components (SIAM J. Comput. 1972), without recursion: the first one of more than one node. */
function knot(edges: readonly (readonly Edge[])[]): number[] | undefined {
  const index = new Int32Array(edges.length).fill(-1);
  const low = new Int32Array(edges.length);
  const next = new Int32Array(edges.length);
  const onStack = new Uint8Array(edges.length);
  const stack: number[] = [];
  const work: number[] = [];
  let count = 0;
  for (let root = 0; root < edges.length; root++) {
    if (index[root] === -1) work.push(root);
    while (work.length > 0) {
      const node = work.at(-1)!;
      if (index[node] === -1) {
        index[node] = low[node] = count++;
        stack.push(node);
        onStack[node] = 1;
      }
      const edge = edges[node]![next[node]!++];
      if (edge !== undefined) {
        if (index[edge.to] === -1) work.push(edge.to);
        else if (onStack[edge.to] === 1) low[node] = Math.min(low[node]!, index[edge.to]!);
        continue;
      }
      work.pop();
      const parent = work.at(-1);
      if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[node]!);
      if (low[node] !== index[node]) continue;
      const component: number[] = [];
      for (let member = -1; member !== node; ) {
        member = stack.pop()!;
        onStack[member] = 0;
        component.push(member);
      }
      if (component.length > 1) return component;
    }
  }
  return undefined;
}
