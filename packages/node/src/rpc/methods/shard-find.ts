import { bytesKey, invariant, type TxHash } from '@shardlab/crosslink';
import { recoverSender } from '@shardlab/shard';
import type { ChainReader, StoredBlock } from '../../storage/chain-store-reader.ts';
import { data } from '../format.ts';
import type { NodeHandle } from '../node-handle.ts';
import { type JsonObject, type ListedPlace, receiptJson, transactionJson } from '../transaction-json.ts';

/** What one shard knows of a transaction, as its own view shows it. */
export interface FoundTransaction {
  readonly transaction: JsonObject;
  /** null until it is listed. */
  readonly receipt: JsonObject | null;
  /** How many transactions the shard had listed before it, from genesis; null until it is listed. */
  readonly position: number | null;
  /** How many logs the shard had emitted before it, from genesis; null until it is listed. */
  readonly logPosition: number | null;
}

/** Receipt `index` of a block, and how many transactions and logs the shard had before it, from genesis. */
export function listedReceipt(handle: Pick<NodeHandle, 'crypto'>, stored: StoredBlock, index: number): Pick<FoundTransaction, 'receipt' | 'position' | 'logPosition'> & { readonly place: ListedPlace } {
  const { header, receipts } = stored.block;
  const receipt = receipts[index];
  invariant(receipt !== undefined, 'no such receipt', { index });
  const { height, shard, totals } = header;
  const place = { blockHash: data(stored.hash), blockNumber: height, transactionIndex: index, shard, shardHeight: height };
  let logIndex = 0;
  for (let before = 0; before < index; before++) logIndex += receipts[before]!.logs.length;
  let inBlock = logIndex;
  for (let at = index; at < receipts.length; at++) inBlock += receipts[at]!.logs.length;
  return {
    receipt: receiptJson(receipt, place, logIndex, handle.crypto),
    position: totals.transactions - receipts.length + index,
    logPosition: totals.logs - inBlock + logIndex,
    place,
  };
}

/** Receipt `index` of a block, with its transaction. */
export async function listedTransaction(handle: Pick<NodeHandle, 'chain' | 'crypto'>, stored: StoredBlock, index: number): Promise<FoundTransaction> {
  const { place, ...listed } = listedReceipt(handle, stored, index);
  const receipt = stored.block.receipts[index]!;
  const raw = await rawAt(handle.chain, receipt.bodyHeight, receipt.bodyIndex);
  return { transaction: transactionJson(raw, receipt.txHash, receipt.from, place, receipt.effectiveGasPrice), ...listed };
}

async function rawAt(chain: ChainReader, height: number, index: number): Promise<Uint8Array> {
  const raw = (await chain.block(height))?.block.body.transactions[index];
  if (raw === undefined) throw chain.missingBlock(height);
  return raw;
}

/** Looks for a transaction on this node's shard: listed, open across shards, or pooled. */
export async function findTransaction(handle: NodeHandle, hash: TxHash): Promise<FoundTransaction | null> {
  const { chain, crypto, shard } = handle;
  // The pool first: what leaves it while the store is read is in the store by then.
  const pooled = shard?.pooled(bytesKey(hash));
  const place = await chain.place(hash);
  if (place?.listed !== undefined) {
    const stored = await chain.block(place.listed.height);
    if (stored === undefined) throw chain.missingBlock(place.listed.height);
    return listedTransaction(handle, stored, place.listed.index);
  }
  if (place !== undefined) {
    const raw = await rawAt(chain, place.bodyHeight, place.bodyIndex);
    return pending(raw, hash, recoverSender(raw, crypto));
  }
  return pooled === undefined ? null : pending(pooled.raw, hash, pooled.sender);
}

function pending(raw: Uint8Array, hash: TxHash, from: Uint8Array): FoundTransaction {
  return { transaction: transactionJson(raw, hash, from, undefined, undefined), receipt: null, position: null, logPosition: null };
}
