/**
 * `workload.json` in a network's directory: which contracts load runs have deployed, and who may hold what in them, so that an audit finds what to check.
 * Written by the load tool, read here. Version 1: `{"formatVersion":1,"genesisHash":"0x…","runs":[{"name","accounts":["0x…"],"shards":[…]}]}`.
 */
import { readFileSync } from 'node:fs';
import { ShardlabError } from '@shardlab/crosslink';

/** Most load runs that are remembered: the newest. */
export const RUNS_MAX = 16;
/** Most accounts of one run. */
export const HOLDERS_MAX = 4_096;
const SHARDS_MAX = 256;
const TOKENS_MAX = 64;
const FILE_BYTES_MAX = 8 << 20;

/** A Uniswap V2 pair. */
export interface PoolRecord {
  /** Addresses here and below: `0x` and 40 hex digits. */
  readonly pair: string;
  readonly token0: string;
  readonly token1: string;
  /** Product of the reserves when the pool was filled, in decimal digits. */
  readonly productMin: string;
}

/** The contracts of a run on one shard. */
export interface ShardContracts {
  readonly shard: number;
  readonly tokens: readonly string[];
  /** Null: the run has none. */
  readonly collectible: string | null;
  /** Mints that the load tool saw committed; null while it cannot say. */
  readonly mints: number | null;
  readonly pools: readonly PoolRecord[];
  readonly lending: { readonly pool: string; readonly asset: string; readonly collateral: string } | null;
}

/** One load run. */
export interface WorkloadRun {
  readonly name: string;
  /** Everyone who may own tokens, besides the contracts themselves. */
  readonly accounts: readonly string[];
  readonly shards: readonly ShardContracts[];
}

/** The whole file. */
export interface WorkloadFile {
  readonly formatVersion: 1;
  readonly genesisHash: string;
  /** Oldest first. */
  readonly runs: readonly WorkloadRun[];
}

/** Reads the file; undefined if there is none. Throws `audit/workload` if it is damaged, too large, or of another network than `genesisHash` (`0x` hex). */
export function readWorkloadFile(file: string, genesisHash: string): WorkloadFile | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ShardlabError('audit/workload', `${file}: cannot be read`, { file }, { cause });
  }
  const bad = (what: string, cause?: unknown): ShardlabError => new ShardlabError('audit/workload', `${file}: ${what}`, { file }, { cause });
  if (text.length > FILE_BYTES_MAX) throw bad(`longer than ${FILE_BYTES_MAX} bytes`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw bad('is not JSON', cause);
  }
  if (!isWorkloadFile(parsed)) throw bad('is not a list of workloads of format version 1');
  if (parsed.genesisHash.toLowerCase() !== genesisHash) throw bad(`is of another network (genesis ${parsed.genesisHash}, here ${genesisHash})`);
  return parsed;
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isList(value: unknown, max: number, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= max && value.every(isItem);
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && /^0x[0-9a-f]{40}$/.test(value);
}

function isPool(value: unknown): boolean {
  if (!isFields(value) || typeof value['productMin'] !== 'string') return false;
  return [value['pair'], value['token0'], value['token1']].every(isAddress) && /^\d{1,78}$/.test(value['productMin']);
}

function isShard(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { shard, tokens, collectible, mints, pools, lending } = value;
  if (mints !== null && !(typeof mints === 'number' && Number.isSafeInteger(mints) && mints >= 0)) return false;
  if (typeof shard !== 'number' || !Number.isInteger(shard) || shard < 0 || shard >= SHARDS_MAX) return false;
  if (lending !== null && !(isFields(lending) && [lending['pool'], lending['asset'], lending['collateral']].every(isAddress))) return false;
  return isList(tokens, TOKENS_MAX, isAddress) && isList(pools, TOKENS_MAX, isPool) && (collectible === null || isAddress(collectible));
}

function isRun(value: unknown): boolean {
  if (!isFields(value) || typeof value['name'] !== 'string' || !/^[a-z0-9-]{1,32}$/.test(value['name'])) return false;
  return isList(value['accounts'], HOLDERS_MAX, isAddress) && isList(value['shards'], SHARDS_MAX, isShard);
}

function isWorkloadFile(value: unknown): value is WorkloadFile {
  if (!isFields(value) || value['formatVersion'] !== 1 || typeof value['genesisHash'] !== 'string') return false;
  return isList(value['runs'], RUNS_MAX, isRun);
}
