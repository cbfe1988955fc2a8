/** Codecs of the small records of a node's store (R4: each starts with a version byte). The large ones, blocks and certificates, are crosslink's. */
import {
  ANSWER_ITEM_BYTES_MAX,
  decodeAll,
  DecodeError,
  FLAT_KEY_BYTES_MAX,
  FLAT_VALUE_BYTES_MAX,
  type Hash32,
  type Height,
  invariant,
  type Reader,
  type ShardId,
  Writer,
} from '@shardlab/crosslink';
import type { FlatChange, OutboxEntry, Proposal } from '@shardlab/shard';

/** Name of the record that says where the node's own shard chain ends. */
export const META_HEAD = 'head';
/** Name of the record that says where the beacon chain ends, as this node has it. */
export const META_BEACON_HEAD = 'beacon-head';
/** Name of the record of what this validator must not forget of its votes. */
export const META_VOTES = 'votes';
/** Name of the record that says from which height of a snapshot a shard's node has started; absent on one that started from genesis. */
export const META_SNAPSHOT = 'snapshot';

/** Heights of which undo records are kept: how far back a state can be pinned. */
export const UNDO_HEIGHTS = 256;

/** The end of a chain. */
export interface HeadRecord {
  /** The chain's shard, or the beacon. */
  readonly chain: ShardId;
  readonly height: Height;
  readonly hash: Hash32;
}

/** Encodes in 43 bytes. */
export function encodeHead(record: HeadRecord): Uint8Array {
  return new Writer(43).u8(1).u16(record.chain).u64(record.height).fixed(record.hash, 32).finish();
}

/** The inverse of {@link encodeHead}. Throws {@link DecodeError}. */
export function decodeHead(data: Uint8Array): HeadRecord {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return { chain: reader.shard(), height: reader.height(), hash: reader.hash() };
  });
}

/** Encodes in 9 bytes the height of the snapshot that a node started from. */
export function encodeSnapshotHeight(height: Height): Uint8Array {
  return new Writer(9).u8(1).u64(height).finish();
}

/** The inverse of {@link encodeSnapshotHeight}. Throws {@link DecodeError}. */
export function decodeSnapshotHeight(data: Uint8Array): Height {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return reader.height();
  });
}

/** Most bytes of an engine's state: a few certificates and hashes of the heights that are open. */
export const VOTES_STATE_BYTES_MAX = 1 << 20;

/** Encodes the opaque state of an agreement engine: version, then the state. Throws `invariant` above {@link VOTES_STATE_BYTES_MAX}. */
export function encodeVotes(state: Uint8Array): Uint8Array {
  return new Writer(state.length + 5).u8(1).bytes(state, VOTES_STATE_BYTES_MAX).finish();
}

/** The inverse of {@link encodeVotes}; a view of `data`. Throws {@link DecodeError}. */
export function decodeVotes(data: Uint8Array): Uint8Array {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return reader.bytes(VOTES_STATE_BYTES_MAX);
  });
}

/** Most bytes of a proposal's header; a shard's has less than 800. */
export const PROPOSAL_HEADER_BYTES_MAX = 4096;
/** Most bytes of a proposal's body: it is one item of an answer. */
export const PROPOSAL_BODY_BYTES_MAX = ANSWER_ITEM_BYTES_MAX;

/** Encodes a proposal: version, header, body. Throws `invariant` beyond its bounds. */
export function encodeProposal({ header, body }: Proposal): Uint8Array {
  const writer = new Writer(header.length + body.length + 9).u8(1);
  return writer.bytes(header, PROPOSAL_HEADER_BYTES_MAX).bytes(body, PROPOSAL_BODY_BYTES_MAX).finish();
}

/** The inverse of {@link encodeProposal}; views of `data`. Throws {@link DecodeError}. */
export function decodeProposal(data: Uint8Array): Proposal {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return { header: reader.bytes(PROPOSAL_HEADER_BYTES_MAX), body: reader.bytes(PROPOSAL_BODY_BYTES_MAX) };
  });
}

/** Which block has a hash. */
export type BlockPlace = Omit<HeadRecord, 'hash'>;

/** Encodes in 11 bytes. */
export function encodeBlockPlace(place: BlockPlace): Uint8Array {
  return new Writer(11).u8(1).u16(place.chain).u64(place.height).finish();
}

/** The inverse of {@link encodeBlockPlace}. Throws {@link DecodeError}. */
export function decodeBlockPlace(data: Uint8Array): BlockPlace {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return { chain: reader.shard(), height: reader.height() };
  });
}

/** Where a transaction stands on its shard's chain. */
export interface TransactionPlace {
  /** The block whose body carries the raw bytes, and the index inside. */
  readonly bodyHeight: Height;
  readonly bodyIndex: number;
  /** The block that lists its receipt, and the index inside; undefined while a cross-shard one is open. */
  readonly listed: { readonly height: Height; readonly index: number } | undefined;
}

/** Bytes of a {@link TransactionPlace} that is listed. */
export const PLACE_BYTES = 26;

/** Reads what `batchOf` writes: version, u8 listed, body height and index, and those of the receipt. Throws {@link DecodeError}. */
export function decodePlace(data: Uint8Array): TransactionPlace {
  return decodeAll(data, (reader) => {
    reader.version(1);
    const isListed = reader.bool();
    const body = { bodyHeight: reader.height(), bodyIndex: reader.u32() };
    const listed = { height: reader.height(), index: reader.u32() };
    return { ...body, listed: isListed ? listed : undefined };
  });
}

/** What stands under an outbox entry's destination and first sequence. Encodes in 17 bytes. */
export function encodeOutboxValue(lastSequence: number, height: Height): Uint8Array {
  return new Writer(17).u8(1).u64(lastSequence).u64(height).finish();
}

/** The inverse of {@link encodeOutboxValue}. Throws {@link DecodeError}. */
export function decodeOutboxValue(firstSequence: number, data: Uint8Array): OutboxEntry {
  return decodeAll(data, (reader) => {
    reader.version(1);
    const lastSequence = reader.u64();
    if (lastSequence < firstSequence) throw new DecodeError('decode/range', 'an outbox entry ends before it starts');
    return { firstSequence, lastSequence, height: reader.height() };
  });
}

/** Stems that one block can change: far above what its gas allows. */
export const UNDO_CHANGES_MAX = 1 << 20;
const ABSENT = 0xffff;

/** Encodes what undoes one block: count, then key (u8 length) and old value (u16 length; 0xffff = absent) of each stem. */
export function encodeUndo(undo: readonly FlatChange[]): Uint8Array {
  invariant(undo.length <= UNDO_CHANGES_MAX, 'a block changes at most 2^20 stems', { stems: undo.length });
  let sizeBytes = 5;
  for (const { key, value } of undo) sizeBytes += 3 + key.length + (value === undefined ? 0 : value.length);
  const out = new Uint8Array(sizeBytes);
  const view = new DataView(out.buffer);
  out[0] = 1;
  view.setUint32(1, undo.length);
  let at = 5;
  for (const { key, value } of undo) {
    invariant(key.length <= FLAT_KEY_BYTES_MAX && (value?.length ?? 0) <= FLAT_VALUE_BYTES_MAX, 'a stem is within its bounds');
    out[at] = key.length;
    out.set(key, at + 1);
    at += 1 + key.length;
    view.setUint16(at, value === undefined ? ABSENT : value.length);
    at += 2;
    if (value === undefined) continue;
    out.set(value, at);
    at += value.length;
  }
  return out;
}

/** The inverse of {@link encodeUndo}; keys and values are views. Throws {@link DecodeError}. */
export function decodeUndo(data: Uint8Array): FlatChange[] {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return reader.list(UNDO_CHANGES_MAX, readChange);
  });
}

function readChange(reader: Reader): FlatChange {
  const keyBytes = reader.u8();
  if (keyBytes > FLAT_KEY_BYTES_MAX) throw new DecodeError('decode/bound', 'flat key too long');
  const key = reader.fixed(keyBytes);
  const length = reader.u16();
  if (length === ABSENT) return { key, value: undefined };
  if (length > FLAT_VALUE_BYTES_MAX) throw new DecodeError('decode/bound', 'flat value too long');
  return { key, value: reader.fixed(length) };
}

/** A run of one shard's headers in one beacon block; its key names the shard and the last height. */
export interface CrosslinkRange {
  readonly beaconHeight: Height;
  readonly firstHeight: Height;
  /** Transactions that the shard had listed when the last of these blocks was done, from genesis (`totals.transactions`). */
  readonly transactions: number;
  /** Logs that the shard had emitted by then, from genesis (`totals.logs`). */
  readonly logs: number;
}

/** Encodes in 33 bytes. */
export function encodeCrosslinkRange(range: CrosslinkRange): Uint8Array {
  return new Writer(33).u8(2).u64(range.beaconHeight).u64(range.firstHeight).u64(range.transactions).u64(range.logs).finish();
}

/** The inverse of {@link encodeCrosslinkRange}. Throws {@link DecodeError}. */
export function decodeCrosslinkRange(data: Uint8Array): CrosslinkRange {
  return decodeAll(data, (reader) => {
    reader.version(2);
    return { beaconHeight: reader.height(), firstHeight: reader.height(), transactions: reader.u64(), logs: reader.u64() };
  });
}

/** A shard's last header on the beacon chain, as of one beacon block. */
export interface CrosslinkTipRecord {
  readonly height: Height;
  /** Wei. */
  readonly baseFeePerGas: bigint;
  readonly gasUsed: number;
  readonly gasLimit: number;
}

/** Encodes in 41 bytes. */
export function encodeCrosslinkTip(tip: CrosslinkTipRecord): Uint8Array {
  return new Writer(41).u8(1).u64(tip.height).u128(tip.baseFeePerGas).u64(tip.gasUsed).u64(tip.gasLimit).finish();
}

/** The inverse of {@link encodeCrosslinkTip}. Throws {@link DecodeError}. */
export function decodeCrosslinkTip(data: Uint8Array): CrosslinkTipRecord {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return { height: reader.height(), baseFeePerGas: reader.u128(), gasUsed: reader.u64(), gasLimit: reader.u64() };
  });
}
