/**
 * A small file beside the database that remembers how far commits came, so that missing ones are noticed: LevelDB itself reads a shortened or
 * damaged log as one that ends earlier, and says nothing.
 *
 * Before each write of the database the marker says `intent = n`, after its sync `synced = n`, and only then is anyone told. The marker's own
 * writes stay in the page cache, as a second fsync for each commit would halve their rate. What that guarantees:
 * - A killed process loses nothing of the page cache: the marker is exact, `synced` is at least what anyone was told, and a database behind
 *   it has lost synced commits.
 * - After a power cut the marker is one that stood there before: it is less than a sector, so never half of one. `synced = n` was written after
 *   commit n was on the disk; so a database behind an old marker has lost synced commits too: there are no false alarms. What an old marker
 *   cannot notice is the loss of those last commits (some seconds) that it never heard of, on a disk that says synced and is not; a torn log shows also then.
 * - Its creation, every opening and every closing are synced. A marker that is absent beside a database was taken away.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { ascii, decodeAll, equalBytes, type Hash32, ShardlabError, Writer } from '@shardlab/crosslink';
import { damaged } from './errors.ts';
import { STORAGE_FORMAT } from './root-record.ts';

const MAGIC = ascii('SHLBMARK');
const MARKER_BYTES = 65;

/** What the marker says. */
export interface MarkerRecord {
  readonly genesisHash: Hash32;
  /** False until the database's first record is synced: a start that finds this goes on creating. */
  readonly created: boolean;
  /** Sequence of the last write that was begun. */
  readonly intent: number;
  /** Sequence of the last write whose sync had returned. */
  readonly synced: number;
}

/** 65 bytes: magic, format u32, genesis hash, created u8, intent u64, synced u64, CRC-32 of it all. */
function encode(record: MarkerRecord): Uint8Array {
  const writer = new Writer(MARKER_BYTES).fixed(MAGIC, 8).u32(STORAGE_FORMAT).fixed(record.genesisHash, 32);
  writer.bool(record.created).u64(record.intent).u64(record.synced);
  const body = writer.finish();
  return writer.u32(crc32(body)).finish();
}

/**
 * Reads the marker at `path`, undefined if there is none. Throws `storage/damaged` for other contents, `storage/format` for another version,
 * whose layout behind the version may differ.
 */
export function readMarker(path: string, directory: string): MarkerRecord | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
  if (bytes.length < 12 || !equalBytes(bytes.subarray(0, 8), MAGIC)) throw damaged(directory, 'the file commit-marker is not one');
  const format = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8);
  if (format !== STORAGE_FORMAT) {
    throw new ShardlabError(
      'storage/format',
      `${directory} has format ${format}, this program reads format ${STORAGE_FORMAT}: use the program that wrote it, or another directory`,
      { directory, format, expected: STORAGE_FORMAT },
    );
  }
  const body = bytes.subarray(0, MARKER_BYTES - 4);
  if (bytes.length !== MARKER_BYTES || crc32(body) !== new DataView(bytes.buffer, bytes.byteOffset).getUint32(MARKER_BYTES - 4)) {
    throw damaged(directory, 'the file commit-marker does not fit its checksum');
  }
  return decodeAll(body.subarray(12), (reader) => ({
    genesisHash: reader.hash(),
    created: reader.bool(),
    intent: reader.u64(),
    synced: reader.u64(),
  }));
}

/** Makes the entries of a directory durable. Windows cannot, and needs not (NTFS journals them). */
function syncDirectory(path: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes all of `bytes` at the start of the file: a short write would leave half a marker. */
function writeWhole(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, done);
}

/** Creates the marker at `path`, synced with its directory entry; whole or not at all, as it is renamed into place. */
export function createMarker(path: string, record: MarkerRecord): void {
  const fresh = `${path}.new`;
  const fd = openSync(fresh, 'w');
  try {
    writeWhole(fd, encode(record));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, path);
  syncDirectory(dirname(path));
}

/** The marker of an open database. Its calls block for microseconds (a write of 65 bytes to the page cache); errors are Node's. */
export class CommitMarker {
  private readonly fd: number;
  private record: MarkerRecord;

  constructor(path: string, record: MarkerRecord) {
    this.fd = openSync(path, 'r+');
    this.record = record;
  }

  /** Says that the write `sequence` begins. */
  intend(sequence: number): void {
    this.write({ ...this.record, intent: sequence });
  }

  /** Says that the write `sequence` is on the disk. */
  confirm(sequence: number): void {
    this.write({ ...this.record, created: true, intent: sequence, synced: sequence });
  }

  /** Makes the marker itself durable. */
  sync(): void {
    fsyncSync(this.fd);
  }

  close(): void {
    closeSync(this.fd);
  }

  private write(record: MarkerRecord): void {
    writeWhole(this.fd, encode(record));
    this.record = record;
  }
}
