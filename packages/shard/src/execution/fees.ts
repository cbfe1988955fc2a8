/** EIP-1559 `ELASTICITY_MULTIPLIER`. */
const ELASTICITY = 2;
/** EIP-1559 `BASE_FEE_MAX_CHANGE_DENOMINATOR`. */
const CHANGE_DENOMINATOR = 8n;

/** The base fee (wei per gas) of the child of a block with these figures: EIP-1559, equivalent. */
export function nextBaseFee(parent: { readonly gasUsed: number; readonly gasLimit: number; readonly baseFeePerGas: bigint }): bigint {
  const target = BigInt(Math.floor(parent.gasLimit / ELASTICITY));
  const used = BigInt(parent.gasUsed);
  const base = parent.baseFeePerGas;
  if (used === target) return base;
  if (used > target) {
    const rise = (base * (used - target)) / target / CHANGE_DENOMINATOR;
    return base + (rise > 0n ? rise : 1n);
  }
  return base - (base * (target - used)) / target / CHANGE_DENOMINATOR;
}

/** What a transaction pays per gas under `baseFee`; `undefined` if its cap is below it. */
export function effectiveGasPrice(tx: { readonly maxFeePerGas: bigint; readonly maxPriorityFeePerGas: bigint }, baseFee: bigint): bigint | undefined {
  if (tx.maxFeePerGas < baseFee) return undefined;
  const price = baseFee + tx.maxPriorityFeePerGas;
  return price < tx.maxFeePerGas ? price : tx.maxFeePerGas;
}
