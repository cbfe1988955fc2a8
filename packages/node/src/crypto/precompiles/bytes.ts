/** Conversions between bytes and big integers, big-endian as all of Ethereum's precompiles have them. */

/** The `length` bytes of `input` from `at`; what lies beyond its end reads as zeros, as in call data. A copy. */
export function slicePadded(input: Uint8Array, at: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  if (at < input.length) out.set(input.subarray(at, Math.min(input.length, at + length)));
  return out;
}

/** Any number of big-endian bytes as an unsigned integer. Linear in the length. */
export function bytesToBigInt(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`);
}

/** The 32 bytes at `at`, all of which `input` must have, as an unsigned integer. */
export function word(input: Uint8Array, at: number): bigint {
  return bytesToBigInt(input.subarray(at, at + 32));
}

/** `value`, which must fit, in `length` big-endian bytes. Linear in the length. */
export function bigIntToBytes(value: bigint, length: number): Uint8Array {
  const out = new Uint8Array(length);
  writeBigInt(value, out, 0, length);
  return out;
}

/** Writes `value`, which must fit, into the `length` bytes of `out` at `at`. */
export function writeBigInt(value: bigint, out: Uint8Array, at: number, length: number): void {
  const hex = value.toString(16);
  const digits = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  out.set(digits, at + length - digits.length);
}

/** Whether `length` bytes at `at` are all zero. */
export function isZero(bytes: Uint8Array, at = 0, length: number = bytes.length - at): boolean {
  for (let i = at; i < at + length; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** A 32-byte boolean, as the pairing checks answer. A new array. */
export function booleanWord(value: boolean): Uint8Array {
  const out = new Uint8Array(32);
  out[31] = value ? 1 : 0;
  return out;
}
