import { type BlockEvent, bytesKey, decodeBlock, decodeBlockEvents, type TxHash } from '@shardlab/crosslink';
import { UNDO_HEIGHTS } from '../../storage/chain-store-records.ts';
import type { ChainReader } from '../../storage/chain-store-reader.ts';

/** Blocks that are read at once, and bytes after which reading stops for a moment. */
const BLOCKS_AT_ONCE = 16;
const BYTES_AT_ONCE = 8 << 20;

/** This shard's votes in a block: what it said of its parts in cross-shard transactions, the last word for each; by `bytesKey` of their hashes. */
export function votesOf(events: Uint8Array): ReadonlyMap<string, BlockEvent> {
  const votes = new Map<string, BlockEvent>();
  for (const event of decodeBlockEvents(events)) if (event.phase === 'voted') votes.set(bytesKey(event.txHash), event);
  return votes;
}

/**
 * The newest block in which this shard ran a transaction, or its part of one; undefined if the node knows of none. Parts for coordinators of other shards have no index: their
 * votes are looked for in the blocks whose states are kept.
 */
export async function heightOfRun(chain: ChainReader, hash: TxHash): Promise<number | undefined> {
  const place = await chain.place(hash);
  if (place === undefined) return newestVote(chain, hash, 1);
  const { bodyHeight } = place;
  const record = (await chain.tombstone(hash))?.record ?? (await chain.coordinating(hash));
  const takesPart = record?.participants.some(({ shard }) => shard === chain.chain) ?? false;
  // An own part that waited for locks, or was asked again, has run later than in the block that took the transaction in.
  return (takesPart ? await newestVote(chain, hash, bodyHeight) : undefined) ?? bodyHeight;
}

async function newestVote(chain: ChainReader, hash: TxHash, lowest: number): Promise<number | undefined> {
  const head = chain.head?.header.height ?? 0;
  const low = Math.max(lowest, 1, chain.snapshotHeight + 1, head - UNDO_HEIGHTS + 1);
  for (let high: number = head; high >= low; high -= BLOCKS_AT_ONCE) {
    const found = await newestVoteIn(chain, hash, Math.max(low, high - BLOCKS_AT_ONCE + 1), high);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function newestVoteIn(chain: ChainReader, hash: TxHash, low: number, high: number): Promise<number | undefined> {
  let found: number | undefined;
  for (let from = low; from <= high; ) {
    const blocks = await chain.encodedBlocks(from, high - from + 1, BYTES_AT_ONCE);
    if (blocks.length === 0) break;
    blocks.forEach((encoded, index) => {
      if (hasVote(encoded, hash)) found = from + index;
    });
    from += blocks.length;
  }
  return found;
}

/** Few blocks name the transaction at all: only those are decoded. */
function hasVote(encoded: Uint8Array, hash: TxHash): boolean {
  if (Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length).indexOf(hash) < 0) return false;
  return votesOf(decodeBlock(encoded).events).has(bytesKey(hash));
}
