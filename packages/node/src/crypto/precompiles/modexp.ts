import type { Precompile } from '@shardlab/shard';

import { bigIntToBytes, bytesToBigInt, slicePadded, word } from './bytes.ts';

const HEADER_BYTES = 96;
const GAS_MIN = 200;
/**
 * Base and modulus above this, and exponents above 2^40 bytes, cost more than any block has: 1.4 * 10^12 gas, and 2.9 * 10^12. They are priced as unaffordable,
 * so that nothing below allocates by what an input says without being paid.
 */
const OPERAND_BYTES_MAX = 16n * 1024n * 1024n;
const EXPONENT_BYTES_MAX = 1n << 40n;

interface Lengths {
  readonly base: bigint;
  readonly exponent: bigint;
  readonly modulus: bigint;
}

function lengthsOf(input: Uint8Array): Lengths {
  const header = slicePadded(input, 0, HEADER_BYTES);
  return { base: word(header, 0), exponent: word(header, 32), modulus: word(header, 64) };
}

/** Bit length, 0 for 0. */
function bitLength(value: bigint): number {
  if (value === 0n) return 0;
  const hex = value.toString(16);
  return 4 * hex.length - (Math.clz32(Number.parseInt(hex[0]!, 16)) - 28);
}

/** EIP-2565. All lengths are in bytes; the product stays exact, because it is a bigint until it is known to be a price that can be paid. */
function gasOf(input: Uint8Array): number {
  const { base, exponent, modulus } = lengthsOf(input);
  const longest = base > modulus ? base : modulus;
  if (longest === 0n) return GAS_MIN;
  if (longest > OPERAND_BYTES_MAX || exponent > EXPONENT_BYTES_MAX) return Infinity;
  const headBytes = exponent < 32n ? Number(exponent) : 32;
  const headBits = bitLength(bytesToBigInt(slicePadded(input, HEADER_BYTES + Number(base), headBytes)));
  const tailIterations = exponent > 32n ? 8n * (exponent - 32n) : 0n;
  const iterations = tailIterations + BigInt(Math.max(headBits - 1, 0));
  const words = (longest + 7n) / 8n;
  return Math.max(GAS_MIN, Number((words * words * (iterations > 1n ? iterations : 1n)) / 3n));
}

/** Exponents up to this many bits are raised bit by bit: the table of powers would cost more than it saves. */
const PLAIN_BITS_MAX = 64;
const WINDOW_BITS = 4;

/** `base` to the power whose big-endian bytes are `exponent`, modulo `modulus` > 0. Left to right; by windows of 4 bits where that pays. */
function power(base: bigint, exponent: Uint8Array, modulus: bigint): bigint {
  const reduced = base % modulus;
  let first = 0;
  while (exponent[first] === 0) first++;
  const digits = exponent.subarray(first);
  let result = 1n % modulus;
  if (digits.length * 8 <= PLAIN_BITS_MAX) {
    for (let bits = bytesToBigInt(digits), bit = BigInt(digits.length * 8); bit-- > 0n; ) {
      result = (result * result) % modulus;
      if (((bits >> bit) & 1n) === 1n) result = (result * reduced) % modulus;
    }
    return result;
  }
  const powers = [result, reduced];
  while (powers.length < 1 << WINDOW_BITS) powers.push((powers[powers.length - 1]! * reduced) % modulus);
  for (const digit of digits) {
    for (const window of [digit >> WINDOW_BITS, digit & 0xf]) {
      for (let i = 0; i < WINDOW_BITS; i++) result = (result * result) % modulus;
      if (window !== 0) result = (result * powers[window]!) % modulus;
    }
  }
  return result;
}

function run(input: Uint8Array): Uint8Array | undefined {
  const lengths = lengthsOf(input);
  if (lengths.modulus === 0n) return new Uint8Array(0);
  if (gasOf(input) === Infinity) return undefined;
  const baseBytes = Number(lengths.base);
  const exponentBytes = Number(lengths.exponent);
  const modulusBytes = Number(lengths.modulus);
  const exponentAt = HEADER_BYTES + baseBytes;
  const modulus = bytesToBigInt(slicePadded(input, exponentAt + exponentBytes, modulusBytes));
  // Also what keeps a giant exponent from being read when the modulus lies beyond the input: such a modulus is zero.
  if (modulus <= 1n) return new Uint8Array(modulusBytes);
  const base = bytesToBigInt(slicePadded(input, HEADER_BYTES, baseBytes));
  return bigIntToBytes(power(base, input.subarray(exponentAt, exponentAt + exponentBytes), modulus), modulusBytes);
}

/** MODEXP (0x05; EIP-198, priced by EIP-2565): base, exponent and modulus of any lengths; the result has the modulus's length. */
export const MODEXP: Precompile = { gas: gasOf, run };
