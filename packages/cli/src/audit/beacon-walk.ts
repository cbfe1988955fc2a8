import { setTimeout as sleep } from 'node:timers/promises';
import {
  assignmentHash,
  type BeaconBlock,
  beaconHash,
  checkBeaconBlock,
  checkEpochCertificate,
  checkHeaderCertificate,
  type Crosslink,
  type Crypto,
  decodeBeaconBlock,
  DecodeError,
  type EpochAssignment,
  equalBytes,
  type Hash32,
  headerHash,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { Findings } from './findings.ts';
import type { NetworkGenesis } from './network-genesis.ts';
import type { Source } from './source.ts';

/** How often, in one audit, and how long it is waited for a beacon block with an epoch that a shard has used already. */
const WAITS_MAX = 10;
const WAIT_MS = 200;

/** One epoch that the beacon certified. */
export interface AuditedEpoch {
  readonly assignment: EpochAssignment;
  readonly hash: Hash32;
}

/**
 * The beacon chain, downloaded and verified from the genesis validators on: the epochs with their committees, and which shard blocks it crosslinks. Every
 * node serves it, so it can be audited while the beacon itself is down.
 */
export class BeaconWalk {
  private readonly network: NetworkGenesis;
  private readonly source: Source;
  private readonly crypto: Crypto;
  private readonly findings: Findings;
  private readonly epochs: AuditedEpoch[] = [];
  /** By shard, the hash of each crosslinked block, from height 1 on. */
  private readonly crosslinks: Hash32[][];
  private parent: { readonly height: number; readonly hash: Hash32; readonly timestampMs: number };
  private broken = false;
  private waitsLeft = WAITS_MAX;

  constructor(network: NetworkGenesis, modules: { readonly source: Source; readonly crypto: Crypto; readonly findings: Findings }) {
    this.network = network;
    this.source = modules.source;
    this.crypto = modules.crypto;
    this.findings = modules.findings;
    this.crosslinks = network.starts.map(() => []);
    this.parent = { height: 0, hash: ZERO_HASH, timestampMs: network.genesis.timestampMs };
  }

  /** Beacon blocks verified so far. */
  get height(): number {
    return this.parent.height;
  }

  /** The epoch of that number, once verified. */
  epoch(number: number): AuditedEpoch | undefined {
    return this.epochs[number];
  }

  /** Hash of the shard's block that the beacon recorded at `height`; undefined where it has not come so far. */
  crosslinked(shard: number, height: number): Hash32 | undefined {
    return this.crosslinks[shard]?.[height - 1];
  }

  /** Downloads and verifies what the beacon chain has grown by. */
  async advance(): Promise<void> {
    while (!this.broken) {
      this.source.checkCancelled();
      const blocks = await this.source.beaconBlocks(this.parent.height + 1);
      if (blocks.length === 0) return;
      for (const data of blocks) if (!this.broken) this.take(data);
    }
  }

  /** Advances until `epoch` is known, or no beacon block comes that brings it: the node that is asked may be a little behind the shard that uses it. */
  async seek(epoch: number): Promise<void> {
    while (this.epochs[epoch] === undefined && this.waitsLeft > 0 && !this.broken) {
      await this.advance();
      if (this.epochs[epoch] !== undefined) return;
      this.waitsLeft--;
      await sleep(WAIT_MS);
    }
  }

  private wrong(height: number, message: string, hash?: Hash32): void {
    this.findings.add('beacon-block', `beacon block ${height}: ${message}`, { height, ...(hash === undefined ? {} : { hash }) });
  }

  private take(data: Uint8Array): void {
    const height = this.parent.height + 1;
    let block: BeaconBlock;
    try {
      block = decodeBeaconBlock(data);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      // What comes after can not be told from what does not belong here.
      this.broken = true;
      this.wrong(height, `not a beacon block (${error.code})`);
      return;
    }
    this.check(block, height);
  }

  private check(block: BeaconBlock, height: number): void {
    const { header } = block;
    const hash = beaconHash(this.crypto, header);
    if (header.height !== height || header.chainId !== this.network.genesis.chainId) {
      this.broken = true;
      this.wrong(height, `says that it is block ${header.height} of chain ${header.chainId}`, hash);
      return;
    }
    if (!equalBytes(header.parentHash, this.parent.hash)) this.wrong(height, 'does not follow its parent', hash);
    if (header.timestampMs <= this.parent.timestampMs) this.wrong(height, 'is not later than its parent', hash);
    this.takeEpoch(block, height, hash);
    const epoch = this.epochs[header.epoch];
    if (epoch === undefined || !equalBytes(epoch.hash, header.epochCertificateHash)) this.wrong(height, `names an epoch ${header.epoch} that is not certified`, hash);
    const validators = epoch?.assignment.beaconValidators ?? this.network.genesis.beaconValidators;
    const reason = checkBeaconBlock(this.crypto, this.network.hash, validators, block);
    if (reason !== undefined) this.wrong(height, reason, hash);
    for (const crosslink of block.crosslinks) this.takeCrosslink(crosslink, height);
    this.parent = { height, hash, timestampMs: header.timestampMs };
  }

  /** An epoch's certificate stands in the block before it holds, that of epoch 0 in block 1. */
  private takeEpoch(block: BeaconBlock, height: number, hash: Hash32): void {
    const certificate = block.epochCertificate;
    if (certificate === undefined) return;
    const reason = checkEpochCertificate(this.crypto, this.network.hash, this.network.genesis.beaconValidators, this.epochs.at(-1)?.assignment, certificate);
    if (reason === undefined) this.epochs.push({ assignment: certificate.assignment, hash: assignmentHash(this.crypto, certificate.assignment) });
    else this.wrong(height, reason, hash);
  }

  private takeCrosslink({ header, certificate }: Crosslink, beaconHeight: number): void {
    const { shard, height } = header;
    const known = this.crosslinks[shard];
    const hash = headerHash(this.crypto, header);
    const place = { shard, height, hash };
    if (known === undefined || height !== known.length + 1) {
      this.findings.add('crosslink', `beacon block ${beaconHeight} records height ${height} of shard ${shard} out of turn`, place);
      return;
    }
    const validators = this.epochs[header.epoch]?.assignment.shardValidators[shard] ?? [];
    const reason = checkHeaderCertificate(this.crypto, this.network.hash, validators, header, certificate);
    if (reason !== undefined) this.findings.add('crosslink', `beacon block ${beaconHeight} records an uncertified header: ${reason}`, place);
    known.push(hash);
  }
}
