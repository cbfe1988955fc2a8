/** The lists that only some types of transactions have, checked in place: nothing is copied and, but for batches, nothing is kept. */
import { TransactionError } from './errors.ts';
import { nextAddress, nextInteger, nextItem, nextNumber } from './field-readers.ts';
import { RlpCursor } from './rlp.ts';
import { BATCH_CALLS_MAX } from './types.ts';

/** A list inside a transaction: its payload, without the prefix. */
interface Span {
  readonly start: number;
  readonly length: number;
}

/** Bytes of an authorization's nonce (EIP-7702: below 2^64). */
const AUTHORIZATION_NONCE_BYTES = 8;

/**
 * Checks the form of a set-code transaction's authorizations (EIP-7702): what makes the whole transaction invalid. Returns how many there are. Whether each counts is
 * found out when it is applied.
 */
export function scanAuthorizations(raw: Uint8Array, list: Span): number {
  const entries = new RlpCursor();
  const entry = new RlpCursor();
  entries.open(raw, list.start, list.start + list.length);
  let count = 0;
  for (; !entries.done; count++) {
    nextItem(entries, true, 'authorization');
    entry.open(raw, entries.start, entries.start + entries.length);
    nextInteger(raw, entry, 'chain id of an authorization');
    nextAddress(entry, 'address of an authorization');
    nextInteger(raw, entry, 'nonce of an authorization');
    if (entry.length > AUTHORIZATION_NONCE_BYTES) throw new TransactionError('tx/field', 'nonce of an authorization has more than 64 bits');
    nextInteger(raw, entry, 'y parity of an authorization');
    if (entry.length > 1) throw new TransactionError('tx/field', 'y parity of an authorization has more than 8 bits');
    nextInteger(raw, entry, 'r of an authorization');
    nextInteger(raw, entry, 's of an authorization');
    if (!entry.done) throw new TransactionError('tx/field', 'too many fields in an authorization');
  }
  if (count === 0) throw new TransactionError('tx/authorizations-empty', 'a set-code transaction has at least one authorization (EIP-7702)');
  return count;
}

/** The calls of an atomic batch, by offsets into its bytes; one instance serves many batches, one after another. */
export class BatchCallSpans {
  count = 0;
  /** Offset of the 20 bytes of each recipient. */
  readonly toStart = new Uint32Array(BATCH_CALLS_MAX);
  readonly valueStart = new Uint32Array(BATCH_CALLS_MAX);
  readonly valueLength = new Uint32Array(BATCH_CALLS_MAX);
  /** Units of gas, 0 to 2^53 - 1 each. */
  readonly gasLimit = new Float64Array(BATCH_CALLS_MAX);
  readonly dataStart = new Uint32Array(BATCH_CALLS_MAX);
  readonly dataLength = new Uint32Array(BATCH_CALLS_MAX);

  /** Reads the list of calls. Throws a {@link TransactionError}. */
  scan(raw: Uint8Array, list: Span): void {
    const entries = new RlpCursor();
    const entry = new RlpCursor();
    entries.open(raw, list.start, list.start + list.length);
    this.count = 0;
    while (!entries.done) {
      if (this.count === BATCH_CALLS_MAX) throw new TransactionError('tx/batch-calls', `a batch has at most ${BATCH_CALLS_MAX} calls`);
      nextItem(entries, true, 'call');
      entry.open(raw, entries.start, entries.start + entries.length);
      this.scanCall(raw, entry, this.count);
      this.count++;
    }
    if (this.count === 0) throw new TransactionError('tx/batch-calls', 'a batch has at least one call');
  }

  private scanCall(raw: Uint8Array, entry: RlpCursor, index: number): void {
    nextAddress(entry, 'recipient of a call');
    this.toStart[index] = entry.start;
    nextInteger(raw, entry, 'value of a call');
    this.valueStart[index] = entry.start;
    this.valueLength[index] = entry.length;
    this.gasLimit[index] = nextNumber(raw, entry, 'tx/gas-range', 'gas limit of a call');
    nextItem(entry, false, 'data of a call');
    this.dataStart[index] = entry.start;
    this.dataLength[index] = entry.length;
    if (!entry.done) throw new TransactionError('tx/field', 'too many fields in a call');
  }
}
