import { readFileSync } from 'node:fs';
import { fromHex } from '@shardlab/crosslink';
import { usageError } from '../output/cli-error.ts';

/** Calls of one batch: what the transaction type allows. */
const CALLS_MAX = 16;
/** Bytes of the file: a transaction has at most 128 KiB, which is twice as much in hex. */
const FILE_BYTES_MAX = 1 << 20;
const FIELDS: ReadonlySet<string> = new Set(['to', 'value', 'data', 'gas']);

/** A call as the file has it, checked. */
export interface ListedCall {
  /** 0x and 20 bytes in hex, as written: its checksum is not looked at yet. */
  readonly to: string;
  /** Wei. */
  readonly value: bigint;
  readonly data: Uint8Array;
  /** Units of gas for this call; undefined: to be estimated. */
  readonly gas: number | undefined;
}

function weiOf(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  if (typeof value !== 'string' || !/^(?:0x[0-9a-fA-F]{1,32}|\d{1,39})$/.test(value)) return undefined;
  const amount = BigInt(value);
  return amount >> 128n === 0n ? amount : undefined;
}

function readCall(entry: unknown, fail: (what: string) => never): ListedCall {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return fail('must be an object of to, value, data, gas');
  const unknown = Object.keys(entry).find((key) => !FIELDS.has(key));
  if (unknown !== undefined) fail(`has the field "${unknown.slice(0, 40)}": give to, value, data, gas`);
  const { to, value = 0, data = '0x', gas } = entry as Record<string, unknown>;
  if (typeof to !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(to)) return fail('needs "to", an address of 0x and 40 hex digits: a batch makes no contracts');
  const wei = weiOf(value) ?? fail('needs a "value" in wei, below 2^128: decimal digits in quotes');
  if (typeof data !== 'string' || !/^0x(?:[0-9a-fA-F]{2})*$/.test(data)) return fail('needs "data" as 0x and bytes in hex');
  if (gas !== undefined && (typeof gas !== 'number' || !Number.isSafeInteger(gas) || gas < 0)) return fail('needs "gas" as a whole number, or none');
  return { to, value: wei, data: fromHex(data), gas };
}

/** Reads the calls of `send --batch`: a JSON list of `{"to", "value", "data", "gas"}`, of which only `to` must be there. Throws `cli/batch`, one line. */
export function readBatchFile(file: string): readonly ListedCall[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw usageError('cli/batch', `${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'})`, { cause });
  }
  if (text.length > FILE_BYTES_MAX) throw usageError('cli/batch', `${file} has ${text.length} characters, at most ${FILE_BYTES_MAX} fit into a transaction`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw usageError('cli/batch', `${file} is not JSON: give a list like [{"to":"0x…","value":"1"}]`, { cause });
  }
  if (!Array.isArray(value) || value.length === 0 || value.length > CALLS_MAX) {
    throw usageError('cli/batch', `${file} must be a JSON list of 1 to ${CALLS_MAX} calls`);
  }
  return value.map((entry: unknown, index) =>
    readCall(entry, (what) => {
      throw usageError('cli/batch', `${file}: call ${index} ${what}`);
    }),
  );
}
