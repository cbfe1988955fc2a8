import {
  type BeaconBlock,
  beaconHash,
  buildCertificate,
  buildBatches,
  type Crosslink,
  crosslinkRoot,
  type Crypto,
  encodeHeader,
  type EpochCertificate,
  epochSubject,
  assignmentHash,
  BEACON,
  type Genesis,
  type Hash32,
  type Height,
  type Outgoing,
  outRoot,
  type PairTable,
  pairRoot,
  type QuorumCertificate,
  type ReceiptBatch,
  type ShardHeader,
  type ShardId,
  voteMessage,
  ZERO_HASH,
} from '@shardlab/crosslink';
import { nextAssignment } from '../../src/beacon/epoch-votes.ts';
import { genesisBlock } from '../../src/execution/block-executor.ts';
import { validatorSecret } from './genesis.ts';

/** A network as test headers need it. */
export interface TestNetwork {
  readonly crypto: Crypto;
  readonly genesis: Genesis;
  readonly hash: Hash32;
}

/** The certificate of the epoch after `previous`, as the beacon of this network would issue it. */
export function epochAfter(network: TestNetwork, previous?: EpochCertificate): EpochCertificate {
  const { crypto, genesis, hash: genesisHash } = network;
  const assignment = nextAssignment(crypto, { genesis, genesisHash }, previous?.assignment);
  const signature = crypto.sign(validatorSecret(crypto, BEACON), voteMessage(epochSubject(crypto, assignment), 0));
  return { assignment, certificate: buildCertificate(crypto.scheme, 0, 1, new Map([[0, signature]])) };
}

/** Certifies a block hash as the one validator of `chain`. */
export function certify(network: TestNetwork, chain: ShardId, candidate: { epoch: number; height: number; hash: Hash32 }): QuorumCertificate {
  const { crypto, hash: genesisHash } = network;
  const { epoch, height, hash: blockHash } = candidate;
  const message = voteMessage({ genesisHash, chain, epoch, height, phase: 'commit', blockHash }, 0);
  return buildCertificate(crypto.scheme, 0, 1, new Map([[0, crypto.sign(validatorSecret(crypto, chain), message)]]));
}

/** A certified header of `shard` with some fields of choice; everything else is that of its genesis block. */
export function certifiedHeader(network: TestNetwork, shard: ShardId, fields: Partial<ShardHeader>, epoch: EpochCertificate): Crosslink {
  const { crypto, genesis } = network;
  const { chainId, shards, timestampMs, parameters } = genesis;
  const options = { chainId, shard, shards, timestampMs, gasLimit: parameters.blockGasLimit, baseFeePerGas: parameters.baseFeePerGas };
  const { header: base } = genesisBlock(crypto, options, ZERO_HASH, 0n);
  const epochFields = { epoch: epoch.assignment.epoch, epochCertificateHash: assignmentHash(crypto, epoch.assignment) };
  const header: ShardHeader = { ...base, ...epochFields, height: 1 as Height, ...fields };
  return { header, certificate: certify(network, shard, { epoch: header.epoch, height: header.height, hash: crypto.sha256(encodeHeader(header)) }) };
}

/** Batches of a certified block of `source` with these messages to `destination`. */
export function testBatches(
  network: TestNetwork,
  source: ShardId,
  destination: ShardId,
  block: { height: number; firstSequence: number; messages: readonly Uint8Array[] },
  epoch: EpochCertificate,
): ReceiptBatch[] {
  const { crypto } = network;
  const outgoing: Outgoing[] = [{ destination, firstSequence: block.firstSequence, messages: block.messages }];
  const { header, certificate } = certifiedHeader(network, source, { height: block.height as Height, outRoot: outRoot(crypto, outgoing) }, epoch);
  return buildBatches(crypto, header, certificate, outgoing, destination);
}

/** A certified header with its pair table: what announcements carry. */
export function testAnnouncement(network: TestNetwork, shard: ShardId, height: number, pairs: PairTable, epoch: EpochCertificate): Crosslink & { pairs: PairTable } {
  return { ...certifiedHeader(network, shard, { height: height as Height, pairRoot: pairRoot(network.crypto, pairs) }, epoch), pairs };
}

/** A certified beacon block on `parent`. */
export function testBeaconBlock(
  network: TestNetwork,
  parent: { height: number; hash: Hash32 } | undefined,
  epoch: EpochCertificate,
  body: { crosslinks?: readonly Crosslink[]; epochCertificate?: EpochCertificate } = {},
): BeaconBlock {
  const { crypto, genesis } = network;
  const { crosslinks = [], epochCertificate } = body;
  const header = {
    chainId: genesis.chainId,
    height: ((parent?.height ?? 0) + 1) as Height,
    parentHash: parent?.hash ?? ZERO_HASH,
    epoch: epoch.assignment.epoch,
    proposer: 0,
    timestampMs: genesis.timestampMs + 1_000 * ((parent?.height ?? 0) + 1),
    crosslinkRoot: crosslinkRoot(crypto, crosslinks),
    epochCertificateHash: assignmentHash(crypto, epoch.assignment),
  };
  const certificate = certify(network, BEACON, { epoch: header.epoch, height: header.height, hash: beaconHash(crypto, header) });
  return { header, certificate, crosslinks, epochCertificate, wallMs: header.timestampMs };
}
