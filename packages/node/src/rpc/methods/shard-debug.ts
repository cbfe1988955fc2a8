import { BlockTraces } from '../evm/block-traces.ts';
import type { StateViews } from '../evm/state-views.ts';
import { readTracing } from '../evm/trace-options.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { NodeHandle } from '../node-handle.ts';
import { heightOfReference } from './shard-blocks.ts';

/** Methods that run what is done once more, to see how: on this node's shard, in its latest 256 blocks. */
export function debugMethods(handle: NodeHandle, views: StateViews): [string, RpcMethod][] {
  const traces = new BlockTraces(handle, views);
  const { chain } = handle;
  return [
    [
      'debug_traceTransaction',
      (params) => {
        const hash = params.atMost(2).txHash(0);
        return traces.transaction(hash, readTracing(params.raw(1)));
      },
    ],
    [
      'debug_traceBlockByNumber',
      async (params) => {
        const start = readTracing(params.atMost(2).raw(1));
        return traces.block(await heightOfReference(chain, params.block(0)), start);
      },
    ],
    [
      'debug_traceBlockByHash',
      async (params) => {
        const start = readTracing(params.atMost(2).raw(1));
        return traces.block(await heightOfReference(chain, { hash: params.hash(0) }), start);
      },
    ],
  ];
}
