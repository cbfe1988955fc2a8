import { decodeAll } from '../codec/reader.ts';
import { Writer } from '../codec/writer.ts';
import type { ShardId } from '../primitives.ts';

/** Bytes of a forwarding stub (R11): the shard where the contract lives. The record's id is the contract's address. */
export function encodeStub(home: ShardId): Uint8Array {
  return new Writer(3).u8(1).u16(home).finish();
}

/** The inverse of {@link encodeStub}. Throws `DecodeError`. */
export function decodeStub(data: Uint8Array): ShardId {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return reader.shard();
  });
}
