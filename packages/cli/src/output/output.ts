import { COLOUR_STYLE, PLAIN_STYLE, type Style } from './style.ts';

/** Where a command writes: stdout, stderr, or a test's buffer. */
export interface Output {
  /** Text as it is; the caller ends lines. Writing to a closed pipe does nothing. */
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Width in characters. */
  readonly columns: number;
  readonly style: Style;
  /** Aborted when the reader has gone away: a command that writes for ever ends then. */
  readonly closed: AbortSignal;
}

const COLUMNS_BY_DEFAULT = 100;

/** Writes to a stream of the process. Colour only on a terminal, and not with `NO_COLOR` (no-color.org) or `TERM=dumb`. */
export function streamOutput(stream: NodeJS.WriteStream, env: Readonly<Record<string, string | undefined>>): Output {
  const closed = new AbortController();
  // `shardlab logs | head` closes our pipe: no error of ours, and no reason to leave a cluster behind by dying.
  stream.on('error', () => closed.abort());
  const isTerminal = stream.isTTY === true;
  const colour = isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  return {
    write: (text) => void (closed.signal.aborted || stream.write(text)),
    isTerminal,
    get columns() {
      return stream.columns ?? COLUMNS_BY_DEFAULT;
    },
    style: colour ? COLOUR_STYLE : PLAIN_STYLE,
    closed: closed.signal,
  };
}

/** Writes lines, each with its line break. */
export function writeLines(output: Output, lines: readonly string[]): void {
  for (const line of lines) output.write(`${line}\n`);
}

/** One line of JSON; amounts of wei as decimal strings. */
export function writeJsonLine(output: Output, value: unknown): void {
  output.write(`${JSON.stringify(value, (_key, field: unknown) => (typeof field === 'bigint' ? String(field) : field))}\n`);
}
