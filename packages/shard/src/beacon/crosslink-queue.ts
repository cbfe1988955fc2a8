import { ACCEPT, type Crosslink, type Crypto, encodeHeader, equalBytes, type Hash32, ignore, reject, type ShardId, type Verdict } from '@shardlab/crosslink';

/** Headers of one shard that wait for a beacon block. */
const PENDING_MAX = 512;
/** Crosslinks of all shards in one beacon block, and their bytes: with its certificate it stays under one gossip message. */
const BLOCK_CROSSLINKS_MAX = 1_000;
const BLOCK_CROSSLINK_BYTES_MAX = 800 << 10;
/** Bytes of a header with everything of a certificate but its signatures, and of a signature. */
const CROSSLINK_BYTES = 720;
const SIGNATURE_BYTES = 64;

/** A shard's progress on the beacon chain. */
export interface CrosslinkTip {
  readonly height: number;
  readonly hash: Hash32;
}

/** Certified shard headers on their way into beacon blocks: for each shard in order of height, none left out, none twice. */
export class CrosslinkQueue {
  private readonly crypto: Crypto;
  private readonly shards: number;
  /** The last header of each shard that is stored. */
  private readonly stored: Map<ShardId, CrosslinkTip>;
  /** The last header of each shard that was let in: stored, or waiting. */
  private readonly last: Map<ShardId, CrosslinkTip>;
  private readonly pending = new Map<ShardId, Crosslink[]>();

  constructor(shards: number, crypto: Crypto, stored: ReadonlyMap<ShardId, CrosslinkTip>) {
    this.shards = shards;
    this.crypto = crypto;
    this.stored = new Map(stored);
    this.last = new Map(stored);
  }

  /** Height and hash of the shard's last stored crosslink. */
  tip(shard: ShardId): CrosslinkTip | undefined {
    return this.stored.get(shard);
  }

  /** Height of the shard's header that is wanted next. */
  next(shard: ShardId): number {
    return (this.last.get(shard)?.height ?? 0) + 1;
  }

  /** Whether anything waits. */
  get ready(): boolean {
    for (const queue of this.pending.values()) if (queue.length > 0) return true;
    return false;
  }

  /** Takes a header whose certificate holds, if it is the next one of its shard. */
  add(crosslink: Crosslink): Verdict {
    const { shard, height, parentHash } = crosslink.header;
    const last = this.last.get(shard);
    if (height !== this.next(shard)) return ignore('header-order');
    if (last !== undefined && !equalBytes(last.hash, parentHash)) return reject('header-parent');
    const queue = this.pending.get(shard) ?? [];
    if (queue.length >= PENDING_MAX) return ignore('header-queue');
    queue.push(crosslink);
    this.pending.set(shard, queue);
    this.last.set(shard, this.tipOf(crosslink));
    return ACCEPT;
  }

  /** Crosslinks for the next block, in order of (shard, height); shards share it where not all fit. They stay until {@link settle}. */
  select(): Crosslink[] {
    const shards = [...this.pending.keys()].sort((a, b) => a - b);
    const share = Math.max(1, Math.floor(BLOCK_CROSSLINKS_MAX / this.shards));
    const shareBytes = Math.floor(BLOCK_CROSSLINK_BYTES_MAX / this.shards);
    return shards.flatMap((shard) => {
      const chosen: Crosslink[] = [];
      let bytes = 0;
      for (const crosslink of this.pending.get(shard)!) {
        bytes += CROSSLINK_BYTES + SIGNATURE_BYTES * crosslink.certificate.signatures.length;
        if (chosen.length === share || (chosen.length > 0 && bytes > shareBytes)) break;
        chosen.push(crosslink);
      }
      return chosen;
    });
  }

  /** What is wrong with the order of a block's crosslinks: by (shard, height), each shard's from its last stored one on, none left out. */
  fault(crosslinks: readonly Crosslink[]): string | undefined {
    const tips = new Map(this.stored);
    let before = -1;
    for (const crosslink of crosslinks) {
      const { shard, height, parentHash } = crosslink.header;
      const tip = tips.get(shard);
      if (shard >= this.shards || shard < before) return 'crosslink-shard';
      if (height !== (tip?.height ?? 0) + 1) return 'crosslink-height';
      if (tip !== undefined && !equalBytes(tip.hash, parentHash)) return 'crosslink-parent';
      before = shard;
      tips.set(shard, this.tipOf(crosslink));
    }
    return undefined;
  }

  /** The block that holds these is stored. */
  settle(crosslinks: readonly Crosslink[]): void {
    for (const crosslink of crosslinks) {
      const { shard, height } = crosslink.header;
      const tip = this.tipOf(crosslink);
      this.stored.set(shard, tip);
      if ((this.last.get(shard)?.height ?? 0) < height) this.last.set(shard, tip);
    }
    for (const [shard, queue] of this.pending) {
      const stored = this.stored.get(shard)?.height ?? 0;
      this.pending.set(shard, queue.filter(({ header }) => header.height > stored));
    }
  }

  private tipOf({ header }: Crosslink): CrosslinkTip {
    return { height: header.height, hash: this.crypto.sha256(encodeHeader(header)) };
  }
}
