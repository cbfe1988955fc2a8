import {
  type Crypto,
  decodeBeaconHeader,
  decodeEpochCertificate,
  decodeHeader,
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
  ZERO_HASH,
} from '@shardlab/crosslink';
import {
  type AgreedHead,
  BeaconReplica,
  type BeaconStart,
  BlockExecutor,
  type ExecutionCrypto,
  type BeaconTip,
  Epochs,
  EpochVotes,
  type FlatEntry,
  genesisBalance,
  genesisBlock,
  genesisEntries,
  Outbox,
  type OutboxEntry,
  Pbft,
  type PbftStart,
  ShardReplica,
  ShardState,
  WINDOW,
} from '@shardlab/shard';

/** Who a shard's node is. */
export interface ShardNodeOptions {
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly shard: ShardId;
  readonly validator: number;
  /** 32-byte secret seed of the validator. */
  readonly secretKey: Uint8Array;
  /** A random u32 for the state's hash tables, so that nobody can choose keys that collide in them; it changes no result. 0 by default, as in simulations. */
  readonly hashSeed?: number;
}

/** What the database of a shard's node holds; see `recoverShard`. */
export interface RecoveredState {
  readonly head: { readonly header: ShardHeader; readonly hash: Hash32; readonly pairs: PairTable; readonly certificate: QuorumCertificate };
  readonly entries: Iterable<FlatEntry>;
  readonly outbox: readonly { readonly destination: ShardId; readonly entry: OutboxEntry }[];
  readonly epochs: readonly Uint8Array[];
  readonly beaconTip: BeaconTip | undefined;
  readonly votes: Omit<PbftStart, 'head'>;
}

/** What the database of a beacon's node holds; see `recoverBeacon`. */
export interface RecoveredBeaconState extends BeaconStart {
  readonly epochs: readonly Uint8Array[];
  readonly votes: Omit<PbftStart, 'head'>;
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
  return [TOPICS.headers, TOPICS.beacon, TOPICS.receipts(shard), TOPICS.consensus(shard), TOPICS.transactions(shard)];
}

/** Gossip topics of the beacon's node. */
export const BEACON_TOPICS: readonly string[] = [TOPICS.crosslinks, TOPICS.beacon, TOPICS.consensus(BEACON)];

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
export function assembleShard(options: ShardNodeOptions, crypto: Crypto & ExecutionCrypto, recovered: RecoveredState): ShardNode {
  const { genesis, genesisHash, shard, validator, secretKey } = options;
  const { chainId, parameters } = genesis;
  const state = new ShardState(crypto, undefined, options.hashSeed);
  const root = state.load(recovered.entries);
  const { head } = recovered;
  if (!equalBytes(root, head.header.stateRoot)) {
    const message = `the stored state has root ${toHex(root)}, block ${head.header.height} says ${toHex(head.header.stateRoot)}: restore this node's data directory from a copy`;
    throw new ShardlabError('storage/damaged', message);
  }
  const protocol = new TwoPhaseCommit({ ...parameters, shards: genesis.shards });
  for (const { namespace, id, value } of state.protocolRecords()) protocol.restore(namespace, id, value);
  const executor = new BlockExecutor(
    { chainId, shard, gasLimit: parameters.blockGasLimit, fork: genesis.forks, feePolicy: genesis.feePolicy, ...(options.hashSeed === undefined ? {} : { hashSeed: options.hashSeed }) },
    { crypto, state, protocol },
    head,
  );
  const outbox = new Outbox();
  for (const { destination, entry } of recovered.outbox) outbox.adopt(destination, entry);
  const epochs = new Epochs(crypto, genesisHash, genesis.beaconValidators);
  epochs.restore(recovered.epochs.map(decodeEpochCertificate));
  const certificate = head.header.height === 0 ? undefined : head.certificate;
  const size = genesis.shardValidators[shard]!.length;
  const agreed: AgreedHead = { epoch: head.header.epoch, height: head.header.height, hash: head.hash, certificate };
  const consensus = new Pbft(
    { genesisHash, chain: shard, validator, size, secretKey, window: WINDOW },
    { crypto, validators: (epoch) => epochs.validators(shard, epoch), readHeader: decodeHeader },
    { ...recovered.votes, head: agreed },
  );
  const replica = new ShardReplica(
    { shard, genesis, genesisHash, validator },
    { crypto, consensus, protocol, accounts: state, outbox, epochs },
    { head: { ...head, certificate }, beaconTip: recovered.beaconTip },
  );
  return { replica, state, executor, outbox, protocol };
}

/** Puts one beacon validator together from what its database holds. */
export function assembleBeacon(options: Omit<ShardNodeOptions, 'shard'>, crypto: Crypto, recovered: RecoveredBeaconState): BeaconReplica {
  const { genesis, genesisHash, validator, secretKey } = options;
  const epochs = new Epochs(crypto, genesisHash, genesis.beaconValidators);
  epochs.restore(recovered.epochs.map(decodeEpochCertificate));
  const epochVotes = new EpochVotes({ genesis, genesisHash, secretKey }, { crypto, epochs });
  const { tip } = recovered;
  const head: AgreedHead = tip ?? { epoch: 0, height: 0, hash: ZERO_HASH, certificate: undefined };
  const size = genesis.beaconValidators.length;
  const consensus = new Pbft(
    { genesisHash, chain: BEACON, validator, size, secretKey, window: 1 },
    { crypto, validators: () => genesis.beaconValidators, readHeader: decodeBeaconHeader, extension: epochVotes },
    { ...recovered.votes, head },
  );
  return new BeaconReplica({ genesis, genesisHash, validator }, { crypto, consensus, epochs, epochVotes }, recovered);
}

/** Where validator `index` of `chain` signs with, per genesis; undefined when there is none. */
export function validatorKey(genesis: Genesis, chain: ShardId, index: number): Uint8Array | undefined {
  return chain === BEACON ? genesis.beaconValidators[index] : genesis.shardValidators[chain]?.[index];
}
