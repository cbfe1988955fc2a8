/** Gas of every transaction (Yellow Paper, G_transaction). */
export const GAS_TRANSACTION = 21_000;
/** More for a creation (G_txcreate, EIP-2). */
export const GAS_CREATION = 32_000;
/** A zero byte of data. */
export const GAS_DATA_ZERO = 4;
/** Any other byte of data (EIP-2028). */
export const GAS_DATA_NONZERO = 16;
/** Each started 32-byte word of initcode (EIP-3860). */
export const GAS_INITCODE_WORD = 2;
/** Each address of an access list (EIP-2930). */
export const GAS_ACCESS_ADDRESS = 2_400;
/** Each storage key of an access list (EIP-2930). */
export const GAS_ACCESS_KEY = 1_900;
/** Most bytes of initcode (EIP-3860). */
export const INITCODE_BYTES_MAX = 49_152;

/**
 * Gas that a transaction is charged before it runs, equivalent to geth's `core.IntrinsicGas` for Shanghai and Cancun. Reads `length` bytes of call
 * data or initcode at `start` of `bytes`; `addresses` and `keys` are the totals of the access list.
 */
export function intrinsicGas(
  bytes: Uint8Array,
  start: number,
  length: number,
  creation: boolean,
  addresses: number,
  keys: number,
): number {
  let zeros = 0;
  for (let at = start, end = start + length; at < end; at++) if (bytes[at] === 0) zeros++;
  let gas = GAS_TRANSACTION + zeros * GAS_DATA_ZERO + (length - zeros) * GAS_DATA_NONZERO;
  if (creation) gas += GAS_CREATION + Math.ceil(length / 32) * GAS_INITCODE_WORD;
  return gas + addresses * GAS_ACCESS_ADDRESS + keys * GAS_ACCESS_KEY;
}
