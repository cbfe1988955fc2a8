import { encodeEpochCertificate, type Genesis, shardByRule, ZERO_HASH } from '@shardlab/crosslink';
import { data } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { JsonObject } from '../transaction-json.ts';
import type { NodeHandle } from '../node-handle.ts';

/** Allocation entries of one answer. */
const ALLOCATION_PAGE_MAX = 10_000;

/** A genesis' parameters as `genesis.json` writes them. */
export function parametersJson(genesis: Genesis): JsonObject {
  return { ...genesis.parameters, baseFeePerGas: genesis.parameters.baseFeePerGas.toString() };
}

/** A genesis as `genesis.json` writes it, without the allocation. */
function genesisJson(genesis: Genesis): JsonObject {
  const { chainId, shards, forks, feePolicy, crossShardProtocol, timestampMs, workload } = genesis;
  const keys = (committee: readonly Uint8Array[]): string[] => committee.map(data);
  const validators = { beacon: keys(genesis.beaconValidators), shards: genesis.shardValidators.map(keys) };
  const parameters = parametersJson(genesis);
  return { formatVersion: 1, chainId, shards, validators, parameters, forks, feePolicy, crossShardProtocol, timestampMs, workload };
}

/** Methods about the network's constants and its assignment: the same on every view. */
export function aboutMethods(handle: NodeHandle): [string, RpcMethod][] {
  const { genesis } = handle;
  return [
    ['shard_getGenesis', () => ({ ...genesisJson(genesis), allocationCount: handle.allocation.length })],
    [
      'shard_getAllocation',
      (params) => {
        const from = params.atMost(2).integer(0, 'the first entry', 0, Number.MAX_SAFE_INTEGER);
        const count = params.integer(1, 'a number of entries', 0, ALLOCATION_PAGE_MAX);
        return handle.allocation.page(from, count).map(({ address, balance }) => [data(address), balance.toString()]);
      },
    ],
    [
      'shard_getAssignment',
      (params) => {
        const address = params.atMost(1).has(0) ? params.address(0) : undefined;
        const epoch = handle.assignment();
        const shard = address === undefined ? undefined : (epoch?.table.shardOf(address) ?? shardByRule(handle.crypto, address, genesis.shards));
        return {
          epoch: epoch?.assignment.epoch ?? 0,
          certificateHash: data(epoch?.hash ?? ZERO_HASH),
          certificate: epoch === undefined ? null : data(encodeEpochCertificate(epoch.certificate)),
          shards: genesis.shards,
          overrides: (epoch?.assignment.overrides ?? []).map((entry) => ({ address: data(entry.address), shard: entry.shard })),
          ...(shard === undefined ? {} : { shard }),
        };
      },
    ],
  ];
}
