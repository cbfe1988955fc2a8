import { InvariantError } from '../errors.ts';
import { putBytes, putU128, putU64 } from './put.ts';

/** Room that finished writers leave to the next: clearing fresh memory for each small message costs more than writing it. */
interface Scratch {
  readonly buffer: Uint8Array;
  readonly view: DataView;
}

const SCRATCH_BYTES = 4096;
/** Writers are nested a few levels deep. */
const SCRATCH_MAX = 8;
const free: Scratch[] = [];
/** What a finished writer writes numbers into: a range error. */
const NOTHING = new DataView(new ArrayBuffer(0));

function scratch(): Scratch {
  const known = free.pop();
  if (known !== undefined) return known;
  const buffer = new Uint8Array(SCRATCH_BYTES);
  return { buffer, view: new DataView(buffer.buffer) };
}

/** Writes canonical big-endian binary into a buffer that grows. One instance per message; {@link finish} hands the bytes over. */
export class Writer {
  private buffer: Uint8Array;
  private view: DataView;
  /** Shared room while the message fits into it; undefined once it has room of its own. */
  private shared: Scratch | undefined;
  private at = 0;

  constructor(capacityBytes = 256) {
    this.shared = capacityBytes <= SCRATCH_BYTES ? scratch() : undefined;
    this.buffer = this.shared?.buffer ?? new Uint8Array(capacityBytes);
    this.view = this.shared?.view ?? new DataView(this.buffer.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.at;
  }

  private reserve(bytes: number): number {
    const start = this.at;
    const end = start + bytes;
    if (end > this.buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.buffer.length * 2));
      grown.set(this.buffer);
      this.giveBack();
      this.buffer = grown;
      this.view = new DataView(grown.buffer);
    }
    this.at = end;
    return start;
  }

  /**
   * `sizeBytes` bytes for the caller to fill at once: `fill` gets the buffer, a view of it, and where they start, and returns where it ended. For what is written for each
   * transaction: a call for each field costs more than the field. Throws `invariant` if it ends elsewhere.
   */
  span<T>(sizeBytes: number, item: T, fill: (buffer: Uint8Array, view: DataView, at: number, item: T) => number): this {
    const start = this.reserve(sizeBytes);
    const end = fill(this.buffer, this.view, start, item);
    if (end !== start + sizeBytes) throw new InvariantError('a span of another size', { sizeBytes, written: end - start });
    return this;
  }

  u8(value: number): this {
    this.range(value, 0xff);
    // Reserve first: `this.buffer[this.reserve(1)]` would evaluate the buffer before it grows, and lose the byte.
    const start = this.reserve(1);
    this.buffer[start] = value;
    return this;
  }

  u16(value: number): this {
    this.range(value, 0xffff);
    const start = this.reserve(2);
    this.view.setUint16(start, value);
    return this;
  }

  u32(value: number): this {
    this.range(value, 0xffff_ffff);
    const start = this.reserve(4);
    this.view.setUint32(start, value);
    return this;
  }

  /** A safe integer of at least 0 in 8 bytes. */
  u64(value: number): this {
    this.range(value, Number.MAX_SAFE_INTEGER);
    const start = this.reserve(8);
    putU64(this.view, start, value);
    return this;
  }

  /** 0 to 2^128 - 1 in 16 bytes. */
  u128(value: bigint): this {
    const start = this.reserve(16);
    putU128(this.view, start, value);
    return this;
  }

  /** 0 to 2^256 - 1 in 32 bytes. */
  u256(value: bigint): this {
    if (value < 0n || value >> 256n !== 0n) throw new InvariantError('not a u256', { value: String(value) });
    return this.u128(value >> 128n).u128(value & ((1n << 128n) - 1n));
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** Exactly these bytes, without a length: for fixed-size fields. */
  fixed(bytes: Uint8Array, length: number): this {
    if (bytes.length !== length) throw new InvariantError(`field of ${length} bytes has ${bytes.length}`);
    this.append(bytes);
    return this;
  }

  /** A u32 length, then the bytes; `maxBytes` is the bound that the reader will apply. */
  bytes(bytes: Uint8Array, maxBytes: number): this {
    if (bytes.length > maxBytes) throw new InvariantError(`field of at most ${maxBytes} bytes has ${bytes.length}`);
    this.u32(bytes.length);
    this.append(bytes);
    return this;
  }

  /** UTF-8 text as {@link bytes}. */
  text(text: string, maxBytes: number): this {
    return this.bytes(new TextEncoder().encode(text), maxBytes);
  }

  /** A u32 count, then each item; `maxItems` is the bound that the reader will apply. */
  list<T>(items: readonly T[], maxItems: number, write: (writer: this, item: T) => void): this {
    if (items.length > maxItems) throw new InvariantError(`list of at most ${maxItems} has ${items.length}`);
    this.u32(items.length);
    for (const item of items) write(this, item);
    return this;
  }

  /** The bytes written: the writer must not be used afterwards. */
  finish(): Uint8Array {
    if (this.shared === undefined) return this.buffer.subarray(0, this.at);
    const bytes = this.buffer.slice(0, this.at);
    this.giveBack();
    // A second use would write into another writer's message.
    this.buffer = bytes;
    this.view = NOTHING;
    return bytes;
  }

  private append(bytes: Uint8Array): void {
    const start = this.reserve(bytes.length);
    putBytes(this.buffer, start, bytes);
  }

  private giveBack(): void {
    if (this.shared !== undefined && free.length < SCRATCH_MAX) free.push(this.shared);
    this.shared = undefined;
  }

  private range(value: number, max: number): void {
    if (!Number.isInteger(value) || value < 0 || value > max) throw new InvariantError('integer out of range', { value, max });
  }
}
