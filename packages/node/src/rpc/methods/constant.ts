import { quantity } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { NodeHandle } from '../node-handle.ts';
import { RPC_CODES, RpcError } from '../rpc-error.ts';

/** Methods whose answers are the same on every view of a node. */
export function constantMethods(handle: NodeHandle): [string, RpcMethod][] {
  const { chainId } = handle.genesis;
  return [
    ['web3_clientVersion', () => handle.clientVersion],
    ['net_version', () => String(chainId)],
    ['net_listening', () => true],
    ['net_peerCount', () => quantity(handle.status().peers)],
    ['eth_chainId', () => quantity(chainId)],
    ['eth_syncing', () => false],
    ['eth_accounts', () => []],
    [
      'eth_getProof',
      () => {
        throw new RpcError(RPC_CODES.notSupported, 'eth_getProof is about a Merkle Patricia trie, which this network does not have: shard_getProof proves accounts and slots');
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
