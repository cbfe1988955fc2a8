import { ShardlabError } from '@shardlab/crosslink';
import type { CsvRecord } from './csv.ts';

/** Columns of BlockEmulator's input (XBlock's export of Ethereum blocks). */
export const BLOCK_EMULATOR_COLUMNS = 18;

/** Where a trace keeps what replay needs; columns are counted from 0. */
export interface TraceLayout {
  readonly name: 'ethereum-etl' | 'blockemulator';
  /** Fields of every record. */
  readonly columns: number;
  readonly from: number;
  readonly to: number;
  readonly value: number;
  /** EIP-2718 type; undefined: the file has none, so every row counts as one that can be replayed. */
  readonly type: number | undefined;
  /** Flags "is a contract" of sender and recipient, which must be 0 or 1; undefined: the layout has none. */
  readonly flags: readonly [number, number] | undefined;
  /** Whether the first record is a header. */
  readonly header: boolean;
}

/** What one row asks for. `creation` and `type3` cannot be replayed: no address to pay, and a type that the network refuses. */
export type TraceRow =
  | { readonly kind: 'transfer'; readonly from: string; readonly to: string; readonly value: bigint }
  | { readonly kind: 'creation' }
  | { readonly kind: 'type3' };

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
/** How exports write "no recipient": ethereum-etl leaves it empty, XBlock writes None. */
const NOBODY = new Set(['', 'None', 'null', '0x']);

function malformed(line: number, what: string): ShardlabError {
  return new ShardlabError('trace/malformed', `line ${line}: ${what}`, { line });
}

/** Recognises the layout from the file's first record. Throws `trace/layout`. */
export function traceLayout(first: CsvRecord): TraceLayout {
  const names = first.fields.map((name) => name.trim());
  const [from, to, value] = [names.indexOf('from_address'), names.indexOf('to_address'), names.indexOf('value')];
  if (from !== -1 && to !== -1 && value !== -1) {
    const type = names.indexOf('transaction_type');
    return { name: 'ethereum-etl', columns: names.length, from, to, value, type: type === -1 ? undefined : type, flags: undefined, header: true };
  }
  const header = names[3] === 'from' && names[4] === 'to';
  if (names.length === BLOCK_EMULATOR_COLUMNS && (header || ADDRESS.test(names[3]!))) {
    return { name: 'blockemulator', columns: BLOCK_EMULATOR_COLUMNS, from: 3, to: 4, value: 8, type: 14, flags: [6, 7], header };
  }
  throw new ShardlabError(
    'trace/layout',
    `line ${first.line}: not a trace: a header with from_address, to_address and value (ethereum-etl's transactions.csv) ` +
      `or ${BLOCK_EMULATOR_COLUMNS} columns with addresses in columns 3 and 4 counted from 0 (BlockEmulator) is understood`,
    { line: first.line },
  );
}

function addressAt(record: CsvRecord, column: number, name: string): string {
  const text = record.fields[column]!;
  if (!ADDRESS.test(text)) throw malformed(record.line, `${name} must be 0x and 40 hex digits, not "${text.slice(0, 64)}"`);
  return text.toLowerCase();
}

/** Reads one record. Addresses come in lower case. Throws `trace/malformed` with the line, what is wrong and what would be right. */
export function traceRow(layout: TraceLayout, record: CsvRecord): TraceRow {
  const { fields, line } = record;
  if (fields.length !== layout.columns) throw malformed(line, `${layout.columns} columns expected, ${fields.length} found`);
  const from = addressAt(record, layout.from, 'the sender');
  for (const flag of layout.flags ?? []) {
    const text = fields[flag]!;
    if (text !== '0' && text !== '1') throw malformed(line, `column ${flag} (is a contract) must be 0 or 1, not "${text.slice(0, 64)}"`);
  }
  const amount = fields[layout.value]!;
  if (!/^\d{1,39}$/.test(amount)) throw malformed(line, `the value must be wei in decimal digits, not "${amount.slice(0, 64)}"`);
  const value = BigInt(amount);
  if (value >> 128n !== 0n) throw malformed(line, 'the value must be below 2^128 wei');
  const type = layout.type === undefined ? '' : fields[layout.type]!;
  if (type !== '' && type !== 'None' && !/^\d{1,3}$/.test(type)) throw malformed(line, `the transaction type must be a number, not "${type.slice(0, 64)}"`);
  if (Number(type) === 3) return { kind: 'type3' };
  if (NOBODY.has(fields[layout.to]!)) return { kind: 'creation' };
  return { kind: 'transfer', from, to: addressAt(record, layout.to, 'the recipient'), value };
}
