import { toHex } from '@shardlab/crosslink';
import { type LoadBook, OUTCOMES, TIMED_PHASES } from '../load/book.ts';
import type { TextFile } from './text-file.ts';

/**
 * Columns of `load --out`. Times are Unix milliseconds with one decimal, empty = never: when it was meant to be sent, when a node first took it, when
 * the loader saw each phase; then, for each phase, the time in the header of the block with it. After retries the last attempt's phases stand.
 */
export const CSV_HEADER = [
  'hash',
  'kind',
  'fromShard',
  'toShard',
  'intendedMs',
  'submittedMs',
  ...TIMED_PHASES.map((phase) => `${phase}Ms`),
  'outcome',
  'reason',
  ...TIMED_PHASES.map((phase) => `${phase}BlockMs`),
].join(',');

function time(startMs: number, sinceStartMs: number): string {
  return Number.isNaN(sinceStartMs) ? '' : (startMs + sinceStartMs).toFixed(1);
}

function row(book: LoadBook, index: number): string {
  const { load, startMs } = book;
  const seen: string[] = [];
  const blocks: string[] = [];
  for (const phase of TIMED_PHASES) {
    const times = book.phaseTimes(phase, index);
    seen.push(time(startMs, times.seenMs));
    blocks.push(time(startMs, times.blockMs));
  }
  const hash = toHex(load.hashes.subarray(32 * index, 32 * index + 32));
  const kind = book.isCrossShard(index) ? 'crossShard' : 'intraShard';
  const sent = [time(startMs, book.intendedMs(index)), time(startMs, book.submittedMs[index]!)];
  // Codes come from a node: a comma in one must not shift columns.
  const reason = book.reason(index).replaceAll(/[^\x21-\x7e]|[",]/g, '_');
  return [hash, kind, load.fromShard[index], load.toShard[index], ...sent, ...seen, OUTCOMES[book.outcomes[index]!], reason, ...blocks].join(',');
}

/** Writes one row for each transaction that was offered, in sending order, and closes the file. Rejects with `report/unwritable`. */
export async function writeTransactionsCsv(file: TextFile, book: LoadBook): Promise<void> {
  file.add(CSV_HEADER);
  for (let index = 0; index < book.offeredCount; index++) if (file.add(row(book, index))) await file.flush();
  await file.close();
}
