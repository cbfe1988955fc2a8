import { decodeAll, type Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import type { Hasher } from './crypto.ts';
import { DecodeError } from './errors.ts';
import type { Hash32, Height, ShardId } from './primitives.ts';

/** Version byte of the shard header's encoding. */
export const HEADER_VERSION = 1;
/** First byte of everything hashed as a shard header, so that no other hashed object can pose as one. */
const HEADER_DOMAIN = 0x01;
/** Bytes of Ethereum's logs bloom. */
export const LOGS_BLOOM_BYTES = 256;

/** Sums over one shard at one height, in wei, each below 2^128. Over a consistent cut: balances + escrow + in flight + burned = genesis. */
export interface Totals {
  readonly balances: bigint;
  /** Value and fees that open cross-shard transactions hold, and parked credits. */
  readonly escrow: bigint;
  readonly burned: bigint;
  /** Transactions listed so far, from genesis. */
  readonly transactions: number;
  /** Logs emitted so far, from genesis. */
  readonly logs: number;
}

/**
 * A shard block's header (R6). It holds neither view nor certificate: a block proposed again in a later view is byte-identical.
 */
export interface ShardHeader {
  readonly chainId: number;
  readonly shard: ShardId;
  readonly height: Height;
  readonly parentHash: Hash32;
  readonly epoch: number;
  /** Index of the proposer in the shard's validator set of this epoch. */
  readonly proposer: number;
  /** Milliseconds since the Unix epoch, at least the parent's + 1 (R5). */
  readonly timestampMs: number;
  readonly gasLimit: number;
  readonly gasUsed: number;
  /** Wei per gas, EIP-1559. */
  readonly baseFeePerGas: bigint;
  readonly prevRandao: Hash32;
  readonly stateRoot: Hash32;
  /** Commits to the inbox and the transactions of the body. */
  readonly txRoot: Hash32;
  readonly receiptRoot: Hash32;
  /** 256 bytes. */
  readonly logsBloom: Uint8Array;
  /** Commits to the messages that leave with this block (R14). */
  readonly outRoot: Hash32;
  readonly epochCertificateHash: Hash32;
  /** Commits to the pair table of the body. */
  readonly pairRoot: Hash32;
  readonly totals: Totals;
}

/** Appends the header. */
export function writeHeader(writer: Writer, header: ShardHeader): void {
  writer.u8(HEADER_DOMAIN).u8(HEADER_VERSION).u64(header.chainId).u16(header.shard).u64(header.height);
  writer.fixed(header.parentHash, 32).u64(header.epoch).u16(header.proposer).u64(header.timestampMs);
  writer.u64(header.gasLimit).u64(header.gasUsed).u128(header.baseFeePerGas);
  writer.fixed(header.prevRandao, 32).fixed(header.stateRoot, 32).fixed(header.txRoot, 32).fixed(header.receiptRoot, 32);
  writer.fixed(header.logsBloom, LOGS_BLOOM_BYTES).fixed(header.outRoot, 32).fixed(header.epochCertificateHash, 32);
  writer.fixed(header.pairRoot, 32);
  const { totals } = header;
  writer.u128(totals.balances).u128(totals.escrow).u128(totals.burned).u64(totals.transactions).u64(totals.logs);
}

/** Reads what {@link writeHeader} wrote. Throws {@link DecodeError}. */
export function readHeader(reader: Reader): ShardHeader {
  if (reader.u8() !== HEADER_DOMAIN) throw new DecodeError('decode/range', 'not a shard header');
  reader.version(HEADER_VERSION);
  return {
    chainId: reader.u64(),
    shard: reader.shard(),
    height: reader.height(),
    parentHash: reader.hash(),
    epoch: reader.u64(),
    proposer: reader.u16(),
    timestampMs: reader.u64(),
    gasLimit: reader.u64(),
    gasUsed: reader.u64(),
    baseFeePerGas: reader.u128(),
    prevRandao: reader.hash(),
    stateRoot: reader.hash(),
    txRoot: reader.hash(),
    receiptRoot: reader.hash(),
    logsBloom: reader.fixed(LOGS_BLOOM_BYTES),
    outRoot: reader.hash(),
    epochCertificateHash: reader.hash(),
    pairRoot: reader.hash(),
    totals: {
      balances: reader.u128(),
      escrow: reader.u128(),
      burned: reader.u128(),
      transactions: reader.u64(),
      logs: reader.u64(),
    },
  };
}

/** The canonical bytes, version first after the domain byte. */
export function encodeHeader(header: ShardHeader): Uint8Array {
  const writer = new Writer(1024);
  writeHeader(writer, header);
  return writer.finish();
}

/** The inverse of {@link encodeHeader}. Throws {@link DecodeError}. */
export function decodeHeader(data: Uint8Array): ShardHeader {
  return decodeAll(data, readHeader);
}

/** SHA-256 of the canonical bytes: the block's hash. */
export function headerHash(hasher: Hasher, header: ShardHeader): Hash32 {
  return hasher.sha256(encodeHeader(header));
}
