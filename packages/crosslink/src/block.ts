import { ABORT_REASONS, type AbortReason } from './events.ts';
import { putFixed, putU128, putU64 } from './codec/put.ts';
import { Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import { type QuorumCertificate, readCertificate, writeCertificate } from './certificate.ts';
import type { Hasher } from './crypto.ts';
import { DecodeError, invariant } from './errors.ts';
import { readHeader, type ShardHeader, writeHeader } from './header.ts';
import { type EventLog, logsBytes, putLogs, readLogs } from './logs.ts';
import { listRoot } from './merkle/list.ts';
import { type PairTable, readPairTable, writePairTable } from './pairs.ts';
import { type Address, type Hash32, type Height, SHARDS_MAX, type ShardId, type TxHash } from './primitives.ts';
import { CHUNK_MESSAGES_MAX, type Outgoing } from './receipt.ts';
import { MESSAGE_BYTES_MAX } from './xtx/messages.ts';

/** Largest raw transaction, in bytes: go-ethereum's pool limit (4 slots of 32 KiB). */
export const TRANSACTION_BYTES_MAX = 128 * 1024;
/** Most transactions in one block's body. */
export const BLOCK_TRANSACTIONS_MAX = 65_536;
/** Most inbox segments in one block. */
export const INBOX_SEGMENTS_MAX = 4_096;

/** Codec version of a receipt. */
const RECEIPT_VERSION = 2;

/** First guess of an encoded block's bytes: for each transaction, and for all else. A writer of 64 KB for each empty block cost more than all that is written. */
const TRANSACTION_ROOM = 200;
const BLOCK_ROOM = 2_048;

/** Messages of one source block, consumed by one block, in sequence. */
export interface InboxSegment {
  readonly source: ShardId;
  readonly sourceHeight: Height;
  readonly sourceHash: Hash32;
  readonly sourceTimestampMs: number;
  readonly firstSequence: number;
  readonly messages: readonly Uint8Array[];
}

/** What a block consists of, besides its header: the input of its execution. */
export interface BlockBody {
  /** In order of (source, sequence) (R7). */
  readonly inbox: readonly InboxSegment[];
  /** Raw EIP-2718 transactions in order: local ones and those that begin here as coordinator. */
  readonly transactions: readonly Uint8Array[];
  readonly pairs: PairTable;
}

/** A transaction's receipt, in the block that settles it (R18). */
export interface TransactionReceipt {
  readonly txHash: TxHash;
  /** EIP-2718 type. */
  readonly type: number;
  readonly status: 0 | 1;
  readonly crossShard: boolean;
  readonly reason: AbortReason;
  readonly from: Address;
  /** Undefined for a creation. */
  readonly to: Address | undefined;
  readonly gasUsed: number;
  /** Of the listed transactions of this block so far, this one included. */
  readonly cumulativeGasUsed: number;
  readonly effectiveGasPrice: bigint;
  /** The contract that a creation made; undefined for all else. */
  readonly contractAddress: Address | undefined;
  /** Empty if it failed. */
  readonly logs: readonly EventLog[];
  /** Where the raw bytes stand: the block that took the transaction in, which for a cross-shard one is an earlier block of the same shard. */
  readonly bodyHeight: Height;
  readonly bodyIndex: number;
}

/** A block as nodes store and serve it: header, proof, input, and the results that others need. */
export interface Block {
  readonly header: ShardHeader;
  readonly certificate: QuorumCertificate;
  readonly body: BlockBody;
  /** In ascending order of destination. */
  readonly outgoing: readonly Outgoing[];
  /** Listed transactions: settled cross-shard ones, then local ones. */
  readonly receipts: readonly TransactionReceipt[];
  /** See `encodeBlockEvents`. */
  readonly events: Uint8Array;
  /** Wall time at which the node finished the block; outside every hash (R3). */
  readonly wallMs: number;
}

function writeSegment(writer: Writer, segment: InboxSegment): void {
  writer.u16(segment.source).u64(segment.sourceHeight).fixed(segment.sourceHash, 32).u64(segment.sourceTimestampMs).u64(segment.firstSequence);
  writer.list(segment.messages, CHUNK_MESSAGES_MAX, (out, message) => out.bytes(message, MESSAGE_BYTES_MAX));
}

function readSegment(reader: Reader): InboxSegment {
  return {
    source: reader.shard(),
    sourceHeight: reader.height(),
    sourceHash: reader.hash(),
    sourceTimestampMs: reader.u64(),
    firstSequence: reader.u64(),
    messages: reader.list(CHUNK_MESSAGES_MAX, (input) => input.bytes(MESSAGE_BYTES_MAX)),
  };
}

/** Bytes of a receipt without the two addresses that it may lack, and without its logs. */
const RECEIPT_BYTES = 1 + 32 + 4 + 20 + 1 + 8 + 8 + 16 + 1 + 8 + 4;

function putReceipt(buffer: Uint8Array, view: DataView, start: number, receipt: TransactionReceipt): number {
  const { type, reason, to, contractAddress, bodyIndex } = receipt;
  invariant(type === (type & 0xff) && bodyIndex === bodyIndex >>> 0, 'a receipt out of range', { type, bodyIndex });
  buffer[start] = RECEIPT_VERSION;
  let at = putFixed(buffer, start + 1, receipt.txHash, 32);
  buffer[at] = type;
  buffer[at + 1] = receipt.status;
  buffer[at + 2] = receipt.crossShard ? 1 : 0;
  buffer[at + 3] = ABORT_REASONS.indexOf(reason);
  at = putFixed(buffer, at + 4, receipt.from, 20);
  at = putAddress(buffer, at, to);
  at = putU64(view, at, receipt.gasUsed);
  at = putU64(view, at, receipt.cumulativeGasUsed);
  at = putU128(view, at, receipt.effectiveGasPrice);
  at = putAddress(buffer, at, contractAddress);
  at = putLogs(buffer, view, at, receipt.logs);
  at = putU64(view, at, receipt.bodyHeight);
  view.setUint32(at, bodyIndex);
  return at + 4;
}

/** An address that may be absent: a bool, then the address. */
function putAddress(buffer: Uint8Array, at: number, address: Address | undefined): number {
  buffer[at] = address === undefined ? 0 : 1;
  return address === undefined ? at + 1 : putFixed(buffer, at + 1, address, 20);
}

function receiptBytes({ to, contractAddress, logs }: TransactionReceipt): number {
  return RECEIPT_BYTES + (to === undefined ? 0 : 20) + (contractAddress === undefined ? 0 : 20) + logsBytes(logs);
}

function readReceipt(reader: Reader): TransactionReceipt {
  reader.version(RECEIPT_VERSION);
  const head = { txHash: reader.txHash(), type: reader.u8() };
  const status = reader.u8();
  if (status > 1) throw new DecodeError('decode/range', 'receipt status');
  const crossShard = reader.bool();
  const reason = ABORT_REASONS[reader.u8()];
  if (reason === undefined) throw new DecodeError('decode/range', 'receipt reason');
  const from = reader.address();
  const to = reader.bool() ? reader.address() : undefined;
  const gas = { gasUsed: reader.u64(), cumulativeGasUsed: reader.u64(), effectiveGasPrice: reader.u128() };
  const contractAddress = reader.bool() ? reader.address() : undefined;
  const logs = readLogs(reader);
  const place = { bodyHeight: reader.height(), bodyIndex: reader.u32() };
  return { ...head, status: status === 1 ? 1 : 0, crossShard, reason, from, to, ...gas, contractAddress, logs, ...place };
}

/** `txRoot`: commits to the inbox segments and to the hashes of the body's transactions (keccak-256 each, as the executor already has them). */
export function txRoot(hasher: Hasher, inbox: readonly InboxSegment[], transactionHashes: readonly Uint8Array[]): Hash32 {
  const segments = inbox.map((segment) => {
    const writer = new Writer(1024);
    writeSegment(writer, segment);
    return hasher.sha256(writer.finish());
  });
  const both = new Uint8Array(64);
  both.set(listRoot(hasher, segments), 0);
  both.set(listRoot(hasher, transactionHashes), 32);
  return hasher.sha256(both);
}

/** A block's receipts as bytes: its header's root is made of them, and its record holds them. */
export interface EncodedReceipts {
  /** The receipts back to back; each is a leaf under `receiptRoot`. */
  readonly bytes: Uint8Array;
  /** Where each of them ends. */
  readonly ends: readonly number[];
}

/** Encodes the receipts of a block. */
export function encodeReceipts(receipts: readonly TransactionReceipt[]): EncodedReceipts {
  let sizeBytes = 0;
  for (const receipt of receipts) sizeBytes += receiptBytes(receipt);
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  let end = 0;
  return { bytes, ends: receipts.map((receipt) => (end = putReceipt(bytes, view, end, receipt))) };
}

/** `receiptRoot`: over the listed transactions' receipts. */
export function receiptRoot(hasher: Hasher, receipts: readonly TransactionReceipt[]): Hash32 {
  return encodedReceiptRoot(hasher, encodeReceipts(receipts));
}

/** {@link receiptRoot} of receipts that are encoded already. */
export function encodedReceiptRoot(hasher: Hasher, { bytes, ends }: EncodedReceipts): Hash32 {
  let start = 0;
  const leaves = ends.map((end) => {
    const leaf = hasher.sha256(bytes.subarray(start, end));
    start = end;
    return leaf;
  });
  return listRoot(hasher, leaves);
}

/** What a validator must be told to execute a block, besides its header: the rest of the body follows from both. */
export type BlockInput = Pick<BlockBody, 'inbox' | 'transactions'>;

/** Canonical bytes of a block's input. */
export function encodeBlockInput(input: BlockInput): Uint8Array {
  const writer = new Writer(16_384).u8(1).list(input.inbox, INBOX_SEGMENTS_MAX, writeSegment);
  return writer.list(input.transactions, BLOCK_TRANSACTIONS_MAX, (out, raw) => out.bytes(raw, TRANSACTION_BYTES_MAX)).finish();
}

/** The inverse of {@link encodeBlockInput}; byte fields are views of `data`. Throws {@link DecodeError}. */
export function decodeBlockInput(data: Uint8Array): BlockInput {
  const reader = new Reader(data);
  reader.version(1);
  const inbox = reader.list(INBOX_SEGMENTS_MAX, readSegment);
  const transactions = reader.list(BLOCK_TRANSACTIONS_MAX, (from) => from.bytes(TRANSACTION_BYTES_MAX));
  reader.end();
  return { inbox, transactions };
}

/** Canonical bytes of a block record. `receipts`: those of the block, if they are encoded already. */
export function encodeBlock(block: Block, receipts: EncodedReceipts = encodeReceipts(block.receipts)): Uint8Array {
  invariant(receipts.ends.length === block.receipts.length, "another block's receipts");
  const writer = new Writer(block.events.length + receipts.bytes.length + block.body.transactions.length * TRANSACTION_ROOM + BLOCK_ROOM).u8(1);
  writeHeader(writer, block.header);
  writeCertificate(writer, block.certificate);
  writer.u64(block.wallMs);
  writer.list(block.body.inbox, INBOX_SEGMENTS_MAX, writeSegment);
  writer.list(block.body.transactions, BLOCK_TRANSACTIONS_MAX, (out, raw) => out.bytes(raw, TRANSACTION_BYTES_MAX));
  writePairTable(writer, block.body.pairs);
  writer.list(block.outgoing, SHARDS_MAX, (out, each) => {
    out.u16(each.destination).u64(each.firstSequence);
    out.list(each.messages, BLOCK_TRANSACTIONS_MAX * 8, (inner, message) => inner.bytes(message, MESSAGE_BYTES_MAX));
  });
  invariant(block.receipts.length <= BLOCK_TRANSACTIONS_MAX * 2, 'more receipts than a block holds');
  // As a list of them.
  writer.u32(block.receipts.length).fixed(receipts.bytes, receipts.bytes.length);
  writer.bytes(block.events, 1 << 28);
  return writer.finish();
}

/** The inverse of {@link encodeBlock}; byte fields are views of `data`. Throws {@link DecodeError}. */
export function decodeBlock(data: Uint8Array): Block {
  const reader = new Reader(data);
  reader.version(1);
  const head = { header: readHeader(reader), certificate: readCertificate(reader), wallMs: reader.u64() };
  const body = {
    inbox: reader.list(INBOX_SEGMENTS_MAX, readSegment),
    transactions: reader.list(BLOCK_TRANSACTIONS_MAX, (input) => input.bytes(TRANSACTION_BYTES_MAX)),
    pairs: readPairTable(reader),
  };
  const outgoing = reader.list(SHARDS_MAX, (input) => ({
    destination: input.shard(),
    firstSequence: input.u64(),
    messages: input.list(BLOCK_TRANSACTIONS_MAX * 8, (inner) => inner.bytes(MESSAGE_BYTES_MAX)),
  }));
  const receipts = reader.list(BLOCK_TRANSACTIONS_MAX * 2, readReceipt);
  const events = reader.bytes(1 << 28);
  reader.end();
  return { ...head, body, outgoing, receipts, events };
}

/** Reads only header and certificate of an encoded block: what header ranges and batches need. */
export function decodeBlockHead(data: Uint8Array): { readonly header: ShardHeader; readonly certificate: QuorumCertificate; readonly wallMs: number } {
  const reader = new Reader(data);
  reader.version(1);
  return { header: readHeader(reader), certificate: readCertificate(reader), wallMs: reader.u64() };
}
