/** Wei of tip that every generated transaction offers. */
export const PRIORITY_FEE_PER_GAS = 1n;
/** A transaction's price cap as a multiple of the price when the run began: EIP-1559 can double it in six full blocks. */
const PRICE_HEADROOM = 4n;
/** Genesis pays for this multiple of the first base fee. */
const BUDGET_PRICE_HEADROOM = 64n;
/** Gas that genesis pays for in each replayed row: a transfer needs 21,000, a cross-shard one may cost more. */
export const BUDGET_GAS = 100_000n;

/** Price cap for a run that begins at `gasPrice` wei. */
export function maxFeePerGas(gasPrice: bigint): bigint {
  return gasPrice * PRICE_HEADROOM + PRIORITY_FEE_PER_GAS;
}

/** Wei that genesis sets aside for the fees of one replayed row. */
export function feeBudget(baseFeePerGas: bigint): bigint {
  return BUDGET_GAS * (baseFeePerGas * BUDGET_PRICE_HEADROOM + PRIORITY_FEE_PER_GAS);
}
