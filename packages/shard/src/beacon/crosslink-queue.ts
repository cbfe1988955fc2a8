import { ACCEPT, type Crosslink, type Crypto, encodeHeader, equalBytes, type Hash32, ignore, reject, type ShardId, type Verdict } from '@shardlab/crosslink';

/** Headers of one shard that wait for a beacon block. */
const PENDING_MAX = 512;
/** Crosslinks of all shards in one beacon block: about 700 bytes each, under one gossip message. */
const BLOCK_CROSSLINKS_MAX = 1_000;

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
  /** The last header of each shard that was let in: stored, in the block under way, or waiting. */
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

  /** Takes crosslinks for the next block, in order of (shard, height); shards share it where not all fit. */
  take(): Crosslink[] {
    const shards = [...this.pending.keys()].sort((a, b) => a - b);
    const share = Math.max(1, Math.floor(BLOCK_CROSSLINKS_MAX / this.shards));
    return shards.flatMap((shard) => this.pending.get(shard)!.splice(0, share));
  }

  /** The block that holds these is stored. */
  settle(crosslinks: readonly Crosslink[]): void {
    for (const crosslink of crosslinks) this.stored.set(crosslink.header.shard, this.tipOf(crosslink));
  }

  private tipOf({ header }: Crosslink): CrosslinkTip {
    return { height: header.height, hash: this.crypto.sha256(encodeHeader(header)) };
  }
}
