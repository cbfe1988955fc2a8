import {
  assignmentHash,
  beaconHash,
  type BeaconBlock,
  bytesKey,
  checkBeaconBlock,
  type Crypto,
  encodeHeader,
  equalBytes,
  type Hash32,
  ignore,
  reject,
  type Verdict,
} from '@shardlab/crosslink';
import type { Epochs } from '../exchange/epochs.ts';
import type { HeaderCheck } from '../exchange/header-check.ts';
import { beginsEpoch } from './epoch-schedule.ts';

/** The beacon chain's tip as one node has verified it. */
export interface BeaconTip {
  readonly height: number;
  readonly hash: Hash32;
}

/** What a follower knows from the genesis. */
export interface FollowerOptions {
  readonly genesisHash: Hash32;
  readonly chainId: number;
  readonly genesisValidators: readonly Uint8Array[];
  /** Beacon blocks in one epoch. */
  readonly epochLength: number;
}

/** What a follower checks with. */
export interface FollowerModules {
  readonly crypto: Crypto;
  readonly epochs: Epochs;
  readonly headers: HeaderCheck;
}

/** What became of a block: `taken` = it is the next one, verified, and the tip now. */
export type FollowerOutcome = { readonly kind: 'taken'; readonly hash: Hash32 } | { readonly kind: 'refused'; readonly verdict: Verdict };

/**
 * Follows the beacon chain: takes blocks in order, verified, and adopts the epochs that they bring. The header does not commit to the epoch certificate and to
 * the crosslinks' certificates that stand beside it, so both are checked here: a relay could have left them out or changed them.
 */
export class BeaconFollower {
  private readonly options: FollowerOptions;
  private readonly modules: FollowerModules;
  private current: BeaconTip | undefined;

  constructor(options: FollowerOptions, modules: FollowerModules, tip: BeaconTip | undefined) {
    this.options = options;
    this.modules = modules;
    this.current = tip;
  }

  get tip(): BeaconTip | undefined {
    return this.current;
  }

  /** Height of the block that is wanted next. */
  get next(): number {
    return (this.current?.height ?? 0) + 1;
  }

  /** Judges a block, and takes it if it is the next one. */
  offer(block: BeaconBlock): FollowerOutcome {
    const { crypto, epochs } = this.modules;
    const verdict = this.judge(block);
    if (verdict !== undefined) return { kind: 'refused', verdict };
    const wrong = block.epochCertificate === undefined ? undefined : epochs.add(block.epochCertificate);
    if (wrong !== undefined) return { kind: 'refused', verdict: reject(wrong) };
    const hash = beaconHash(crypto, block.header);
    this.current = { height: block.header.height, hash };
    return { kind: 'taken', hash };
  }

  private judge(block: BeaconBlock): Verdict | undefined {
    const { header } = block;
    const { crypto, epochs } = this.modules;
    const { genesisHash, chainId, genesisValidators } = this.options;
    if (header.height < this.next) return ignore('beacon-known');
    if (header.height > this.next) return ignore('beacon-gap');
    if (header.chainId !== chainId) return reject('beacon-foreign');
    if (this.current !== undefined && !equalBytes(header.parentHash, this.current.hash)) return reject('beacon-parent');
    const wrongEpoch = this.checkEpoch(block);
    if (wrongEpoch !== undefined) return reject(wrongEpoch);
    const wrong = checkBeaconBlock(crypto, genesisHash, epochs.latest?.assignment.beaconValidators ?? genesisValidators, block);
    return wrong === undefined ? this.checkCrosslinks(block) : reject(wrong);
  }

  /** A block is of the latest epoch, and brings the next one's certificate exactly where the schedule says so. */
  private checkEpoch({ header, epochCertificate }: BeaconBlock): string | undefined {
    const { latest } = this.modules.epochs;
    if ((epochCertificate !== undefined) !== beginsEpoch(header.height, this.options.epochLength)) return 'beacon-epoch-certificate';
    if (latest !== undefined && epochCertificate !== undefined && epochCertificate.assignment.epoch !== latest.assignment.epoch + 1) return 'epoch-gap';
    // The first block is of the epoch whose certificate it brings itself.
    const epoch = latest?.assignment ?? epochCertificate?.assignment;
    if (epoch === undefined || header.epoch !== epoch.epoch) return 'beacon-epoch';
    return equalBytes(header.epochCertificateHash, assignmentHash(this.modules.crypto, epoch)) ? undefined : 'beacon-epoch';
  }

  private checkCrosslinks(block: BeaconBlock): Verdict | undefined {
    const { crypto, headers } = this.modules;
    for (const { header, certificate } of block.crosslinks) {
      const verdict = headers.check(header, certificate, bytesKey(crypto.sha256(encodeHeader(header))));
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }
}
