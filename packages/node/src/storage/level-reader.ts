import { compareBytes, invariant } from '@shardlab/crosslink';
import type { Level } from 'level';
import type { StorageEntry, StorageRange } from '../ports.ts';
import { CHECKSUM_BYTES, damagedValue, unseal } from './checked-value.ts';

/** Longest key in bytes; the key space's are below a tenth of it. */
export const KEY_BYTES_MAX = 1024;

/** An open LevelDB with binary keys and values. */
export type BinaryLevel = Level<Uint8Array, Uint8Array>;

/** LevelDB's own view of one moment. */
export type LevelSnapshot = ReturnType<BinaryLevel['snapshot']>;

/** Said with every operation: it spares the binding a merge of options for each (174 k instead of 104 k puts/s measured). */
export const BINARY = { keyEncoding: 'view', valueEncoding: 'view' } as const;

/** Most bytes that one step of a range takes from LevelDB: bounds what is read beyond `bytesMax`. */
const RANGE_STEP_BYTES = 256 * 1024;
const RANGE_STEP_ENTRIES = 1000;
/** The smallest key that is not the root record's. */
const FIRST_KEY = Uint8Array.of(0);

/**
 * Reads checked values from LevelDB, of a snapshot or of what is synced when it is called (LevelDB shows a write only after its sync). Rejects
 * with `storage/damaged` where a checksum does not fit, else with the binding's errors.
 */
export class LevelReader {
  private readonly directory: string;
  private readonly db: BinaryLevel;

  constructor(options: { readonly directory: string }, modules: { readonly db: BinaryLevel }) {
    this.directory = options.directory;
    this.db = modules.db;
  }

  /** The value under `key`, undefined if there is none. */
  async get(key: Uint8Array, snapshot: LevelSnapshot | undefined): Promise<Uint8Array | undefined> {
    // Level's types leave out the undefined that it answers for an absent key.
    const sealed: Uint8Array | undefined = await this.db.get(key, snapshot === undefined ? BINARY : { ...BINARY, snapshot });
    return sealed === undefined ? undefined : this.checked(key, sealed);
  }

  /** The entries of `range`, in its order and bounds. */
  async range(range: StorageRange, snapshot: LevelSnapshot | undefined): Promise<StorageEntry[]> {
    const { lt, entriesMax, bytesMax } = range;
    const gte = range.gte.length === 0 ? FIRST_KEY : range.gte;
    const entries: StorageEntry[] = [];
    if (entriesMax === 0 || compareBytes(gte, lt) >= 0) return entries;
    const iterator = this.db.iterator({
      ...BINARY,
      gte,
      lt,
      reverse: range.reverse === true,
      limit: entriesMax,
      highWaterMarkBytes: Math.min(Math.max(bytesMax, 1), RANGE_STEP_BYTES),
      ...(snapshot === undefined ? {} : { snapshot }),
    });
    try {
      for (let sizeBytes = 0; ; ) {
        const step = await iterator.nextv(RANGE_STEP_ENTRIES);
        if (step.length === 0) return entries;
        for (const [found, sealed] of step) {
          const key = new Uint8Array(found.buffer, found.byteOffset, found.length);
          entries.push({ key, value: this.checked(key, sealed) });
          sizeBytes += key.length + sealed.length - CHECKSUM_BYTES;
          if (sizeBytes >= bytesMax) return entries;
        }
      }
    } finally {
      await iterator.close();
    }
  }

  private checked(key: Uint8Array, sealed: Uint8Array): Uint8Array {
    const value = unseal(key, sealed);
    if (value === undefined) throw damagedValue(this.directory, key);
    return value;
  }
}

/** Throws an `InvariantError` unless `key` has 1 to {@link KEY_BYTES_MAX} bytes. */
export function checkKey(key: Uint8Array): void {
  invariant(key.length > 0 && key.length <= KEY_BYTES_MAX, 'a key has 1 to 1024 bytes', { keyBytes: key.length });
}

/** Throws an `InvariantError` for a range without bounds. */
export function checkRange({ entriesMax, bytesMax }: StorageRange): void {
  invariant(Number.isInteger(entriesMax) && entriesMax >= 0 && bytesMax >= 0, 'a range without bounds', { entriesMax, bytesMax });
}
