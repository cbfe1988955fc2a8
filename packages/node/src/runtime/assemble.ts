import {
  type Crypto,
  equalBytes,
  type Genesis,
  type Hash32,
  type PairTable,
  type QuorumCertificate,
  type ShardHeader,
  ShardlabError,
  type ShardId,
  BEACON,
  TOPICS,
  toHex,
  TwoPhaseCommit,
} from '@shardlab/crosslink';
import {
  BlockExecutor,
  type BeaconTip,
  type FlatEntry,
  genesisBalance,
  genesisBlock,
  genesisEntries,
  Outbox,
  type OutboxEntry,
  ShardReplica,
  ShardState,
  SoloConsensus,
} from '@shardlab/shard';
import type { ExecuteBlock } from './node-runtime.ts';

/** Who a shard's node is. */
export interface ShardNodeOptions {
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly shard: ShardId;
  readonly validator: number;
  /** 32-byte secret seed of the validator. */
  readonly secretKey: Uint8Array;
}

/** What the database of a shard's node holds; see `recoverShard`. */
export interface RecoveredState {
  readonly head: { readonly header: ShardHeader; readonly hash: Hash32; readonly pairs: PairTable; readonly certificate: QuorumCertificate };
  readonly entries: Iterable<FlatEntry>;
  readonly outbox: readonly { readonly destination: ShardId; readonly entry: OutboxEntry }[];
  readonly epochs: readonly Uint8Array[];
  readonly beaconTip: BeaconTip | undefined;
}

/** The pure parts of one shard's node, put together. */
export interface ShardNode {
  readonly replica: ShardReplica;
  readonly state: ShardState;
  readonly executor: BlockExecutor;
  readonly outbox: Outbox;
  readonly protocol: TwoPhaseCommit;
}

/** Gossip topics of a shard's node. */
export function shardTopics(shard: ShardId): string[] {
  return [TOPICS.headers, TOPICS.beacon, TOPICS.receipts(shard)];
}

/** Gossip topics of the beacon's node. */
export const BEACON_TOPICS: readonly string[] = [TOPICS.headers];

/** The block of height 0 of a shard, and the flat entries of its state. */
export function shardGenesis(crypto: Crypto, genesis: Genesis, shard: ShardId): { readonly block: ReturnType<typeof genesisBlock>; readonly entries: FlatEntry[] } {
  const entries = [...genesisEntries(crypto, genesis, shard)];
  const root = new ShardState(crypto, entries.length).load(entries);
  const { chainId, shards, timestampMs, parameters } = genesis;
  const options = { chainId, shard, shards, timestampMs, gasLimit: parameters.blockGasLimit, baseFeePerGas: parameters.baseFeePerGas };
  return { block: genesisBlock(crypto, options, root, genesisBalance(crypto, genesis, shard)), entries };
}

/**
 * Puts one shard's node together from what its database holds. The state's root is recomputed and must be the head's: throws `storage/damaged` otherwise.
 */
export function assembleShard(options: ShardNodeOptions, crypto: Crypto, recovered: RecoveredState): ShardNode {
  const { genesis, genesisHash, shard, validator, secretKey } = options;
  const { chainId, parameters } = genesis;
  const state = new ShardState(crypto);
  const root = state.load(recovered.entries);
  const { head } = recovered;
  if (!equalBytes(root, head.header.stateRoot)) {
    const message = `the stored state has root ${toHex(root)}, block ${head.header.height} says ${toHex(head.header.stateRoot)}: restore this node's data directory from a copy`;
    throw new ShardlabError('storage/damaged', message);
  }
  const protocol = new TwoPhaseCommit({ ...parameters, shards: genesis.shards });
  for (const { namespace, id, value } of state.allRecords()) protocol.restore(namespace, id, value);
  const executor = new BlockExecutor({ chainId, shard, gasLimit: parameters.blockGasLimit }, { hasher: crypto, state, protocol }, head);
  const outbox = new Outbox();
  for (const { destination, entry } of recovered.outbox) outbox.adopt(destination, entry);
  const consensus = new SoloConsensus({ genesisHash, chain: shard, secretKey }, { crypto });
  const certificate = head.header.height === 0 ? undefined : head.certificate;
  const replica = new ShardReplica(
    { shard, genesis, genesisHash, validator },
    { crypto, consensus, protocol, accounts: state, outbox },
    { head: { ...head, certificate }, beaconTip: recovered.beaconTip, epochs: recovered.epochs },
  );
  return { replica, state, executor, outbox, protocol };
}

/** The Executor port on this thread: `defer` runs a task after the caller has returned. */
export function inlineExecutor(executor: BlockExecutor, defer: (task: () => void) => void, failed: (error: Error) => void): ExecuteBlock {
  return (proposal, assignment, done) => {
    defer(() => {
      let block;
      try {
        block = executor.execute(proposal, assignment);
      } catch (error) {
        failed(error as Error);
        return;
      }
      done(block);
    });
  };
}

/** Where validator `index` of `chain` signs with, per genesis; undefined when there is none. */
export function validatorKey(genesis: Genesis, chain: ShardId, index: number): Uint8Array | undefined {
  return chain === BEACON ? genesis.beaconValidators[index] : genesis.shardValidators[chain]?.[index];
}
