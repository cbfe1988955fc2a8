import { beaconHash, decodeBeaconBlock, decodeBlock, equalBytes, type Hash32, headerHash, type Hasher, ShardlabError } from '@shardlab/crosslink';
import type { Findings } from './findings.ts';
import { fieldsOf } from './rpc.ts';
import type { Source, Validator } from './source.ts';

/** What the check works with. */
export interface ForkModules {
  readonly source: Source;
  readonly hasher: Hasher;
  readonly findings: Findings;
  /** Names the network: nodes of others are not compared. */
  readonly genesisHash: Hash32;
}

/** Height of a validator's head, if it can be reached at its URL, and is that validator of this network: behind port mappings it may be another one. */
async function heightOf(validator: Validator, { source, genesisHash }: ForkModules): Promise<number | undefined> {
  try {
    const health = fieldsOf(await source.health(validator), '/healthz');
    const claimed = String(health['genesisHash']).toLowerCase();
    if (health['id'] !== validator.id || claimed !== `0x${Buffer.from(genesisHash).toString('hex')}`) return undefined;
    return typeof health['height'] === 'number' && Number.isSafeInteger(health['height']) ? health['height'] : undefined;
  } catch (error) {
    // Who is dead has nothing to compare, and whoever lives there instead need not speak the protocol.
    if (error instanceof ShardlabError) return undefined;
    throw error;
  }
}

/** Hash of a validator's own block at a height; undefined when it does not keep it (any more). */
async function hashAt(validator: Validator, height: number, { source, hasher }: ForkModules): Promise<Hash32 | undefined> {
  try {
    const [data] = await source.blockOf(validator, height);
    if (data === undefined) return undefined;
    return validator.shard === undefined ? beaconHash(hasher, decodeBeaconBlock(data).header) : headerHash(hasher, decodeBlock(data).header);
  } catch (error) {
    // Gone since a moment ago, or not a block: what the chain itself must be is checked elsewhere.
    if (error instanceof ShardlabError) return undefined;
    throw error;
  }
}

/**
 * Compares, for every chain, the block at the highest common height of all validators that can be reached: agreement means that they have the same. Returns how
 * many were compared. A parent's hash stands in every block, so one height speaks for all below it.
 */
export async function checkForks(modules: ForkModules): Promise<number> {
  const { source, findings } = modules;
  let compared = 0;
  for (const [shard, committee] of Map.groupBy(source.validators, (validator) => validator.shard)) {
    const heights = await Promise.all(committee.map((validator) => heightOf(validator, modules)));
    const live = committee.filter((_, at) => (heights[at] ?? 0) > 0);
    if (live.length < 2) continue;
    const height = Math.min(...heights.filter((each) => each !== undefined && each > 0).map(Number));
    const hashes = await Promise.all(live.map((validator) => hashAt(validator, height, modules)));
    const held = live.flatMap(({ id }, at) => (hashes[at] === undefined ? [] : [{ id, hash: hashes[at] }]));
    compared += held.length;
    for (const { id, hash } of held.slice(1)) {
      if (equalBytes(hash, held[0]!.hash)) continue;
      findings.add('fork', `${id} has another block at height ${height} than ${held[0]!.id}`, { ...(shard === undefined ? {} : { shard }), height, hash });
    }
  }
  return compared;
}
