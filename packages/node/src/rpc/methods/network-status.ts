import { BEACON, type ShardId } from '@shardlab/crosslink';
import { data } from '../format.ts';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import type { NodeHandle } from '../node-handle.ts';
import { RpcError } from '../rpc-error.ts';
import { inParallel, type ShardCalls } from '../shard-calls.ts';
import type { JsonObject } from '../transaction-json.ts';
import { parametersJson } from './about.ts';

/** How long a node may take to say how it is, in milliseconds. */
const STATUS_TIMEOUT_MS = 3_000;

/** Every node of the network: the beacon's, then the shards' in order. */
function nodeNames(handle: NodeHandle): NodeName[] {
  const { beaconValidators, shardValidators } = handle.genesis;
  const names: NodeName[] = beaconValidators.map((_, validator) => ({ chain: BEACON, validator }));
  shardValidators.forEach((committee, shard) => committee.forEach((_, validator) => names.push({ chain: shard as ShardId, validator })));
  return names;
}

/** What the node says of itself, with the network that it belongs to: whoever reaches it at some URL learns whether it is the one it looked for. */
export function ownStatus(handle: NodeHandle): JsonObject {
  return { ...handle.status(), genesisHash: data(handle.genesisHash) };
}

/** `shard_status` of the network view: constants, the beacon as this node has followed it, and every node's own word. */
export async function networkStatus(handle: NodeHandle, calls: ShardCalls): Promise<JsonObject> {
  const { genesis, chain, genesisHash } = handle;
  const nodes = await inParallel(nodeNames(handle), (name) => statusOf(handle, calls, name));
  return {
    genesisHash: data(genesisHash),
    chainId: genesis.chainId,
    shards: genesis.shards,
    validators: genesis.shardValidators[0]!.length,
    beaconValidators: genesis.beaconValidators.length,
    parameters: parametersJson(genesis),
    workload: genesis.workload,
    beacon: { height: chain.beaconHead?.height ?? 0, epoch: chain.beaconHead?.epoch ?? 0 },
    nodes,
  };
}

async function statusOf(handle: NodeHandle, calls: ShardCalls, name: NodeName): Promise<unknown> {
  if (name.chain === handle.name.chain && name.validator === handle.name.validator) return ownStatus(handle);
  try {
    return await calls.remote(name, 'shard_status', [], STATUS_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const isBeacon = name.chain === BEACON;
    const who = { id: nodeLabel(name), role: isBeacon ? 'beacon' : 'shard', shard: isBeacon ? null : name.chain };
    return { ...who, height: null, stateRoot: null, peers: null, healthy: false, reason: error.message, pid: null };
  }
}
