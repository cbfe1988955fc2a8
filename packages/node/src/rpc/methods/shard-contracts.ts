import { toHex } from '@shardlab/crosslink';
import { haltWords } from '@shardlab/shard';
import { data, quantity } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { NodeHandle } from '../node-handle.ts';
import type { Params } from '../params.ts';
import { invalidParams, moved, serverError } from '../rpc-error.ts';
import { CALL_GAS_MAX, callerOf, type CallRequest, readCall, readOverrides, refuseBlockOverrides } from '../evm/call-request.ts';
import type { CallPlace, ContractCalls } from '../evm/contract-calls.ts';
import { failureOf } from '../evm/failure.ts';
import { readTracing } from '../evm/trace-options.ts';
import { missingState } from './shard-accounts.ts';
import { heightOfReference } from './shard-blocks.ts';

/** A storage slot as wallets write it: a quantity or 32 bytes. */
export function slotOf(params: Params, index: number): bigint {
  const value = params.raw(index);
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) throw invalidParams(`parameter ${index + 1} must be a storage slot: 0x and up to 64 hex digits`);
  return BigInt(value);
}

/** Methods about contracts of this node's shard, at its latest final block or up to 256 blocks back. */
export function contractMethods(handle: NodeHandle, contracts: ContractCalls): [string, RpcMethod][] {
  const { chain } = handle;
  const { views } = contracts;

  async function at(params: Params, index: number): Promise<number> {
    return heightOfReference(chain, params.blockReference(index));
  }

  /** Where a call runs: in its block, as go-ethereum has it. What is about a transaction to come runs in the next one, unless the caller names a block. */
  async function placeOf(params: Params, isToCome: boolean): Promise<CallPlace> {
    const reference = params.blockReference(1);
    return { height: await heightOfReference(chain, reference), isNext: reference === 'pending' || (isToCome && reference === 'latest') };
  }

  function called(params: Params): CallRequest {
    const call = readCall(params.raw(0));
    if (call.to !== undefined && views.isStub(call.to)) throw moved(toHex(call.to), views.homeOf(call.to));
    return call;
  }

  return [
    [
      'eth_getCode',
      async (params) => {
        const address = params.atMost(2).address(0);
        const code = await chain.codeAt(address, await at(params, 1));
        if (code === undefined) throw missingState();
        if (code.length === 0 && views.isStub(address)) throw moved(toHex(address), views.homeOf(address));
        return data(code);
      },
    ],
    [
      'eth_getStorageAt',
      async (params) => {
        const address = params.atMost(3).address(0);
        const slot = slotOf(params, 1);
        if (views.isStub(address)) throw moved(toHex(address), views.homeOf(address));
        const word = await chain.storageAt(address, slot, await at(params, 2));
        if (word === undefined) throw missingState();
        return data(word);
      },
    ],
    [
      'eth_call',
      async (params) => {
        const call = called(params.atMost(4));
        const overrides = readOverrides(params.raw(2));
        refuseBlockOverrides(params.raw(3));
        const outcome = await contracts.call(call, await placeOf(params, false), overrides);
        const failure = failureOf(outcome, call);
        if (failure !== undefined) throw failure;
        return 'invalid' in outcome ? '0x' : data(outcome.output);
      },
    ],
    [
      'eth_estimateGas',
      async (params) => {
        const call = called(params.atMost(4));
        const overrides = readOverrides(params.raw(2));
        refuseBlockOverrides(params.raw(3));
        return quantity(await contracts.estimate(call, await placeOf(params, true), overrides));
      },
    ],
    [
      'eth_createAccessList',
      async (params) => {
        const call = called(params.atMost(3));
        const { accessList, gasUsed, error } = await contracts.accessList(call, await placeOf(params, true), readOverrides(params.raw(2)));
        const shown = accessList.map(({ address, storageKeys }) => ({ address: data(address), storageKeys: storageKeys.map(data) }));
        return { accessList: shown, gasUsed: quantity(gasUsed), ...(error === undefined ? {} : { error: error.message }) };
      },
    ],
    ['debug_traceCall', (params) => traceCall(params, called(params.atMost(3)))],
  ];

  async function traceCall(params: Params, call: CallRequest): Promise<unknown> {
    const start = readTracing(params.raw(2));
    const options = (params.raw(2) ?? {}) as { readonly stateOverrides?: unknown; readonly blockOverrides?: unknown };
    refuseBlockOverrides(options.blockOverrides);
    // A run may be repeated: each has a tracer of its own.
    let tracing = start();
    const outcome = await contracts.call(call, await placeOf(params, false), readOverrides(options.stateOverrides), () => (tracing = start()).tracer);
    if ('invalid' in outcome) throw failureOf(outcome, call) ?? serverError('the call cannot be traced');
    const { to, value, data: input } = call;
    const { gasUsed, halt } = outcome;
    const type = to === undefined ? 'CREATE' : 'CALL';
    return tracing.answer({ type, from: callerOf(call), to, value, input, gas: call.gas ?? CALL_GAS_MAX, gasUsed, error: halt === undefined ? undefined : haltWords(halt) }, outcome);
  }
}
