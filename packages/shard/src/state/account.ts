import type { StoredCode } from './code-store.ts';

/** An account as the executor works on it. Change it only between `ShardState.touch` and `ShardState.commit`. */
export interface Account {
  /** `bytesKey` of the address. */
  readonly key: string;
  /** Wei, below 2^128. */
  balance: bigint;
  nonce: number;
  /** Reference of its stem in the trie; -1 while it is in none. */
  ref: number;
  /** Balance and nonce at the start of the block, valid while it is touched. */
  oldBalance: bigint;
  oldNonce: number;
  touched: boolean;
  /** What few accounts have. The others cost one undefined field, and a commit writes them on a path of their own. */
  contract: Contract | undefined;
}

/** Code and storage of an account: there from the first write of either to the commit that finds both gone. Changed through `ShardState` only. */
export interface Contract {
  /** By which the storage knows the account: a small integer, given to another account when this one has none left. */
  readonly id: number;
  code: StoredCode;
  /** The code that the trie has. */
  committed: StoredCode;
  /** Slots that are not zero, uncommitted changes included. */
  slots: number;
}
