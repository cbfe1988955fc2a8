import { Prng, ShardlabError } from '@shardlab/crosslink';
import { ShardedZipf, ZIPF_EXPONENT_MAX } from './zipf.ts';

/** Most transactions of one run: 300 bytes of memory each. */
export const TRANSACTIONS_MAX = 5_000_000;
/** Largest value of a generated transfer, wei: a thousandth of an ether. */
const VALUE_MAX = 10 ** 15;
/** The ratio is a whole number of these, so that counting it is exact. */
const RATIO_UNITS = 1_000_000_000;

/** Transfers in the order in which they are sent. Columns of equal length; accounts by index. */
export interface Transfers {
  readonly count: number;
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  /** Wei: high and low 64 bits in turn. */
  readonly values: BigUint64Array;
}

/** What to generate. */
export interface TransferOptions {
  readonly count: number;
  /** Share of cross-shard transfers, 0 to 1. */
  readonly crossShardRatio: number;
  /** Skew of senders and of recipients; 0 = uniform. */
  readonly zipf: number;
  readonly seed: number;
}

/** How many of the first `count` transfers are cross-shard: floor(count x ratio), the ratio rounded to nine decimals. */
export function crossShardCount(count: number, ratio: number): number {
  // Exact: the product stays below 2^53.
  return Math.floor((count * Math.round(ratio * RATIO_UNITS)) / RATIO_UNITS);
}

function refuse(what: string): never {
  throw new ShardlabError('load/options', what);
}

function check(options: TransferOptions, shardOf: Uint16Array): void {
  const { count, crossShardRatio, zipf } = options;
  if (!Number.isSafeInteger(count) || count < 1 || count > TRANSACTIONS_MAX) refuse(`a run sends 1 to ${TRANSACTIONS_MAX} transactions, not ${count}`);
  if (!(crossShardRatio >= 0 && crossShardRatio <= 1)) refuse(`the cross-shard ratio is 0 to 1, not ${crossShardRatio}`);
  if (!(zipf >= 0 && zipf <= ZIPF_EXPONENT_MAX)) refuse(`the zipf exponent is 0 to ${ZIPF_EXPONENT_MAX}, not ${zipf}`);
  if (shardOf.length === 0) refuse('this network has no funded accounts: start one with --accounts N');
  if (crossShardRatio > 0 && shardOf.every((shard) => shard === shardOf[0])) {
    refuse(`a cross-shard ratio of ${crossShardRatio} needs funded accounts on two shards: all ${shardOf.length} live on shard ${shardOf[0]}`);
  }
}

/**
 * Generates transfers among accounts whose home shards are `shardOf`. Of the first k, for every k, exactly {@link crossShardCount}(k) cross shards
 * (Bresenham's line), whatever the skew. An account alone in its shard pays itself where the plan wants an intra-shard transfer. Equal options
 * and accounts give equal transfers. Throws `load/options`.
 */
export function generateTransfers(options: TransferOptions, shardOf: Uint16Array, shards: number): Transfers {
  check(options, shardOf);
  const { count, crossShardRatio } = options;
  const prng = new Prng(options.seed);
  const zipf = new ShardedZipf(shardOf, shards, options.zipf, prng.fork());
  const from = new Uint32Array(count);
  const to = new Uint32Array(count);
  const values = new BigUint64Array(2 * count);
  let crossed = 0;
  for (let i = 0; i < count; i++) {
    const due = crossShardCount(i + 1, crossShardRatio);
    const sender = zipf.any(prng);
    from[i] = sender;
    to[i] = due > crossed ? zipf.foreigner(prng, sender) : zipf.neighbour(prng, sender);
    values[2 * i + 1] = BigInt(1 + Math.floor(prng.float() * VALUE_MAX));
    crossed = due;
  }
  return { count, from, to, values };
}
