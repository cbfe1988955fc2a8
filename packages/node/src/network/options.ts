import type { Crypto, Hash32 } from '@shardlab/crosslink';

import type { Clock, NodeName } from '../ports.ts';
import type { NetworkLog, NetworkMetrics } from './metrics.ts';
import type { PeerLabels, Streams } from './streams.ts';

/** Every bound and time of the host. */
export interface NetworkLimits {
  /** Open connections, proven or not. The mesh is full, so this bounds the number of nodes. */
  readonly connectionsMax: number;
  /** A published or received gossip message. */
  readonly gossipBytesMax: number;
  /** Gossip messages that await a verdict; more are ignored and counted. */
  readonly gossipWaitingMax: number;
  /** Their bytes together. */
  readonly gossipWaitingBytesMax: number;
  /** A verdict that has not come after this time counts as ignore. */
  readonly verdictTimeoutMs: number;
  /** Gossip queued for one slow peer; more is not sent to it. */
  readonly gossipQueueBytesMax: number;
  /** Messages queued for one slow node of the own committee; more is not sent to it. */
  readonly linkQueueBytesMax: number;
  /** gossipsub's mesh maintenance. */
  readonly heartbeatMs: number;
  /** Body of a request. */
  readonly requestBytesMax: number;
  /** Body of an answer. */
  readonly answerBytesMax: number;
  /** Requests of one peer that are open here, and ours at one peer. */
  readonly requestsPerPeerMax: number;
  /** Requests of all peers that are open here, and ours at all peers. */
  readonly requestsMax: number;
  /** Bodies of all peers' requests together, while they are read and answered. */
  readonly requestsBytesMax: number;
  /** From the start of an incoming request to the end of its answer. */
  readonly serveTimeoutMs: number;
  /** A connection whose peer has not proven a name by then is dropped. */
  readonly helloTimeoutMs: number;
  /** One dial, and one negotiation of a stream. */
  readonly dialTimeoutMs: number;
  /** First delay before a node is dialled again; it doubles up to {@link redialMaxMs}. */
  readonly redialMs: number;
  readonly redialMaxMs: number;
  /** How much longer the higher of two nodes waits before it dials the lower: else both would dial at once. */
  readonly dialYieldMs: number;
  /** Peer records kept. */
  readonly recordsMax: number;
  /** Changes of the records are persisted at most this often. */
  readonly recordsDelayMs: number;
  /** What one penalty takes from a score; scores start at 0. */
  readonly penalty: number;
  /** At or below this score a peer is disconnected and blocked. */
  readonly banScore: number;
  /** How long it is blocked. */
  readonly banMs: number;
  /** Time in which a score moves half way back to 0. */
  readonly scoreHalfLifeMs: number;
  /**
   * Ping of each connection, which finds peers that died without a word. Rare: a ping is a stream of its own, whose negotiation costs more than twenty votes, and a node
   * that comes back is let in at once, whatever is left of its old connection.
   */
  readonly pingMs: number;
  /** The least time that a ping has; at most it is three times as long. */
  readonly pingTimeoutMs: number;
}

/** What a testbed of 2 to 100 nodes on one machine or a few wants. */
export const DEFAULT_NETWORK_LIMITS: NetworkLimits = {
  connectionsMax: 256,
  gossipBytesMax: 1 << 20,
  gossipWaitingMax: 4096,
  gossipWaitingBytesMax: 64 << 20,
  verdictTimeoutMs: 5_000,
  gossipQueueBytesMax: 32 << 20,
  linkQueueBytesMax: 16 << 20,
  heartbeatMs: 1_000,
  requestBytesMax: 4 << 20,
  answerBytesMax: 8 << 20,
  requestsPerPeerMax: 32,
  requestsMax: 512,
  requestsBytesMax: 64 << 20,
  serveTimeoutMs: 30_000,
  helloTimeoutMs: 10_000,
  dialTimeoutMs: 5_000,
  redialMs: 200,
  redialMaxMs: 8_000,
  dialYieldMs: 2_000,
  recordsMax: 2_048,
  recordsDelayMs: 250,
  penalty: 10,
  banScore: -100,
  banMs: 60_000,
  scoreHalfLifeMs: 60_000,
  pingMs: 60_000,
  pingTimeoutMs: 10_000,
};

/** Who this node is and whom it knows. */
export interface NetworkOptions {
  /** 32-byte seed of the ed25519 key of the transport; apart from the validator's, which only vouches for it. */
  readonly transportSeed: Uint8Array;
  /** Multiaddrs to listen on, such as `/ip4/127.0.0.1/tcp/0`. */
  readonly listen: readonly string[];
  /** Multiaddrs to tell others, such as `/dns4/beacon/tcp/9000`; empty: those that are listened on. */
  readonly announce: readonly string[];
  /** Names the network (R4). */
  readonly genesisHash: Hash32;
  /** This node's name. */
  readonly node: NodeName;
  /** 32-byte secret seed of this node's validator key. */
  readonly validatorSecret: Uint8Array;
  /** The 32-byte public key of a validator in genesis; `undefined` when there is none of that name. */
  readonly validatorKey: (node: NodeName) => Uint8Array | undefined;
  /** Number of nodes of the network, for the mesh's degree. */
  readonly nodes: number;
  /** Multiaddrs dialled without a record, such as the beacon's; `/p2p/…` may be missing. */
  readonly bootstrap: readonly string[];
  /** What `onRecords` was given last in this data directory, if ever. */
  readonly records?: Uint8Array;
  /** Takes the peer records to persist; what fails there is the caller's. */
  readonly onRecords: (encoded: Uint8Array) => void;
  /** Overrides of {@link DEFAULT_NETWORK_LIMITS}. */
  readonly limits?: Partial<NetworkLimits>;
}

/** What the host is built on. */
export interface NetworkModules {
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly log: NetworkLog;
  readonly metrics: NetworkMetrics;
  /** The place for faults: gets the streams through which all bytes to and from nodes pass, gives back what is used in their stead. */
  readonly wrapStreams?: (streams: Streams, labels: PeerLabels) => Streams;
}
