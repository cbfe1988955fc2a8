import { ShardlabError } from '@shardlab/crosslink';

/**
 * Every reason for which bytes are no transaction that this network can hold. The index is the status byte of an admission record, so the order
 * is part of that format: append only.
 */
export const TRANSACTION_ERRORS = [
  /** Never seen: status 0 means that nothing is wrong. */
  'tx/none',
  /** Not canonical RLP, or bytes after the end. */
  'tx/rlp',
  /** More than 128 KiB (geth's `txMaxSize`). */
  'tx/oversized',
  /** EIP-4844: Shardlab has no blobs. */
  'tx/type3-unsupported',
  /** EIP-7702: this network's fork has no set-code transactions. */
  'tx/type4-unsupported',
  /** Any other EIP-2718 type. */
  'tx/type-unknown',
  /** Wrong number of fields, or a field of the wrong kind or width. */
  'tx/field',
  /** Nonce above 2^53 - 1. */
  'tx/nonce-range',
  /** Gas limit above 2^53 - 1. */
  'tx/gas-range',
  /** Chain id of zero, above 2^53 - 1, or (at admission) another network's. */
  'tx/chain-id',
  /** `v` is neither 27, 28 nor 35 and above, or the y parity is neither 0 nor 1. */
  'tx/y-parity',
  /** r or s is zero or not below the group order. */
  'tx/signature-range',
  /** s is in the upper half (EIP-2): somebody else could have made this hash from the same signature. */
  'tx/malleable-signature',
  /** No public key fits the signature. */
  'tx/unrecoverable',
  /** Tip above fee cap (EIP-1559). */
  'tx/tip-above-fee-cap',
  /** Value of 2^128 wei or more: above the whole supply (R9), so it can never be paid. */
  'tx/value-range',
  /** Fee cap or tip of 2^128 wei per gas or more. */
  'tx/fee-range',
  /** Gas limit below the intrinsic gas. */
  'tx/intrinsic-gas',
  /** Initcode above 49,152 bytes (EIP-3860). */
  'tx/initcode-size',
  /** Signed without a chain id, where the policy wants one (EIP-155). */
  'tx/unprotected',
  /** A set-code transaction that names no recipient (EIP-7702). */
  'tx/no-recipient',
  /** A set-code transaction without an authorization (EIP-7702). */
  'tx/authorizations-empty',
  /** An atomic batch of no calls, or of more than 16. */
  'tx/batch-calls',
  /** An atomic batch whose gas limit is below its calls' gas limits and its intrinsic gas together. */
  'tx/batch-gas',
] as const;

/** Why a transaction was refused; stable, for RPC answers, metrics and the loader's ledger. */
export type TransactionErrorCode = Exclude<(typeof TRANSACTION_ERRORS)[number], 'tx/none'>;

/** Bytes that are no acceptable transaction. The message never repeats the bytes. */
export class TransactionError extends ShardlabError {
  declare readonly code: TransactionErrorCode;

  constructor(code: TransactionErrorCode, message: string, data: Readonly<Record<string, unknown>> = {}) {
    super(code, message, data);
  }
}

const STATUS_OF: ReadonlyMap<string, number> = new Map(TRANSACTION_ERRORS.map((code, status) => [code, status]));

/** The status byte of `code` in an admission record, 1 or more. */
export function statusOf(code: TransactionErrorCode): number {
  return STATUS_OF.get(code)!;
}
