import type { Address, Crypto, Genesis, Hash32, QuorumCertificate, ShardHeader, WireRequest } from '@shardlab/crosslink';
import type { BlockExecutor, ConsensusStatus, EvmCrypto, KnownEpoch, PoolTransaction, ProvenKey, RecoveryPrimitives, ShardState, SubmitResult } from '@shardlab/shard';
import type { Clock, Done, NodeName } from '../ports.ts';
import type { ChainReader } from '../storage/chain-store-reader.ts';
import type { PackedAllocation } from './packed-allocation.ts';
import type { FaultSetter } from '../network/shim/control.ts';
import type { PinnedStates } from '../storage/chain-store-pins.ts';

/** What a node says of itself: an entry of `shard_status`. Numbers are as of the call; hashes are `0x` hex. */
export interface NodeStatus {
  readonly id: string;
  readonly role: 'beacon' | 'shard';
  /** null for the beacon. */
  readonly shard: number | null;
  /** Of the last final block of the node's own chain; 0 before the first. */
  readonly height: number;
  readonly blockHash: string;
  /** null for the beacon, which has no state. */
  readonly stateRoot: string | null;
  /** Header time of that block, Unix milliseconds. */
  readonly timestampMs: number;
  readonly epoch: number;
  /** Nodes that are connected and have proven who they are. */
  readonly peers: number;
  readonly healthy: boolean;
  /** Why not, in one line. */
  readonly reason?: string;
  readonly rpcUrl: string;
  readonly pid: number;
  readonly mempool: { readonly pending: number; readonly capacity: number };
  readonly outbox: { readonly messages: number };
  readonly receiptBatches: { readonly gossip: number; readonly pull: number };
  readonly crossShard: { readonly coordinating: number; readonly participating: number; readonly locksHeld: number };
  readonly inbox: { readonly waiting: number };
  /** Which libraries do the heavy work. */
  readonly library: { readonly secp256k1: string; readonly hashPairs: string; readonly keccak256: string };
  readonly residentBytes: number;
  /** How agreement stands; absent where one validator decides alone. */
  readonly consensus?: ConsensusStatus;
}

/** An account's basic data with its proof, all of one final block. */
export interface AccountProof {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly certificate: QuorumCertificate;
  /** The leaf's key, 32 bytes. */
  readonly key: Uint8Array;
  /** See crosslink's `verifyStateProof`. */
  readonly proof: Uint8Array;
  /** The slots that were asked for, in order, in the same state. */
  readonly slots: readonly ProvenKey[];
}

/** The state in memory, and which blocks it is ahead of what is final. */
export interface ExecutedState {
  readonly state: ShardState;
  readonly executor: Pick<BlockExecutor, 'head' | 'recent'>;
}

/** What RPC needs of a shard's replica. */
export interface ShardHandle {
  /** For reading only, and only synchronously. */
  readonly executed: ExecutedState;
  /** The sender's next nonce with what is pooled for it, without gaps; `senderKey` is `bytesKey` of the address. */
  pendingNonce(senderKey: string): number;
  /** The pooled transaction under the `bytesKey` of its hash. */
  pooled(hashKey: string): PoolTransaction | undefined;
  /**
   * Proves an account, and slots of it (0 to 2^256 - 1), against the last final block. The trie may be a block ahead while one is executed or stored: the implementation then waits for it.
   * Fails with `rpc/busy` when too many wait.
   */
  prove(address: Address, slots: readonly bigint[], done: Done<AccountProof>): void;
  /** Offers transactions to this shard's pool; one result for each, in order. Not called again if the node stops first. */
  submit(raws: readonly Uint8Array[], done: (results: readonly SubmitResult[]) => void): void;
}

/** What RPC needs of the node that it answers for. The composition root implements it. */
export interface NodeHandle {
  /** `beacon`, `shard-2`, `shard-2.1`. */
  readonly id: string;
  readonly name: NodeName;
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  /** The genesis' accounts; `genesis` itself may come without them. */
  readonly allocation: PackedAllocation;
  readonly crypto: Crypto & RecoveryPrimitives & EvmCrypto;
  readonly clock: Clock;
  /** Answer of `web3_clientVersion`: `Shardlab/v0.1.0/linux-x64/node24.21.0`. */
  readonly clientVersion: string;
  /** What is final and stored on this node. */
  readonly chain: ChainReader;
  /** Pinned heights of the node's own shard; undefined on a beacon. */
  readonly pins: PinnedStates | undefined;
  /** Undefined on a beacon. */
  readonly shard: ShardHandle | undefined;
  /** The latest certified assignment; undefined until the beacon's first block has been followed. */
  assignment(): KnownEpoch | undefined;
  status(): NodeStatus;
  /** Sets faults between nodes for those who hold the cluster's control token; absent where there is none. */
  readonly faults?: FaultSetter | undefined;
  /** Nodes that are connected and have proven who they are, in no order. */
  connected(): readonly NodeName[];
  /**
   * Asks another node; the answer's items. Fails with `network/unreachable`, `network/timeout`, `network/refused`, or a `decode/…` code for an answer
   * that is none.
   */
  ask(to: NodeName, request: WireRequest, timeoutMs: number, done: Done<readonly Uint8Array[]>): void;
}
