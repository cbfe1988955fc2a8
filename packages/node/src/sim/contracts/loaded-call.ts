import type { SignedTransaction } from '@shardlab/shard';
import type { KitAccount } from '../network-kit.ts';

/** What a transaction gives to accounts of the kit if it succeeds. */
export interface Gain {
  readonly toKey: string;
  readonly value: bigint;
}

/** A transaction of the load, signed. */
export interface LoadedCall extends SignedTransaction {
  /** Wei that its sender gives if it succeeds. */
  readonly value: bigint;
  readonly gains: readonly Gain[];
  /** Who sends it, if that is a ward. */
  readonly ward?: KitAccount;
}
