import type { Account } from './account.ts';

/** Is told what each block did to a state, and what taking it back undid, to keep a copy of it. Nothing that it is given may be kept: accounts change, and bytes are the state's own. */
export interface StateFollower {
  /** An account as a block leaves it; one without nonce, balance and code is gone. Before its slots, or, where a block is taken back, after them. */
  account(account: Readonly<Account>): void;
  /** A storage slot as a block leaves it: 32 bytes of key and of value; zeros: it is gone. */
  slot(account: Readonly<Account>, key: Uint8Array, value: Uint8Array): void;
}
