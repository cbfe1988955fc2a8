import { type AccessPredictor, type EvmTransaction, type SpeculatedTransaction, type Speculation, unpackSpeculated } from '@shardlab/shard';

/** What threads found out about a block, group by group. */
export class FoundTransactions implements Speculation {
  private readonly known = new Map<number, SpeculatedTransaction>();

  at(index: number): SpeculatedTransaction | undefined {
    return this.known.get(index);
  }

  /** Takes a group's answer; `indices`: the places of its transactions in the block. */
  take(indices: Uint32Array, packed: Uint8Array): void {
    unpackSpeculated(packed).forEach((one, position) => {
      if (one !== undefined) this.known.set(indices[position]!, one);
    });
  }

  /** Lets the predictor learn from a transaction, if it is known. */
  teach(predictor: AccessPredictor, transactions: readonly EvmTransaction[], index: number): void {
    const one = this.known.get(index);
    if (one !== undefined) predictor.learnFrom(transactions[index]!, one);
  }
}
