import { invariant } from '@shardlab/crosslink';
import type { EvmTransaction } from '../evm/transaction.ts';
import { ACCESS_WORDS } from './access.ts';
import type { CountedRun } from './block-result.ts';
import type { ConflictGraph } from './conflict-graph.ts';
import { type Grouping, groupComponents } from './grouping.ts';
import { type AccessPredictor, type Footprint, FOOTPRINT_START } from './predictor.ts';
import { outcomeIn, type RunResult } from './run-result.ts';

/** Transactions of a run that are learnt from, at most. */
const LEARN_MAX = 4;
/** Failed predictions that a block may report. */
const DOUBTS_MAX = 8;

/** In blocks of so many transactions or more, one in {@link SAMPLE_PART} (2^4) is looked at first. */
const SAMPLE_FROM = 1_024;
const SAMPLE_PART = 16;
const SAMPLE_SHIFT = 28;

/** How a block is spread. */
export interface ParallelOptions {
  /** Threads; at least 1. */
  readonly workers: number;
  /** Runs for each thread: more balance better and cost more. */
  readonly runsPerWorker: number;
  /** Blocks with fewer transactions are executed serially. */
  readonly transactionsMin: number;
  /** A block is executed serially if, by what is predicted or found, threads would take more than this part of the serial time: 0 to 1. */
  readonly serialAbove: number;
  /** Times that losers are executed again, before the block is executed serially. */
  readonly repeatsMax: number;
}

/**
 * One run for each thread: with 5,000 ERC-20 transfers and two threads, two runs each cost 25.9 ms of the busiest thread's processor time and 15.7 ms of the main thread's, one
 * run each 23.5 and 14.2. Weights are even enough there; where they are not, more runs balance better.
 */
export const DEFAULT_PARALLEL: Omit<ParallelOptions, 'workers'> = { runsPerWorker: 1, transactionsMin: 64, serialAbove: 0.8, repeatsMax: 2 };

/** Transactions that are to be executed in order, over the state that the block stands on. */
export interface RunOrder {
  readonly id: number;
  /** Places in the block, ascending. */
  readonly indices: Uint32Array;
  /** Whether it is wanted what each transaction touched: see `RunMode`. */
  readonly exact: boolean;
  /** Positions in `indices` of those to learn from, ascending; none unless `exact`. */
  readonly learn: readonly number[];
}

/** Why a block is executed serially. */
export type SerialReason = 'small' | 'predicted-conflicts' | 'conflicts' | 'repeats';

/** What comes next: runs to execute; waiting for others; serial execution of all; or the end. */
export type ParallelStep =
  | { readonly kind: 'run'; readonly orders: readonly RunOrder[] }
  | { readonly kind: 'wait' }
  | { readonly kind: 'serial'; readonly reason: SerialReason }
  | { readonly kind: 'done'; readonly runs: readonly CountedRun[] };

/** Counters of one block. */
export interface ParallelCounts {
  /** Runs that were ordered. */
  runs: number;
  /** Rounds in which losers ran again. */
  repeats: number;
  /** Transactions that were executed again. */
  repeated: number;
}

interface OpenRun {
  readonly indices: Uint32Array;
  result: RunResult | undefined;
}

/** Footprints of a block's transactions, beside each other. */
export interface PreparedFootprints {
  readonly words: Int32Array;
  /** Where the footprint of the transaction at that place in the block begins, with its length; -1: it has none. */
  at(index: number): number;
}

/** Scratch that blocks share, one after the other. */
export interface ParallelModules {
  readonly predictor: AccessPredictor;
  readonly graph: ConflictGraph;
  /** Footprints that were made beforehand. */
  readonly footprints?: PreparedFootprints;
}

/**
 * The parallel execution of one block, as a machine without threads: {@link start}, then {@link completed} for each run that was ordered, in any order. Optimistic
 * concurrency in batches, after Block-STM (Gelashvili et al., PPoPP 2023), and deviates: transactions that are predicted to depend on each other go into one run, which is
 * executed in order; runs are executed beside each other over the block's start. Where no run touched what another wrote, every transaction saw what it would have seen
 * serially, and the runs count. The others are divided anew by what their transactions did touch, and repeated.
 */
export class ParallelBlock {
  readonly counts: ParallelCounts = { runs: 0, repeats: 0, repeated: 0 };
  private readonly options: ParallelOptions;
  private readonly modules: ParallelModules;
  private readonly predictor: AccessPredictor;
  private readonly graph: ConflictGraph;
  private readonly transactions: readonly EvmTransaction[];
  private readonly runs = new Map<number, OpenRun>();
  private readonly learn: Uint8Array;
  private nextId = 0;
  private missing = 0;

  constructor(options: ParallelOptions, modules: ParallelModules, transactions: readonly EvmTransaction[]) {
    this.options = options;
    this.modules = modules;
    this.predictor = modules.predictor;
    this.graph = modules.graph;
    this.transactions = transactions;
    this.learn = new Uint8Array(transactions.length);
  }

  /** Divides the transactions by prediction. */
  start(): ParallelStep {
    const count = this.transactions.length;
    if (count < this.options.transactionsMin) return { kind: 'serial', reason: 'small' };
    // Where all conflict, some of them tell, for a fraction of the price.
    if (count >= SAMPLE_FROM && this.isTooSlow(this.predict(Math.floor(count / SAMPLE_PART), sampledAt))) return { kind: 'serial', reason: 'predicted-conflicts' };
    const grouping = this.predict(count, (owner) => owner);
    if (this.isTooSlow(grouping)) return { kind: 'serial', reason: 'predicted-conflicts' };
    return this.order(grouping.groups, false);
  }

  /** Divides `owners` transactions by what is predicted of them. `indexOf` gives their places in the block; the groups have the owners' numbers. */
  private predict(owners: number, indexOf: (owner: number) => number): Grouping {
    const { transactions, predictor, graph } = this;
    const { footprints } = this.modules;
    const starts = new Int32Array(owners);
    const made: Footprint[] = [];
    let words = 0;
    for (let owner = 0; owner < owners; owner++) {
      const at = footprints?.at(indexOf(owner)) ?? -1;
      starts[owner] = at;
      if (at < 0) made.push(predictor.footprint(transactions[indexOf(owner)]!));
      words += at < 0 ? made.at(-1)!.length : footprints!.words[at]!;
    }
    const weights = new Float64Array(owners);
    graph.clear(owners, words / ACCESS_WORDS);
    for (let owner = 0, next = 0; owner < owners; owner++) {
      const known = starts[owner]! >= 0;
      const footprint = known ? footprints!.words : made[next++]!;
      const from = known ? starts[owner]! + 1 : 0;
      const to = known ? from + footprint[from - 1]! : footprint.length;
      weights[owner] = footprint[from]!;
      this.learn[indexOf(owner)] = footprint[from + 1]!;
      graph.addAll(footprint, from + FOOTPRINT_START, to, owner);
    }
    return groupComponents(graph, weights, this.groupsMax());
  }

  /** Takes what a run did. Throws `invariant` for a run that was not ordered, or twice. */
  completed(id: number, result: RunResult): ParallelStep {
    const run = this.runs.get(id);
    invariant(run !== undefined && run.result === undefined, 'a run is completed once', { id });
    run.result = result;
    this.study(run.indices, result);
    return --this.missing === 0 ? this.validate() : { kind: 'wait' };
  }

  private groupsMax(): number {
    return this.options.workers * this.options.runsPerWorker;
  }

  private isTooSlow({ largest, total }: Pick<Grouping, 'largest' | 'total'>): boolean {
    return Math.max(largest, total / this.options.workers) > this.options.serialAbove * total;
  }

  /** `exact`: for all, and not only for those to learn from. */
  private order(groups: readonly Uint32Array[], exact: boolean): ParallelStep {
    const orders = groups.map((indices): RunOrder => {
      const id = this.nextId++;
      this.runs.set(id, { indices, result: undefined });
      const learn: number[] = [];
      for (let position = 0; position < indices.length && learn.length < LEARN_MAX; position++) if (this.learn[indices[position]!] === 1) learn.push(position);
      return { id, indices, exact: exact || learn.length > 0, learn };
    });
    this.missing += orders.length;
    this.counts.runs += orders.length;
    return { kind: 'run', orders };
  }

  private study(indices: Uint32Array, result: RunResult): void {
    for (const { position, slots } of result.samples) {
      const outcome = outcomeIn(result, position);
      if (!('invalid' in outcome)) this.predictor.learn(this.transactions[indices[position]!]!, slots, outcome.gasUsed);
    }
  }

  /** All runs are there: those that depend on no other count, the others are repeated. */
  private validate(): ParallelStep {
    const { graph } = this;
    const ids = [...this.runs.keys()];
    const runs = ids.map((id): CountedRun => {
      const { indices, result } = this.runs.get(id)!;
      invariant(result !== undefined, 'all runs are there');
      return { indices, result };
    });
    graph.clear(runs.length, placesOf(runs));
    runs.forEach(({ result: { accesses } }, owner) => graph.addAll(accesses, 0, accesses.length, owner));
    if (!graph.solve()) return { kind: 'done', runs };
    const sizes = new Uint32Array(runs.length);
    runs.forEach((_, owner) => sizes[graph.root(owner)]!++);
    const losers = runs.filter((_, owner) => sizes[graph.root(owner)]! > 1);
    if (losers.length === 0) return { kind: 'done', runs };
    return this.repeat(losers, ids.filter((_, owner) => sizes[graph.root(owner)]! > 1));
  }

  private repeat(losers: readonly CountedRun[], ids: readonly number[]): ParallelStep {
    if (this.counts.repeats === this.options.repeatsMax) return { kind: 'serial', reason: 'repeats' };
    const order = Uint32Array.from(losers.flatMap(({ indices }) => [...indices])).sort();
    let groups = losers.map(({ indices }) => indices);
    // The prediction was trusted, so that nobody looked at what each transaction touches: that is made up for.
    const blind = losers.some(({ result }) => result.touched === undefined);
    if (!blind) {
      const grouping = this.regroup(losers, order);
      if (this.isTooSlow(grouping)) return { kind: 'serial', reason: 'conflicts' };
      groups = [...grouping.groups];
    }
    for (const id of ids) this.runs.delete(id);
    order.subarray(0, DOUBTS_MAX).forEach((index) => this.predictor.doubt(this.transactions[index]!));
    this.counts.repeats++;
    this.counts.repeated += order.length;
    return this.order(groups, true);
  }

  /** Divides losers by what each has touched. `order`: their transactions, ascending. */
  private regroup(losers: readonly CountedRun[], order: Uint32Array): Grouping {
    const { graph } = this;
    const ownerOf = new Map<number, number>();
    order.forEach((index, owner) => ownerOf.set(index, owner));
    let places = 0;
    for (const { result } of losers) places += result.touched!.length;
    graph.clear(order.length, places);
    for (const { indices, result } of losers) {
      const { accesses } = result;
      const touched = result.touched!;
      for (let position = 0; position < indices.length; position++) {
        const owner = ownerOf.get(indices[position]!)!;
        for (let i = touched[position]!; i < touched[position + 1]!; i++) {
          const at = touched[i]! * ACCESS_WORDS;
          graph.addAll(accesses, at, at + ACCESS_WORDS, owner);
        }
      }
    }
    const weights = Float64Array.from(order, (index) => this.predictor.kindOf(this.transactions[index]!).gas);
    return groupComponents(graph, weights, this.groupsMax(), order);
  }
}

/** Accesses of all runs: no fewer than places. */
function placesOf(runs: readonly CountedRun[]): number {
  return runs.reduce((sum, { result }) => sum + result.accesses.length / ACCESS_WORDS, 0);
}

/** One of each {@link SAMPLE_PART} transactions: at no fixed distance, because blocks may have a period. */
function sampledAt(owner: number): number {
  return owner * SAMPLE_PART + (Math.imul(owner, 0x9e37_79b1) >>> SAMPLE_SHIFT);
}
