import {
  assignmentHash,
  type BeaconBlock,
  beaconHash,
  bytesKey,
  checkBeaconBlock,
  checkEpochCertificate,
  type Crypto,
  encodeHeader,
  type EpochAssignment,
  equalBytes,
  type Genesis,
  type Hash32,
} from '@shardlab/crosslink';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/** Blocks of one shard that may wait for a crosslink, and beacon blocks that followers may be behind by. */
const WAITING_MAX = 65_536;

/**
 * The beacon's blocks chain, are certified, and crosslink exactly the blocks that shards have stored, in order and without a gap; epochs chain; and whoever follows
 * the beacon has the same blocks. Memory: hashes of shard blocks that wait for a crosslink, and of beacon blocks.
 */
export class BeaconChecker implements BlockChecker {
  /** Shard blocks that were crosslinked. */
  crosslinked = 0;
  private readonly genesis: Genesis;
  private readonly genesisHash: Hash32;
  private readonly crypto: Crypto;
  private readonly violations: Violations;
  private readonly waiting = new Map<number, Map<number, string>>();
  private readonly linked = new Map<number, number>();
  private readonly blocks = new Map<number, string>();
  private readonly followed = new Map<string, number>();
  private tip: { readonly hash: Hash32; readonly height: number; readonly timestampMs: number } | undefined;
  private epoch: EpochAssignment | undefined;

  constructor(options: { readonly genesis: Genesis; readonly genesisHash: Hash32 }, modules: { readonly crypto: Crypto; readonly violations: Violations }) {
    this.genesis = options.genesis;
    this.genesisHash = options.genesisHash;
    this.crypto = modules.crypto;
    this.violations = modules.violations;
  }

  /** Height of the last beacon block seen; 0 before the first. */
  get height(): number {
    return this.tip?.height ?? 0;
  }

  /** The last epoch that the beacon has certified; undefined before its first block. */
  get epochNumber(): number | undefined {
    return this.epoch?.epoch;
  }

  /** Last height of a shard that a beacon block names. */
  crosslinkedHeight(shard: number): number {
    return this.linked.get(shard) ?? 0;
  }

  /** A shard's block became durable, and may be crosslinked from now on. */
  block({ block }: ShardBlockRecord): void {
    const { shard, height } = block.header;
    let heights = this.waiting.get(shard);
    if (heights === undefined) this.waiting.set(shard, (heights = new Map()));
    heights.set(height, bytesKey(block.hash));
    if (heights.size > WAITING_MAX) heights.delete(heights.keys().next().value!);
  }

  /** The beacon has stored a block. */
  own(block: BeaconBlock, hash: Hash32): void {
    const { header, epochCertificate } = block;
    const { genesis } = this;
    if (header.height !== this.height + 1) this.fail(block, `follows height ${this.height}`);
    if (this.tip !== undefined && !equalBytes(header.parentHash, this.tip.hash)) this.fail(block, 'does not name its parent');
    if (header.timestampMs <= (this.tip?.timestampMs ?? genesis.timestampMs)) this.fail(block, 'is not later than its parent');
    if (!equalBytes(hash, beaconHash(this.crypto, header))) this.fail(block, 'does not have the hash that it is stored under');
    const wrong = checkBeaconBlock(this.crypto, this.genesisHash, genesis.beaconValidators, block);
    if (wrong !== undefined) this.fail(block, wrong);
    // The first block brings its own epoch; every later one still belongs to the epoch before the one that it brings.
    const before = this.epoch;
    if (epochCertificate !== undefined) {
      const bad = checkEpochCertificate(this.crypto, this.genesisHash, genesis.beaconValidators, before, epochCertificate);
      if (bad !== undefined) this.fail(block, bad);
      this.epoch = epochCertificate.assignment;
    }
    const current = before ?? this.epoch;
    const named = current !== undefined && header.epoch === current.epoch && equalBytes(header.epochCertificateHash, assignmentHash(this.crypto, current));
    if (!named) this.fail(block, 'names another epoch than the one that is on');
    this.crosslinks(block);
    this.tip = { hash, height: header.height, timestampMs: header.timestampMs };
    this.blocks.set(header.height, bytesKey(hash));
    this.blocks.delete(header.height - WAITING_MAX);
  }

  /** Another node has stored a block of the beacon. */
  follower(node: string, block: BeaconBlock, hash: Hash32): void {
    const { height } = block.header;
    const last = this.followed.get(node) ?? 0;
    if (height !== last + 1) this.fail(block, `was stored by ${node} after height ${last}`);
    if (this.blocks.get(height) !== bytesKey(hash)) this.fail(block, `as ${node} stored it is not the beacon's`);
    this.followed.set(node, height);
  }

  atRest(): void {
    // Crosslinks may trail behind at any time: what rests is judged by `crosslinkedHeight`.
  }

  private crosslinks(block: BeaconBlock): void {
    let last = -1;
    for (const { header } of block.crosslinks) {
      const { shard, height } = header;
      if (shard < last) this.fail(block, 'has crosslinks out of order');
      last = shard;
      if (height !== this.crosslinkedHeight(shard) + 1) this.fail(block, `crosslinks height ${height} of shard ${shard} after ${this.crosslinkedHeight(shard)}`);
      const hash = bytesKey(this.crypto.sha256(encodeHeader(header)));
      if (this.waiting.get(shard)?.get(height) !== hash) this.fail(block, `crosslinks a block ${height} of shard ${shard} that is not stored there`);
      this.waiting.get(shard)?.delete(height);
      this.linked.set(shard, height);
      this.crosslinked++;
    }
  }

  private fail(block: BeaconBlock, what: string): void {
    this.violations.add('beacon', `block ${block.header.height} ${what}`);
  }
}
