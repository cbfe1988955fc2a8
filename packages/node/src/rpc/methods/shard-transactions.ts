import type { SubmitResult } from '@shardlab/shard';
import { data } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { NodeHandle, ShardHandle } from '../node-handle.ts';
import { limitExceeded, RpcError, RPC_CODES, serverError } from '../rpc-error.ts';
import { findTransaction } from './shard-find.ts';
import { traceTransaction } from './shard-trace.ts';

/** Most bytes that are read as one raw transaction: above the largest that is accepted, so that its refusal can say so. */
export const RAW_BYTES_MAX = 256 * 1024;

/** What a wallet is answered for one submitted transaction: its hash, or a throw with go-ethereum's words. */
export function submitAnswer(result: SubmitResult | undefined): string {
  const rejection = result?.rejection;
  if (rejection !== undefined) throw rejection.code === 'busy' ? limitExceeded(rejection.message) : serverError(rejection.message);
  if (result?.hash === undefined) throw new RpcError(RPC_CODES.internal, 'internal error: the pool gave no answer');
  return data(result.hash);
}

/** Methods about transactions of this node's shard. */
export function shardTransactionMethods(handle: NodeHandle, shard: ShardHandle): [string, RpcMethod][] {
  return [
    [
      'eth_sendRawTransaction',
      async (params) => {
        const raw = params.atMost(1).data(0, RAW_BYTES_MAX);
        const results = await new Promise<readonly SubmitResult[]>((resolve) => shard.submit([raw], resolve));
        return submitAnswer(results[0]);
      },
    ],
    ['eth_getTransactionByHash', async (params) => (await findTransaction(handle, params.atMost(1).txHash(0)))?.transaction ?? null],
    ['eth_getTransactionReceipt', async (params) => (await findTransaction(handle, params.atMost(1).txHash(0)))?.receipt ?? null],
    ['shard_findTransaction', (params) => findTransaction(handle, params.atMost(1).txHash(0))],
    ['shard_getCrossShardTransaction', (params) => traceTransaction(handle, params.atMost(1).txHash(0))],
  ];
}
