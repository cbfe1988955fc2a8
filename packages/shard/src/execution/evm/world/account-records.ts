import type { Address, Hash32, Wei } from '@shardlab/crosslink';

/** An account that differs from what the source has. */
export interface AccountChange {
  readonly address: Address;
  /** The source has the account, and it is gone, with all its storage. */
  readonly deleted: boolean;
  /** Storage that the source has for it is void; slots that are listed as changed come after that. */
  readonly storageEmptied: boolean;
  readonly nonce: bigint;
  /** What the source said; 0 if it has no such account. */
  readonly nonceBefore: bigint;
  readonly balance: Wei;
  /** What the source said, so that a change can be applied as a difference. 0 if it has no such account. */
  readonly balanceBefore: Wei;
  readonly codeHash: Hash32;
  /** The code, if the source has another one or none. */
  readonly code: Uint8Array | undefined;
}

/** What execution rested on of an account, as the source said it; undefined: nothing rested on that part. */
export interface AccountRead {
  readonly address: Address;
  readonly nonce: bigint | undefined;
  readonly balance: Wei | undefined;
  readonly codeHash: Hash32 | undefined;
  /** Whether code looked at the balance, rather than the rules alone. */
  readonly observed: boolean;
}
