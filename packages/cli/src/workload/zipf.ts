import { invariant, type Prng } from '@shardlab/crosslink';

/** Largest skew: at 10 the hottest account gets 99.9 % of the load. */
export const ZIPF_EXPONENT_MAX = 10;

/**
 * Draws accounts by Zipf's law: the account of rank r (from 1) has weight r^-exponent; 0 is uniform. Ranks are dealt to accounts by the seed, so hot
 * accounts fall on any shard. Accounts stand sorted by shard, then rank, over one prefix sum, so that a draw from one shard, or from all others, is
 * exact and costs one binary search.
 */
export class ShardedZipf {
  private readonly order: Uint32Array;
  private readonly position: Uint32Array;
  /** Weight of everything before a position. */
  private readonly before: Float64Array;
  /** First position of each shard, and the end of the last. */
  private readonly firstOf: Uint32Array;
  private readonly shardOf: Uint16Array;

  /** `shardOf`: the home shard of each account, at least one. `prng` deals the ranks. */
  constructor(shardOf: Uint16Array, shards: number, exponent: number, prng: Prng) {
    const count = shardOf.length;
    invariant(count > 0 && exponent >= 0 && exponent <= ZIPF_EXPONENT_MAX, 'zipf out of range', { count, exponent });
    const byRank = Uint32Array.from({ length: count }, (_, account) => account);
    for (let i = count - 1; i > 0; i--) {
      const j = prng.below(i + 1);
      [byRank[i], byRank[j]] = [byRank[j]!, byRank[i]!];
    }
    this.shardOf = shardOf;
    this.order = new Uint32Array(count);
    this.position = new Uint32Array(count);
    this.before = new Float64Array(count + 1);
    this.firstOf = new Uint32Array(shards + 1);
    for (const shard of shardOf) this.firstOf[shard + 1]! += 1;
    for (let shard = 0; shard < shards; shard++) this.firstOf[shard + 1]! += this.firstOf[shard]!;
    const next = this.firstOf.slice();
    const weights = new Float64Array(count);
    byRank.forEach((account, rank) => {
      const at = next[shardOf[account]!]!++;
      this.order[at] = account;
      this.position[account] = at;
      weights[at] = (rank + 1) ** -exponent;
    });
    for (let at = 0; at < count; at++) this.before[at + 1] = this.before[at]! + weights[at]!;
  }

  /** Accounts in a shard. */
  countIn(shard: number): number {
    return this.firstOf[shard + 1]! - this.firstOf[shard]!;
  }

  /** Any account. */
  any(prng: Prng): number {
    return this.draw(prng, 0, this.order.length, 0, 0);
  }

  /** Another account of `account`'s shard; the account itself if it is alone there. */
  neighbour(prng: Prng, account: number): number {
    const shard = this.shardOf[account]!;
    if (this.countIn(shard) < 2) return account;
    const own = this.position[account]!;
    return this.draw(prng, this.firstOf[shard]!, this.firstOf[shard + 1]!, own, own + 1);
  }

  /** An account of any other shard than `account`'s: there must be one. */
  foreigner(prng: Prng, account: number): number {
    const shard = this.shardOf[account]!;
    return this.draw(prng, 0, this.order.length, this.firstOf[shard]!, this.firstOf[shard + 1]!);
  }

  /** From positions [low, high) without [holeLow, holeHigh). */
  private draw(prng: Prng, low: number, high: number, holeLow: number, holeHigh: number): number {
    const { before } = this;
    const choices = high - low - (holeHigh - holeLow);
    invariant(choices > 0, 'no account to draw');
    const hole = before[holeHigh]! - before[holeLow]!;
    const weight = before[high]! - before[low]! - hole;
    if (!(weight > 0)) return this.uniform(prng, low, choices, holeLow, holeHigh);
    let target = before[low]! + prng.float() * weight;
    if (holeHigh > holeLow && target >= before[holeLow]!) target += hole;
    let [left, right] = [low, high - 1];
    while (left < right) {
      const middle = (left + right + 1) >>> 1;
      if (before[middle]! <= target) left = middle;
      else right = middle - 1;
    }
    // Rounding of the sum may end inside the hole.
    if (left >= holeLow && left < holeHigh) return this.uniform(prng, low, choices, holeLow, holeHigh);
    return this.order[left]!;
  }

  /** Where the weights are too small to tell apart. */
  private uniform(prng: Prng, low: number, choices: number, holeLow: number, holeHigh: number): number {
    const at = low + prng.below(choices);
    return this.order[at >= holeLow ? at + (holeHigh - holeLow) : at]!;
  }
}
