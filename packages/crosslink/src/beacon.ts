import { decodeAll, Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import { type EpochCertificate, readEpochCertificate, writeEpochCertificate } from './assignment.ts';
import { checkCertificate, type QuorumCertificate, readCertificate, writeCertificate } from './certificate.ts';
import type { Crypto, Hasher } from './crypto.ts';
import { DecodeError } from './errors.ts';
import { encodeHeader, readHeader, type ShardHeader, writeHeader } from './header.ts';
import { listRoot } from './merkle/list.ts';
import { BEACON, equalBytes, type Hash32, type Height } from './primitives.ts';

/** Most crosslinks in one beacon block: keeps it under one gossip message. */
export const CROSSLINKS_MAX = 1_024;
const BEACON_DOMAIN = 0x02;

/** A certified shard header, recorded by the beacon. */
export interface Crosslink {
  readonly header: ShardHeader;
  readonly certificate: QuorumCertificate;
}

/** A beacon block's header. */
export interface BeaconHeader {
  readonly chainId: number;
  readonly height: Height;
  readonly parentHash: Hash32;
  readonly epoch: number;
  readonly proposer: number;
  /** Milliseconds since the Unix epoch, at least the parent's + 1. */
  readonly timestampMs: number;
  /** Root of the list of crosslinked headers' hashes. */
  readonly crosslinkRoot: Hash32;
  /** Hash of the assignment of `epoch`. */
  readonly epochCertificateHash: Hash32;
}

/** A beacon block: crosslinks in order of (shard, height), contiguous per shard, and the certificate of an epoch that begins here. */
export interface BeaconBlock {
  readonly header: BeaconHeader;
  readonly certificate: QuorumCertificate;
  readonly crosslinks: readonly Crosslink[];
  readonly epochCertificate: EpochCertificate | undefined;
  readonly wallMs: number;
}

function writeBeaconHeader(writer: Writer, header: BeaconHeader): void {
  writer.u8(BEACON_DOMAIN).u8(1).u64(header.chainId).u64(header.height).fixed(header.parentHash, 32).u64(header.epoch);
  writer.u16(header.proposer).u64(header.timestampMs).fixed(header.crosslinkRoot, 32).fixed(header.epochCertificateHash, 32);
}

function readBeaconHeader(reader: Reader): BeaconHeader {
  if (reader.u8() !== BEACON_DOMAIN) throw new DecodeError('decode/range', 'not a beacon header');
  reader.version(1);
  return {
    chainId: reader.u64(),
    height: reader.height(),
    parentHash: reader.hash(),
    epoch: reader.u64(),
    proposer: reader.u16(),
    timestampMs: reader.u64(),
    crosslinkRoot: reader.hash(),
    epochCertificateHash: reader.hash(),
  };
}

/** Canonical bytes of a beacon header. */
export function encodeBeaconHeader(header: BeaconHeader): Uint8Array {
  const writer = new Writer(256);
  writeBeaconHeader(writer, header);
  return writer.finish();
}

/** The inverse of {@link encodeBeaconHeader}. Throws {@link DecodeError}. */
export function decodeBeaconHeader(data: Uint8Array): BeaconHeader {
  return decodeAll(data, readBeaconHeader);
}

/** SHA-256 of the header's canonical bytes: the beacon block's hash. */
export function beaconHash(hasher: Hasher, header: BeaconHeader): Hash32 {
  return hasher.sha256(encodeBeaconHeader(header));
}

function writeCrosslink(writer: Writer, crosslink: Crosslink): void {
  writeHeader(writer, crosslink.header);
  writeCertificate(writer, crosslink.certificate);
}

function readCrosslink(reader: Reader): Crosslink {
  return { header: readHeader(reader), certificate: readCertificate(reader) };
}

/** Canonical bytes of a list of crosslinks: what a beacon block is made from, besides its header. */
export function encodeCrosslinks(crosslinks: readonly Crosslink[]): Uint8Array {
  return new Writer(4096).u8(1).list(crosslinks, CROSSLINKS_MAX, writeCrosslink).finish();
}

/** The inverse of {@link encodeCrosslinks}. Throws {@link DecodeError}. */
export function decodeCrosslinks(data: Uint8Array): Crosslink[] {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return reader.list(CROSSLINKS_MAX, readCrosslink);
  });
}

/** Root over the crosslinks' header hashes. */
export function crosslinkRoot(hasher: Hasher, crosslinks: readonly Crosslink[]): Hash32 {
  return listRoot(
    hasher,
    crosslinks.map((crosslink) => hasher.sha256(encodeHeader(crosslink.header))),
  );
}

/** Canonical bytes of a beacon block. */
export function encodeBeaconBlock(block: BeaconBlock): Uint8Array {
  const writer = new Writer(4096).u8(1);
  writeBeaconHeader(writer, block.header);
  writeCertificate(writer, block.certificate);
  writer.u64(block.wallMs).list(block.crosslinks, CROSSLINKS_MAX, writeCrosslink);
  writer.bool(block.epochCertificate !== undefined);
  if (block.epochCertificate !== undefined) writeEpochCertificate(writer, block.epochCertificate);
  return writer.finish();
}

/** The inverse of {@link encodeBeaconBlock}. Throws {@link DecodeError}. */
export function decodeBeaconBlock(data: Uint8Array): BeaconBlock {
  const reader = new Reader(data);
  reader.version(1);
  const head = { header: readBeaconHeader(reader), certificate: readCertificate(reader), wallMs: reader.u64() };
  const crosslinks = reader.list(CROSSLINKS_MAX, readCrosslink);
  const epochCertificate = reader.bool() ? readEpochCertificate(reader) : undefined;
  reader.end();
  return { ...head, crosslinks, epochCertificate };
}

/**
 * Checks that the beacon's committee certified a block and that its body belongs to it. Returns undefined when it holds, else a stable reason. The
 * crosslinks' own certificates are for the caller to check, with the validator sets of their epochs.
 */
export function checkBeaconBlock(crypto: Crypto, genesisHash: Hash32, validators: readonly Uint8Array[], block: BeaconBlock): string | undefined {
  const { header } = block;
  if (!equalBytes(crosslinkRoot(crypto, block.crosslinks), header.crosslinkRoot)) return 'beacon-crosslink-root';
  const blockHash = beaconHash(crypto, header);
  const subject = { genesisHash, chain: BEACON, epoch: header.epoch, height: header.height, phase: 'commit' as const, blockHash };
  return checkCertificate(crypto, validators, subject, block.certificate);
}
