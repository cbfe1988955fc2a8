import { type Address, fromHex, type Hash32, ShardlabError } from '@shardlab/crosslink';

/** A file that is no state test. The message says where and what. */
export class MalformedTest extends ShardlabError {
  constructor(where: string, what: string) {
    super('ethereum-test/malformed', `${where}: ${what}`, { where });
  }
}

/** A JSON object with the place where it stands, so that what is wrong with its fields can be said. */
export interface Fields {
  readonly where: string;
  readonly values: Readonly<Record<string, unknown>>;
}

const BIG_PREFIX = '0x:bigint ';

/** Takes a JSON value as an object. Throws {@link MalformedTest}. */
export function fieldsOf(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MalformedTest(where, 'not an object');
  return { where, values: value as Record<string, unknown> };
}

/** The object in a field. */
export function objectIn(fields: Fields, name: string): Fields {
  return fieldsOf(fields.values[name], `${fields.where}.${name}`);
}

/** The list in a field, which must hold at most `max`. */
export function listIn(fields: Fields, name: string, max: number): readonly unknown[] {
  const value = fields.values[name];
  if (!Array.isArray(value)) throw new MalformedTest(`${fields.where}.${name}`, 'not a list');
  if (value.length > max) throw new MalformedTest(`${fields.where}.${name}`, `more than ${max} entries`);
  return value;
}

/** A field that is there and is not null. */
export function has(fields: Fields, name: string): boolean {
  return fields.values[name] !== undefined && fields.values[name] !== null;
}

/** A quantity: hex digits, of any width, after `0x` or `0x:bigint 0x`; `0x` alone is zero, as in the files. Throws {@link MalformedTest}. */
export function quantity(value: unknown, where: string): bigint {
  if (typeof value !== 'string') throw new MalformedTest(where, 'not a hex number');
  const text = value.startsWith(BIG_PREFIX) ? value.slice(BIG_PREFIX.length) : value;
  if (!/^0x[0-9a-fA-F]{0,1024}$/.test(text)) throw new MalformedTest(where, 'not a hex number');
  return text === '0x' ? 0n : BigInt(text);
}

/** The quantity in a field; `otherwise` if the field is absent. */
export function quantityIn(fields: Fields, name: string, otherwise?: bigint): bigint {
  if (otherwise !== undefined && !has(fields, name)) return otherwise;
  return quantity(fields.values[name], `${fields.where}.${name}`);
}

/** An index: a small integer, as a JSON number. */
export function indexIn(fields: Fields, name: string): number {
  const value = fields.values[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new MalformedTest(`${fields.where}.${name}`, 'not an index');
  return value as number;
}

/** Bytes in hex, with `0x`. */
export function bytes(value: unknown, where: string): Uint8Array {
  if (typeof value !== 'string') throw new MalformedTest(where, 'not hex bytes');
  try {
    return fromHex(value === '' ? '0x' : value);
  } catch {
    throw new MalformedTest(where, 'not hex bytes');
  }
}

/** The bytes in a field. */
export function bytesIn(fields: Fields, name: string): Uint8Array {
  return bytes(fields.values[name], `${fields.where}.${name}`);
}

/** A quantity as 32 bytes, big-endian. Throws {@link MalformedTest} from 2^256 on. */
export function word(value: unknown, where: string): Hash32 {
  const number = quantity(value, where);
  if (number >> 256n !== 0n) throw new MalformedTest(where, 'above 2^256 - 1');
  return wordBytes(number);
}

/** A number below 2^256 as 32 bytes, big-endian. */
export function wordBytes(number: bigint): Hash32 {
  return fromHex(`0x${number.toString(16).padStart(64, '0')}`) as Hash32;
}

/** 20 bytes. */
export function address(value: unknown, where: string): Address {
  const found = bytes(value, where);
  if (found.length !== 20) throw new MalformedTest(where, 'not an address');
  return found as Address;
}
