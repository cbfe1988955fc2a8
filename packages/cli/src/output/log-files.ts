import { type FileHandle, open } from 'node:fs/promises';
import { pause } from '../cluster/wait.ts';
import { type LogEntry, type LogSource, parseLogLine } from './log-entry.ts';

const CHUNK_BYTES = 256 * 1024;
/** Longer lines are cut: no node writes such, a damaged file may hold them. */
const LINE_BYTES_MAX = 1024 * 1024;
const FOLLOW_INTERVAL_MS = 200;
/** Bytes read of one file in one round of following; the rest comes in the next. */
const FOLLOW_BYTES_MAX = 4 * 1024 * 1024;

/** Reads one growing file line by line, from where it stopped last. */
class LogTail {
  readonly source: LogSource;
  private offset = 0;
  private rest = '';
  private decoder = new TextDecoder();
  private timeMs = 0;

  constructor(source: LogSource) {
    this.source = source;
  }

  /** Whole lines that were written since the last call, of about `bytesMax`; empty only at the end of the file, or when there is no file. */
  async read(bytesMax: number): Promise<LogEntry[]> {
    let file: FileHandle;
    try {
      file = await open(this.source.logFile, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    try {
      if ((await file.stat()).size < this.offset) this.restart();
      const entries: LogEntry[] = [];
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      let readBytes = 0;
      while (readBytes < bytesMax || entries.length === 0) {
        const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, this.offset);
        if (bytesRead === 0) break;
        readBytes += bytesRead;
        this.offset += bytesRead;
        this.take(this.decoder.decode(buffer.subarray(0, bytesRead), { stream: true }), entries);
      }
      return entries;
    } finally {
      await file.close();
    }
  }

  /** The last line of a file whose writer died in the middle of it. */
  last(): LogEntry[] {
    const entries: LogEntry[] = [];
    if (this.rest !== '') this.take('\n', entries);
    return entries;
  }

  /** The file was truncated or replaced. */
  private restart(): void {
    this.offset = 0;
    this.rest = '';
    this.decoder = new TextDecoder();
  }

  private take(text: string, entries: LogEntry[]): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!.slice(0, LINE_BYTES_MAX);
    for (const line of lines) {
      if (line.trim() === '') continue;
      const entry = parseLogLine(line, this.source, this.timeMs);
      this.timeMs = entry.timeMs;
      entries.push(entry);
    }
  }
}

/** A file's entries one by one, a chunk of it in memory. */
async function* fileEntries(tail: LogTail, partialToo: boolean): AsyncGenerator<LogEntry> {
  for (;;) {
    const entries = await tail.read(CHUNK_BYTES);
    if (entries.length === 0) break;
    yield* entries;
  }
  if (partialToo) yield* tail.last();
}

/** Merges by time; each input must itself be in order of time (a node's own clock may have stepped: then its order wins). */
async function* mergeByTime(inputs: readonly AsyncGenerator<LogEntry>[]): AsyncGenerator<LogEntry> {
  const heads: { entry: LogEntry; input: AsyncGenerator<LogEntry> }[] = [];
  for (const input of inputs) {
    const next = await input.next();
    if (next.done !== true) heads.push({ entry: next.value, input });
  }
  while (heads.length > 0) {
    // A linear scan: a few hundred inputs at most, and the parse of a line costs more.
    let first = 0;
    for (let at = 1; at < heads.length; at++) if (heads[at]!.entry.timeMs < heads[first]!.entry.timeMs) first = at;
    const head = heads[first]!;
    yield head.entry;
    const next = await head.input.next();
    if (next.done === true) heads.splice(first, 1);
    else head.entry = next.value;
  }
}

/** All entries of all logs in order of time, in bounded memory. Files that do not exist are empty. */
export async function* readLogs(sources: readonly LogSource[]): AsyncGenerator<LogEntry> {
  yield* mergeByTime(sources.map((source) => fileEntries(new LogTail(source), true)));
}

/**
 * What is there, then what is written from now on, until `signal` is aborted. Polled: file watching differs between platforms and is missing on
 * network disks. Entries of one round are in order of time; a node whose lines come later than a round is not waited for.
 */
export async function* followLogs(sources: readonly LogSource[], signal: AbortSignal): AsyncGenerator<LogEntry> {
  const tails = sources.map((source) => new LogTail(source));
  yield* mergeByTime(tails.map((tail) => fileEntries(tail, false)));
  while (!signal.aborted) {
    const entries: LogEntry[] = [];
    for (const tail of tails) for (const entry of await tail.read(FOLLOW_BYTES_MAX)) entries.push(entry);
    yield* entries.sort((a, b) => a.timeMs - b.timeMs);
    if (entries.length === 0) await pause(FOLLOW_INTERVAL_MS, signal);
  }
}
