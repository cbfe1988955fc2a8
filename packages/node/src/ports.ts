/**
 * The narrow waist between the cores and the world. Each port has two implementations, the process driver's and the simulation's, and one
 * compliance suite runs against both. Completions are callbacks, never promises: the simulation delivers them from its event queue, in a
 * deterministic order, and the hot path allocates nothing for them. A callback is never called before the call that took it has returned.
 */
import type { ShardlabError, ShardId, Verdict } from '@shardlab/crosslink';

/** What an asynchronous operation came to. */
export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ShardlabError };

/** Takes the outcome of an operation, exactly once. */
export type Done<T> = (result: Result<T>) => void;

/** Wall or virtual time. Only drivers hold one: cores get `nowMs` in their inputs. */
export interface Clock {
  /** Milliseconds since the Unix epoch, an integer. */
  nowMs(): number;
  /** Runs `task` once after `delayMs`; the returned function cancels it. */
  schedule(delayMs: number, task: () => void): () => void;
}

/** One key and its value. Both belong to the receiver. */
export interface StorageEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Keys from `gte` (inclusive) to `lt` (exclusive) in byte order, cut after `entriesMax` entries or when `bytesMax` bytes are exceeded. */
export interface StorageRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
  readonly entriesMax: number;
  /** Stops after the entry that reaches this many bytes of keys and values. */
  readonly bytesMax: number;
  /** From the end downwards. */
  readonly reverse?: boolean;
}

/** What becomes durable together, or not at all. */
export interface StorageBatch {
  readonly puts: readonly StorageEntry[];
  readonly deletes: readonly Uint8Array[];
}

/** Reads of one consistent state. */
export interface StorageReader {
  get(key: Uint8Array, done: Done<Uint8Array | undefined>): void;
  range(range: StorageRange, done: Done<readonly StorageEntry[]>): void;
}

/** An immutable view of the store at one moment. Release it: it holds disk space. */
export interface StorageSnapshot extends StorageReader {
  release(): void;
}

/** The node's disk: an ordered key-value store with atomic, synced commits (R2). */
export interface Storage extends StorageReader {
  /** Applies `batch` atomically and in call order; `done` is called when it is synced. Errors are final: the node must stop. */
  commit(batch: StorageBatch, done: Done<void>): void;
  snapshot(): StorageSnapshot;
  close(done: Done<void>): void;
}

/** Names one node of the network: `beacon`, `shard-2`, `shard-2.1` (validator 1 of shard 2). */
export interface NodeName {
  /** A shard, or the beacon's chain id. */
  readonly chain: ShardId;
  /** Index in that chain's validator set. */
  readonly validator: number;
}

/** Who sent something: the transport's peer, and which node that peer has proven to be, if it has. */
export interface Sender {
  readonly peer: string;
  readonly node: NodeName | undefined;
}

/** Messages between nodes. Nothing here is delivered for sure, except answers to requests, or their failure. */
export interface Network {
  /** Gossips `data` to all subscribers of `topic` (a short name such as `receipts/3`; the network's id is added inside). */
  publish(topic: string, data: Uint8Array): void;
  /** Sets what judges gossip on `topic`; the verdict decides whether it is passed on and whether the sender's score falls. */
  subscribe(topic: string, judge: (data: Uint8Array, from: Sender, verdict: (verdict: Verdict) => void) => void): void;
  /** Asks one node; fails with `network/unreachable`, `network/timeout` or `network/refused`. */
  request(to: NodeName, body: Uint8Array, timeoutMs: number, done: Done<Uint8Array>): void;
  /** Sets what answers requests; `reply(undefined)` refuses. */
  serve(handler: (body: Uint8Array, from: Sender, reply: (body: Uint8Array | undefined) => void) => void): void;
  /**
   * Lowers the score of a transport peer, or of the node of that name if it is connected; `reason` is a stable metric label. A peer that falls too low is
   * disconnected for a while.
   */
  penalise(peer: string | NodeName, reason: string): void;
  /** Nodes that are connected now and have proven who they are. */
  connected(): readonly NodeName[];
  /** Sets what is told, from now on, when the connection to a node has broken, and when a node of which that was told is connected again. */
  watch(listener: (node: NodeName, connected: boolean) => void): void;
}
