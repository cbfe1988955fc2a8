import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { SeedResult, SwarmOptions } from '@shardlab/node';
import { usageError } from '../output/cli-error.ts';

/** Format of the first line. */
const VERSION = 1;

/** What stands in a resume file of one seed: what a summary is made from. */
type StoredResult = Pick<SeedResult, 'seed' | 'ok' | 'faults' | 'committed' | 'crossShard' | 'aborted' | 'virtualMs'> & { readonly found?: readonly string[] };

/** What earlier parts of a long range came to. */
export interface Resumed {
  readonly results: readonly StoredResult[];
  /** Wall time of the earlier parts, in milliseconds. */
  readonly wallMs: number;
}

/**
 * Results of a long range of seeds, one JSON line each, so that it can be run in parts. The first line holds the options: parts with other options do not add up. A
 * line that a kill has cut off is dropped.
 */
export class ResumeFile {
  private readonly path: string;
  private readonly head: string;

  constructor(path: string, options: SwarmOptions) {
    this.path = path;
    this.head = JSON.stringify({ version: VERSION, options });
  }

  /** What is there; begins the file if it is not. Throws `cli/resume` where it is of other options. */
  open(): Resumed {
    if (!existsSync(this.path)) {
      appendFileSync(this.path, `${this.head}\n`);
      return { results: [], wallMs: 0 };
    }
    const [head, ...lines] = readFileSync(this.path, 'utf8').split('\n');
    if (head !== this.head) throw usageError('cli/resume', `${this.path} holds seeds of other options (${head?.slice(0, 200) ?? ''}): give those, or another file`);
    const results: StoredResult[] = [];
    let wallMs = 0;
    for (const line of lines) {
      const stored = parsed(line);
      if (stored === undefined) continue;
      if ('wallMs' in stored) wallMs += stored.wallMs;
      else results.push(stored);
    }
    return { results, wallMs };
  }

  add(result: SeedResult): void {
    const { seed, ok, faults, committed, crossShard, aborted, virtualMs, found } = result;
    this.line({ seed, ok, faults, committed, crossShard, aborted, virtualMs, ...(ok ? {} : { found }) });
  }

  /** The part that ends here took this long. */
  end(wallMs: number): void {
    this.line({ wallMs });
  }

  private line(value: StoredResult | { readonly wallMs: number }): void {
    appendFileSync(this.path, `${JSON.stringify(value)}\n`);
  }
}

function parsed(line: string): StoredResult | { readonly wallMs: number } | undefined {
  try {
    return JSON.parse(line) as StoredResult | { readonly wallMs: number };
  } catch {
    return undefined;
  }
}
