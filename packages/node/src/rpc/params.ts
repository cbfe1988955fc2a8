import type { Address, Hash32, TxHash } from '@shardlab/crosslink';
import { parseData } from './format.ts';
import { invalidParams } from './rpc-error.ts';

/** A block as a caller names it: final ones are all there are, so `safe` and `finalized` are `latest`. */
export type BlockTag = number | 'latest' | 'earliest' | 'pending';

/** A block by tag, height or hash. */
export type BlockReference = BlockTag | { readonly hash: Hash32 };

/** The positional parameters of one call. Every reader throws -32602 with one line that names the parameter by place and says what would be right. */
export class Params {
  private readonly values: readonly unknown[];

  constructor(values: readonly unknown[]) {
    this.values = values;
  }

  /** Throws unless there are at most `max` parameters. */
  atMost(max: number): this {
    if (this.values.length > max) throw invalidParams(`too many parameters: ${this.values.length}, at most ${max} wanted`);
    return this;
  }

  /** The raw value; undefined when it is absent. */
  raw(index: number): unknown {
    return this.values[index];
  }

  /** Whether the parameter was given, and is not null. */
  has(index: number): boolean {
    return this.values[index] !== undefined && this.values[index] !== null;
  }

  /** A 20-byte address. */
  address(index: number): Address {
    return this.fixed(index, 20, 'an address') as Address;
  }

  /** A 32-byte transaction hash. */
  txHash(index: number): TxHash {
    return this.fixed(index, 32, 'a transaction hash') as TxHash;
  }

  /** A 32-byte block hash. */
  hash(index: number): Hash32 {
    return this.fixed(index, 32, 'a block hash') as Hash32;
  }

  private fixed(index: number, length: number, what: string): Uint8Array {
    const bytes = parseData(this.values[index]);
    if (bytes?.length !== length) throw invalidParams(`parameter ${index + 1} must be ${what}: 0x and ${2 * length} hex digits`);
    return bytes;
  }

  /** Bytes of any length up to `bytesMax`. */
  data(index: number, bytesMax: number): Uint8Array {
    const bytes = parseData(this.values[index]);
    if (bytes === undefined) throw invalidParams(`parameter ${index + 1} must be data: 0x and an even number of hex digits`);
    if (bytes.length > bytesMax) throw invalidParams(`parameter ${index + 1} has ${bytes.length} bytes, at most ${bytesMax} are allowed`);
    return bytes;
  }

  /** A whole number from `min` to `max`, as a JSON number or a hex quantity. */
  integer(index: number, what: string, min: number, max: number): number {
    const value = this.values[index];
    const number = typeof value === 'string' ? parseQuantity(value) : value;
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < min || number > max) {
      throw invalidParams(`parameter ${index + 1} must be ${what}: a whole number from ${min} to ${max}`);
    }
    return number;
  }

  /** A true or false; `fallback` when absent. */
  boolean(index: number, fallback: boolean): boolean {
    const value = this.values[index];
    if (value === undefined || value === null) return fallback;
    if (typeof value !== 'boolean') throw invalidParams(`parameter ${index + 1} must be true or false`);
    return value;
  }

  /** Text of at most `lengthMax` characters. */
  text(index: number, what: string, lengthMax: number): string {
    const value = this.values[index];
    if (typeof value !== 'string' || value.length > lengthMax) throw invalidParams(`parameter ${index + 1} must be ${what}`);
    return value;
  }

  /** A block tag, or a height as quantity, number, or EIP-1898's `{"blockNumber": …}`; `latest` when absent. */
  block(index: number): BlockTag {
    const given = this.values[index];
    const value = isRecord(given) && 'blockNumber' in given ? given['blockNumber'] : given;
    if (value === undefined || value === null || value === 'latest' || value === 'safe' || value === 'finalized') return 'latest';
    if (value === 'earliest' || value === 'pending') return value;
    const height = typeof value === 'string' ? parseQuantity(value) : value;
    if (typeof height === 'number' && Number.isSafeInteger(height) && height >= 0) return height;
    throw invalidParams(`parameter ${index + 1} must be a block: a height in hex, or latest, safe, finalized, pending or earliest`);
  }

  /** As {@link block}, or EIP-1898's `{"blockHash": …}`. */
  blockReference(index: number): BlockReference {
    const given = this.values[index];
    if (!isRecord(given) || !('blockHash' in given)) return this.block(index);
    const hash = parseData(given['blockHash']);
    if (hash?.length !== 32) throw invalidParams(`parameter ${index + 1} must name a block hash: 0x and 64 hex digits`);
    return { hash: hash as Hash32 };
  }

  /** An object. */
  object(index: number, what: string): Readonly<Record<string, unknown>> {
    const value = this.values[index];
    if (!isRecord(value)) throw invalidParams(`parameter ${index + 1} must be ${what}: an object`);
    return value;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A quantity below 2^53; NaN for anything else. Leading zeros are let pass, as go-ethereum's clients send them. */
function parseQuantity(text: string): number {
  return /^0x[0-9a-fA-F]{1,14}$/.test(text) ? Number(text) : Number.NaN;
}
