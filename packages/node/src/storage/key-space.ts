/**
 * The one place that knows the keys of a node's store. A key is a prefix of 1 byte and the fields of an id, integers big-endian: byte order is
 * the order of the fields, so that ranges of the {@link Storage} port are ranges of ids. Values are opaque here; their codecs carry versions (R4).
 */
import {
  type Address,
  compareBytes,
  DecodeError,
  type Hash32,
  type Height,
  invariant,
  ascii,
  Reader,
  type ShardId,
  type TxHash,
  Writer,
} from '@shardlab/crosslink';
import type { NodeName } from '../ports.ts';

/** Keys from `gte` (inclusive) to `lt` (exclusive): the bounds of a `StorageRange`. */
export interface KeyRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

/** One kind of record: all keys with one prefix byte. */
export interface KeyFamily<Id> {
  /** First byte of every key of the family. */
  readonly prefix: number;
  /** The key of `id`. */
  key(id: Id): Uint8Array;
  /** The id in `key`. Throws a {@link DecodeError} (`storage/key` for another family, `decode/...` for wrong fields). */
  parse(key: Uint8Array): Id;
  /** Every key of the family. */
  all(): KeyRange;
}

/** A family whose keys stand in the order of their ids. */
export interface OrderedKeyFamily<Id> extends KeyFamily<Id> {
  /** Keys of the ids from `from` (inclusive) to `to` (exclusive; without it, to the end of the family). */
  from(from: Id, to?: Id): KeyRange;
}

/** One message to another shard. */
export interface OutboxId {
  /** The shard that the message goes to. */
  readonly destination: ShardId;
  /** Its sequence in the ordered pair (R14), from 0. */
  readonly sequence: number;
}

/** A height of one shard's chain, or of the beacon's with regard to one shard. */
export interface ShardHeight {
  readonly shard: ShardId;
  readonly height: Height;
}

/** Most bytes of a flat state key: a 20-byte address, a tag and a 32-byte slot fit with room to spare. */
export const STATE_KEY_BYTES_MAX = 64;
/** Most characters of a meta record's name. */
export const META_NAME_LENGTH_MAX = 32;

/**
 * The smallest key above all keys that start with `prefix` (at least one byte below 0xff among them), for the upper bound of a range.
 * Throws an `InvariantError` if there is no such key.
 */
export function afterPrefix(prefix: Uint8Array): Uint8Array {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  invariant(end > 0, 'no key is above this prefix');
  const out = prefix.slice(0, end);
  out[end - 1]! += 1;
  return out;
}

function family<Id>(
  prefix: number,
  fieldBytes: number,
  write: (writer: Writer, id: Id) => void,
  read: (reader: Reader) => Id,
): OrderedKeyFamily<Id> {
  const key = (id: Id): Uint8Array => {
    const writer = new Writer(1 + fieldBytes).u8(prefix);
    write(writer, id);
    return writer.finish();
  };
  const end = Uint8Array.of(prefix + 1);
  return {
    prefix,
    key,
    parse(bytes) {
      if (bytes[0] !== prefix) throw new DecodeError('storage/key', `key with prefix ${bytes[0]}, ${prefix} expected`);
      const reader = new Reader(bytes.subarray(1));
      const id = read(reader);
      reader.end();
      return id;
    },
    all: () => ({ gte: Uint8Array.of(prefix), lt: end }),
    from(from, to) {
      const gte = key(from);
      const lt = to === undefined ? end : key(to);
      // An upside-down range would read as empty, and hide the caller's mistake.
      invariant(compareBytes(gte, lt) <= 0, 'a range of keys ends before it starts');
      return { gte, lt };
    },
  };
}

const byHeight = (prefix: number): OrderedKeyFamily<Height> =>
  family(prefix, 8, (writer, id) => writer.u64(id), (reader) => reader.height());
const byHash = (prefix: number): KeyFamily<Hash32> =>
  family(prefix, 32, (writer, id) => writer.fixed(id, 32), (reader) => reader.hash());
const byTxHash = (prefix: number): KeyFamily<TxHash> =>
  family(prefix, 32, (writer, id) => writer.fixed(id, 32), (reader) => reader.txHash());

/** Small records of the node by name, for example its latest height: 1 to {@link META_NAME_LENGTH_MAX} ASCII characters. */
export const META: KeyFamily<string> = family(
  0x01,
  META_NAME_LENGTH_MAX,
  (writer, name) => {
    invariant(name.length > 0 && name.length <= META_NAME_LENGTH_MAX, 'a meta record has a name of 1 to 32 characters', { name });
    writer.fixed(ascii(name), name.length);
  },
  (reader) => {
    const bytes = reader.fixed(reader.remaining);
    if (bytes.length === 0 || bytes.length > META_NAME_LENGTH_MAX || bytes.some((byte) => byte > 127)) {
      throw new DecodeError('storage/key', 'not the name of a meta record');
    }
    return String.fromCharCode(...bytes);
  },
);
/** Blocks of the node's own chain, each with its certificate, by height (8 bytes). */
export const BLOCKS: OrderedKeyFamily<Height> = byHeight(0x02);
/** Hash of a block of the node's own chain or of the beacon chain (32 bytes) to chain and height. */
export const BLOCK_HEIGHTS: KeyFamily<Hash32> = byHash(0x03);
/** Transaction hash (32 bytes) to the height of its block and its index inside. */
export const TRANSACTIONS: KeyFamily<TxHash> = byTxHash(0x04);
/** Undo record of a block (R10's 256 heights), by height (8 bytes). */
export const UNDO: OrderedKeyFamily<Height> = byHeight(0x06);
/** Messages sent and not yet known to be consumed (R14), by destination (2 bytes), then sequence (8 bytes). */
export const OUTBOX: OrderedKeyFamily<OutboxId> = family(
  0x07,
  10,
  (writer, id) => writer.u16(id.destination).u64(id.sequence),
  (reader) => ({ destination: reader.shard(), sequence: reader.u64() }),
);
/** Cross-shard transactions that this shard coordinates or takes part in, by transaction hash (32 bytes). */
export const CROSS_SHARD: KeyFamily<TxHash> = byTxHash(0x08);
/** Assignment certificates by epoch (8 bytes). */
export const EPOCH_CERTIFICATES: OrderedKeyFamily<number> = family(0x09, 8, (writer, id) => writer.u64(id), (reader) => reader.u64());
/** Addresses of peers, so that a node can start with the beacon dead, by chain (2 bytes) and validator (2 bytes). */
export const PEERS: OrderedKeyFamily<NodeName> = family(
  0x0a,
  4,
  (writer, id) => writer.u16(id.chain).u16(id.validator),
  (reader) => ({ chain: reader.shard(), validator: reader.u16() }),
);
/** Beacon blocks as a shard's node follows them, by height (8 bytes). The beacon's own are its {@link BLOCKS}. */
export const BEACON_BLOCKS: OrderedKeyFamily<Height> = byHeight(0x0b);

const byShardHeight = (prefix: number): OrderedKeyFamily<ShardHeight> =>
  family(
    prefix,
    10,
    (writer, id) => writer.u16(id.shard).u64(id.height),
    (reader) => ({ shard: reader.shard(), height: reader.height() }),
  );
/** Ranges of a shard's blocks that one beacon block crosslinks, by shard (2 bytes) and the last height in the range (8 bytes). */
export const CROSSLINKS: OrderedKeyFamily<ShardHeight> = byShardHeight(0x0c);
/** How far a shard is on the beacon chain, by shard (2 bytes) and the height of the beacon block that took it there (8 bytes). */
export const CROSSLINK_TIPS: OrderedKeyFamily<ShardHeight> = byShardHeight(0x0d);
/** What this validator has voted for and is not final: proposals on its own chain, by height (8 bytes). */
export const PROPOSALS: OrderedKeyFamily<Height> = byHeight(0x0e);

const STATE_PREFIX = 0x05;

/**
 * The state's leaves, flat, by their own key of 1 to {@link STATE_KEY_BYTES_MAX} bytes (R9: the address first, so that accounts can be
 * enumerated and one account is one range).
 */
export const STATE: OrderedKeyFamily<Uint8Array> & {
  /** Keys of the leaves whose own key starts with `prefix`, for example with one {@link Address}. */
  startingWith(prefix: Address | Uint8Array): KeyRange;
} = {
  ...family<Uint8Array>(
    STATE_PREFIX,
    STATE_KEY_BYTES_MAX,
    (writer, key) => {
      invariant(key.length > 0 && key.length <= STATE_KEY_BYTES_MAX, 'a state key has 1 to 64 bytes', { sizeBytes: key.length });
      writer.fixed(key, key.length);
    },
    (reader) => {
      if (reader.remaining === 0 || reader.remaining > STATE_KEY_BYTES_MAX) throw new DecodeError('storage/key', 'not the key of a leaf');
      return reader.fixed(reader.remaining);
    },
  ),
  startingWith(prefix) {
    const gte = new Uint8Array(1 + prefix.length);
    gte[0] = STATE_PREFIX;
    gte.set(prefix, 1);
    return { gte, lt: afterPrefix(gte) };
  },
};
