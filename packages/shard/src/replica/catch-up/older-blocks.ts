import {
  type Block,
  bytesKey,
  decodeBlock,
  DecodeError,
  equalBytes,
  type Hasher,
  headerHash,
  type Height,
  type QuorumCertificate,
  type ShardHeader,
  type ShardId,
  type Verdict,
  type WireRequest,
} from '@shardlab/crosslink';
import { checkBlockParts, provenParts } from './block-parts.ts';

/** Most blocks below a snapshot that a validator takes over, and most bytes of them: what is older stays with the others of its committee. */
export interface OlderLimits {
  readonly blocksMax: number;
  readonly bytesMax: number;
}

/** Judges and knowledge that blocks of peers are measured by. */
export interface BlockJudges {
  readonly hasher: Hasher;
  /** `undefined` = certified by this certificate; `ignore` is no fault of who sent it: see `HeaderCheck.check`. */
  readonly checkHeader: (header: ShardHeader, certificate: QuorumCertificate, headerKey: string) => Verdict | undefined;
  /** Last sequence that a shard is known to have consumed of this one's messages, from its own certified pair table; undefined when nothing is known. */
  readonly consumed: (destination: ShardId) => number | undefined;
}

/** What an answer came to: it helped, the sender has nothing of use, or it has lied. */
export type Taken = { readonly kind: 'taken' | 'lacking' } | { readonly kind: 'fault'; readonly reason: string };

/** Bytes at which a server ends an answer, and most blocks in one. */
const ANSWER_BYTES = 4 << 20;
const ANSWER_BLOCKS_MAX = 256;

/**
 * Fetches the blocks below a certified one that hold messages which their destinations have not consumed (R14: bodies are kept until then), downwards, so that each
 * is proven by its child's parent hash as it comes. Any validator of the shard may answer: nothing is believed.
 */
export class OlderBlocks {
  private readonly judges: BlockJudges;
  private readonly limits: OlderLimits;
  /** What the snapshot's sender says of destinations of which nothing is known here. */
  private readonly messagesFrom: number;
  private readonly descending: Block[] = [];
  private lowest: Block;
  private bytes = 0;
  private stride: number;

  /** `block` is the certified one, of `sizeBytes` bytes. */
  constructor(judges: BlockJudges, limits: OlderLimits, block: Block, sizeBytes: number, messagesFrom: number) {
    this.judges = judges;
    this.limits = limits;
    this.lowest = block;
    this.messagesFrom = messagesFrom;
    this.stride = strideOf(sizeBytes);
  }

  /** The blocks so far, in order of height. */
  get blocks(): Block[] {
    return this.descending.toReversed();
  }

  /** Destinations with messages in blocks below those that are here. */
  get missing(): ShardId[] {
    const { header, body, outgoing } = this.lowest;
    const here = new Map(outgoing.map(({ destination, messages }) => [destination, messages.length]));
    const below = body.pairs.filter(({ shard, sentSequence }) => {
      const before = sentSequence - (here.get(shard) ?? 0);
      const consumed = this.judges.consumed(shard);
      return before > (consumed ?? 0) && (consumed !== undefined || header.height > this.messagesFrom);
    });
    return below.map(({ shard }) => shard);
  }

  /** Whether nothing is to be asked for any more: nothing is missing, or the limits are reached. */
  get done(): boolean {
    const { blocksMax, bytesMax } = this.limits;
    return this.lowest.header.height <= 1 || this.descending.length >= blocksMax || this.bytes >= bytesMax || this.missing.length === 0;
  }

  /** What to ask for now. */
  request(): WireRequest {
    return { kind: 'blocks', fromHeight: this.first() as Height };
  }

  /** The lowest height that the next answer is to reach down to. */
  private first(): number {
    return Math.max(1, this.lowest.header.height - this.stride);
  }

  /** Takes the answer to {@link request}. */
  take(items: readonly Uint8Array[]): Taken {
    const first = this.first();
    const wanted = this.lowest.header.height - first;
    if (items.length === 0) return { kind: 'lacking' };
    if (items.length < wanted) {
      // Cut at its bound: the blocks next below are wanted, so a later start.
      this.stride = Math.max(1, Math.min(wanted - 1, wanted >> 1));
      return { kind: 'taken' };
    }
    try {
      return this.takeBlocks(items.slice(0, wanted));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { kind: 'fault', reason: error.code };
    }
  }

  private takeBlocks(items: readonly Uint8Array[]): Taken {
    for (const item of items.toReversed()) {
      const block = decodeBlock(item);
      const verdict = this.judge(block);
      if (verdict !== undefined) return verdict.kind === 'reject' ? { kind: 'fault', reason: verdict.reason } : { kind: 'lacking' };
      this.descending.push(provenParts(block));
      this.lowest = block;
      this.bytes += item.length;
      if (this.done) break;
    }
    this.stride = strideOf(this.bytes / this.descending.length);
    return { kind: 'taken' };
  }

  /** The certificate is not under the block's hash, and goes out again with the block's batches: it is checked, too. */
  private judge(block: Block): Verdict | undefined {
    const hash = headerHash(this.judges.hasher, block.header);
    if (!equalBytes(hash, this.lowest.header.parentHash)) return { kind: 'reject', reason: 'snapshot-chain' };
    const verdict = this.judges.checkHeader(block.header, block.certificate, bytesKey(hash));
    if (verdict !== undefined) return verdict;
    const wrong = checkBlockParts(this.judges.hasher, block);
    return wrong === undefined ? undefined : { kind: 'reject', reason: wrong };
  }
}

/** How many blocks of this size an answer holds. */
function strideOf(sizeBytes: number): number {
  return Math.max(1, Math.min(ANSWER_BLOCKS_MAX, Math.floor(ANSWER_BYTES / sizeBytes)));
}
