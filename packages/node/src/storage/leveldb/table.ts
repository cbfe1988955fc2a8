import { Cursor, MalformedError, type MaskedCrc } from './coding.ts';

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
/** 0xdb4775248b80fb57, little-endian, at the end of every table. */
const MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb] as const;

/** Value type of an entry that is no deletion. */
const PUT = 1;

interface Handle {
  readonly offset: number;
  readonly size: number;
}

function handle(cursor: Cursor): Handle {
  return { offset: cursor.varint(), size: cursor.varint() };
}

/** The block at `at`, once its checksum (of contents and type) has been compared. */
function block(bytes: Uint8Array, at: Handle, crc: MaskedCrc): Uint8Array {
  const end = at.offset + at.size;
  if (end + TRAILER_BYTES > bytes.length) throw new MalformedError(`a block ends at ${end}, behind the end of the file`);
  const stored = new DataView(bytes.buffer, bytes.byteOffset + end + 1, 4).getUint32(0, true);
  if (crc(bytes.subarray(at.offset, end + 1)) !== stored) throw new MalformedError(`the block at ${at.offset} does not fit its checksum`);
  return bytes.subarray(at.offset, end);
}

/** Values of an uncompressed block, as handles (leveldb/doc/table_format.md): keys, and restarts at the end, are passed over. */
function handlesIn(contents: Uint8Array, compressed: boolean): Handle[] {
  if (compressed) throw new MalformedError('an index is compressed: this program writes none');
  if (contents.length < 4) throw new MalformedError('a block without restarts');
  const restarts = new DataView(contents.buffer, contents.byteOffset + contents.length - 4, 4).getUint32(0, true);
  const end = contents.length - 4 - 4 * restarts;
  if (end < 0) throw new MalformedError('a block with too many restarts');
  const cursor = new Cursor(contents.subarray(0, end));
  const handles: Handle[] = [];
  while (cursor.remaining > 0) {
    cursor.varint();
    const keyBytes = cursor.varint();
    const valueBytes = cursor.varint();
    cursor.take(keyBytes);
    handles.push(handle(new Cursor(cursor.take(valueBytes))));
  }
  return handles;
}

/** The value of the first entry, if its user key is empty. Its key is the user key and 8 bytes of sequence and type (leveldb/db/dbformat.h). */
function valueOfEmptyKey(contents: Uint8Array): Uint8Array | undefined {
  const cursor = new Cursor(contents);
  cursor.varint();
  const keyBytes = cursor.varint();
  const valueBytes = cursor.varint();
  const key = cursor.take(keyBytes);
  return keyBytes === 8 && key[0] === PUT ? cursor.take(valueBytes) : undefined;
}

/**
 * Checks every byte of a table (leveldb/doc/table_format.md) against its blocks' checksums, indexes and filter included: damage there would make
 * LevelDB answer that a record does not exist. Returns the value of the empty key, the smallest there is, if the table holds one. Throws a
 * {@link MalformedError} that says what is wrong.
 */
export function verifyTable(bytes: Uint8Array, crc: MaskedCrc): Uint8Array | undefined {
  const footerAt = bytes.length - FOOTER_BYTES;
  if (footerAt < 0 || MAGIC.some((byte, i) => bytes[bytes.length - MAGIC.length + i] !== byte)) {
    throw new MalformedError('it does not end as a table does');
  }
  const footer = new Cursor(bytes.subarray(footerAt, bytes.length - MAGIC.length));
  const metaIndex = handle(footer);
  const index = handle(footer);
  const entries = (at: Handle): Handle[] => handlesIn(block(bytes, at, crc), bytes[at.offset + at.size] !== 0);
  const data = entries(index);
  const contents = [...data, ...entries(metaIndex)];
  for (const at of contents) block(bytes, at, crc);
  // No gaps: a handle that a damaged index left out would be a part of the data that nobody looked at.
  let end = 0;
  for (const at of [...contents, metaIndex, index].sort((a, b) => a.offset - b.offset)) {
    if (at.offset !== end) throw new MalformedError(`nothing accounts for the bytes from ${end} to ${at.offset}`);
    end = at.offset + at.size + TRAILER_BYTES;
  }
  if (end !== footerAt) throw new MalformedError(`nothing accounts for the bytes from ${end} to ${footerAt}`);
  return data[0] === undefined ? undefined : valueOfEmptyKey(block(bytes, data[0], crc));
}
