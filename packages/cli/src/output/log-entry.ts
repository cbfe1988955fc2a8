import { padEnd, printable, type Style } from './style.ts';

/** pino's levels, by name, ascending. */
export const LOG_LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const;
/** Name of a level. */
export type LogLevel = keyof typeof LOG_LEVELS;

/** One line of a node's log. */
export interface LogEntry {
  /** As the node wrote it, without line break. */
  readonly raw: string;
  /** Node that wrote it, from the cluster, not from the line. */
  readonly node: string;
  readonly shard: number | null;
  /** Unix milliseconds; the previous line's where the line has none. */
  readonly timeMs: number;
  readonly level: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Which log a line comes from. */
export interface LogSource {
  readonly id: string;
  readonly shard: number | null;
  readonly logFile: string;
}

/** Parses one NDJSON line. A line that is no JSON (a crash that wrote into the file) is kept, as an error that says what it says. */
export function parseLogLine(raw: string, source: LogSource, previousMs: number): LogEntry {
  const base = { raw, node: source.id, shard: source.shard };
  let fields: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(raw);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) fields = value as Record<string, unknown>;
  } catch {
    return { ...base, timeMs: previousMs, level: LOG_LEVELS.error, event: 'not-json', fields: { msg: raw } };
  }
  const { time, level, event } = fields;
  return {
    ...base,
    timeMs: typeof time === 'number' ? time : typeof time === 'string' && !Number.isNaN(Date.parse(time)) ? Date.parse(time) : previousMs,
    level: typeof level === 'number' ? level : typeof level === 'string' && level in LOG_LEVELS ? LOG_LEVELS[level as LogLevel] : LOG_LEVELS.info,
    event: typeof event === 'string' ? event : '',
    fields,
  };
}

/** Which lines are wanted; what is undefined is not asked about. */
export interface LogFilter {
  readonly shard?: number | undefined;
  /** `*` stands for any characters, `?` for one. */
  readonly event?: string | undefined;
  /** Transaction hash, 0x and 64 hex digits in lower case. */
  readonly tx?: string | undefined;
  readonly level?: LogLevel | undefined;
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replace(/\*+/g, '.*').replace(/\?/g, '.')}$`, 's');
}

/** A test of lines. `tx` matches any line that names the hash in whatever field. */
export function logMatcher(filter: LogFilter): (entry: LogEntry) => boolean {
  const event = filter.event === undefined ? undefined : globPattern(filter.event);
  const levelMin = filter.level === undefined ? 0 : LOG_LEVELS[filter.level];
  return (entry) =>
    entry.level >= levelMin &&
    (filter.shard === undefined || entry.shard === filter.shard) &&
    (event === undefined || event.test(entry.event)) &&
    (filter.tx === undefined || entry.raw.toLowerCase().includes(filter.tx));
}

const HIDDEN = new Set(['time', 'level', 'event', 'msg', 'node', 'shard', 'pid', 'hostname', 'v']);
const FIELD_LENGTH_MAX = 200;

function fieldText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return printable(text.length > FIELD_LENGTH_MAX ? `${text.slice(0, FIELD_LENGTH_MAX)}…` : text);
}

/** One line for a terminal: time, level, node, event, message, other fields. */
export function formatLogEntry(entry: LogEntry, style: Style): string {
  const name = Object.entries(LOG_LEVELS).findLast(([, level]) => level <= entry.level)?.[0] ?? 'trace';
  const paint = entry.level >= LOG_LEVELS.error ? style.bad : entry.level >= LOG_LEVELS.warn ? style.warn : entry.level >= LOG_LEVELS.info ? style.good : style.dim;
  const time = new Date(entry.timeMs).toISOString().slice(11, 23);
  const fields = Object.entries(entry.fields)
    .filter(([key]) => !HIDDEN.has(key))
    .map(([key, value]) => `${style.dim(`${printable(key)}=`)}${fieldText(value)}`);
  const message = typeof entry.fields['msg'] === 'string' ? printable(entry.fields['msg']) : '';
  const parts = [style.dim(time), paint(padEnd(name, 5)), style.accent(padEnd(entry.node, 9)), style.bold(printable(entry.event)), message, ...fields];
  return parts.filter((part) => part !== '').join(' ');
}
