import type { Crypto, CrossShardProtocol, Genesis, Hash32, PairTable, QuorumCertificate, ShardHeader, ShardId } from '@shardlab/crosslink';
import type { BeaconTip } from '../beacon/follower.ts';
import type { Consensus } from '../consensus/types.ts';
import type { Epochs } from '../exchange/epochs.ts';
import type { Outbox } from '../exchange/outbox.ts';
import type { AccountReader } from '../state/shard-state.ts';

/** A final block, as the replica keeps it. */
export interface FinalHead {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly pairs: PairTable;
  /** Undefined for genesis alone. */
  readonly certificate: QuorumCertificate | undefined;
}

/** What a replica is for. */
export interface ReplicaOptions {
  readonly shard: ShardId;
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  /** Index in the shard's committee. */
  readonly validator: number;
}

/** What a replica works with. All of them are changed only by the replica's own steps and effects. */
export interface ReplicaModules {
  readonly crypto: Crypto;
  readonly consensus: Consensus;
  readonly protocol: CrossShardProtocol;
  /** The state of the last executed block, for admission. */
  readonly accounts: AccountReader;
  readonly outbox: Outbox;
  /** What the beacon has certified, as far as this node knows. */
  readonly epochs: Epochs;
}

/** What the database gave back; everything of a fresh node but the head is empty. */
export interface ReplicaStart {
  readonly head: FinalHead;
  readonly beaconTip: BeaconTip | undefined;
}

/** Counters that only grow, for status and metrics. */
export interface ReplicaCounters {
  batchesGossip: number;
  batchesPull: number;
  /** Messages of peers that were refused, by reason. */
  readonly refused: Map<string, number>;
  /** Transactions that were not admitted, or dropped later, by code. */
  readonly rejected: Map<string, number>;
  admitted: number;
}

/** Adds one under `key`. */
export function increment(counter: Map<string, number>, key: string): void {
  counter.set(key, (counter.get(key) ?? 0) + 1);
}
