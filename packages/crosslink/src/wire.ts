import { decodeAll, Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import { type QuorumCertificate, readCertificate, writeCertificate } from './certificate.ts';
import { DecodeError } from './errors.ts';
import { readHeader, type ShardHeader, writeHeader } from './header.ts';
import { type PairTable, readPairTable, writePairTable } from './pairs.ts';
import type { Height, ShardId } from './primitives.ts';

/** Names of gossip topics, inside the network's own prefix. */
export const TOPICS = {
  /** Announcements of shard headers. */
  headers: 'headers',
  /** Beacon blocks. */
  beacon: 'beacon',
  /** Receipt batches for one destination shard (R14). */
  receipts: (destination: ShardId): string => `receipts/${destination}`,
} as const;

/**
 * What a shard tells all others with each block, heartbeats included (R14): its latest certified header, and its pair table, which the header's `pairRoot` commits
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

/** What one node can ask another. Every answer is a list of byte strings (see {@link encodeAnswer}), cut where it would get too long. */
export type WireRequest =
  /** Receipt batches for `destination` from a sequence on: encoded batches, in order. */
  | { readonly kind: 'batches'; readonly destination: ShardId; readonly fromSequence: number }
  /** Certified headers of the asked shard from a height on: encoded announcements with an empty pair table. */
  | { readonly kind: 'headers'; readonly fromHeight: Height }
  /** Beacon blocks from a height on, of the beacon or of any node that follows it: encoded beacon blocks. */
  | { readonly kind: 'beacon-blocks'; readonly fromHeight: Height }
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

const KINDS = ['batches', 'headers', 'beacon-blocks', 'rpc', 'submit'] as const;

/** Canonical bytes of a request. */
export function encodeRequest(request: WireRequest): Uint8Array {
  const writer = new Writer(64).u8(1).u8(KINDS.indexOf(request.kind));
  switch (request.kind) {
    case 'batches':
      return writer.u16(request.destination).u64(request.fromSequence).finish();
    case 'headers':
    case 'beacon-blocks':
      return writer.u64(request.fromHeight).finish();
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
      return { kind, fromHeight: reader.height() };
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
