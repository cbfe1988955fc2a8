import { Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import { DecodeError, invariant } from './errors.ts';
import { compareBytes, type Height } from './primitives.ts';
import { FLAT_KEY_BYTES_MAX, FLAT_VALUE_BYTES_MAX } from './state/flat.ts';
import { ANSWER_ITEM_BYTES_MAX } from './wire.ts';

const VERSION = 1;

/** Most bytes of the block record in a {@link SnapshotHead}: so that the head is one item of an answer. */
export const SNAPSHOT_BLOCK_BYTES_MAX = ANSWER_ITEM_BYTES_MAX - 16;
/** Bytes of keys and values at which a page ends: it may have one entry more. */
export const SNAPSHOT_PAGE_BYTES = 1 << 20;
/** Most entries of a page. */
export const SNAPSHOT_PAGE_ENTRIES_MAX = 16_384;

/** One stem of a state: see `encodeFlatKey` and `encodeFlatValue`. */
export interface SnapshotEntry {
  /** 1 to 64 bytes. */
  readonly key: Uint8Array;
  /** 1 to 8,450 bytes. */
  readonly value: Uint8Array;
}

/** The state that a validator offers to another of its shard. Nothing in it is believed: the block is certified, the rest is checked against it. */
export interface SnapshotHead {
  /** The certified block after which the state is: see `encodeBlock`. */
  readonly block: Uint8Array;
  /** Lowest height with messages that, as far as the sender knows, are not all consumed; the block's own height if there is none below. */
  readonly messagesFrom: Height;
}

/** Canonical bytes: version, block record, height. Throws `invariant` for a block above {@link SNAPSHOT_BLOCK_BYTES_MAX}. */
export function encodeSnapshotHead(head: SnapshotHead): Uint8Array {
  return new Writer(head.block.length + 16).u8(VERSION).bytes(head.block, SNAPSHOT_BLOCK_BYTES_MAX).u64(head.messagesFrom).finish();
}

/** The inverse of {@link encodeSnapshotHead}; the block is a view of `data`. Throws {@link DecodeError}. */
export function decodeSnapshotHead(data: Uint8Array): SnapshotHead {
  const reader = new Reader(data);
  reader.version(VERSION);
  const head = { block: reader.bytes(SNAPSHOT_BLOCK_BYTES_MAX), messagesFrom: reader.height() };
  reader.end();
  return head;
}

/**
 * Canonical bytes of a page: version, u16 count, then key (u8 length) and value (u16 length) of each entry, keys strictly ascending. Throws `invariant` on what
 * {@link decodeSnapshotPage} would refuse.
 */
export function encodeSnapshotPage(entries: readonly SnapshotEntry[]): Uint8Array {
  invariant(entries.length <= SNAPSHOT_PAGE_ENTRIES_MAX, 'a page of a snapshot is within its bound', { entries: entries.length });
  let sizeBytes = 3;
  for (const { key, value } of entries) sizeBytes += 3 + key.length + value.length;
  const writer = new Writer(sizeBytes).u8(VERSION).u16(entries.length);
  let previous: Uint8Array | undefined;
  for (const { key, value } of entries) {
    const bounded = key.length >= 1 && key.length <= FLAT_KEY_BYTES_MAX && value.length >= 1 && value.length <= FLAT_VALUE_BYTES_MAX;
    invariant(bounded && (previous === undefined || compareBytes(previous, key) < 0), 'entries of a snapshot are bounded and ascending');
    previous = key;
    writer.u8(key.length).fixed(key, key.length).u16(value.length).fixed(value, value.length);
  }
  return writer.finish();
}

/** The inverse of {@link encodeSnapshotPage}; keys and values are views of `data`. Throws {@link DecodeError}. */
export function decodeSnapshotPage(data: Uint8Array): SnapshotEntry[] {
  const reader = new Reader(data);
  reader.version(VERSION);
  const count = reader.u16();
  if (count > SNAPSHOT_PAGE_ENTRIES_MAX) throw new DecodeError('decode/bound', `page of ${count} entries, at most ${SNAPSHOT_PAGE_ENTRIES_MAX} allowed`);
  const entries: SnapshotEntry[] = [];
  for (let i = 0; i < count; i++) {
    const entry = { key: field(reader, reader.u8(), FLAT_KEY_BYTES_MAX), value: field(reader, reader.u16(), FLAT_VALUE_BYTES_MAX) };
    const previous = entries.at(-1);
    if (previous !== undefined && compareBytes(previous.key, entry.key) >= 0) throw new DecodeError('decode/range', 'keys of a page not ascending');
    entries.push(entry);
  }
  reader.end();
  return entries;
}

function field(reader: Reader, length: number, lengthMax: number): Uint8Array {
  if (length === 0 || length > lengthMax) throw new DecodeError('decode/bound', `field of ${length} bytes, 1 to ${lengthMax} allowed`);
  return reader.fixed(length);
}
