import { LOGS_BLOOM_BYTES, type ShardHeader } from '@shardlab/crosslink';
import { data, quantity } from './format.ts';

const ZERO_32 = `0x${'00'.repeat(32)}`;
const NO_BLOOM = `0x${'00'.repeat(LOGS_BLOOM_BYTES)}`;
/** Keccak-256 of the RLP of an empty list: what Ethereum's blocks without uncles carry. */
const NO_UNCLES = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347';

/** Hashes, or whole transactions. */
export type BlockTransactions = readonly (string | Readonly<Record<string, unknown>>)[];

/** What every block object has that these chains do not: so that wallets' strict decoders take it. */
const ETHEREUM_ONLY = {
  sha3Uncles: NO_UNCLES,
  miner: `0x${'00'.repeat(20)}`,
  difficulty: '0x0',
  totalDifficulty: '0x0',
  extraData: '0x',
  uncles: [],
  nonce: '0x0000000000000000',
} as const;

/** A shard's block, with every field of Ethereum's block object, and `shard`, `shardHeight`, `timestampMs`. */
export function shardBlockJson(header: ShardHeader, hash: Uint8Array, sizeBytes: number, transactions: BlockTransactions): Record<string, unknown> {
  return {
    ...ETHEREUM_ONLY,
    number: quantity(header.height),
    hash: data(hash),
    parentHash: data(header.parentHash),
    stateRoot: data(header.stateRoot),
    transactionsRoot: data(header.txRoot),
    receiptsRoot: data(header.receiptRoot),
    logsBloom: data(header.logsBloom),
    size: quantity(sizeBytes),
    gasLimit: quantity(header.gasLimit),
    gasUsed: quantity(header.gasUsed),
    timestamp: quantity(Math.floor(header.timestampMs / 1000)),
    mixHash: data(header.prevRandao),
    baseFeePerGas: quantity(header.baseFeePerGas),
    transactions,
    shard: header.shard,
    shardHeight: quantity(header.height),
    timestampMs: quantity(header.timestampMs),
  };
}

/** What the network view shows of a beacon block. */
export interface NetworkBlock {
  readonly height: number;
  readonly hash: Uint8Array;
  readonly parentHash: Uint8Array;
  readonly timestampMs: number;
  /** Root of the crosslinked headers: stands for the roots of state, transactions and receipts, which those headers commit to. */
  readonly crosslinkRoot: Uint8Array;
  readonly gasLimit: number;
  readonly gasUsed: number;
  /** The highest that any shard asked for, as far as the block knows. */
  readonly baseFeePerGas: bigint;
  readonly sizeBytes: number;
  /** Of the crosslinked blocks, 256 bytes; undefined = empty. */
  readonly logsBloom: Uint8Array | undefined;
}

/** A block of the network view: height, hash and time of the beacon's block, and what the shard blocks in it add up to. */
export function networkBlockJson(block: NetworkBlock, transactions: BlockTransactions): Record<string, unknown> {
  const root = data(block.crosslinkRoot);
  return {
    ...ETHEREUM_ONLY,
    number: quantity(block.height),
    hash: data(block.hash),
    parentHash: data(block.parentHash),
    stateRoot: root,
    transactionsRoot: root,
    receiptsRoot: root,
    logsBloom: block.logsBloom === undefined ? NO_BLOOM : data(block.logsBloom),
    size: quantity(block.sizeBytes),
    gasLimit: quantity(block.gasLimit),
    gasUsed: quantity(block.gasUsed),
    timestamp: quantity(Math.floor(block.timestampMs / 1000)),
    mixHash: ZERO_32,
    baseFeePerGas: quantity(block.baseFeePerGas),
    transactions,
    shard: null,
    shardHeight: null,
    timestampMs: quantity(block.timestampMs),
  };
}
