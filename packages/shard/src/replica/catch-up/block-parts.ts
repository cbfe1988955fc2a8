import { type Block, equalBytes, type Hasher, outRoot, pairRoot, receiptRoot, txRoot } from '@shardlab/crosslink';

/**
 * Checks a block record of a peer against its header's roots: inbox and transactions, receipts, messages, pair table. Returns undefined when they hold, else a
 * stable reason. What no root covers, `events` and `wallMs`, is not to be believed; whether the header is certified is for the caller.
 */
export function checkBlockParts(hasher: Hasher, block: Block): string | undefined {
  const { header, body, outgoing, receipts } = block;
  if (!equalBytes(pairRoot(hasher, body.pairs), header.pairRoot)) return 'block-pair-root';
  if (!equalBytes(outRoot(hasher, outgoing), header.outRoot)) return 'block-out-root';
  if (!equalBytes(receiptRoot(hasher, receipts), header.receiptRoot)) return 'block-receipt-root';
  const hashes = body.transactions.map((raw) => hasher.keccak256(raw));
  return equalBytes(txRoot(hasher, body.inbox, hashes), header.txRoot) ? undefined : 'block-tx-root';
}

/** The block without what no root covers, as a node stores it that has not executed it. */
export function provenParts(block: Block): Block {
  return { ...block, events: new Uint8Array(0), wallMs: block.header.timestampMs };
}
