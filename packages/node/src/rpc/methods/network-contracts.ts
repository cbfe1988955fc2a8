import type { Address } from '@shardlab/crosslink';
import { callerOf, readCall } from '../evm/call-request.ts';
import { data } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { Params } from '../params.ts';
import { serverError } from '../rpc-error.ts';
import type { ShardCalls } from '../shard-calls.ts';
import type { NetworkView } from './network-view.ts';
import { slotOf } from './shard-contracts.ts';

/** How long another shard may take for a trace, in milliseconds. */
export const TRACE_TIMEOUT_MS = 25_000;

/** Methods about contracts, asked where the contract lives. */
export function networkContractMethods(view: NetworkView, calls: ShardCalls): [string, RpcMethod][] {
  /** Runs where the recipient lives; a creation where its sender does (R11). The block stands at place 1, what follows is passed on. */
  function run(method: string, params: Params, most: number, timeoutMs?: number): Promise<unknown> {
    const call = readCall(params.atMost(most).raw(0));
    const reference = params.blockReference(1);
    const more = Array.from({ length: most - 2 }, (_, index) => params.raw(index + 2) ?? null);
    return calls.callHome(call.to ?? callerOf(call), method, async (shard) => [params.raw(0), await view.stateTag(shard, reference), ...more], timeoutMs);
  }

  /** A sender who lives elsewhere than what he calls: his own shard knows what he has. */
  async function checkFunds(from: Address, value: bigint): Promise<void> {
    const balance = BigInt((await calls.callHome(from, 'eth_getBalance', () => Promise.resolve([data(from), 'latest']))) as string);
    if (balance < value) throw serverError('insufficient funds for transfer');
  }

  return [
    [
      'eth_getStorageAt',
      (params) => {
        const address = params.atMost(3).address(0);
        slotOf(params, 1);
        const reference = params.blockReference(2);
        return calls.callHome(address, 'eth_getStorageAt', async (shard) => [data(address), params.raw(1), await view.stateTag(shard, reference)]);
      },
    ],
    ['eth_call', (params) => run('eth_call', params, 4)],
    [
      'eth_estimateGas',
      async (params) => {
        const { from, to, value } = readCall(params.raw(0));
        if (from !== undefined && to !== undefined && value > 0n && calls.homeOf(from) !== calls.homeOf(to)) await checkFunds(from, value);
        return run('eth_estimateGas', params, 4);
      },
    ],
    ['eth_createAccessList', (params) => run('eth_createAccessList', params, 3)],
    ['debug_traceCall', (params) => run('debug_traceCall', params, 3, TRACE_TIMEOUT_MS)],
  ];
}
