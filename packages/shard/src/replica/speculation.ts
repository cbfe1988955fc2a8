import { equalBytes, type Hash32, type PairTable, type ShardHeader } from '@shardlab/crosslink';
import type { ExecutedBlock } from '../execution/types.ts';
import type { PoolTransaction } from '../transaction/types.ts';

/** What a block can be built on. */
export interface Parent {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly pairs: PairTable;
}

/**
 * The blocks that are executed and not final yet, in order of height on top of the last final one: what the executor's state holds beyond it. Executing on an earlier
 * block takes the later ones back.
 */
export class Speculation {
  private readonly blocks: ExecutedBlock[] = [];
  private orphans: PoolTransaction[] = [];

  /** The block that the state is of, or undefined for the last final one. */
  get tip(): ExecutedBlock | undefined {
    return this.blocks.at(-1);
  }

  /** Number of blocks. */
  get length(): number {
    return this.blocks.length;
  }

  /** The block that stands directly on the last final one. */
  get first(): ExecutedBlock | undefined {
    return this.blocks[0];
  }

  /** The block with this hash. */
  find(hash: Hash32): ExecutedBlock | undefined {
    return this.blocks.find((block) => equalBytes(block.hash, hash));
  }

  /** The state goes back to the block `hash`: one of these, or else the last final one. */
  rewindTo(hash: Hash32): void {
    const at = this.blocks.findIndex((block) => equalBytes(block.hash, hash));
    for (const dropped of this.blocks.splice(at + 1)) this.orphans.push(...dropped.transactions);
  }

  /** A block was executed on the tip. */
  push(block: ExecutedBlock): void {
    this.blocks.push(block);
  }

  /** The first block is final. */
  settle(): void {
    this.blocks.shift();
  }

  /** Transactions of blocks that were taken back, once, without those of `but`. */
  takeOrphans(but: readonly PoolTransaction[]): PoolTransaction[] {
    if (this.orphans.length === 0) return [];
    const kept = new Set(but.map((tx) => tx.hashKey));
    const orphans = this.orphans.filter((tx) => !kept.has(tx.hashKey));
    this.orphans = [];
    return orphans;
  }
}
