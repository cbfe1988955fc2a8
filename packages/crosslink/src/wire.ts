import { TRANSACTION_BYTES_MAX } from './block.ts';
import { decodeAll, Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import { type QuorumCertificate, readCertificate, writeCertificate } from './certificate.ts';
import { DecodeError } from './errors.ts';
import { readHeader, type ShardHeader, writeHeader } from './header.ts';
import { type PairTable, readPairTable, writePairTable } from './pairs.ts';
import type { Height, ShardId } from './primitives.ts';

/** Names of gossip topics, inside the network's own prefix. */
export const TOPICS = {
  /** Announcements of shard headers, with their pair tables: for shards, one a heartbeat. */
  headers: 'headers',
  /** Announcements of every shard header, with an empty pair table: for the beacon. */
  crosslinks: 'crosslinks',
  /** Beacon blocks. */
  beacon: 'beacon',
  /** Receipt batches for one destination shard (R14). */
  receipts: (destination: ShardId): string => `receipts/${destination}`,
  /** Messages of one chain's committee to itself. */
  consensus: (chain: ShardId): string => `consensus/${chain}`,
  /** Raw transactions that one validator of a shard has admitted, for the others of its committee. */
  transactions: (shard: ShardId): string => `transactions/${shard}`,
} as const;

/**
 * What a shard tells all others with each heartbeat, and with the first block after one (R14): its latest certified header, and its pair table, which the header's `pairRoot` commits
 * to. Receivers learn what was sent to them, senders what was consumed, when all gossip before was lost.
 */
export interface Announcement {
  readonly header: ShardHeader;
  readonly certificate: QuorumCertificate;
  readonly pairs: PairTable;
}

/** Canonical bytes of an announcement. */
export function encodeAnnouncement(announcement: Announcement): Uint8Array {
  const writer = new Writer(2048).u8(1);
  writeHeader(writer, announcement.header);
  writeCertificate(writer, announcement.certificate);
  writePairTable(writer, announcement.pairs);
  return writer.finish();
}

/** The inverse of {@link encodeAnnouncement}. Throws {@link DecodeError}. */
export function decodeAnnouncement(data: Uint8Array): Announcement {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return { header: readHeader(reader), certificate: readCertificate(reader), pairs: readPairTable(reader) };
  });
}

/** Most bytes of raw transactions that are handed to a committee in one message. */
export const FORWARD_BYTES_MAX = 512 * 1024;

/**
 * Canonical bytes of transactions on their way to the rest of a committee. `attempt` makes what is said again new to gossip, which does not deliver the same bytes
 * twice.
 */
export function encodeForward(transactions: readonly Uint8Array[], attempt: number): Uint8Array {
  return new Writer(4096).u8(1).u32(attempt).list(transactions, ANSWER_ITEMS_MAX, (writer, raw) => writer.bytes(raw, TRANSACTION_BYTES_MAX)).finish();
}

/** The transactions of {@link encodeForward}, as views of `data`. Throws {@link DecodeError}. */
export function decodeForward(data: Uint8Array): Uint8Array[] {
  return decodeAll(data, (reader) => {
    reader.version(1);
    reader.u32();
    return reader.list(ANSWER_ITEMS_MAX, (input) => input.bytes(TRANSACTION_BYTES_MAX));
  });
}

/** What one node can ask another. Every answer is a list of byte strings (see {@link encodeAnswer}), cut where it would get too long. */
export type WireRequest =
  /** Receipt batches for `destination` from a sequence on: encoded batches, in order. */
  | { readonly kind: 'batches'; readonly destination: ShardId; readonly fromSequence: number }
  /** Certified headers of the asked shard from a height on: encoded announcements with an empty pair table. */
  | { readonly kind: 'headers'; readonly fromHeight: Height }
  /** Beacon blocks from a height on, of the beacon or of any node that follows it: encoded beacon blocks. */
  | { readonly kind: 'beacon-blocks'; readonly fromHeight: Height }
  /** Certified blocks of the asked node's own chain from a height on: encoded block records. */
  | { readonly kind: 'blocks'; readonly fromHeight: Height }
  /** What the asked validator has voted for at a height that was not final then: the header's canonical bytes, then the rest. */
  | { readonly kind: 'proposal'; readonly height: Height }
  /** The newest state that the asked node can hand out: see `encodeSnapshotHead`. */
  | { readonly kind: 'snapshot-head' }
  /** Flat entries of the state of `height` from `cursor` (0 to 64 bytes) on: see `encodeSnapshotPage`. */
  | { readonly kind: 'snapshot-page'; readonly height: Height; readonly cursor: Uint8Array }
  /** A JSON-RPC request (UTF-8) to the asked node's own chain; the answer is one JSON text. */
  | { readonly kind: 'rpc'; readonly json: Uint8Array }
  /** Raw transactions for the asked shard, in the bulk submit format; the answer is one JSON text. */
  | { readonly kind: 'submit'; readonly body: Uint8Array };

/** Most bytes of a forwarded RPC request or bulk submit. */
export const REQUEST_BODY_BYTES_MAX = 2 << 20;
/** Most items of one answer. */
export const ANSWER_ITEMS_MAX = 4_096;
/** Most bytes of one item of an answer. */
export const ANSWER_ITEM_BYTES_MAX = 6 << 20;

/** Most bytes of a snapshot page's cursor. */
export const SNAPSHOT_CURSOR_BYTES_MAX = 64;

/** The index is the wire value: append only. */
const KINDS = ['batches', 'headers', 'beacon-blocks', 'rpc', 'submit', 'blocks', 'proposal', 'snapshot-head', 'snapshot-page'] as const;

/** Canonical bytes of a request. */
export function encodeRequest(request: WireRequest): Uint8Array {
  const writer = new Writer(64).u8(1).u8(KINDS.indexOf(request.kind));
  switch (request.kind) {
    case 'batches':
      return writer.u16(request.destination).u64(request.fromSequence).finish();
    case 'headers':
    case 'beacon-blocks':
    case 'blocks':
      return writer.u64(request.fromHeight).finish();
    case 'proposal':
      return writer.u64(request.height).finish();
    case 'snapshot-head':
      return writer.finish();
    case 'snapshot-page':
      return writer.u64(request.height).bytes(request.cursor, SNAPSHOT_CURSOR_BYTES_MAX).finish();
    case 'rpc':
      return writer.bytes(request.json, REQUEST_BODY_BYTES_MAX).finish();
    case 'submit':
      return writer.bytes(request.body, REQUEST_BODY_BYTES_MAX).finish();
  }
}

/** The inverse of {@link encodeRequest}. Throws {@link DecodeError}. */
export function decodeRequest(data: Uint8Array): WireRequest {
  const reader = new Reader(data);
  reader.version(1);
  const request = readRequest(reader, KINDS[reader.u8()]);
  reader.end();
  return request;
}

function readRequest(reader: Reader, kind: (typeof KINDS)[number] | undefined): WireRequest {
  switch (kind) {
    case 'batches':
      return { kind, destination: reader.shard(), fromSequence: reader.u64() };
    case 'headers':
    case 'beacon-blocks':
    case 'blocks':
      return { kind, fromHeight: reader.height() };
    case 'proposal':
      return { kind, height: reader.height() };
    case 'snapshot-head':
      return { kind };
    case 'snapshot-page':
      return { kind, height: reader.height(), cursor: reader.bytes(SNAPSHOT_CURSOR_BYTES_MAX) };
    case 'rpc':
      return { kind, json: reader.bytes(REQUEST_BODY_BYTES_MAX) };
    case 'submit':
      return { kind, body: reader.bytes(REQUEST_BODY_BYTES_MAX) };
    case undefined:
      throw new DecodeError('decode/range', 'unknown request');
  }
}

/** Canonical bytes of an answer: a list of byte strings. */
export function encodeAnswer(items: readonly Uint8Array[]): Uint8Array {
  return new Writer(1024).u8(1).list(items, ANSWER_ITEMS_MAX, (writer, item) => writer.bytes(item, ANSWER_ITEM_BYTES_MAX)).finish();
}

/** The inverse of {@link encodeAnswer}; items are views of `data`. Throws {@link DecodeError}. */
export function decodeAnswer(data: Uint8Array): Uint8Array[] {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return reader.list(ANSWER_ITEMS_MAX, (input) => input.bytes(ANSWER_ITEM_BYTES_MAX));
  });
}
