import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ShardlabError } from '@shardlab/crosslink';
import { CsvParser, type CsvRecord } from './csv.ts';
import { type TraceLayout, traceLayout, traceRow } from './trace-layout.ts';

/** Most rows of one trace: what is replayed is signed and kept in memory, 300 bytes a row. */
export const TRACE_ROWS_MAX = 5_000_000;

/** What became of a trace's rows: `rows` = `replayed` + all of `leftOut`, always. */
export interface TraceSummary {
  readonly rows: number;
  readonly replayed: number;
  /** Rows that cannot be replayed, by reason. */
  readonly leftOut: { readonly creation: number; readonly type3: number };
}

/** A trace as columns. Addresses are the historical ones, 20 bytes each; `from` and `to` index them in order of first appearance. */
export interface Trace {
  readonly summary: TraceSummary;
  /** SHA-256 of the file as it lies on disk, hex without `0x`: names the trace in the genesis. */
  readonly digest: string;
  readonly layout: TraceLayout['name'];
  /** Lower-case hex with `0x`. */
  readonly addresses: readonly string[];
  /** Sender of each replayed row. */
  readonly from: Uint32Array;
  /** Recipient of each replayed row. */
  readonly to: Uint32Array;
  /** Wei of each replayed row: high and low 64 bits in turn. */
  readonly values: BigUint64Array;
}

/** Collects rows into typed arrays that double as they fill. */
class TraceBuilder {
  private readonly index = new Map<string, number>();
  private readonly addresses: string[] = [];
  private from = new Uint32Array(1024);
  private to = new Uint32Array(1024);
  private values = new BigUint64Array(2048);
  private replayed = 0;
  private creation = 0;
  private type3 = 0;
  private layout: TraceLayout | undefined;

  take(record: CsvRecord): void {
    if (this.layout === undefined) {
      this.layout = traceLayout(record);
      if (this.layout.header) return;
    }
    const row = traceRow(this.layout, record);
    if (row.kind === 'creation') this.creation += 1;
    else if (row.kind === 'type3') this.type3 += 1;
    else this.transfer(row.from, row.to, row.value);
    if (this.replayed + this.creation + this.type3 > TRACE_ROWS_MAX) {
      throw new ShardlabError('trace/too-long', `line ${record.line}: a trace may have at most ${TRACE_ROWS_MAX} rows: cut the file`, { line: record.line });
    }
  }

  finish(digest: string): Trace {
    const { replayed, creation, type3, layout } = this;
    if (layout === undefined || replayed === 0) {
      throw new ShardlabError('trace/empty', `nothing to replay: ${creation} creations, ${type3} of type 3, no other rows`);
    }
    return {
      summary: { rows: replayed + creation + type3, replayed, leftOut: { creation, type3 } },
      digest,
      layout: layout.name,
      addresses: this.addresses,
      from: this.from.slice(0, replayed),
      to: this.to.slice(0, replayed),
      values: this.values.slice(0, 2 * replayed),
    };
  }

  private transfer(from: string, to: string, value: bigint): void {
    const at = this.replayed++;
    if (at === this.from.length) this.grow();
    this.from[at] = this.indexOf(from);
    this.to[at] = this.indexOf(to);
    this.values[2 * at] = value >> 64n;
    this.values[2 * at + 1] = value & 0xffff_ffff_ffff_ffffn;
  }

  private indexOf(address: string): number {
    let index = this.index.get(address);
    if (index === undefined) {
      index = this.addresses.length;
      this.index.set(address, index);
      this.addresses.push(address);
    }
    return index;
  }

  private grow(): void {
    const [from, to, values] = [this.from, this.to, this.values];
    this.from = new Uint32Array(from.length * 2);
    this.from.set(from);
    this.to = new Uint32Array(to.length * 2);
    this.to.set(to);
    this.values = new BigUint64Array(values.length * 2);
    this.values.set(values);
  }
}

const WORDS: Readonly<Record<string, string>> = { ENOENT: 'no such file', EACCES: 'not allowed to read it', EISDIR: 'it is a directory' };

function unreadable(file: string, cause: unknown): ShardlabError {
  if (cause instanceof ShardlabError) return new ShardlabError(cause.code, `trace ${file}: ${cause.message}`, { ...cause.data, file }, { cause });
  const { code, message } = cause as NodeJS.ErrnoException;
  const damaged = code?.startsWith('Z_') === true;
  const reason = damaged ? `damaged gzip data (${message})` : (WORDS[code ?? ''] ?? message);
  return new ShardlabError('trace/unreadable', `trace ${file}: cannot be read: ${reason}`, { file }, { cause });
}

async function* hashed(first: Buffer, rest: AsyncIterator<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  hash.update(first);
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    hash.update(next.value);
    yield next.value;
  }
}

/**
 * Reads a trace: ethereum-etl's `transactions.csv` (columns found by name) or BlockEmulator's 18 columns, plain or gzip (told by its first bytes, not
 * by the name). Streams; holds the columns only. Throws one error that names the file, the line and what would be right: `trace/unreadable`,
 * `trace/layout`, `trace/malformed`, `trace/too-long` or `trace/empty`.
 */
export async function readTrace(file: string): Promise<Trace> {
  const hash = createHash('sha256');
  const source = createReadStream(file, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer> & Readable;
  try {
    const chunks = source[Symbol.asyncIterator]();
    const first = await chunks.next();
    const start = first.done === true ? Buffer.alloc(0) : first.value;
    const bytes = hashed(start, chunks, hash);
    const builder = new TraceBuilder();
    const parser = new CsvParser();
    const decoder = new TextDecoder('utf-8');
    for await (const chunk of start[0] === 0x1f && start[1] === 0x8b ? gunzipped(bytes) : bytes) {
      parser.push(decoder.decode(chunk, { stream: true }), (record) => builder.take(record));
    }
    parser.end((record) => builder.take(record));
    return builder.finish(hash.digest('hex'));
  } catch (cause) {
    throw unreadable(file, cause);
  } finally {
    source.destroy();
  }
}

function gunzipped(bytes: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  // The callback only marks the error as handled: the iteration over the result throws it.
  return pipeline(Readable.from(bytes, { objectMode: false }), createGunzip(), () => undefined) as AsyncIterable<Buffer>;
}
