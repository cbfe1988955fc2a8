import { DecodeError, InvariantError } from '../errors.ts';

/** First byte of every chunk: the version of this codec, and what keeps a chunk of zero bytes from being an absent leaf. */
const CHUNK_VERSION = 2;
const CHUNK_PAYLOAD_BYTES = 31;
/** The length stands before the record's bytes, in the first chunk. */
const LENGTH_BYTES = 4;

/** Most bytes of one record in the reserved key space: a coordinator's with the data of all its calls, or with the logs of all its participants. */
export const RECORD_BYTES_MAX = 1 << 20;
/** Most leaf values that one record takes. */
export const RECORD_CHUNKS_MAX = recordChunkCount(RECORD_BYTES_MAX);

/** How many leaf values a record of `lengthBytes` takes: at least 1. */
export function recordChunkCount(lengthBytes: number): number {
  return Math.ceil((LENGTH_BYTES + lengthBytes) / CHUNK_PAYLOAD_BYTES);
}

/**
 * Cuts a record of up to {@link RECORD_BYTES_MAX} bytes into 32-byte leaf values: a version byte and 31 bytes each of (u32 length, record, zeros to
 * the end). No chunk is zero, so none is lost where zero means absent. Whoever replaces a record by a shorter one sets the chunks beyond
 * to zero. Throws `invariant` on a longer record.
 */
export function encodeRecord(record: Uint8Array): Uint8Array[] {
  if (record.length > RECORD_BYTES_MAX) throw new InvariantError(`record of ${record.length} bytes, at most ${RECORD_BYTES_MAX}`);
  const stream = new Uint8Array(recordChunkCount(record.length) * CHUNK_PAYLOAD_BYTES);
  new DataView(stream.buffer).setUint32(0, record.length);
  stream.set(record, LENGTH_BYTES);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += CHUNK_PAYLOAD_BYTES) {
    const chunk = new Uint8Array(32);
    chunk[0] = CHUNK_VERSION;
    chunk.set(stream.subarray(at, at + CHUNK_PAYLOAD_BYTES), 1);
    chunks.push(chunk);
  }
  return chunks;
}

/** How many chunks the record has whose first chunk this is. Throws `decode/version`, `decode/truncated` or `decode/bound`. */
export function recordChunksOf(firstChunk: Uint8Array): number {
  checkChunk(firstChunk);
  const length = new DataView(firstChunk.buffer, firstChunk.byteOffset).getUint32(1);
  if (length > RECORD_BYTES_MAX) throw new DecodeError('decode/bound', `record of ${length} bytes, at most ${RECORD_BYTES_MAX} allowed`);
  return recordChunkCount(length);
}

/**
 * The inverse of {@link encodeRecord}: all chunks of one record, in order. Throws `decode/truncated`, `decode/trailing`, `decode/version`,
 * `decode/bound`, or `decode/range` if the padding is not zero.
 */
export function decodeRecord(chunks: readonly Uint8Array[]): Uint8Array {
  const first = chunks[0];
  if (first === undefined) throw new DecodeError('decode/truncated', 'record without chunks');
  const count = recordChunksOf(first);
  if (chunks.length < count) throw new DecodeError('decode/truncated', `${chunks.length} chunks of ${count}`);
  if (chunks.length > count) throw new DecodeError('decode/trailing', `${chunks.length} chunks, ${count} expected`);
  const stream = new Uint8Array(count * CHUNK_PAYLOAD_BYTES);
  chunks.forEach((chunk, index) => {
    checkChunk(chunk);
    stream.set(chunk.subarray(1), index * CHUNK_PAYLOAD_BYTES);
  });
  const end = LENGTH_BYTES + new DataView(stream.buffer).getUint32(0);
  for (let at = end; at < stream.length; at++) if (stream[at] !== 0) throw new DecodeError('decode/range', 'padding is not zero');
  return stream.subarray(LENGTH_BYTES, end);
}

function checkChunk(chunk: Uint8Array): void {
  if (chunk.length !== 32) throw new DecodeError('decode/truncated', `chunk of ${chunk.length} bytes`);
  if (chunk[0] !== CHUNK_VERSION) throw new DecodeError('decode/version', `version ${chunk[0]}, ${CHUNK_VERSION} understood`);
}
