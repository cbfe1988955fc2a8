/**
 * How the chain store reads. Recovery uses callbacks in a row, which the simulation runs in the order of its own event queue; what only RPC reads comes as
 * promises.
 */
import { DecodeError, type Hasher, ShardlabError } from '@shardlab/crosslink';
import { portableKeccak, portablePairHasher, sha256 } from '../crypto/hashes.ts';
import type { Done, StorageEntry, StorageRange, StorageReader } from '../ports.ts';
import type { KeyFamily, KeyRange } from './key-space.ts';

/** Block hashes are SHA-256 whatever else a driver swaps, so that the store needs no modules. */
export const STORE_HASHER: Hasher = { sha256, keccak256: portableKeccak().keccak256, hashPairs: portablePairHasher().hashPairs };

/** Entries and bytes of one step through a range. */
const PAGE_ENTRIES = 8_192;
const PAGE_BYTES = 1 << 20;

/** `storage/damaged`: what a block's atomic write has put there is not there, or is something else. */
export function damagedChain(what: string, data: Readonly<Record<string, unknown>> = {}, cause?: unknown): ShardlabError {
  const remedy = "restore this node's data directory from a copy, or delete it to start this node from nothing";
  return new ShardlabError('storage/damaged', `the database is damaged: ${what}; ${remedy}`, data, cause === undefined ? undefined : { cause });
}

/** Decodes a stored value; what does not decode is damage, named by `what`. */
export function decodeStored<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (cause instanceof DecodeError) throw damagedChain(`${what} can not be read`, { code: cause.code }, cause);
    throw cause;
  }
}

/**
 * A completion that goes on with `then(read(value))`. A failure, or a {@link ShardlabError} that `read` throws, ends in `done`; what `then` throws is its own.
 */
export function step<T, U>(done: Done<never>, read: (value: T) => U, then: (value: U) => void): Done<T> {
  return (result) => {
    if (!result.ok) {
      done(result);
      return;
    }
    let value: U;
    try {
      value = read(result.value);
    } catch (error) {
      if (!(error instanceof ShardlabError)) throw error;
      done({ ok: false, error });
      return;
    }
    then(value);
  };
}

/** Walks a range from its start to its end in bounded pages, then calls `then`. `visit` gets each page, never an empty one. */
export function walk(reader: StorageReader, range: KeyRange, done: Done<never>, visit: (page: readonly StorageEntry[]) => void, then: () => void): void {
  const next = (gte: Uint8Array): void => {
    const page = { gte, lt: range.lt, entriesMax: PAGE_ENTRIES, bytesMax: PAGE_BYTES };
    const visited = (entries: readonly StorageEntry[]): Uint8Array | undefined => {
      if (entries.length === 0) return undefined;
      visit(entries);
      return keyAfter(entries.at(-1)!.key);
    };
    reader.range(
      page,
      step(done, visited, (following) => {
        if (following === undefined) then();
        else next(following);
      }),
    );
  };
  next(range.gte);
}

/** The smallest key above `key`. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const out = new Uint8Array(key.length + 1);
  out.set(key);
  return out;
}

/** A callback operation as a promise: for RPC, which only the process driver serves. */
export function promised<T>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => call((result) => (result.ok ? resolve(result.value) : reject(result.error))));
}

/** Typed reads of one store. They reject with the storage's errors, and with `storage/damaged` for what does not decode. */
export class StoreReads {
  private readonly storage: StorageReader;

  constructor(storage: StorageReader) {
    this.storage = storage;
  }

  /** The record of `id`, decoded; `what` names it in errors. */
  async get<Id, T>(family: KeyFamily<Id>, id: Id, what: string, decode: (value: Uint8Array) => T): Promise<T | undefined> {
    const value = await promised<Uint8Array | undefined>((done) => this.storage.get(family.key(id), done));
    return value === undefined ? undefined : decodeStored(what, () => decode(value));
  }

  /** The entries of a range. */
  range(range: StorageRange): Promise<readonly StorageEntry[]> {
    return promised((done) => this.storage.range(range, done));
  }
}
