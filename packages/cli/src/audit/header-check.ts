import { checkHeaderCertificate, type Crypto, equalBytes, type Hash32, type QuorumCertificate, type ShardHeader } from '@shardlab/crosslink';
import type { BeaconWalk } from './beacon-walk.ts';
import type { Findings } from './findings.ts';
import type { NetworkGenesis } from './network-genesis.ts';

/** A header whose chain is known up to here. */
export interface KnownHeader {
  readonly header: ShardHeader;
  readonly hash: Hash32;
}

/** What headers are checked with. */
export interface HeaderModules {
  readonly network: NetworkGenesis;
  readonly beacon: BeaconWalk;
  readonly crypto: Crypto;
  readonly findings: Findings;
}

/** EIP-1559's base fee after a block: elasticity 2, change denominator 8. Written from the EIP, not shared with the executor. */
function baseFeeAfter({ gasUsed, gasLimit, baseFeePerGas }: ShardHeader): bigint {
  const target = BigInt(Math.floor(gasLimit / 2));
  const delta = BigInt(gasUsed) - target;
  if (delta === 0n) return baseFeePerGas;
  const change = (baseFeePerGas * (delta < 0n ? -delta : delta)) / target / 8n;
  if (delta < 0n) return baseFeePerGas - change;
  return baseFeePerGas + (change > 0n ? change : 1n);
}

/** Checks a header by itself and against its parent, and its certificate. Returns why it is not certified; undefined = it is. */
export function checkHeader(modules: HeaderModules, parent: KnownHeader, own: KnownHeader, certificate: QuorumCertificate): string | undefined {
  const { network, beacon, crypto, findings } = modules;
  const { header, hash } = own;
  const { shard, height } = header;
  const place = { shard, height, hash };
  if (!equalBytes(header.parentHash, parent.hash)) findings.add('parent-hash', 'the block does not follow its parent', place);
  if (header.timestampMs <= parent.header.timestampMs) findings.add('timestamp', 'the block is not later than its parent', place);
  const fields = wrongField(modules, parent.header, header);
  if (fields !== undefined) findings.add('header-fields', `the header's ${fields} does not follow from its parent`, place);
  const epoch = beacon.epoch(header.epoch);
  const epochGood = epoch !== undefined && equalBytes(epoch.hash, header.epochCertificateHash) && header.epoch >= parent.header.epoch;
  if (!epochGood) findings.add('epoch', `the header names an epoch ${header.epoch} that the beacon has not certified so, or goes back to it`, place);
  const validators = epoch?.assignment.shardValidators[shard] ?? network.genesis.shardValidators[shard]!;
  const reason = checkHeaderCertificate(crypto, network.hash, validators, header, certificate);
  if (reason !== undefined) findings.add('certificate', `the block is not certified: ${reason}`, place);
  return reason;
}

function wrongField({ network, crypto }: HeaderModules, parent: ShardHeader, header: ShardHeader): string | undefined {
  const { blockGasLimit } = network.genesis.parameters;
  if (header.gasLimit !== blockGasLimit || header.gasUsed > header.gasLimit) return 'gas';
  if (header.baseFeePerGas !== baseFeeAfter(parent)) return 'base fee';
  if (!equalBytes(header.prevRandao, crypto.sha256(parent.prevRandao))) return 'prevRandao';
  if (header.totals.logs < parent.totals.logs) return 'number of logs';
  return undefined;
}
