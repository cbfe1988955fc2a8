/** One read or write of a versioned key by a transaction. Versions of a key are counted by the caller: a write makes the next one. */
export interface Access {
  readonly transaction: string;
  readonly key: string;
  /** The version that was read, or that was made. */
  readonly version: number;
}

/** Longest cycle that is told in full. */
const TOLD_MAX = 12;

/**
 * Dependencies between committed transactions, and their cycles: a history is strictly serializable only if there is none (Adya, Liskov, O'Neil, "Generalized
 * Isolation Level Definitions", ICDE 2000; Elle: Kingsbury and Alvaro, VLDB 2020). Edges: who wrote a version comes before who read it (wr) and before who wrote the
 * next one (ww); who read a version comes before who wrote the next one (rw); and who was answered before another was submitted comes before it (real time). Cost is
 * linear in accesses and transactions: real time is a chain of moments, not an edge for each pair.
 */
export class DependencyGraph {
  private readonly edges = new Map<string, { readonly to: string; readonly why: string }[]>();
  private readonly writers = new Map<string, string>();
  private readonly readers = new Map<string, string[]>();
  private readonly submitted = new Map<string, number>();
  private readonly answered = new Map<string, number>();

  read({ transaction, key, version }: Access): void {
    const id = `${key}@${version}`;
    const readers = this.readers.get(id);
    if (readers === undefined) this.readers.set(id, [transaction]);
    else readers.push(transaction);
  }

  /** Returns false when somebody else has made this version: then the history is no history. */
  write({ transaction, key, version }: Access): boolean {
    const id = `${key}@${version}`;
    const before = this.writers.get(id);
    if (before !== undefined && before !== transaction) return false;
    this.writers.set(id, transaction);
    return true;
  }

  /** The client has offered it for the first time; any unit of time, as long as all share it. */
  submit(transaction: string, at: number): void {
    if (!this.submitted.has(transaction)) this.submitted.set(transaction, at);
  }

  /** The client has seen that it is committed. */
  answer(transaction: string, at: number): void {
    if (!this.answered.has(transaction)) this.answered.set(transaction, at);
  }

  private edge(from: string, to: string, why: string): void {
    if (from === to) return;
    const list = this.edges.get(from);
    if (list === undefined) this.edges.set(from, [{ to, why }]);
    else list.push({ to, why });
  }

  private connect(): void {
    this.edges.clear();
    for (const [id, writer] of this.writers) {
      const at = id.lastIndexOf('@');
      const next = this.writers.get(`${id.slice(0, at)}@${Number(id.slice(at + 1)) + 1}`);
      if (next !== undefined) this.edge(writer, next, `ww ${id}`);
      for (const reader of this.readers.get(id) ?? []) this.edge(writer, reader, `wr ${id}`);
    }
    for (const [id, readers] of this.readers) {
      const at = id.lastIndexOf('@');
      const next = this.writers.get(`${id.slice(0, at)}@${Number(id.slice(at + 1)) + 1}`);
      if (next !== undefined) for (const reader of readers) this.edge(reader, next, `rw ${id}`);
    }
    this.connectTime();
  }

  /** Moments are nodes in a chain: whoever was answered comes before its moment, and a moment before whoever is submitted after it. */
  private connectTime(): void {
    const moments = [...this.answered].toSorted(([, a], [, b]) => a - b);
    moments.forEach(([transaction], index) => {
      this.edge(transaction, `#${index}`, 'answered');
      if (index > 0) this.edge(`#${index - 1}`, `#${index}`, 'time');
    });
    let last = -1;
    for (const [transaction, at] of [...this.submitted].toSorted(([, a], [, b]) => a - b)) {
      while (last + 1 < moments.length && moments[last + 1]![1] < at) last++;
      if (last >= 0) this.edge(`#${last}`, transaction, 'submitted');
    }
  }

  /** A cycle, as readable steps; undefined when there is none. */
  cycle(): string | undefined {
    this.connect();
    const component = this.knot();
    return component === undefined ? undefined : this.tell(new Set(component));
  }

  /** Tarjan's strongly connected components (SIAM J. Comput. 1972), without recursion: the first one of more than one node. */
  private knot(): string[] | undefined {
    const index = new Map<string, number>();
    const low = new Map<string, number>();
    const stack: string[] = [];
    const onStack = new Set<string>();
    for (const root of this.edges.keys()) {
      if (index.has(root)) continue;
      const work: { readonly node: string; next: number }[] = [{ node: root, next: 0 }];
      while (work.length > 0) {
        const frame = work.at(-1)!;
        const { node } = frame;
        if (frame.next === 0) {
          index.set(node, index.size);
          low.set(node, index.get(node)!);
          stack.push(node);
          onStack.add(node);
        }
        const edge = this.edges.get(node)?.[frame.next++];
        if (edge !== undefined) {
          if (!index.has(edge.to)) work.push({ node: edge.to, next: 0 });
          else if (onStack.has(edge.to)) low.set(node, Math.min(low.get(node)!, index.get(edge.to)!));
          continue;
        }
        work.pop();
        const parent = work.at(-1)?.node;
        if (parent !== undefined) low.set(parent, Math.min(low.get(parent)!, low.get(node)!));
        if (low.get(node) !== index.get(node)) continue;
        const component = stack.splice(stack.indexOf(node));
        for (const member of component) onStack.delete(member);
        if (component.length > 1) return component;
      }
    }
    return undefined;
  }

  /** A shortest way round within the component. */
  private tell(component: ReadonlySet<string>): string {
    const [start] = component;
    const cameFrom = new Map<string, { readonly from: string; readonly why: string }>();
    const queue = [start!];
    for (const node of queue) {
      for (const { to, why } of this.edges.get(node) ?? []) {
        if (!component.has(to) || cameFrom.has(to)) continue;
        cameFrom.set(to, { from: node, why });
        queue.push(to);
      }
    }
    const steps: string[] = [];
    let node = start!;
    do {
      const { from, why } = cameFrom.get(node)!;
      steps.unshift(`${from} -(${why})-> ${node}`);
      node = from;
    } while (node !== start && steps.length < TOLD_MAX);
    return steps.join(', ');
  }
}
