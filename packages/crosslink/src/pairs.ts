import { Writer } from './codec/writer.ts';
import type { Reader } from './codec/reader.ts';
import type { Hasher } from './crypto.ts';
import { DecodeError } from './errors.ts';
import { listRoot } from './merkle/list.ts';
import { type Hash32, SHARDS_MAX, type ShardId } from './primitives.ts';

/**
 * What one shard has exchanged with one other shard up to a height (R6). Sequences count messages from 1, so `sentSequence` is also their number.
 */
export interface PairEntry {
  /** The other shard. */
  readonly shard: ShardId;
  /** Sequence of the last message sent to it; 0 = none. */
  readonly sentSequence: number;
  /** Sequence of the last message of it that was consumed here. */
  readonly consumedSequence: number;
  /** Wei that left towards it with commit Decisions. */
  readonly sentValue: bigint;
  /** Wei that arrived from it with commit Decisions. */
  readonly receivedValue: bigint;
}

/** Entries for all other shards, in ascending order of shard. */
export type PairTable = readonly PairEntry[];

function writeEntry(writer: Writer, entry: PairEntry): void {
  writer.u16(entry.shard).u64(entry.sentSequence).u64(entry.consumedSequence).u128(entry.sentValue).u128(entry.receivedValue);
}

/** The table of a shard that has exchanged nothing yet. */
export function emptyPairTable(shard: ShardId, shards: number): PairEntry[] {
  const table: PairEntry[] = [];
  for (let other = 0; other < shards; other++) {
    if (other === shard) continue;
    table.push({ shard: other as ShardId, sentSequence: 0, consumedSequence: 0, sentValue: 0n, receivedValue: 0n });
  }
  return table;
}

/** Appends a table. */
export function writePairTable(writer: Writer, table: PairTable): void {
  writer.u8(1).list(table, SHARDS_MAX, writeEntry);
}

/** Reads what {@link writePairTable} wrote; the order must be strictly ascending. */
export function readPairTable(reader: Reader): PairEntry[] {
  reader.version(1);
  const table = reader.list(SHARDS_MAX, (input) => ({
    shard: input.shard(),
    sentSequence: input.u64(),
    consumedSequence: input.u64(),
    sentValue: input.u128(),
    receivedValue: input.u128(),
  }));
  for (let i = 1; i < table.length; i++) {
    if (table[i]!.shard <= table[i - 1]!.shard) throw new DecodeError('decode/range', 'pair table not in ascending order');
  }
  return table;
}

/** The header's `pairRoot`. */
export function pairRoot(hasher: Hasher, table: PairTable): Hash32 {
  const leaves = table.map((entry) => {
    const writer = new Writer(64);
    writeEntry(writer, entry);
    return hasher.sha256(writer.finish());
  });
  return listRoot(hasher, leaves);
}
