import { ShardlabError } from '@shardlab/crosslink';

/** Bounds of one answer's traces. */
export interface TraceLimits {
  /** Characters of JSON, roughly. */
  readonly charactersMax: number;
  /** Instructions that are followed. */
  readonly stepsMax: number;
}

/** What a node's RPC allows: less than fits into one answer, and a few seconds of its time. */
export const DEFAULT_TRACE_LIMITS: TraceLimits = { charactersMax: 6 << 20, stepsMax: 4_000_000 };

/** Counts what the traces of one answer take. */
export class TraceBound {
  private readonly limits: TraceLimits;
  private characters = 0;
  private steps = 0;

  constructor(limits: TraceLimits = DEFAULT_TRACE_LIMITS) {
    this.limits = limits;
  }

  /** Takes note of text. Throws `trace/too-large`. */
  took(characters: number): void {
    this.characters += characters;
    const { charactersMax } = this.limits;
    if (this.characters > charactersMax) {
      throw new ShardlabError('trace/too-large', `the trace is larger than ${charactersMax >> 20} MiB: ask for less (limit, disableStack, disableStorage, or callTracer)`);
    }
  }

  /** Takes note of an instruction. Throws `trace/too-long`. */
  stepped(): void {
    this.steps++;
    const { stepsMax } = this.limits;
    if (this.steps > stepsMax) throw new ShardlabError('trace/too-long', `the transaction runs more than ${stepsMax} instructions: too many to follow here`);
  }
}
