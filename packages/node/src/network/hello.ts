import { decodeAll, Writer } from '@shardlab/crosslink';

import { RECORD_BYTES_MAX, RECORDS_MAX } from './peer-record.ts';

const VERSION = 1;

/** Bytes of the first message of a handshake: the dialler's record. */
export const HELLO_BYTES_MAX = RECORD_BYTES_MAX + 16;
/** Bytes of a list of records. */
const LIST_BYTES_MAX = RECORDS_MAX * (RECORD_BYTES_MAX + 4) + 16;
/** Bytes of the answer: the other's record, and all that it knows. */
export const WELCOME_BYTES_MAX = LIST_BYTES_MAX + RECORD_BYTES_MAX + 16;

/** The answer to a hello. */
export interface Welcome {
  /** False when the record that was offered is older than the one among `records`: then the two are not connected. */
  readonly accepted: boolean;
  /** The answering node's encoded record. */
  readonly record: Uint8Array;
  /** All records that it knows, as the address book encodes them. */
  readonly records: Uint8Array;
}

/** Encodes a hello around the dialler's encoded record. */
export function encodeHello(record: Uint8Array): Uint8Array {
  return new Writer(512).u8(VERSION).bytes(record, RECORD_BYTES_MAX).finish();
}

/** Decodes what {@link encodeHello} encodes. Throws a `DecodeError`. */
export function decodeHello(encoded: Uint8Array): Uint8Array {
  return decodeAll(encoded, (reader) => {
    reader.version(VERSION);
    return reader.bytes(RECORD_BYTES_MAX);
  });
}

/** Encodes an answer. */
export function encodeWelcome(welcome: Welcome): Uint8Array {
  return new Writer(4_096)
    .u8(VERSION)
    .bool(welcome.accepted)
    .bytes(welcome.record, RECORD_BYTES_MAX)
    .bytes(welcome.records, LIST_BYTES_MAX)
    .finish();
}

/** Decodes what {@link encodeWelcome} encodes. Throws a `DecodeError`. */
export function decodeWelcome(encoded: Uint8Array): Welcome {
  return decodeAll(encoded, (reader) => {
    reader.version(VERSION);
    return { accepted: reader.bool(), record: reader.bytes(RECORD_BYTES_MAX), records: reader.bytes(LIST_BYTES_MAX) };
  });
}
