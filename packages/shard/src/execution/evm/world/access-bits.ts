/** What was done to an account or a slot, as bits. Additions to balances commute: they conflict with who reads the balance, not with each other. */
export const ACCESS = {
  CODE_READ: 1,
  CODE_WRITE: 2,
  NONCE_READ: 4,
  NONCE_WRITE: 8,
  BALANCE_READ: 16,
  BALANCE_ADD: 32,
  SLOT_READ: 64,
  SLOT_WRITE: 128,
} as const;

/** All parts of an account are read. */
export const ACCOUNT_READ: number = ACCESS.CODE_READ | ACCESS.NONCE_READ | ACCESS.BALANCE_READ;
/** All parts of an account are written. */
export const ACCOUNT_WRITE: number = ACCOUNT_READ | ACCESS.CODE_WRITE | ACCESS.NONCE_WRITE | ACCESS.BALANCE_ADD;

/** Beside an account's bits, in the place of bits that slots alone have: code looked at the balance (BALANCE or SELFBALANCE); the account was made or removed, if only for a while. */
export const OBSERVED: number = ACCESS.SLOT_READ;
export const MADE: number = ACCESS.SLOT_WRITE;
