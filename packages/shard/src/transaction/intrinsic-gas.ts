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
/** Each call of an atomic batch beyond the first: as much as the account that it touches (EIP-2929, cold). */
export const GAS_BATCH_CALL = 2_600;
/** Floor price of a token of data (EIP-7623, `TOTAL_COST_FLOOR_PER_TOKEN`). */
const GAS_FLOOR_TOKEN = 10;
/** Standard price of a token: a zero byte is one, any other byte four (EIP-7623). */
const GAS_TOKEN = 4;
/** Most bytes of initcode (EIP-3860). */
export const INITCODE_BYTES_MAX = 49_152;

/** Gas of the `length` bytes of data at `start` of `bytes`, without a floor. */
export function dataGas(bytes: Uint8Array, start: number, length: number): number {
  let zeros = 0;
  for (let at = start, end = start + length; at < end; at++) if (bytes[at] === 0) zeros++;
  return zeros * GAS_DATA_ZERO + (length - zeros) * GAS_DATA_NONZERO;
}

/** Least that a transaction pays whose data cost `gas` by {@link dataGas} (EIP-7623, from Prague on). */
export function dataFloor(gas: number): number {
  return GAS_TRANSACTION + (gas / GAS_TOKEN) * GAS_FLOOR_TOKEN;
}

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
  let gas = GAS_TRANSACTION + dataGas(bytes, start, length);
  if (creation) gas += GAS_CREATION + Math.ceil(length / 32) * GAS_INITCODE_WORD;
  return gas + addresses * GAS_ACCESS_ADDRESS + keys * GAS_ACCESS_KEY;
}

/** Gas that an atomic batch of `calls` calls is charged before any of them runs, whose data together cost `gas` by {@link dataGas}. */
export function batchIntrinsicGas(calls: number, gas: number): number {
  return GAS_TRANSACTION + (calls - 1) * GAS_BATCH_CALL + gas;
}
