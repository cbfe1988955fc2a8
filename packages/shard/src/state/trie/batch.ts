import type { Hasher } from '@shardlab/crosslink';

/** Blocks hashed in one call: enough to make the call's own cost vanish, few enough that both sides stay in the inner caches. */
export const BATCH = 512;

/** The two sides of a batch of hashes: blocks of 64 bytes in, hashes of 32 bytes out. */
export class HashBatch {
  readonly input = new Uint8Array(64 * BATCH);
  readonly inWords = new BigUint64Array(this.input.buffer);
  readonly inInts = new Int32Array(this.input.buffer);
  readonly output = new Uint8Array(32 * BATCH);
  readonly outWords = new BigUint64Array(this.output.buffer);
  readonly outInts = new Int32Array(this.output.buffer);
  /** Hashes computed so far. */
  hashes = 0;
  private readonly hasher: Hasher;

  constructor(hasher: Hasher) {
    this.hasher = hasher;
  }

  /** Hashes the first `count` blocks. */
  run(count: number): void {
    if (count === 0) return;
    this.hashes += count;
    this.hasher.hashPairs(this.input.subarray(0, 64 * count), this.output.subarray(0, 32 * count));
  }
}
