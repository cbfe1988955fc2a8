import { TransactionError, type TransactionErrorCode } from './errors.ts';
import type { RlpCursor } from './rlp.ts';

/** Steps to the next item of a list, which must be there and be a list or not. Throws `tx/field`, `tx/rlp`. */
export function nextItem(cursor: RlpCursor, list: boolean, name: string): void {
  if (cursor.done) throw new TransactionError('tx/field', `${name} is missing`);
  cursor.next();
  if (cursor.list !== list) throw new TransactionError('tx/field', `${name} is ${list ? 'not ' : ''}a list`);
}

/** Steps to the next item, an integer of at most 32 bytes, which is left in place. Throws `tx/field`, `tx/rlp`. */
export function nextInteger(raw: Uint8Array, cursor: RlpCursor, name: string): void {
  nextItem(cursor, false, name);
  if (cursor.length > 32) throw new TransactionError('tx/field', `${name} has more than 256 bits`);
  if (cursor.length > 0 && raw[cursor.start] === 0) throw new TransactionError('tx/rlp', `${name} has leading zeros`);
}

/** Reads the next item, an integer of at most 2^53 - 1; throws `code` above. */
export function nextNumber(raw: Uint8Array, cursor: RlpCursor, code: TransactionErrorCode, name: string): number {
  nextInteger(raw, cursor, name);
  let value = 0;
  // At most 2^53 before the last step that is still looked at, so nothing is rounded unnoticed.
  for (let i = 0; i < cursor.length && value <= Number.MAX_SAFE_INTEGER; i++) value = value * 256 + raw[cursor.start + i]!;
  if (value > Number.MAX_SAFE_INTEGER) throw new TransactionError(code, `${name} is above 2^53 - 1`);
  return value;
}

/** Steps to the next item, which must be an address. Throws `tx/field`, `tx/rlp`. */
export function nextAddress(cursor: RlpCursor, name: string): void {
  nextItem(cursor, false, name);
  if (cursor.length !== 20) throw new TransactionError('tx/field', `${name} has 20 bytes, not ${cursor.length}`);
}

/** The `length` bytes (at most 32) at `start` as a big-endian integer. */
export function readBig(raw: Uint8Array, start: number, length: number): bigint {
  let value = 0n;
  for (let i = start; i < start + length; i++) value = (value << 8n) | BigInt(raw[i]!);
  return value;
}
