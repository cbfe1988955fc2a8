import { type Block, decodeBlock, type Hash32, headerHash, type Hasher, type PairTable, type ShardHeader, ShardlabError } from '@shardlab/crosslink';
import type { NetworkGenesis } from './network-genesis.ts';
import { fieldsOf, integerOf } from './rpc.ts';
import type { Pin, Source } from './source.ts';

/** How far below a shard's head a height can be pinned: nodes keep undo records for 256 blocks, and go on while the cut is sought. */
const DEPTH_MAX = 200;
const TRIES = 3;

/** One shard at the cut. */
export interface CutShard {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly pairs: PairTable;
  /** Its head when the cut was sought, at least the cut's height. */
  readonly headHeight: number;
  /** Undefined at height 0, the genesis, of which everything is known. */
  readonly pin: Pin | undefined;
}

type Level = Pick<CutShard, 'header' | 'hash' | 'pairs'>;

/** What finding a cut needs. */
export interface CutModules {
  readonly source: Source;
  readonly hasher: Hasher;
  readonly network: NetworkGenesis;
}

async function levelAt({ source, hasher, network }: CutModules, shard: number, height: number): Promise<Level> {
  if (height === 0) return network.starts[shard]!;
  for await (const data of source.blocks(shard, height, height)) {
    let block: Block;
    try {
      block = decodeBlock(data);
    } catch (cause) {
      throw new ShardlabError('audit/bad-answer', `the head of shard ${shard}, block ${height}, is not a block: nothing can be audited`, {}, { cause });
    }
    if (block.header.height !== height) break;
    // Copies: views would keep the block.
    return { header: block.header, hash: headerHash(hasher, block.header), pairs: block.body.pairs.map((entry) => ({ ...entry })) };
  }
  throw new ShardlabError('audit/bad-answer', `asked for block ${height} of shard ${shard}, the node gave another`);
}

function consumedAbove(levels: readonly Level[], shard: number): boolean {
  return levels[shard]!.pairs.some(({ shard: peer, consumedSequence }) => {
    const sent = levels[peer]?.pairs.find((entry) => entry.shard === shard)?.sentSequence ?? 0;
    return consumedSequence > sent;
  });
}

/** Lowers heights until no shard has consumed what its peer, at its height, has not sent yet. */
async function lower(modules: CutModules, heads: readonly number[]): Promise<Level[]> {
  const levels = await Promise.all(heads.map((height, shard) => levelAt(modules, shard, height)));
  for (let settled = false; !settled; ) {
    settled = true;
    for (let shard = 0; shard < levels.length; shard++) {
      while (consumedAbove(levels, shard)) {
        const { height } = levels[shard]!.header;
        // Messages that nobody ever sent are not a question of heights: the comparison of both sides will name them.
        if (height === 0 || heads[shard]! - height >= DEPTH_MAX) return levels;
        settled = false;
        levels[shard] = await levelAt(modules, shard, height - 1);
      }
    }
  }
  return levels;
}

async function pinAll(source: Source, levels: readonly Level[]): Promise<(Pin | undefined)[]> {
  const pins: (Pin | undefined)[] = [];
  try {
    for (const { header } of levels) pins.push(header.height === 0 ? undefined : await source.pin(header.shard, header.height));
  } catch (error) {
    await unpinAll(source, pins);
    throw error;
  }
  return pins;
}

/** Lets all pins go; one that has expired is gone already. */
export async function unpinAll(source: Source, pins: readonly (Pin | undefined)[]): Promise<void> {
  const held = pins.filter((pin) => pin !== undefined);
  await Promise.allSettled(held.map((pin) => source.unpin(pin)));
}

/**
 * Finds a consistent cut (for every ordered pair of shards, consumed <= sent) as high as it can, and pins it. Tries anew when a node refuses a pin, because
 * the network has gone on. Rejects as the source does.
 */
export async function findCut(modules: CutModules): Promise<CutShard[]> {
  const { source, network } = modules;
  for (let attempt = 1; ; attempt++) {
    const heads = await Promise.all(
      network.starts.map(async (_, shard) => integerOf(fieldsOf(await source.shard(shard, 'shard_status', []), 'shard_status'), 'height', 'shard_status')),
    );
    const levels = await lower(modules, heads);
    try {
      const pins = await pinAll(source, levels);
      return levels.map((level, shard) => ({ ...level, headHeight: heads[shard]!, pin: pins[shard] }));
    } catch (error) {
      if (attempt === TRIES || !(error instanceof ShardlabError) || error.code !== 'audit/rpc') throw error;
    }
  }
}
