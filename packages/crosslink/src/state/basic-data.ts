import { DecodeError, InvariantError } from '../errors.ts';

/** What the status byte of an account can say. More values come when accounts move between shards (R13). */
export const ACCOUNT_STATUS = { active: 0 } as const;
/** A value of {@link ACCOUNT_STATUS}. */
export type AccountStatus = (typeof ACCOUNT_STATUS)[keyof typeof ACCOUNT_STATUS];

/** The contents of an account's first leaf. An account of which all of it is zero is absent from the tree. */
export interface BasicData {
  readonly status: AccountStatus;
  /** Bytes of code, below 2^24. */
  readonly codeSize: number;
  /** Transactions sent or contracts created, a safe integer. */
  readonly nonce: number;
  /** Wei, below 2^128 (R9). */
  readonly balance: bigint;
}

/** The version byte of {@link encodeBasicData}; EIP-7864 sets it to zero. */
export const BASIC_DATA_VERSION = 0;
/** Largest code size that fits. */
export const CODE_SIZE_MAX = 0xff_ffff;

const LOW_64 = 0xffff_ffff_ffff_ffffn;

/**
 * Packs to the 32 bytes of EIP-7864's basic data leaf, big-endian: version (0), status (1), reserved (2 to 4), code size (5 to 7), nonce (8 to 15),
 * balance (16 to 31). Equivalent, except that one of the four reserved bytes is the status (R13). Writes to `out` at `at` if given. Throws `invariant`
 * on values out of range.
 */
export function encodeBasicData(data: BasicData, out: Uint8Array = new Uint8Array(32), at = 0): Uint8Array {
  const { status, codeSize, nonce, balance } = data;
  if (status !== ACCOUNT_STATUS.active) throw new InvariantError('unknown account status', { status });
  if (!Number.isInteger(codeSize) || codeSize < 0 || codeSize > CODE_SIZE_MAX) throw new InvariantError('code size out of range', { codeSize });
  if (!Number.isSafeInteger(nonce) || nonce < 0) throw new InvariantError('nonce out of range', { nonce });
  if (balance < 0n || balance >> 128n !== 0n) throw new InvariantError('balance out of range', { balance: String(balance) });
  out[at] = BASIC_DATA_VERSION;
  out[at + 1] = status;
  out[at + 2] = 0;
  out[at + 3] = 0;
  // Offsets 4 to 7: the size has three bytes, so the fourth reserved byte is its zero.
  putU32(out, at + 4, codeSize);
  putU32(out, at + 8, Math.floor(nonce / 0x1_0000_0000));
  putU32(out, at + 12, nonce >>> 0);
  const high = balance >> 64n;
  putU64(out, at + 16, high);
  putU64(out, at + 24, balance & LOW_64);
  return out;
}

/** The inverse of {@link encodeBasicData}, of 32 bytes at `at`. Throws `decode/truncated`, `decode/version` or `decode/range`. */
export function decodeBasicData(data: Uint8Array, at = 0): BasicData {
  if (data.length < at + 32) throw new DecodeError('decode/truncated', `basic data of ${data.length - at} bytes`);
  if (data[at] !== BASIC_DATA_VERSION) throw new DecodeError('decode/version', `version ${data[at]}, ${BASIC_DATA_VERSION} understood`);
  if (data[at + 1] !== ACCOUNT_STATUS.active) throw new DecodeError('decode/range', `unknown account status ${data[at + 1]}`);
  if (data[at + 2] !== 0 || data[at + 3] !== 0 || data[at + 4] !== 0) throw new DecodeError('decode/range', 'reserved bytes set');
  const nonce = getU32(data, at + 8) * 0x1_0000_0000 + getU32(data, at + 12);
  if (!Number.isSafeInteger(nonce)) throw new DecodeError('decode/range', 'nonce above 2^53 - 1');
  const high = getU64(data, at + 16);
  const low = getU64(data, at + 24);
  return {
    status: ACCOUNT_STATUS.active,
    codeSize: getU32(data, at + 4),
    nonce,
    balance: high === 0n ? low : (high << 64n) | low,
  };
}

function putU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}

function putU64(out: Uint8Array, at: number, value: bigint): void {
  putU32(out, at, Number(value >> 32n));
  putU32(out, at + 4, Number(value & 0xffff_ffffn));
}

function getU32(data: Uint8Array, at: number): number {
  return ((data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!) >>> 0;
}

function getU64(data: Uint8Array, at: number): bigint {
  const high = getU32(data, at);
  const low = getU32(data, at + 4);
  // Below 2^53 in one conversion.
  if (high < 0x20_0000) return BigInt(high * 0x1_0000_0000 + low);
  return (BigInt(high) << 32n) | BigInt(low);
}
