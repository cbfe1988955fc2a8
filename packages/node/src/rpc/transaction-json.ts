import { LOGS_BLOOM_BYTES, type TransactionReceipt } from '@shardlab/crosslink';
import { decodeTransaction, type TransactionFields } from '@shardlab/shard';
import { data, quantity } from './format.ts';

const NO_BLOOM = `0x${'00'.repeat(LOGS_BLOOM_BYTES)}`;

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
  if (fields.type !== 2) return { gasPrice: quantity(fields.gasPrice) };
  return {
    gasPrice: quantity(effectiveGasPrice ?? fields.maxFeePerGas),
    maxFeePerGas: quantity(fields.maxFeePerGas),
    maxPriorityFeePerGas: quantity(fields.maxPriorityFeePerGas),
  };
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
  const typed =
    fields.type === 0
      ? {}
      : {
          yParity: quantity(yParity),
          accessList: fields.accessList.map((entry) => ({ address: data(entry.address), storageKeys: entry.storageKeys.map((key) => data(key)) })),
        };
  return {
    hash: data(hash),
    type: quantity(fields.type),
    ...(fields.chainId === undefined ? {} : { chainId: quantity(fields.chainId) }),
    nonce: quantity(fields.nonce),
    from: data(from),
    to: fields.to === undefined ? null : data(fields.to),
    gas: quantity(fields.gasLimit),
    value: quantity(fields.value),
    input: data(fields.data),
    ...feeJson(fields, effectiveGasPrice),
    ...typed,
    v: quantity(legacyV),
    r: quantity(bytesToBigint(r)),
    s: quantity(bytesToBigint(s)),
    ...placeJson(place),
  };
}

function bytesToBigint(bytes: Uint8Array): bigint {
  return BigInt(data(bytes));
}

/**
 * A receipt with every field of Ethereum's object, and `shard`, `shardHeight`, `crossShard`, `reason` (why a cross-shard transaction was aborted, else
 * null). `cumulativeGasUsed` counts within the shard's block in both views.
 */
export function receiptJson(receipt: TransactionReceipt, place: ListedPlace): JsonObject {
  return {
    transactionHash: data(receipt.txHash),
    ...placeJson(place),
    type: quantity(receipt.type),
    status: quantity(receipt.status),
    from: data(receipt.from),
    to: receipt.to === undefined ? null : data(receipt.to),
    contractAddress: null,
    gasUsed: quantity(receipt.gasUsed),
    cumulativeGasUsed: quantity(receipt.cumulativeGasUsed),
    effectiveGasPrice: quantity(receipt.effectiveGasPrice),
    logs: [],
    logsBloom: NO_BLOOM,
    crossShard: receipt.crossShard,
    reason: receipt.reason === 'none' ? null : receipt.reason,
  };
}
