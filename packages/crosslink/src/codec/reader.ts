import { DecodeError } from '../errors.ts';
import { type Address, type Hash32, type Height, SHARDS_MAX, type ShardId, type TxHash, BEACON } from '../primitives.ts';

/**
 * Reads what {@link Writer} writes. Every length and count has a bound; whatever is not canonical throws a {@link DecodeError} with one of the codes
 * `decode/truncated`, `decode/bound`, `decode/range`, `decode/version`, `decode/trailing`. Byte fields are views of the input, not copies.
 */
export class Reader {
  private readonly data: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(data: Uint8Array) {
    this.data = data;
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.data.length - this.at;
  }

  /** Offset of the next byte. */
  get offset(): number {
    return this.at;
  }

  private take(bytes: number): number {
    const start = this.at;
    if (start + bytes > this.data.length) {
      throw new DecodeError('decode/truncated', `${bytes} bytes wanted at ${start}, ${this.remaining} left`);
    }
    this.at = start + bytes;
    return start;
  }

  u8(): number {
    return this.data[this.take(1)]!;
  }

  u16(): number {
    return this.view.getUint16(this.take(2));
  }

  u32(): number {
    return this.view.getUint32(this.take(4));
  }

  /** 8 bytes, at most 2^53 - 1. */
  u64(): number {
    const start = this.take(8);
    const value = this.view.getUint32(start) * 0x1_0000_0000 + this.view.getUint32(start + 4);
    if (!Number.isSafeInteger(value)) throw new DecodeError('decode/range', 'integer above 2^53 - 1');
    return value;
  }

  u128(): bigint {
    const start = this.take(16);
    return (this.view.getBigUint64(start) << 64n) | this.view.getBigUint64(start + 8);
  }

  u256(): bigint {
    return (this.u128() << 128n) | this.u128();
  }

  /** Exactly 0 or 1. */
  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw new DecodeError('decode/range', `not a boolean: ${value}`);
    return value === 1;
  }

  fixed(length: number): Uint8Array {
    const start = this.take(length);
    return this.data.subarray(start, start + length);
  }

  hash(): Hash32 {
    return this.fixed(32) as Hash32;
  }

  txHash(): TxHash {
    return this.fixed(32) as TxHash;
  }

  address(): Address {
    return this.fixed(20) as Address;
  }

  height(): Height {
    return this.u64() as Height;
  }

  /** A u16 that is a shard (0 to 255) or the beacon. */
  shard(): ShardId {
    const value = this.u16();
    if (value >= SHARDS_MAX && value !== BEACON) throw new DecodeError('decode/range', `not a shard: ${value}`);
    return value as ShardId;
  }

  bytes(maxBytes: number): Uint8Array {
    const length = this.u32();
    if (length > maxBytes) throw new DecodeError('decode/bound', `field of ${length} bytes, at most ${maxBytes} allowed`);
    return this.fixed(length);
  }

  text(maxBytes: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes(maxBytes));
    } catch (cause) {
      if (cause instanceof DecodeError) throw cause;
      throw new DecodeError('decode/range', 'not UTF-8', {}, { cause });
    }
  }

  list<T>(maxItems: number, read: (reader: this) => T): T[] {
    const count = this.u32();
    if (count > maxItems) throw new DecodeError('decode/bound', `list of ${count} items, at most ${maxItems} allowed`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read(this));
    return items;
  }

  /** Reads the version byte that every codec starts with (R4). */
  version(expected: number): void {
    const found = this.u8();
    if (found !== expected) throw new DecodeError('decode/version', `version ${found}, ${expected} understood`);
  }

  /** Throws unless all input was read. */
  end(): void {
    if (this.remaining !== 0) throw new DecodeError('decode/trailing', `${this.remaining} bytes after the end`);
  }
}

/** Decodes `data` whole with `read`: trailing bytes are an error. */
export function decodeAll<T>(data: Uint8Array, read: (reader: Reader) => T): T {
  const reader = new Reader(data);
  const value = read(reader);
  reader.end();
  return value;
}
