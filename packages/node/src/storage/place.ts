import { decodeAll, type Height, Writer } from '@shardlab/crosslink';

/** Where a transaction stands: its raw bytes in a block's body, and its receipt, once it is listed (R18). */
export interface TransactionPlace {
  readonly bodyHeight: Height;
  readonly bodyIndex: number;
  readonly listed: { readonly height: Height; readonly index: number } | undefined;
}

/** Value of the transaction index: 13 bytes while prepared, 25 once listed. */
export function encodePlace(place: TransactionPlace): Uint8Array {
  const writer = new Writer(32).u8(1).u64(place.bodyHeight).u32(place.bodyIndex);
  if (place.listed !== undefined) writer.u64(place.listed.height).u32(place.listed.index);
  return writer.finish();
}

/** The inverse of {@link encodePlace}. Throws `DecodeError`. */
export function decodePlace(data: Uint8Array): TransactionPlace {
  return decodeAll(data, (reader) => {
    reader.version(1);
    const body = { bodyHeight: reader.height(), bodyIndex: reader.u32() };
    return { ...body, listed: reader.remaining === 0 ? undefined : { height: reader.height(), index: reader.u32() } };
  });
}

/** Value of an outbox key: up to which sequence the entry goes, and the block whose messages it names. */
export function encodeOutboxEntry(lastSequence: number, height: Height): Uint8Array {
  return new Writer(17).u8(1).u64(lastSequence).u64(height).finish();
}

/** The inverse of {@link encodeOutboxEntry}. Throws `DecodeError`. */
export function decodeOutboxEntry(data: Uint8Array): { readonly lastSequence: number; readonly height: Height } {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return { lastSequence: reader.u64(), height: reader.height() };
  });
}
