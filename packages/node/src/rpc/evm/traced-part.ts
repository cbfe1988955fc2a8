import { bytesKey, type BlockEvent, type TransactionReceipt } from '@shardlab/crosslink';
import { dataOf, haltWords, type PoolTransaction, type ReplayedPart, type TracedWhole } from '@shardlab/shard';

const NO_DATA = new Uint8Array(0);

/** What a block says of a transaction that it ran, or of a part of one. */
export interface RanInBlock {
  /** What was seen when it ran again; undefined: no code was followed, and no part judged. */
  readonly seen: ReplayedPart | undefined;
  /** This shard's vote in the block. */
  readonly vote: BlockEvent | undefined;
  /** If it stands in the block's body. */
  readonly transaction: PoolTransaction | undefined;
  /** If it ran wholly here. */
  readonly receipt: TransactionReceipt | undefined;
}

/** The frame around what ran here of a transaction; undefined: nothing ran, and nothing was asked of this shard. */
export function wholeOf({ seen, vote, transaction, receipt }: RanInBlock): TracedWhole | undefined {
  const halt = seen?.run?.halt;
  const error = halt !== undefined ? haltWords(halt) : vote !== undefined && vote.reason !== 'none' ? vote.reason : undefined;
  const partGas = seen?.part === undefined ? 0 : 'gasUsed' in seen.part.outcome ? seen.part.outcome.gasUsed : 0;
  if (transaction !== undefined) {
    const { calls, to, sender: from, value, gasLimit: gas, intrinsicGas } = transaction;
    const type = calls !== undefined ? 'BATCH' : to === undefined ? 'CREATE' : 'CALL';
    // What goes on to other shards costs its intrinsic gas here, and what the own part used (R18).
    const gasUsed = receipt?.gasUsed ?? intrinsicGas + partGas;
    return { type, from, to, value, input: calls === undefined ? dataOf(transaction) : NO_DATA, gas, gasUsed, error };
  }
  if (seen?.part === undefined) return undefined;
  const { operation } = seen.part;
  const { from, value, gasLimit: gas } = operation;
  const common = { from, value, gas, gasUsed: partGas, error };
  switch (operation.kind) {
    case 'transfer':
      return { type: 'CALL', to: operation.to, input: NO_DATA, ...common };
    case 'create':
      return { type: 'CREATE', to: undefined, input: operation.initcode, ...common };
    case 'call': {
      const [call, ...more] = operation.calls;
      if (call === undefined || more.length > 0) return { type: more.length > 0 ? 'BATCH' : 'CALL', to: undefined, input: NO_DATA, ...common };
      return { type: 'CALL', to: call.to, input: call.data, ...common };
    }
  }
}

/** The receipts of what ran wholly in the block at `height`, by `bytesKey` of the transactions' hashes. */
export function localReceipts(height: number, receipts: readonly TransactionReceipt[]): ReadonlyMap<string, TransactionReceipt> {
  return new Map(receipts.filter(({ crossShard, bodyHeight }) => !crossShard && bodyHeight === height).map((receipt) => [bytesKey(receipt.txHash), receipt]));
}
