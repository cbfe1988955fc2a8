import { InvariantError } from '../errors.ts';

/** Fields up to this length are copied byte by byte: `set` costs more than the copy. */
const SHORT_BYTES = 64;

/** Copies all of `bytes`, and returns where they end. */
export function putBytes(buffer: Uint8Array, at: number, bytes: Uint8Array): number {
  const { length } = bytes;
  if (length > SHORT_BYTES) buffer.set(bytes, at);
  else for (let i = 0; i < length; i++) buffer[at + i] = bytes[i]!;
  return at + length;
}

/** Copies a field of exactly `length` bytes, and returns where it ends. Throws `invariant` for another length. */
export function putFixed(buffer: Uint8Array, at: number, bytes: Uint8Array, length: number): number {
  if (bytes.length !== length) throw new InvariantError(`field of ${length} bytes has ${bytes.length}`);
  for (let i = 0; i < length; i++) buffer[at + i] = bytes[i]!;
  return at + length;
}

/** Writes a safe integer of at least 0 in 8 bytes, and returns where it ends. Throws `invariant` for any other. */
export function putU64(view: DataView, at: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new InvariantError('integer out of range', { value, max: Number.MAX_SAFE_INTEGER });
  view.setUint32(at, Math.floor(value / 0x1_0000_0000));
  view.setUint32(at + 4, value >>> 0);
  return at + 8;
}

/** Writes 0 to 2^128 - 1 in 16 bytes, and returns where it ends. Throws `invariant` for anything else. */
export function putU128(view: DataView, at: number, value: bigint): number {
  const high = value >> 64n;
  // A negative number has a negative high part.
  if (high < 0n || high >> 64n !== 0n) throw new InvariantError('not a u128', { value: String(value) });
  view.setBigUint64(at, high);
  // Stores the low 64 bits, whatever is above them.
  view.setBigUint64(at + 8, value);
  return at + 16;
}
