import type { Hash32, ShardHeader } from '@shardlab/crosslink';
import type { StorageEntry } from '../ports.ts';
import { encodeBlockPlace, encodeHead, META_HEAD } from './chain-store-records.ts';
import { BLOCK_HEIGHTS, BLOCKS, META } from './key-space.ts';

/** Appends a block of the node's own chain and its place by hash. */
export function pushBlock(puts: StorageEntry[], header: ShardHeader, hash: Hash32, encoded: Uint8Array): void {
  const { shard: chain, height } = header;
  puts.push({ key: BLOCKS.key(height), value: encoded });
  puts.push({ key: BLOCK_HEIGHTS.key(hash), value: encodeBlockPlace({ chain, height }) });
}

/** As {@link pushBlock}, and the chain ends with it. */
export function pushHead(puts: StorageEntry[], header: ShardHeader, hash: Hash32, encoded: Uint8Array): void {
  const { shard: chain, height } = header;
  pushBlock(puts, header, hash, encoded);
  puts.push({ key: META.key(META_HEAD), value: encodeHead({ chain, height, hash }) });
}
