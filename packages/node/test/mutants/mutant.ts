import type { FaultEvent } from '../../src/sim/swarm/plan.ts';
import type { SwarmOptions } from '../../src/sim/swarm/options.ts';

/** One change of one source file while it is loaded. */
export interface Edit {
  /** Path below `packages/`. */
  readonly file: string;
  /** Text that occurs in the file exactly once. */
  readonly find: string;
  /** What stands there instead. */
  readonly replace: string;
}

/** What networks a mutant is looked for in: the swarm's, but for what is said here. Mutants that share a ground share the runs that show that nothing else is found in it. */
export interface Ground {
  /** Unique. */
  readonly name: string;
  readonly options: SwarmOptions;
  /** Genesis parameters that differ from the swarm's. */
  readonly parameters?: Readonly<Record<string, number | string>>;
  /** Faults in place of those that the seed would draw. */
  readonly events?: readonly FaultEvent[];
  /** Changes of the simulator (`packages/node/src/sim`), which hold with and without a mutant. */
  readonly edits?: readonly Edit[];
}

/** A deliberate fault of the protocol. */
export interface Mutant {
  /** Unique. */
  readonly name: string;
  /** What is broken, in words. */
  readonly what: string;
  readonly edits: readonly Edit[];
  readonly ground: Ground;
  /** It is found within the seeds 1 to this. */
  readonly seedsMax: number;
  /** What a finding must say to count: the mutant's own fault, not one that follows from how it was let in. */
  readonly finds: RegExp;
}

/** A mutant that gives way to the swarm's usual kinds of trouble needs few transfers and few nodes. */
export function ground(name: string, options: Partial<SwarmOptions>, rest: Omit<Ground, 'name' | 'options'> = {}): Ground {
  return { name, options: { shards: 2, validators: 1, txs: 60, crossShard: 0.6, contracts: 0, faults: [], latency: 'lan', ...options }, ...rest };
}

/** `source` with all edits of its file. Throws when the text of one is not there, or is there twice. */
export function patched(source: string, changes: readonly Edit[]): string {
  return changes.reduce((text, { file, find, replace }) => {
    const parts = text.split(find);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} places that read "${find}", where a mutant expects one`);
    return parts.join(replace);
  }, source);
}
