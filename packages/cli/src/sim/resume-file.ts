import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import type { SeedResult, SwarmOptions } from '@shardlab/node';
import { usageError } from '../output/cli-error.ts';

/** Format of the first line. */
const VERSION = 2;

/** What stands in a resume file of one seed: what a summary is made from. */
type StoredResult = Pick<SeedResult, 'seed' | 'ok' | 'faults' | 'committed' | 'crossShard' | 'aborted' | 'virtualMs'> & { readonly found?: readonly string[] };

/** What earlier parts of a long range came to. */
export interface Resumed {
  readonly results: readonly StoredResult[];
  /** Wall time of the earlier parts, in milliseconds. */
  readonly wallMs: number;
}

/**
 * Results of a long range of seeds, one JSON line each, so that it can be run in parts. The first line holds the options and the commit: parts with others do not add up. A
 * last line that a kill has cut off is taken away, or the next would be joined to it.
 */
export class ResumeFile {
  private readonly path: string;
  private readonly head: string;

  /** `commit`: of the program that runs. */
  constructor(path: string, options: SwarmOptions, commit: string) {
    this.path = path;
    this.head = JSON.stringify({ version: VERSION, commit, options });
  }

  /** What is there; begins the file if it is not. Throws `cli/resume` where it is of other options or another commit, or not what this class writes. */
  open(): Resumed {
    const content = this.guarded('read', () => (existsSync(this.path) ? readFileSync(this.path, 'utf8') : ''));
    if (content === '') {
      this.guarded('written', () => appendFileSync(this.path, `${this.head}\n`));
      return { results: [], wallMs: 0 };
    }
    const whole = content.slice(0, content.lastIndexOf('\n') + 1);
    const [head, ...lines] = whole.split('\n').slice(0, -1);
    if (head !== this.head) throw usageError('cli/resume', `${this.path} holds seeds of other options or another commit (${(head ?? content).slice(0, 200)}): give those, or another file`);
    if (whole.length < content.length) this.guarded('written', () => truncateSync(this.path, Buffer.byteLength(whole)));
    const results: StoredResult[] = [];
    let wallMs = 0;
    for (const [index, line] of lines.entries()) {
      const stored = this.parsed(line, index + 2);
      if ('wallMs' in stored) wallMs += stored.wallMs;
      else results.push(stored);
    }
    return { results, wallMs };
  }

  /** Notes one seed. */
  add(result: SeedResult): void {
    const { seed, ok, faults, committed, crossShard, aborted, virtualMs, found } = result;
    this.line({ seed, ok, faults, committed, crossShard, aborted, virtualMs, ...(ok ? {} : { found }) });
  }

  /** The part that ends here took this long. */
  end(wallMs: number): void {
    this.line({ wallMs });
  }

  private line(value: StoredResult | { readonly wallMs: number }): void {
    this.guarded('written', () => appendFileSync(this.path, `${JSON.stringify(value)}\n`));
  }

  private guarded<T>(what: string, task: () => T): T {
    try {
      return task();
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code;
      throw usageError('cli/resume', `${this.path} can not be ${what} (${why}): name another file`, { cause: error });
    }
  }

  private parsed(line: string, number: number): StoredResult | { readonly wallMs: number } {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      // Told below, with all else that is no line of ours.
    }
    if (isPart(value)) return value;
    throw usageError('cli/resume', `line ${number} of ${this.path} is no result of a seed: take it out, or name another file`);
  }
}

const COUNTS = ['seed', 'committed', 'crossShard', 'aborted', 'virtualMs'] as const;

function isPart(value: unknown): value is StoredResult | { readonly wallMs: number } {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  if (Number.isSafeInteger(fields['wallMs'])) return true;
  const { ok, faults } = fields;
  return typeof ok === 'boolean' && typeof faults === 'object' && faults !== null && COUNTS.every((name) => Number.isSafeInteger(fields[name]));
}
