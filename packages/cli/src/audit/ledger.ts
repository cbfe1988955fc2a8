import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fromHex, ShardlabError } from '@shardlab/crosslink';
import type { Findings } from './findings.ts';
import { hashKey, type TransactionBook } from './transaction-book.ts';

/** What a loader believes to have become of one transaction. */
export interface LedgerEntry {
  /** `0x` hex. */
  readonly hash: string;
  /** `pending`: not known when the run ended, so nothing is claimed. */
  readonly outcome: 'committed' | 'aborted' | 'rejected' | 'pending';
}

const OUTCOMES: readonly string[] = ['committed', 'aborted', 'rejected', 'pending'];

/**
 * Reads ledgers that load runs have written: NDJSON, first `{"formatVersion":1,"genesisHash","startMs","count"}`, then `count` lines `["0x<hash>","<outcome>"]`.
 * Throws `audit/ledger` for a file that is damaged, cut off, or of another network than `networkHash` (`0x` hex).
 */
export async function* readLedgers(files: readonly string[], networkHash: string): AsyncGenerator<LedgerEntry> {
  for (const file of files) yield* readLedger(file, networkHash);
}

async function* readLedger(file: string, networkHash: string): AsyncGenerator<LedgerEntry> {
  const source = createReadStream(file);
  let wanted: number | undefined;
  let line = 0;
  try {
    for await (const text of createInterface({ input: source, crlfDelay: Infinity })) {
      line++;
      if (wanted === undefined) wanted = headerCount(file, text, networkHash);
      else yield entryOf(file, line, text);
    }
  } catch (cause) {
    if (cause instanceof ShardlabError) throw cause;
    throw new ShardlabError('audit/ledger', `${file}: cannot be read`, { file }, { cause });
  } finally {
    source.destroy();
  }
  if (wanted === undefined || line !== wanted + 1) throw damaged(file, line + 1);
}

function damaged(file: string, line: number): ShardlabError {
  return new ShardlabError('audit/ledger', `${file}: line ${line} is not part of a whole ledger`, { file, line });
}

function parsed(file: string, line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(file, line);
  }
}

function headerCount(file: string, text: string, networkHash: string): number {
  const header = parsed(file, 1, text) as { formatVersion?: unknown; genesisHash?: unknown; count?: unknown } | null;
  const { formatVersion, genesisHash, count } = header ?? {};
  if (formatVersion !== 1 || typeof genesisHash !== 'string' || typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0) throw damaged(file, 1);
  if (genesisHash.toLowerCase() !== networkHash) {
    throw new ShardlabError('audit/ledger', `${file} is of another network (genesis ${genesisHash}, here ${networkHash})`, { file });
  }
  return count;
}

function entryOf(file: string, line: number, text: string): LedgerEntry {
  const entry = parsed(file, line, text);
  if (!Array.isArray(entry) || entry.length !== 2) throw damaged(file, line);
  const [hash, outcome] = entry as unknown[];
  if (typeof hash !== 'string' || !/^0x[0-9a-fA-F]{64}$/.test(hash) || typeof outcome !== 'string' || !OUTCOMES.includes(outcome)) throw damaged(file, line);
  return { hash, outcome: outcome as LedgerEntry['outcome'] };
}

/** Recounts a ledger against the blocks: what it calls committed or aborted is listed so, what it calls rejected is in no block. */
export async function auditLedger(
  ledger: AsyncIterable<LedgerEntry> | Iterable<LedgerEntry>,
  transactions: TransactionBook,
  findings: Findings,
): Promise<{ checked: number; violations: number }> {
  let checked = 0;
  for await (const { hash, outcome } of ledger) {
    if (outcome === 'pending') continue;
    checked++;
    const bytes = fromHex(hash);
    const found = transactions.outcome(hashKey(bytes));
    const agrees = outcome === 'rejected' ? found === 'absent' : found === outcome;
    if (!agrees) findings.add(`ledger-${outcome}`, `the loader calls a transaction ${outcome}, by the blocks it is ${found}`, { hash: bytes });
  }
  return { checked, violations: findings.area('ledger') };
}
