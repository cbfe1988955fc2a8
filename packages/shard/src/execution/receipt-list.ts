import { type BloomBuilder, LOGS_BLOOM_BYTES, type TransactionReceipt } from '@shardlab/crosslink';
import type { RunningTotals } from './ledger.ts';

/** The receipts of the transactions that a block lists, in order, with what its header says of them. */
export class ReceiptList {
  readonly receipts: TransactionReceipt[] = [];
  private readonly blooms: BloomBuilder;
  private readonly totals: RunningTotals;
  private readonly bloom = new Uint8Array(LOGS_BLOOM_BYTES);
  private cumulativeGas = 0;

  /** `totals` count transactions and logs. */
  constructor(blooms: BloomBuilder, totals: RunningTotals) {
    this.blooms = blooms;
    this.totals = totals;
  }

  /** What is to stand as `cumulativeGasUsed` in the next receipt, which used `gasUsed`. */
  cumulative(gasUsed: number): number {
    return this.cumulativeGas + gasUsed;
  }

  /** Appends a receipt. */
  add(receipt: TransactionReceipt): void {
    this.totals.transactions++;
    this.cumulativeGas = receipt.cumulativeGasUsed;
    if (receipt.logs.length > 0) {
      this.totals.logs += receipt.logs.length;
      this.blooms.add(this.bloom, receipt.logs);
    }
    this.receipts.push(receipt);
  }

  /** The block's filter, 256 bytes. */
  get logsBloom(): Uint8Array {
    return this.bloom;
  }
}
