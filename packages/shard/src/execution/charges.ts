import { effectiveGasPrice } from './fees.ts';

/** What decides how much a transaction pays. */
interface Priced {
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  readonly gasLimit: number;
  readonly intrinsicGas: number;
}

/** What a transaction pays in one block. */
export interface Charge extends Priced {
  /** Wei per gas. */
  readonly price: bigint;
  /** Wei for the intrinsic gas: all that a transfer uses. */
  readonly fee: bigint;
  /** Most wei that its gas can cost its sender, by its own cap. */
  readonly feeMax: bigint;
}

/**
 * Charges of one block. Neighbours mostly name the same prices and limits: remembering the last charge saves five big integers a transaction, which is a fifth of
 * what a transfer costs.
 */
export class Charges {
  private readonly baseFeePerGas: bigint;
  private last: Charge | undefined;

  constructor(baseFeePerGas: bigint) {
    this.baseFeePerGas = baseFeePerGas;
  }

  /** `undefined` if the transaction's cap is below the base fee. Equal ones in a row give the same object. */
  of(tx: Priced): Charge | undefined {
    const { last } = this;
    const { maxFeePerGas, maxPriorityFeePerGas, gasLimit, intrinsicGas } = tx;
    if (
      last !== undefined &&
      last.gasLimit === gasLimit &&
      last.intrinsicGas === intrinsicGas &&
      last.maxFeePerGas === maxFeePerGas &&
      last.maxPriorityFeePerGas === maxPriorityFeePerGas
    ) {
      return last;
    }
    const price = effectiveGasPrice(tx, this.baseFeePerGas);
    if (price === undefined) return undefined;
    const fee = BigInt(intrinsicGas) * price;
    this.last = { maxFeePerGas, maxPriorityFeePerGas, gasLimit, intrinsicGas, price, fee, feeMax: BigInt(gasLimit) * maxFeePerGas };
    return this.last;
  }
}
