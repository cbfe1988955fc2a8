import { BEACON, beaconHash, type BeaconBlock, checkBeaconBlock, type Crypto, equalBytes, type Hash32, ignore, reject, type Verdict } from '@shardlab/crosslink';
import type { Epochs } from '../exchange/epochs.ts';

/** The beacon chain's tip as one node has verified it. */
export interface BeaconTip {
  readonly height: number;
  readonly hash: Hash32;
}

/** Follows the beacon chain: takes blocks in order, verified, and adopts the epochs that they bring. */
export class BeaconFollower {
  private readonly crypto: Crypto;
  private readonly genesisHash: Hash32;
  private readonly chainId: number;
  private readonly genesisValidators: readonly Uint8Array[];
  private readonly epochs: Epochs;
  private current: BeaconTip | undefined;

  constructor(
    options: { readonly genesisHash: Hash32; readonly chainId: number; readonly genesisValidators: readonly Uint8Array[] },
    modules: { readonly crypto: Crypto; readonly epochs: Epochs },
    tip: BeaconTip | undefined,
  ) {
    this.crypto = modules.crypto;
    this.epochs = modules.epochs;
    this.genesisHash = options.genesisHash;
    this.chainId = options.chainId;
    this.genesisValidators = options.genesisValidators;
    this.current = tip;
  }

  get tip(): BeaconTip | undefined {
    return this.current;
  }

  /** Height of the block that is wanted next. */
  get next(): number {
    return (this.current?.height ?? 0) + 1;
  }

  /** Judges a block. `taken` = it is the next one, verified, and the tip now. */
  offer(block: BeaconBlock): { readonly kind: 'taken'; readonly hash: Hash32 } | { readonly kind: 'refused'; readonly verdict: Verdict } {
    const { header, epochCertificate } = block;
    if (header.height < this.next) return { kind: 'refused', verdict: ignore('beacon-known') };
    if (header.height > this.next) return { kind: 'refused', verdict: ignore('beacon-gap') };
    if (header.chainId !== this.chainId) return { kind: 'refused', verdict: reject('beacon-foreign') };
    if (this.current !== undefined && !equalBytes(header.parentHash, this.current.hash)) return { kind: 'refused', verdict: reject('beacon-parent') };
    const validators = this.epochs.validators(BEACON, header.epoch) ?? this.genesisValidators;
    const wrong = checkBeaconBlock(this.crypto, this.genesisHash, validators, block);
    if (wrong !== undefined) return { kind: 'refused', verdict: reject(wrong) };
    const badEpoch = epochCertificate === undefined ? undefined : this.epochs.add(epochCertificate);
    if (badEpoch !== undefined) return { kind: 'refused', verdict: reject(badEpoch) };
    const hash = beaconHash(this.crypto, header);
    this.current = { height: header.height, hash };
    return { kind: 'taken', hash };
  }
}
