import { fromHex, type Address } from '@shardlab/crosslink';
import { intrinsicGas } from '@shardlab/shard';
import { parseData, quantity } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { NodeHandle } from '../node-handle.ts';
import type { Params } from '../params.ts';
import { invalidParams, RPC_CODES, RpcError, serverError } from '../rpc-error.ts';

/** Most bytes of call data in an estimate: those of the largest transaction. */
const CALL_DATA_MAX = 128 * 1024;
/** Entries and keys of an access list in an estimate. */
const ACCESS_MAX = 4_096;

function notSupported(method: string): RpcMethod {
  return () => {
    throw new RpcError(RPC_CODES.notSupported, `${method} is not supported yet: this network has no contracts`);
  };
}

/** Balance in wei of an account as this view sees it; undefined where this view does not know it. */
export type BalanceOf = (address: Address) => Promise<bigint | undefined>;

/** Methods whose answers are the same on every view of a node, but for whose balances an estimate knows. */
export function constantMethods(handle: NodeHandle, balanceOf: BalanceOf): [string, RpcMethod][] {
  const { chainId } = handle.genesis;
  return [
    ['web3_clientVersion', () => handle.clientVersion],
    ['net_version', () => String(chainId)],
    ['net_listening', () => true],
    ['net_peerCount', () => quantity(handle.status().peers)],
    ['eth_chainId', () => quantity(chainId)],
    ['eth_syncing', () => false],
    ['eth_accounts', () => []],
    ['eth_call', notSupported('eth_call')],
    ['eth_getStorageAt', notSupported('eth_getStorageAt')],
    ['eth_getCode', (params) => (params.address(0), params.block(1), '0x')],
    [
      'eth_estimateGas',
      async (params) => {
        const { gas, from, value } = estimate(params);
        const balance = from === undefined || value === 0n ? undefined : await balanceOf(from);
        if (balance !== undefined && balance < value) throw serverError('insufficient funds for transfer');
        return quantity(gas);
      },
    ],
    ['eth_maxPriorityFeePerGas', () => quantity(SUGGESTED_TIP)],
  ];
}

/**
 * Wei per gas that wallets are told to tip. A constant: tips order the pool and are burned with the fee, so that there is no market to measure while blocks have
 * room; it is what go-ethereum's clients take where they know nothing.
 */
export const SUGGESTED_TIP = 1_000_000_000n;

/** Intrinsic gas of a call object: exact for value transfers, within a shard and across; and what must be there to pay for it. */
function estimate(params: Params): { readonly gas: number; readonly from: Address | undefined; readonly value: bigint } {
  const call = params.atMost(3).object(0, 'a call');
  params.block(1);
  const to = call['to'];
  if (to === undefined || to === null) throw serverError('contract creation is not supported by this executor');
  addressIn(to, 'to');
  const from = call['from'] === undefined || call['from'] === null ? undefined : addressIn(call['from'], 'from');
  const value = weiIn(call['value'] ?? '0x0');
  const input = bytesIn(call['input'] ?? call['data'] ?? '0x');
  const accessList = call['accessList'] ?? [];
  if (!Array.isArray(accessList) || accessList.length > ACCESS_MAX) throw invalidParams(`"accessList" must be a list of at most ${ACCESS_MAX} entries`);
  let keys = 0;
  for (const entry of accessList as readonly unknown[]) {
    const { address, storageKeys } = (entry ?? {}) as { address?: unknown; storageKeys?: unknown };
    addressIn(address, 'accessList[].address');
    if (!Array.isArray(storageKeys) || storageKeys.length > ACCESS_MAX) throw invalidParams('"accessList[].storageKeys" must be a list');
    keys += storageKeys.length;
  }
  return { gas: intrinsicGas(input, 0, input.length, false, accessList.length, keys), from, value };
}

function weiIn(value: unknown): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) throw invalidParams('"value" must be wei: 0x and up to 64 hex digits');
  return BigInt(value);
}

function addressIn(value: unknown, name: string): Address {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(value)) throw invalidParams(`"${name}" must be an address: 0x and 40 hex digits`);
  return fromHex(value) as Address;
}

function bytesIn(value: unknown): Uint8Array {
  const bytes = parseData(value);
  if (bytes === undefined || bytes.length > CALL_DATA_MAX) throw invalidParams(`"input" must be data of at most ${CALL_DATA_MAX} bytes`);
  return bytes;
}
