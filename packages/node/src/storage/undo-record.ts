import { decodeAll, FLAT_KEY_BYTES_MAX, FLAT_VALUE_BYTES_MAX, Writer } from '@shardlab/crosslink';
import type { FlatChange } from '@shardlab/shard';

/** Most flat values that one block can change: two accounts a transaction and a few records. */
const CHANGES_MAX = 1 << 20;

/** Canonical bytes of a block's undo record: the flat values that it changed, as they were before (absent ones without a value). */
export function encodeUndo(changes: readonly FlatChange[]): Uint8Array {
  const writer = new Writer(64 + changes.length * 80).u8(1).list(changes, CHANGES_MAX, (out, { key, value }) => {
    out.bytes(key, FLAT_KEY_BYTES_MAX).bytes(value ?? NONE, FLAT_VALUE_BYTES_MAX);
  });
  return writer.finish();
}

/** The inverse of {@link encodeUndo}; fields are views. Throws `DecodeError`. */
export function decodeUndo(data: Uint8Array): FlatChange[] {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return reader.list(CHANGES_MAX, (input) => {
      const key = input.bytes(FLAT_KEY_BYTES_MAX);
      const value = input.bytes(FLAT_VALUE_BYTES_MAX);
      return { key, value: value.length === 0 ? undefined : value };
    });
  });
}

const NONE = new Uint8Array(0);
