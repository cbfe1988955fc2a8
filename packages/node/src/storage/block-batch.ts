import {
  bytesKey,
  encodeBeaconBlock,
  encodeBlock,
  encodeBlockEvents,
  encodeEpochCertificate,
  encodeTombstone,
  type Hash32,
  type Height,
  type PairTable,
  type QuorumCertificate,
  type ShardHeader,
} from '@shardlab/crosslink';
import type { FlatEntry, PersistRecord } from '@shardlab/shard';
import type { StorageBatch, StorageEntry } from '../ports.ts';
import { BEACON_BLOCKS, BLOCK_HEIGHTS, BLOCKS, CROSS_SHARD, EPOCH_CERTIFICATES, OUTBOX, STATE, TRANSACTIONS, UNDO } from './key-space.ts';
import { encodeOutboxEntry, encodePlace, type TransactionPlace } from './place.ts';
import { encodeUndo } from './undo-record.ts';

/** Heights for which undo records are kept (design, Accounts): an auditor can lower its cut by this much. */
export const UNDO_HEIGHTS = 256;

type ShardBlockRecord = Extract<PersistRecord, { kind: 'shard-block' }>;

/** The ONE atomic write of a record: a block with all that belongs to it (R2). `role` is that of the node which stores it. */
export function batchOf(record: PersistRecord, role: 'shard' | 'beacon'): StorageBatch {
  return record.kind === 'shard-block' ? shardBatch(record) : beaconBatch(record, role);
}

function heightValue(height: Height): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(height));
  return out;
}

/** The height in a value of {@link BLOCK_HEIGHTS}. */
export function readHeightValue(value: Uint8Array): Height {
  return Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0)) as Height;
}

function shardBatch(record: ShardBlockRecord): StorageBatch {
  const { block, certificate, wallMs } = record;
  const { header, hash, body, outgoing, receipts, delta } = block;
  const { height } = header;
  const encoded = encodeBlock({ header, certificate, body, outgoing, receipts, events: encodeBlockEvents(block.events), wallMs });
  const puts: StorageEntry[] = [
    { key: BLOCKS.key(height), value: encoded },
    { key: BLOCK_HEIGHTS.key(hash), value: heightValue(height) },
    { key: UNDO.key(height), value: encodeUndo(delta.undo) },
  ];
  const deletes: Uint8Array[] = [];
  if (height > UNDO_HEIGHTS) deletes.push(UNDO.key((height - UNDO_HEIGHTS) as Height));
  for (const { key, value } of delta.changes) {
    if (value === undefined) deletes.push(STATE.key(key));
    else puts.push({ key: STATE.key(key), value });
  }
  for (const { key, place } of places(record)) puts.push({ key: TRANSACTIONS.key(key as never), value: encodePlace(place) });
  for (const settlement of block.settled) puts.push({ key: CROSS_SHARD.key(settlement.record.txHash), value: encodeTombstone(settlement) });
  for (const { destination, firstSequence, messages } of outgoing) {
    const value = encodeOutboxEntry(firstSequence + messages.length - 1, height);
    puts.push({ key: OUTBOX.key({ destination, sequence: firstSequence }), value });
  }
  for (const { destination, firstSequence } of record.consumed) deletes.push(OUTBOX.key({ destination, sequence: firstSequence }));
  return { puts, deletes };
}

/** One entry a transaction, though one that begins and settles in the same block would have two. */
function places({ block }: ShardBlockRecord): Iterable<{ readonly key: Uint8Array; readonly place: TransactionPlace }> {
  const { height } = block.header;
  const found = new Map<string, { key: Uint8Array; place: TransactionPlace }>();
  block.transactions.forEach(({ hash, hashKey }, bodyIndex) => found.set(hashKey, { key: hash, place: { bodyHeight: height, bodyIndex, listed: undefined } }));
  block.receipts.forEach(({ txHash, bodyHeight, bodyIndex }, index) => {
    found.set(bytesKey(txHash), { key: txHash, place: { bodyHeight, bodyIndex, listed: { height, index } } });
  });
  return found.values();
}

function beaconBatch(record: Extract<PersistRecord, { kind: 'beacon-block' }>, role: 'shard' | 'beacon'): StorageBatch {
  const { block, hash } = record;
  const { height } = block.header;
  const puts: StorageEntry[] = [{ key: (role === 'beacon' ? BLOCKS : BEACON_BLOCKS).key(height), value: encodeBeaconBlock(block) }];
  if (role === 'beacon') puts.push({ key: BLOCK_HEIGHTS.key(hash), value: heightValue(height) });
  const { epochCertificate } = block;
  if (epochCertificate !== undefined) {
    puts.push({ key: EPOCH_CERTIFICATES.key(epochCertificate.assignment.epoch), value: encodeEpochCertificate(epochCertificate) });
  }
  return { puts, deletes: [] };
}

/** A block of height 0: signed by nobody. */
export const NO_CERTIFICATE: QuorumCertificate = { view: 0, scheme: 0, bitmap: new Uint8Array(0), signatures: [] };

/** The first write of a shard's node: block 0 and the state of its genesis. */
export function genesisBatch(
  block: { readonly header: ShardHeader; readonly hash: Hash32; readonly pairs: PairTable },
  entries: readonly FlatEntry[],
): StorageBatch {
  const { header, hash, pairs } = block;
  const empty = { outgoing: [], receipts: [], events: new Uint8Array(0), wallMs: header.timestampMs };
  const encoded = encodeBlock({ header, certificate: NO_CERTIFICATE, body: { inbox: [], transactions: [], pairs }, ...empty });
  const puts: StorageEntry[] = [
    { key: BLOCKS.key(header.height), value: encoded },
    { key: BLOCK_HEIGHTS.key(hash), value: heightValue(header.height) },
  ];
  for (const { key, value } of entries) puts.push({ key: STATE.key(key), value });
  return { puts, deletes: [] };
}
