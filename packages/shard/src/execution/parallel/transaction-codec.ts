import { type Address, type Hash32, Reader, Writer } from '@shardlab/crosslink';
import type { Authorization } from '../evm/authorizations.ts';
import type { EvmTransaction } from '../evm/transaction.ts';
import type { BlockEnvironment } from '../evm/types.ts';

const LIST_MAX = 1 << 20;
const DATA_BYTES_MAX = 1 << 24;
/** BLOCKHASH reaches so many blocks back. */
const HASHES = 256n;
const NUMBER_MAX = 0xffff_ffff_ffff_ffffn;
/** How an amount is written. */
const SMALL = 0;
const LARGE = 1;
const TYPES = [0, 1, 2, 3, 4] as const;
/** Room for a call with two arguments: what most are. */
const BYTES_PER_CALL = 192;

function writeAmount(writer: Writer, value: bigint): void {
  const number = Number(value);
  if (number <= Number.MAX_SAFE_INTEGER) writer.u8(SMALL).u64(number);
  else writer.u8(LARGE).u256(value);
}

function readAmount(reader: Reader): bigint {
  return reader.u8() === SMALL ? BigInt(reader.u64()) : reader.u256();
}

function writeOptional(writer: Writer, bytes: Uint8Array | undefined): void {
  writer.bool(bytes !== undefined);
  if (bytes !== undefined) writer.fixed(bytes, 20);
}

function readOptional(reader: Reader): Address | undefined {
  return reader.bool() ? reader.address() : undefined;
}

function writeAuthorization(writer: Writer, { chainId, address, nonce, authority }: Authorization): void {
  writeOptional(writer.u256(chainId).fixed(address, 20).u256(nonce), authority);
}

function readAuthorization(reader: Reader): Authorization {
  return { chainId: reader.u256(), address: reader.address(), nonce: reader.u256(), authority: readOptional(reader) };
}

function writeTransaction(writer: Writer, tx: EvmTransaction): void {
  writer.u8(tx.type).fixed(tx.sender, 20).bool(tx.chainId !== undefined);
  if (tx.chainId !== undefined) writeAmount(writer, tx.chainId);
  for (const amount of [tx.nonce, tx.gasLimit, tx.maxFeePerGas, tx.maxPriorityFeePerGas, tx.value]) writeAmount(writer, amount);
  writeOptional(writer, tx.to);
  writer.bytes(tx.data, DATA_BYTES_MAX);
  if (tx.type === 0) return;
  writer.list(tx.accessList, LIST_MAX, (to, { address, storageKeys }) => {
    to.fixed(address, 20).list(storageKeys, LIST_MAX, (list, key) => list.fixed(key, 32));
  });
  if (tx.type < 3) return;
  writer.list(tx.blobHashes, LIST_MAX, (to, hash) => to.fixed(hash, 32));
  writeAmount(writer, tx.maxFeePerBlobGas);
  writer.list(tx.authorizations, LIST_MAX, writeAuthorization);
}

function readTransaction(reader: Reader): EvmTransaction {
  const type = TYPES[reader.u8()]!;
  const sender = reader.address();
  const chainId = reader.bool() ? readAmount(reader) : undefined;
  const [nonce, gasLimit, maxFeePerGas] = [readAmount(reader), readAmount(reader), readAmount(reader)];
  const [maxPriorityFeePerGas, value] = [readAmount(reader), readAmount(reader)];
  const to = readOptional(reader);
  const data = reader.bytes(DATA_BYTES_MAX);
  const accessList = type === 0 ? [] : reader.list(LIST_MAX, () => ({ address: reader.address(), storageKeys: reader.list(LIST_MAX, () => reader.hash()) }));
  const late = type >= 3;
  const blobHashes = late ? reader.list(LIST_MAX, () => reader.hash()) : [];
  const maxFeePerBlobGas = late ? readAmount(reader) : 0n;
  const authorizations = late ? reader.list(LIST_MAX, readAuthorization) : [];
  return {
    type, sender, chainId, nonce, gasLimit, maxFeePerGas, maxPriorityFeePerGas, to, value, data, accessList, blobHashes, maxFeePerBlobGas, authorizations,
  };
}

/** The transactions at `indices`, for a thread. Of what a transaction's type does not have nothing is kept: access lists, blobs, authorizations. */
export function packTransactions(transactions: readonly EvmTransaction[], indices: Iterable<number>): Uint8Array<ArrayBuffer> {
  const chosen = Array.from(indices, (index) => transactions[index]!);
  const writer = new Writer(Math.max(8192, chosen.length * BYTES_PER_CALL));
  writer.list(chosen, LIST_MAX, writeTransaction);
  return writer.finish() as Uint8Array<ArrayBuffer>;
}

/** The inverse of {@link packTransactions}; bytes are views. */
export function unpackTransactions(packed: Uint8Array): EvmTransaction[] {
  return new Reader(packed).list(LIST_MAX, readTransaction);
}

/** A block's environment for a thread, with the hashes of the blocks that BLOCKHASH reaches. */
export function packBlock(block: BlockEnvironment): Uint8Array<ArrayBuffer> {
  const writer = new Writer(8192 + 512);
  writer.u256(block.chainId).u256(block.number).u256(block.timestamp).u256(block.gasLimit);
  writer.fixed(block.coinbase, 20).fixed(block.prevRandao, 32).u256(block.baseFeePerGas).u256(block.blobBaseFee);
  for (let back = 1n; back <= HASHES; back++) {
    const hash = back <= block.number && block.number <= NUMBER_MAX ? block.blockHash(block.number - back) : undefined;
    writer.bool(hash !== undefined);
    if (hash !== undefined) writer.fixed(hash, 32);
  }
  return writer.finish() as Uint8Array<ArrayBuffer>;
}

/** The inverse of {@link packBlock}. */
export function unpackBlock(packed: Uint8Array): BlockEnvironment {
  const reader = new Reader(packed);
  const [chainId, number, timestamp, gasLimit] = [reader.u256(), reader.u256(), reader.u256(), reader.u256()];
  const [coinbase, prevRandao, baseFeePerGas, blobBaseFee] = [reader.address(), reader.hash(), reader.u256(), reader.u256()];
  const hashes: (Hash32 | undefined)[] = [];
  for (let back = 1n; back <= HASHES; back++) hashes.push(reader.bool() ? reader.hash() : undefined);
  const blockHash = (asked: bigint): Hash32 | undefined => {
    const back = number - asked;
    return back >= 1n && back <= HASHES ? hashes[Number(back) - 1] : undefined;
  };
  return { chainId, number, timestamp, gasLimit, coinbase, prevRandao, baseFeePerGas, blobBaseFee, blockHash };
}
