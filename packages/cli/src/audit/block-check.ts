import { type Block, type Crypto, equalBytes, pairRoot, receiptRoot, txRoot } from '@shardlab/crosslink';
import type { Findings, Place } from './findings.ts';

/** Recomputes the roots that a header gives of its body and receipts (its messages are for `checkOutgoing`); `transactionHashes` are keccak-256 of the body's transactions. */
export function checkRoots(crypto: Crypto, block: Block, transactionHashes: readonly Uint8Array[], place: Place, findings: Findings): void {
  const { header, body, receipts } = block;
  if (!equalBytes(header.txRoot, txRoot(crypto, body.inbox, transactionHashes))) findings.add('tx-root', 'inbox and transactions are not those of the header', place);
  if (!equalBytes(header.receiptRoot, receiptRoot(crypto, receipts))) findings.add('receipt-root', 'the receipts are not those of the header', place);
  if (!equalBytes(header.pairRoot, pairRoot(crypto, body.pairs))) findings.add('pair-root', 'the pair table is not that of the header', place);
}

/** Checks the receipts' running gas, and that the header counts them. Returns the fees that they charge, in wei. */
export function checkReceipts(block: Block, transactionsBefore: number, place: Place, findings: Findings): bigint {
  let gas = 0;
  let fees = 0n;
  let sound = true;
  for (const receipt of block.receipts) {
    gas += receipt.gasUsed;
    fees += BigInt(receipt.gasUsed) * receipt.effectiveGasPrice;
    sound &&= receipt.cumulativeGasUsed === gas && (receipt.crossShard || receipt.bodyHeight === block.header.height);
  }
  if (!sound) findings.add('receipts', 'the receipts do not add up, or a local transaction is listed later than its block', place);
  const { transactions } = block.header.totals;
  if (transactions !== transactionsBefore + block.receipts.length) findings.add('transaction-count', `${transactions} transactions counted, ${transactionsBefore + block.receipts.length} listed`, place);
  return fees;
}
