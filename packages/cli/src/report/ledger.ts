/**
 * The loader's ledger: what it believes to have happened, for the audit to compare with the blocks. NDJSON, so that an auditor needs no code of ours:
 * the first line is `{"formatVersion":1,"genesisHash":"0x…","startMs":N,"count":N}`, each further line `["0x<hash>","<outcome>"]` with an outcome of
 * committed, aborted, rejected or pending (not known when the run ended: it may have been committed since). Files are `<dataDir>/ledgers/<startMs>.ndjson`.
 */
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ShardlabError, toHex } from '@shardlab/crosslink';
import { type LoadBook, type Outcome, OUTCOMES } from '../load/book.ts';
import { TRANSACTIONS_MAX } from '../workload/transfers.ts';
import { TextFile } from './text-file.ts';

/** First line of a ledger. */
export interface LedgerHeader {
  readonly formatVersion: 1;
  readonly genesisHash: string;
  /** Start of the run, Unix milliseconds. */
  readonly startMs: number;
  /** Lines that follow. */
  readonly count: number;
}

/** One transaction: hash in lower-case hex with `0x`. */
export type LedgerEntry = readonly [hash: string, outcome: Outcome];

/** Folder of a data directory's ledgers. */
export function ledgerDirectory(dataDir: string): string {
  return join(dataDir, 'ledgers');
}

/** Writes the ledger of a finished run and returns its path. Rejects with `report/unwritable`. */
export async function writeLedger(dataDir: string, genesisHash: string, book: LoadBook): Promise<string> {
  await mkdir(ledgerDirectory(dataDir), { recursive: true });
  const startMs = Math.floor(book.startMs);
  const path = join(ledgerDirectory(dataDir), `${startMs}.ndjson`);
  const file = await TextFile.open(path);
  const header: LedgerHeader = { formatVersion: 1, genesisHash, startMs, count: book.offeredCount };
  file.add(JSON.stringify(header));
  for (let index = 0; index < book.offeredCount; index++) {
    const hash = toHex(book.load.hashes.subarray(32 * index, 32 * index + 32));
    if (file.add(`["${hash}","${OUTCOMES[book.outcomes[index]!]}"]`)) await file.flush();
  }
  await file.close();
  return path;
}

/** Reads a ledger, streaming. Rejects with `report/ledger`: damaged, cut off, or longer than a run can be. */
export async function readLedger(path: string, take: (entry: LedgerEntry) => void): Promise<LedgerHeader> {
  const damaged = (line: number): ShardlabError => new ShardlabError('report/ledger', `${path}: line ${line} is not part of a whole ledger`, { path, line });
  let header: LedgerHeader | undefined;
  let line = 0;
  const source = createReadStream(path);
  try {
    for await (const text of createInterface({ input: source, crlfDelay: Infinity })) {
      line += 1;
      if (header === undefined) header = parseHeader(text);
      else if (line > header.count + 1) throw damaged(line);
      else take(parseEntry(text));
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw new ShardlabError('report/ledger', `${path}: no such file`, { path }, { cause });
    throw damaged(line);
  } finally {
    source.destroy();
  }
  if (header === undefined || line !== header.count + 1) throw damaged(line + 1);
  return header;
}

function parseHeader(text: string): LedgerHeader {
  const { formatVersion, genesisHash, startMs, count } = JSON.parse(text) as LedgerHeader;
  const sound = formatVersion === 1 && typeof genesisHash === 'string' && Number.isSafeInteger(startMs) && Number.isSafeInteger(count);
  if (!sound || count < 0 || count > TRANSACTIONS_MAX) throw new ShardlabError('report/ledger', 'bad header');
  return { formatVersion, genesisHash, startMs, count };
}

function parseEntry(text: string): LedgerEntry {
  const entry = JSON.parse(text) as LedgerEntry;
  const sound = Array.isArray(entry) && entry.length === 2 && /^0x[0-9a-f]{64}$/.test(entry[0]) && OUTCOMES.includes(entry[1]);
  if (!sound) throw new ShardlabError('report/ledger', 'bad entry');
  return entry;
}
