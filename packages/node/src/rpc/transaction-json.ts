import { type EventLog, type Hasher, logsBloom, type TransactionReceipt } from '@shardlab/crosslink';
import { type BatchFields, BATCH_TYPE, decodeTransaction, type TransactionFields } from '@shardlab/shard';
import { data, quantity } from './format.ts';

/** Where a listed transaction stands in the view that is asked. */
export interface ListedPlace {
  readonly blockHash: string;
  readonly blockNumber: number;
  readonly transactionIndex: number;
  readonly shard: number;
  readonly shardHeight: number;
}

/** A JSON object. */
export type JsonObject = Record<string, unknown>;

/** The fields of a JSON transaction or receipt that say where it stands; all null while it is pending. */
export function placeJson(place: ListedPlace | undefined): JsonObject {
  if (place === undefined) return { blockHash: null, blockNumber: null, transactionIndex: null };
  return {
    blockHash: place.blockHash,
    blockNumber: quantity(place.blockNumber),
    transactionIndex: quantity(place.transactionIndex),
    shard: place.shard,
    shardHeight: quantity(place.shardHeight),
  };
}

function feeJson(fields: TransactionFields, effectiveGasPrice: bigint | undefined): JsonObject {
  if ('gasPrice' in fields) return { gasPrice: quantity(fields.gasPrice) };
  return {
    gasPrice: quantity(effectiveGasPrice ?? fields.maxFeePerGas),
    maxFeePerGas: quantity(fields.maxFeePerGas),
    maxPriorityFeePerGas: quantity(fields.maxPriorityFeePerGas),
  };
}

/** What a transaction is for; an atomic batch has `calls` besides, and its `to` is null, its `value` the sum, its `input` empty. */
function targetJson(fields: TransactionFields): JsonObject {
  if (fields.type === BATCH_TYPE) return batchJson(fields);
  return { to: fields.to === undefined ? null : data(fields.to), value: quantity(fields.value), input: data(fields.data) };
}

function batchJson({ calls }: BatchFields): JsonObject {
  const value = calls.reduce((sum, call) => sum + call.value, 0n);
  const listed = calls.map((call) => ({ to: data(call.to), value: quantity(call.value), gas: quantity(call.gasLimit), input: data(call.data) }));
  return { to: null, value: quantity(value), input: '0x', calls: listed };
}

/** The lists that only some types have. */
function listsJson(fields: TransactionFields): JsonObject {
  if (fields.type === 0 || fields.type === BATCH_TYPE) return {};
  const accessList = fields.accessList.map((entry) => ({ address: data(entry.address), storageKeys: entry.storageKeys.map((key) => data(key)) }));
  if (fields.type !== 4) return { accessList };
  const authorizationList = fields.authorizations.map(({ chainId, address, nonce, yParity, r, s }) => ({
    chainId: quantity(chainId),
    address: data(address),
    nonce: quantity(nonce),
    yParity: quantity(yParity),
    r: quantity(r),
    s: quantity(s),
  }));
  return { accessList, authorizationList };
}

/** A transaction with every field of Ethereum's object; `place` and `effectiveGasPrice` are undefined while it is pending. */
export function transactionJson(
  raw: Uint8Array,
  hash: Uint8Array,
  from: Uint8Array,
  place: ListedPlace | undefined,
  effectiveGasPrice: bigint | undefined,
): JsonObject {
  const { fields, signature } = decodeTransaction(raw);
  const { yParity, r, s } = signature;
  const legacyV = fields.type !== 0 ? yParity : fields.chainId === undefined ? 27 + yParity : 35 + 2 * fields.chainId + yParity;
  return {
    hash: data(hash),
    type: quantity(fields.type),
    ...(fields.chainId === undefined ? {} : { chainId: quantity(fields.chainId) }),
    nonce: quantity(fields.nonce),
    from: data(from),
    gas: quantity(fields.gasLimit),
    ...targetJson(fields),
    ...feeJson(fields, effectiveGasPrice),
    ...(fields.type === 0 ? {} : { yParity: quantity(yParity) }),
    ...listsJson(fields),
    v: quantity(legacyV),
    r: quantity(bytesToBigint(r)),
    s: quantity(bytesToBigint(s)),
    ...placeJson(place),
  };
}

function bytesToBigint(bytes: Uint8Array): bigint {
  return BigInt(data(bytes));
}

/** A log with every field of Ethereum's object, and `shard`, `shardHeight`. `logIndex` counts within the block. */
export function logJson(log: EventLog, txHash: Uint8Array, place: ListedPlace, logIndex: number): JsonObject {
  return {
    address: data(log.address),
    topics: log.topics.map(data),
    data: data(log.data),
    ...placeJson(place),
    transactionHash: data(txHash),
    logIndex: quantity(logIndex),
    removed: false,
  };
}

/**
 * A receipt with every field of Ethereum's object, and `shard`, `shardHeight`, `crossShard`, `reason` (why a cross-shard transaction was aborted, else
 * null). `cumulativeGasUsed` counts within the shard's block in both views. `logIndex` is that of its first log.
 */
export function receiptJson(receipt: TransactionReceipt, place: ListedPlace, logIndex: number, hasher: Pick<Hasher, 'keccak256'>): JsonObject {
  return {
    transactionHash: data(receipt.txHash),
    ...placeJson(place),
    type: quantity(receipt.type),
    status: quantity(receipt.status),
    from: data(receipt.from),
    to: receipt.to === undefined ? null : data(receipt.to),
    contractAddress: receipt.contractAddress === undefined ? null : data(receipt.contractAddress),
    gasUsed: quantity(receipt.gasUsed),
    cumulativeGasUsed: quantity(receipt.cumulativeGasUsed),
    effectiveGasPrice: quantity(receipt.effectiveGasPrice),
    logs: receipt.logs.map((log, index) => logJson(log, receipt.txHash, place, logIndex + index)),
    logsBloom: data(logsBloom(hasher, receipt.logs)),
    crossShard: receipt.crossShard,
    reason: receipt.reason === 'none' ? null : receipt.reason,
  };
}
