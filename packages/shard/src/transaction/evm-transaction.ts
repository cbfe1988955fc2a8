import { bytesKey, invariant, type TxHash } from '@shardlab/crosslink';

import { type Authorization, recoverAuthority } from '../execution/evm/authorizations.ts';
import type { EvmTransaction } from '../execution/evm/transaction.ts';
import type { EvmFork } from '../execution/evm/types.ts';
import { decodeTransaction, intrinsicGasOf } from './decode.ts';
import { itemAt, payloadStart } from './item-at.ts';
import { type AccessListEntry, BATCH_TYPE, type PoolTransaction, type RecoveryPrimitives, type SignedAuthorization } from './types.ts';

/** RLP of a list of nothing. */
const EMPTY_LIST = 0xc0;
const NO_ENTRIES: readonly AccessListEntry[] = [];
const NO_BLOBS: EvmTransaction['blobHashes'] = [];
const NO_AUTHORIZATIONS: EvmTransaction['authorizations'] = [];

const NO_DATA = new Uint8Array(0);

function recovered(authorizations: readonly SignedAuthorization[], primitives: RecoveryPrimitives | undefined): readonly Authorization[] {
  invariant(primitives !== undefined, 'a set-code transaction needs the primitives of recovery');
  return authorizations.map((signed) => ({
    chainId: signed.chainId,
    address: signed.address,
    nonce: signed.nonce,
    authority: recoverAuthority(signed, signed, primitives),
  }));
}

/** Index of the data among the items of each type but the atomic batch: types 1, 2 and 4 begin with a chain id, 2 and 4 have two fees. */
function dataIndex(type: PoolTransaction['type']): number {
  return type === 0 ? 5 : type === 1 ? 6 : 7;
}

/** Call data or initcode of a transaction of the pool: a view of its bytes. An atomic batch has none but its calls'. */
export function dataOf({ raw, type, dataLength }: PoolTransaction): Uint8Array {
  invariant(type !== BATCH_TYPE, "an atomic batch has its calls' data");
  if (dataLength === 0) return NO_DATA;
  const start = payloadStart(raw, itemAt(raw, dataIndex(type)));
  return raw.subarray(start, start + dataLength);
}

function accessListOf({ raw, type }: PoolTransaction): readonly AccessListEntry[] {
  if (type === 0) return NO_ENTRIES;
  // Nearly all are empty, and then nothing is decoded.
  if (raw[itemAt(raw, dataIndex(type) + 1)] === EMPTY_LIST) return NO_ENTRIES;
  const { fields } = decodeTransaction(raw);
  return 'accessList' in fields ? fields.accessList : NO_ENTRIES;
}

function authorizationsOf({ raw, type }: PoolTransaction, primitives: RecoveryPrimitives | undefined): readonly Authorization[] {
  if (type !== 4) return NO_AUTHORIZATIONS;
  const { fields } = decodeTransaction(raw);
  return fields.type === 4 ? recovered(fields.authorizations, primitives) : NO_AUTHORIZATIONS;
}

/**
 * What the EVM needs of a transaction of the pool, whose bytes were checked when it was taken in; `data` is a view of them. Type 4 needs `primitives`, which recover who
 * signed its authorizations: that is not done ahead on other threads, since each pays 25,000 gas, eight times the price of the precompile that does the same work. An
 * atomic batch is no EVM transaction: its calls are operations.
 */
export function toEvmTransaction(tx: PoolTransaction, primitives?: RecoveryPrimitives): EvmTransaction {
  const { type } = tx;
  invariant(type !== BATCH_TYPE, 'an atomic batch is no EVM transaction');
  return {
    type,
    sender: tx.sender,
    chainId: tx.chainId === undefined ? undefined : BigInt(tx.chainId),
    nonce: BigInt(tx.nonce),
    gasLimit: BigInt(tx.gasLimit),
    maxFeePerGas: tx.maxFeePerGas,
    maxPriorityFeePerGas: tx.maxPriorityFeePerGas,
    to: tx.to,
    value: tx.value,
    data: dataOf(tx),
    accessList: accessListOf(tx),
    blobHashes: NO_BLOBS,
    maxFeePerBlobGas: 0n,
    authorizations: authorizationsOf(tx, primitives),
  };
}

/**
 * The pool's form of a transaction whose hash and sender are known already, for tools that read blocks again; nodes take what `recoverBatch` found. Owns nothing: byte
 * fields are the arguments. Throws a `TransactionError` if `raw` is no transaction.
 */
export function poolTransactionOf(raw: Uint8Array, hash: TxHash, sender: PoolTransaction['sender'], fork: EvmFork): PoolTransaction {
  const { fields } = decodeTransaction(raw);
  const fees = 'gasPrice' in fields ? { maxFeePerGas: fields.gasPrice, maxPriorityFeePerGas: fields.gasPrice } : fields;
  const calls = fields.type === BATCH_TYPE ? fields.calls : undefined;
  const target = fields.type === BATCH_TYPE ? undefined : fields;
  return {
    type: fields.type,
    raw,
    hash,
    hashKey: bytesKey(hash),
    sender,
    senderKey: bytesKey(sender),
    to: target?.to,
    toKey: target?.to === undefined ? undefined : bytesKey(target.to),
    nonce: fields.nonce,
    gasLimit: fields.gasLimit,
    maxFeePerGas: fees.maxFeePerGas,
    maxPriorityFeePerGas: fees.maxPriorityFeePerGas,
    value: target?.value ?? (calls ?? []).reduce((sum, call) => sum + call.value, 0n),
    intrinsicGas: intrinsicGasOf(fields, fork),
    dataLength: target?.data.length ?? (calls ?? []).reduce((sum, call) => sum + call.data.length, 0),
    calls,
    chainId: fields.chainId,
  };
}
