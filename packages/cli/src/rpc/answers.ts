import { ShardlabError } from '@shardlab/crosslink';

/** An answer that is not what the contract says: another program, or another version, listens there. */
export function badAnswer(method: string, what: string): ShardlabError {
  return new ShardlabError('rpc/bad-answer', `${method}: the node's answer ${what}`, { method });
}

/** Checks that `value` is a JSON object. Throws `rpc/bad-answer`. */
export function objectOf(method: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badAnswer(method, 'is not an object');
  return value as Record<string, unknown>;
}

/** Reads a safe integer of at least 0. Throws `rpc/bad-answer`. */
export function integerOf(method: string, from: Record<string, unknown>, name: string): number {
  const value = from[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw badAnswer(method, `has no number "${name}"`);
  return value;
}

/** Reads a string. Throws `rpc/bad-answer`. */
export function textOf(method: string, from: Record<string, unknown>, name: string): string {
  const value = from[name];
  if (typeof value !== 'string') throw badAnswer(method, `has no text "${name}"`);
  return value;
}

/** Reads a list. Throws `rpc/bad-answer`. */
export function listOf(method: string, from: Record<string, unknown>, name: string): readonly unknown[] {
  const value = from[name];
  if (!Array.isArray(value)) throw badAnswer(method, `has no list "${name}"`);
  return value as readonly unknown[];
}

/** Reads a `0x` quantity, as Ethereum's methods answer. Throws `rpc/bad-answer`. */
export function quantityOf(method: string, value: unknown): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) throw badAnswer(method, 'is not a hex quantity');
  return BigInt(value);
}

/** Reads `0x` bytes: several times faster than crosslink's `fromHex`, for megabytes of events. Throws `rpc/bad-answer`. */
export function bytesOf(method: string, from: Record<string, unknown>, name: string): Uint8Array {
  const text = textOf(method, from, name);
  const bytes = text.startsWith('0x') ? Buffer.from(text.slice(2), 'hex') : Buffer.alloc(0);
  // Buffer.from stops silently at the first character that is no hex digit.
  if (bytes.length * 2 + 2 !== text.length) throw badAnswer(method, `has no bytes "${name}"`);
  return bytes;
}
