import { BEACON, type Genesis, quorumSize, toHex, ZERO_HASH } from '@shardlab/crosslink';
import type { BeaconReplica, ConsensusStatus } from '@shardlab/shard';
import type { CryptoNames } from '../crypto/types.ts';
import { nodeLabel } from '../network/names.ts';
import type { Network, NodeName } from '../ports.ts';
import type { NodeStatus } from '../rpc/node-handle.ts';
import type { ShardNode } from '../runtime/assemble.ts';
import type { ChainReader } from '../storage/chain-store-reader.ts';

/** Heartbeats that a chain may miss before its node calls itself unhealthy. */
const SILENT_HEARTBEATS = 10;

/** What a status is read from. */
export interface StatusSources {
  readonly name: NodeName;
  readonly genesis: Genesis;
  readonly chain: ChainReader;
  readonly network: Network;
  readonly crypto: CryptoNames;
  readonly recoveryLibrary: () => string;
  readonly rpcUrl: () => string;
  readonly nowMs: () => number;
  readonly shard: ShardNode | undefined;
  readonly beacon: BeaconReplica | undefined;
}

/** Where more than one validator decides: how agreement stands. */
function consensusOf({ name, genesis, shard, beacon }: StatusSources): ConsensusStatus | undefined {
  if (committeeSize(name, genesis) === 1) return undefined;
  return shard?.replica.consensus ?? beacon?.consensusStatus;
}

function committeeSize(name: NodeName, genesis: Genesis): number {
  return (name.chain === BEACON ? genesis.beaconValidators : genesis.shardValidators[name.chain]!).length;
}

/** How far agreement has come on the block that is due, for people. */
function standing({ view, active, leader, voted, quorum }: ConsensusStatus): string {
  const who = voted.length === 0 ? '' : ` (${[...voted].sort((a, b) => a - b).join(', ')})`;
  const what = active ? `votes for the next block in view ${view}, whose leader is validator ${leader}` : `validators ask for view ${view}`;
  return `${voted.length}${who} of ${quorum} ${what}`;
}

/** Why this node is of no use now, if so. */
function ailment(sources: StatusSources, timestampMs: number, assigned: boolean): string | undefined {
  const { name, genesis, network } = sources;
  const size = committeeSize(name, genesis);
  const here = 1 + network.connected().filter((node) => node.chain === name.chain).length;
  // Said at once, and before all else: nothing that this chain should do can happen.
  if (here < quorumSize(size)) return `no quorum: ${here} of ${size} validators are connected here, agreement takes ${quorumSize(size)}`;
  if (!assigned) return 'no assignment certificate from the beacon yet: is the beacon up?';
  const silentMs = sources.nowMs() - timestampMs;
  const { heartbeatMs } = genesis.parameters;
  if (silentMs <= SILENT_HEARTBEATS * heartbeatMs) return undefined;
  const consensus = consensusOf(sources);
  return `no block for ${Math.round(silentMs / 1000)} s, one every ${heartbeatMs} ms is due${consensus === undefined ? '' : `: ${standing(consensus)}`}`;
}

/** The node's answer to `shard_status`, as of now. */
export function nodeStatus(sources: StatusSources): NodeStatus {
  const { name, chain, shard, beacon } = sources;
  const isBeacon = name.chain === BEACON;
  const head = isBeacon ? undefined : chain.head;
  const timestampMs = (isBeacon ? chain.beaconHead?.timestampMs : head?.header.timestampMs) ?? 0;
  const epoch = shard?.replica.epoch ?? beacon?.epochs.latest;
  const consensus = consensusOf(sources);
  const reason = ailment(sources, timestampMs, epoch !== undefined);
  const protocol = shard?.protocol.counts();
  const counters = shard?.replica.counters;
  return {
    id: nodeLabel(name),
    role: isBeacon ? 'beacon' : 'shard',
    shard: isBeacon ? null : name.chain,
    height: (isBeacon ? chain.beaconHead?.height : head?.header.height) ?? 0,
    blockHash: toHex((isBeacon ? chain.beaconHead?.hash : head?.hash) ?? ZERO_HASH),
    stateRoot: head === undefined ? null : toHex(head.header.stateRoot),
    timestampMs,
    epoch: epoch?.assignment.epoch ?? 0,
    peers: sources.network.connected().length,
    healthy: reason === undefined,
    ...(reason === undefined ? {} : { reason }),
    rpcUrl: sources.rpcUrl(),
    pid: process.pid,
    mempool: { pending: shard?.replica.mempool.size ?? 0, capacity: shard?.replica.mempool.capacity ?? 0 },
    outbox: { messages: shard?.outbox.size ?? 0 },
    receiptBatches: { gossip: counters?.batchesGossip ?? 0, pull: counters?.batchesPull ?? 0 },
    crossShard: { coordinating: protocol?.coordinating ?? 0, participating: protocol?.participating ?? 0, locksHeld: protocol?.locksHeld ?? 0 },
    inbox: { waiting: shard?.replica.inbox.size ?? 0 },
    library: { secp256k1: sources.recoveryLibrary(), hashPairs: sources.crypto.hashPairs, keccak256: sources.crypto.keccak256 },
    residentBytes: process.memoryUsage.rss(),
    ...(consensus === undefined ? {} : { consensus }),
  };
}
