/**
 * RLP as Ethereum writes it (Yellow Paper, appendix B), reading only the canonical form: the shortest length prefix, no prefix before a single
 * byte below 0x80. Own code, because the hot path reads items in place, without an array or a copy for each.
 */
import { TransactionError } from './errors.ts';

function malformed(message: string): TransactionError {
  return new TransactionError('tx/rlp', `not canonical RLP: ${message}`);
}

/**
 * Walks the items of one list, in place. After {@link next}, `start`, `length` and `list` describe the payload of the item that was read. Meant to
 * be opened again and again: it allocates nothing.
 */
export class RlpCursor {
  /** Offset of the current item's payload. */
  start = 0;
  /** Bytes of the current item's payload. */
  length = 0;
  /** Whether the current item is a list. */
  list = false;
  /** Offset of the next item. */
  at = 0;
  private data: Uint8Array;
  private end = 0;

  constructor() {
    this.data = new Uint8Array(0);
  }

  /** Reads from `start` to `end` (exclusive) of `data`. */
  open(data: Uint8Array, start: number, end: number): void {
    this.data = data;
    this.at = start;
    this.end = end;
  }

  /** Whether all items were read. */
  get done(): boolean {
    return this.at === this.end;
  }

  /** Reads one item's prefix and steps over its payload. Throws `tx/rlp`. */
  next(): void {
    if (this.at >= this.end) throw malformed('truncated');
    const prefix = this.data[this.at]!;
    if (prefix < 0x80) {
      this.list = false;
      this.start = this.at;
      this.length = 1;
      this.at += 1;
      return;
    }
    this.list = prefix >= 0xc0;
    const short = prefix - (this.list ? 0xc0 : 0x80);
    if (short <= 55) {
      this.start = this.at + 1;
      this.length = short;
    } else {
      this.long(short - 55);
    }
    if (this.length > this.end - this.start) throw malformed('an item is longer than what holds it');
    if (!this.list && this.length === 1 && short === 1 && this.data[this.start]! < 0x80) throw malformed('a prefixed single byte');
    this.at = this.start + this.length;
  }

  /** A length in `width` bytes. More than three (16 MiB) cannot fit into any transaction. */
  private long(width: number): void {
    if (width > 3 || this.at + 1 + width > this.end) throw malformed('an item is longer than what holds it');
    let length = 0;
    for (let i = 1; i <= width; i++) length = length * 256 + this.data[this.at + i]!;
    if (this.data[this.at + 1] === 0 || length <= 55) throw malformed('a length that is not the shortest');
    this.start = this.at + 1 + width;
    this.length = length;
  }
}

/** Writes an RLP prefix for `length` payload bytes to `out` at `at`; `offset` is 0x80 for strings, 0xc0 for lists. Returns the offset after it. */
export function writePrefix(out: Uint8Array, at: number, length: number, offset: 0x80 | 0xc0): number {
  if (length <= 55) {
    out[at] = offset + length;
    return at + 1;
  }
  const width = length > 0xffff ? 3 : length > 0xff ? 2 : 1;
  out[at] = offset + 55 + width;
  for (let i = 0; i < width; i++) out[at + width - i] = (length >>> (8 * i)) & 0xff;
  return at + 1 + width;
}

function prefixed(payload: Uint8Array, offset: 0x80 | 0xc0): Uint8Array {
  const prefix = new Uint8Array(4);
  const at = writePrefix(prefix, 0, payload.length, offset);
  const out = new Uint8Array(at + payload.length);
  out.set(prefix.subarray(0, at));
  out.set(payload, at);
  return out;
}

/** A byte string of at most 16 MiB. */
export function rlpBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length === 1 && bytes[0]! < 0x80 ? bytes : prefixed(bytes, 0x80);
}

/** A list of items that are encoded already. */
export function rlpList(items: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const item of items) length += item.length;
  const payload = new Uint8Array(length);
  let at = 0;
  for (const item of items) {
    payload.set(item, at);
    at += item.length;
  }
  return prefixed(payload, 0xc0);
}

/** An unsigned integer: big-endian without leading zeros, zero is the empty string. */
export function rlpUint(value: number | bigint): Uint8Array {
  return rlpBytes(minimalBytes(value));
}

/** Big-endian bytes without leading zeros; none for zero. */
export function minimalBytes(value: number | bigint): Uint8Array {
  if (value === 0 || value === 0n) return new Uint8Array(0);
  const hex = value.toString(16);
  const out = new Uint8Array((hex.length + 1) >> 1);
  for (let i = out.length - 1, end = hex.length; i >= 0; i--, end -= 2) out[i] = Number.parseInt(hex.slice(Math.max(0, end - 2), end), 16);
  return out;
}
