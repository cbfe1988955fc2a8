import { Cursor, MalformedError } from './coding.ts';

/** The files that make up a database. */
export interface LiveFiles {
  /** Size in bytes of each live table, by file number. Other tables are left-overs of a compaction that did not finish. */
  readonly tables: ReadonlyMap<number, number>;
  /** Logs from this number on hold what is in no table yet; that one exists. */
  readonly logNumber: number;
}

/** Tags of a version edit (leveldb/db/version_edit.cc). */
const TAG = {
  comparator: 1,
  logNumber: 2,
  nextFileNumber: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousLogNumber: 9,
} as const;

/** Applies the version edits of a `MANIFEST` (leveldb/db/version_edit.cc; equivalent). Throws a {@link MalformedError}. */
export function liveFiles(edits: readonly Uint8Array[]): LiveFiles {
  const tables = new Map<number, number>();
  let logNumber = 0;
  for (const edit of edits) {
    const cursor = new Cursor(edit);
    const deleted: number[] = [];
    const added: [number, number][] = [];
    while (cursor.remaining > 0) {
      const tag = cursor.varint();
      switch (tag) {
        case TAG.comparator:
          cursor.prefixed();
          break;
        case TAG.logNumber:
          logNumber = cursor.varint();
          break;
        case TAG.nextFileNumber:
        case TAG.lastSequence:
        case TAG.previousLogNumber:
          cursor.varint();
          break;
        case TAG.compactPointer:
          cursor.varint();
          cursor.prefixed();
          break;
        case TAG.deletedFile:
          cursor.varint();
          deleted.push(cursor.varint());
          break;
        case TAG.newFile: {
          cursor.varint();
          added.push([cursor.varint(), cursor.varint()]);
          cursor.prefixed();
          cursor.prefixed();
          break;
        }
        default:
          throw new MalformedError(`unknown tag ${tag} in a version edit`);
      }
    }
    // A table that moves to another level is deleted and added in one edit, under the same number.
    for (const file of deleted) tables.delete(file);
    for (const [file, sizeBytes] of added) tables.set(file, sizeBytes);
  }
  return { tables, logNumber };
}
