import type { PersistRecord } from '@shardlab/shard';

/** Most violations that are kept: the first ones tell what broke, the rest follow from them. */
const KEPT_MAX = 100;

/** The record of one shard block, as a node stores it. */
export type ShardBlockRecord = Extract<PersistRecord, { kind: 'shard-block' }>;

/** What checkers found wrong. */
export class Violations {
  readonly found: string[] = [];
  private lost = 0;

  /** Keeps `<checker>: <what>`. */
  add(checker: string, what: string): void {
    if (this.found.length < KEPT_MAX) this.found.push(`${checker}: ${what}`);
    else this.lost++;
  }

  /** All violations, those beyond the bound included. */
  get count(): number {
    return this.found.length + this.lost;
  }
}

/** Judges one network from what its nodes store; it shares no code with what decides. */
export interface BlockChecker {
  /** Takes one block of one shard, in the order in which blocks become durable. */
  block(record: ShardBlockRecord): void;
  /** To be called when nothing is under way any more: what may not be left over then. */
  atRest(): void;
}
