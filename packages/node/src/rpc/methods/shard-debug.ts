import { invariant, type TxHash } from '@shardlab/crosslink';
import { poolTransactionOf, recoverSender, type ReplayedTransaction, replayTo, toEvmTransaction } from '@shardlab/shard';
import type { StoredBlock } from '../../storage/chain-store-reader.ts';
import type { StateViews } from '../evm/state-views.ts';
import { readTracing } from '../evm/trace-options.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { NodeHandle } from '../node-handle.ts';
import { serverError } from '../rpc-error.ts';

/** Methods that run what is done once more, to see how. */
export function debugMethods(handle: NodeHandle, views: StateViews): [string, RpcMethod][] {
  return [
    [
      'debug_traceTransaction',
      (params) => {
        const hash = params.atMost(2).txHash(0);
        return traceTransaction(handle, views, hash, readTracing(params.raw(1)));
      },
    ],
  ];
}

async function traceTransaction(handle: NodeHandle, views: StateViews, hash: TxHash, start: ReturnType<typeof readTracing>): Promise<unknown> {
  const { chain, genesis, crypto } = handle;
  const place = await chain.place(hash);
  if (place?.listed === undefined) throw serverError('transaction not found');
  const { height, index } = place.listed;
  const stored = await chain.block(height);
  if (stored === undefined) throw chain.missingBlock(height);
  const receipt = stored.block.receipts[index];
  invariant(receipt !== undefined, 'no such receipt', { index });
  if (receipt.crossShard) throw serverError('a cross-shard transaction runs in several blocks of several shards: see shard_getCrossShardTransaction');
  const { header } = stored.block;
  const transactions = replayed(handle, stored, receipt.bodyIndex);
  const target = transactions[receipt.bodyIndex];
  if (target?.kind !== 'local') throw serverError('an atomic batch runs as operations of its own: see shard_getCrossShardTransaction');
  const { forks, feePolicy } = genesis;
  return views.at(height - 1, ({ source, environment }) => {
    const tracing = start();
    const block = {
      fork: forks,
      feePolicy,
      environment: environment(header),
      parentHash: header.parentHash,
      source,
      transactions,
    };
    const outcome = replayTo(block, receipt.bodyIndex, crypto, tracing.tracer);
    // What the messages of other shards did before it is not repeated: a trace that is not the truth must not leave the node.
    const same = !('invalid' in outcome) && outcome.gasUsed === receipt.gasUsed && outcome.status === receipt.status && outcome.logs.length === receipt.logs.length;
    if (!same) throw serverError(`the transaction cannot be traced: messages of other shards changed the state in block ${height} before it ran`);
    return tracing.answer({ gas: Number(target.transaction.gasLimit), gasUsed: outcome.gasUsed, halt: outcome.halt, output: outcome.output });
  });
}

/** What the body's transactions up to `last` did in their block. */
function replayed({ crypto, genesis }: NodeHandle, { block }: StoredBlock, last: number): ReplayedTransaction[] {
  const { header, body, receipts } = block;
  const ran = new Map<number, (typeof receipts)[number]>();
  for (const receipt of receipts) if (receipt.bodyHeight === header.height && !receipt.crossShard) ran.set(receipt.bodyIndex, receipt);
  return body.transactions.slice(0, last + 1).map((raw, index) => {
    const receipt = ran.get(index);
    const sender = receipt?.from ?? recoverSender(raw, crypto);
    const transaction = poolTransactionOf(raw, receipt?.txHash ?? (crypto.keccak256(raw) as TxHash), sender, genesis.forks);
    if (receipt !== undefined && transaction.calls === undefined) return { kind: 'local', transaction: toEvmTransaction(transaction, crypto) };
    const { value, gasLimit, maxFeePerGas, maxPriorityFeePerGas } = transaction;
    const price = header.baseFeePerGas + maxPriorityFeePerGas;
    return { kind: 'prepared', sender, escrow: value + BigInt(gasLimit) * (price < maxFeePerGas ? price : maxFeePerGas) };
  });
}
