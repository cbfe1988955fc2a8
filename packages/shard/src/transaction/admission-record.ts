/**
 * The admission record: what a worker thread has found out about one signed transaction, in a fixed layout, so that the thread that decides never
 * parses RLP and never hashes. Big-endian; 168 bytes:
 *
 * | at | bytes | field |
 * |---|---|---|
 * | 0 | 1 | version, 1 |
 * | 1 | 1 | status: 0, or an index into `TRANSACTION_ERRORS`; then all other fields are zero |
 * | 2 | 1 | transaction type |
 * | 3 | 1 | flags: 1 = no recipient (a creation, a batch), 2 = has a chain id |
 * | 4 | 4 | bytes of call data or initcode; of a batch in all calls |
 * | 8 | 8 | nonce |
 * | 16 | 8 | gas limit |
 * | 24 | 8 | intrinsic gas |
 * | 32 | 8 | chain id, 0 without one |
 * | 40 | 32 | transaction hash |
 * | 72 | 20 | sender |
 * | 92 | 20 | recipient, zero without one |
 * | 112 | 16 | fee cap, wei per gas |
 * | 128 | 16 | tip, wei per gas |
 * | 144 | 16 | value, wei; of a batch in all calls |
 * | 160 | 8 | zero |
 *
 * The calls of a batch are not in it: whoever needs them reads them from the encoding, which is rare and cheap beside recovery.
 *
 * Values and fees of 2^128 and more have their own status (they can never be paid, R9), so 16 bytes hold every good one.
 */
import { type Address, bytesKey, DecodeError, invariant, type TxHash } from '@shardlab/crosslink';

import { decodeCalls } from './decode.ts';
import { TRANSACTION_ERRORS, type TransactionErrorCode } from './errors.ts';
import { BATCH_TYPE, type PoolTransaction, type TransactionType } from './types.ts';

/** Bytes of one admission record. */
export const RECORD_BYTES = 168;
/** First byte of every admission record. */
export const RECORD_VERSION = 1;

/** Offsets of the fields of an admission record. */
export const RECORD = {
  version: 0,
  status: 1,
  type: 2,
  flags: 3,
  dataLength: 4,
  nonce: 8,
  gasLimit: 16,
  intrinsicGas: 24,
  chainId: 32,
  hash: 40,
  sender: 72,
  to: 92,
  maxFeePerGas: 112,
  maxPriorityFeePerGas: 128,
  value: 144,
} as const;

/** Flag of a transaction that names no recipient: a creation, or an atomic batch. */
export const FLAG_NO_RECIPIENT = 1;
/** Flag of a transaction that is bound to a chain id. */
export const FLAG_CHAIN_ID = 2;

/**
 * Signed transactions with what was found out about each: the answer to the effect `RecoverSenders`. Entry i belongs to `raws[i]`. Only the entries
 * that are asked for are made into objects.
 */
export class AdmissionBatch {
  /** The EIP-2718 encodings that were judged. */
  readonly raws: readonly Uint8Array[];
  /** One record of {@link RECORD_BYTES} for each, back to back. */
  readonly records: Uint8Array;
  private readonly view: DataView;

  /** Takes both over without copying. Throws `decode/truncated` when the lengths do not fit, `decode/version` on another layout. */
  constructor(raws: readonly Uint8Array[], records: Uint8Array) {
    if (records.length !== raws.length * RECORD_BYTES) {
      throw new DecodeError('decode/truncated', `${records.length} bytes of records for ${raws.length} transactions`);
    }
    for (let at = 0; at < records.length; at += RECORD_BYTES) {
      if (records[at] !== RECORD_VERSION) throw new DecodeError('decode/version', `record version ${records[at]}, ${RECORD_VERSION} understood`);
      if (records[at + 1]! >= TRANSACTION_ERRORS.length) throw new DecodeError('decode/range', `no such status: ${records[at + 1]}`);
    }
    this.raws = raws;
    this.records = records;
    this.view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  }

  /** Number of entries. */
  get count(): number {
    return this.raws.length;
  }

  /** Why entry `index` is no acceptable transaction, or `undefined` when it is one. */
  error(index: number): TransactionErrorCode | undefined {
    const status = this.records[this.offset(index) + RECORD.status]!;
    return status === 0 ? undefined : (TRANSACTION_ERRORS[status] as TransactionErrorCode);
  }

  /** Entry `index`, which must be good, as an object that owns its bytes. */
  transaction(index: number): PoolTransaction {
    const at = this.offset(index);
    const { records, view } = this;
    invariant(records[at + RECORD.status] === 0, 'a refused transaction has no pool view', { index });
    const flags = records[at + RECORD.flags]!;
    const hash = records.slice(at + RECORD.hash, at + RECORD.hash + 32) as TxHash;
    const sender = records.slice(at + RECORD.sender, at + RECORD.sender + 20) as Address;
    const to = (flags & FLAG_NO_RECIPIENT) !== 0 ? undefined : (records.slice(at + RECORD.to, at + RECORD.to + 20) as Address);
    const type = records[at + RECORD.type] as TransactionType;
    const raw = this.raws[index]!.slice();
    return {
      type,
      raw,
      hash,
      hashKey: bytesKey(hash),
      sender,
      senderKey: bytesKey(sender),
      to,
      toKey: to === undefined ? undefined : bytesKey(to),
      nonce: readSafe(view, at + RECORD.nonce),
      gasLimit: readSafe(view, at + RECORD.gasLimit),
      maxFeePerGas: readU128(view, at + RECORD.maxFeePerGas),
      maxPriorityFeePerGas: readU128(view, at + RECORD.maxPriorityFeePerGas),
      value: readU128(view, at + RECORD.value),
      intrinsicGas: readSafe(view, at + RECORD.intrinsicGas),
      dataLength: view.getUint32(at + RECORD.dataLength),
      calls: type === BATCH_TYPE ? decodeCalls(raw) : undefined,
      chainId: (flags & FLAG_CHAIN_ID) === 0 ? undefined : readSafe(view, at + RECORD.chainId),
    };
  }

  private offset(index: number): number {
    invariant(index >= 0 && index < this.raws.length, 'no such entry', { index });
    return index * RECORD_BYTES;
  }
}

/** 8 bytes that are known to be at most 2^53 - 1. */
function readSafe(view: DataView, at: number): number {
  return view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
}

function readU128(view: DataView, at: number): bigint {
  const low = view.getBigUint64(at + 8);
  // Nearly always below 2^64: one bigint instead of four.
  if (view.getUint32(at) === 0 && view.getUint32(at + 4) === 0) return low;
  return (view.getBigUint64(at) << 64n) | low;
}
