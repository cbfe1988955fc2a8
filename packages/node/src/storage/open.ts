import { access, constants, mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { equalBytes, type Hash32, invariant, ShardlabError, toHex } from '@shardlab/crosslink';
import { Level } from 'level';
import { damagedValue, seal, unseal } from './checked-value.ts';
import { CommitMarker, createMarker, type MarkerRecord, readMarker } from './commit-marker.ts';
import { damaged, storageError } from './errors.ts';
import { batchOperations, type StorageMetrics } from './commit-queue.ts';
import type { BinaryLevel } from './level-reader.ts';
import { LEVEL_STORAGE_LIMITS, LevelStorage, type LevelStorageLimits } from './level-storage.ts';
import { type FilesReport, verifyFiles } from './leveldb/verify.ts';
import { decodeRoot, encodeRoot, ROOT_KEY, type RootRecord, STORAGE_FORMAT } from './root-record.ts';

/** Where the store is and whose it is. */
export interface LevelStorageOptions {
  /** Holds `commit-marker`, `level/` and `guard/`; made if it is not there and `createIfMissing` is set. */
  readonly directory: string;
  /** Names the network (R4), 32 bytes: another network's database is refused. */
  readonly genesisHash: Hash32;
  readonly createIfMissing: boolean;
  readonly limits?: LevelStorageLimits;
  /** LevelDB's block cache; 8 MiB by default. */
  readonly cacheSizeBytes?: number;
  /** LevelDB's table in memory, of which up to two are held; 4 MiB by default. */
  readonly writeBufferBytes?: number;
}

/** The part of a pino logger that is used here. */
export interface StorageLogger {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** An unfinished write that was under way when the process ended: nobody was told that it was done, and nothing of it is left. */
export interface StorageCut {
  /** Sequence of the last write that is there. */
  readonly sequence: number;
  /** Bytes of the unfinished write that had reached the log. */
  readonly tornBytes: number;
  /** One line for people. */
  readonly message: string;
}

/** What opening gives. */
export interface OpenedLevelStorage {
  readonly storage: LevelStorage;
  /** Set if an unsynced tail was cut (R2). */
  readonly cut?: StorageCut;
}

interface Opening {
  readonly options: LevelStorageOptions;
  readonly markerPath: string;
  readonly levelPath: string;
  /** Undoes what was opened, last first. */
  readonly cleanUp: (() => Promise<void> | void)[];
}

/**
 * Opens a node's store, after checking every byte of it. Rejects with a {@link ShardlabError}: `storage/missing`, `storage/directory`,
 * `storage/permission`, `storage/locked`, `storage/foreign-network`, `storage/format`, `storage/damaged`, `storage/full` or `storage/io`. What is refused is
 * left as it was found: nothing is ever reset or repaired.
 */
export async function openLevelStorage(
  options: LevelStorageOptions,
  modules: { readonly logger: StorageLogger; readonly metrics?: StorageMetrics },
): Promise<OpenedLevelStorage> {
  const { directory } = options;
  const opening: Opening = { options, markerPath: join(directory, 'commit-marker'), levelPath: join(directory, 'level'), cleanUp: [] };
  try {
    return await openChecked(opening, modules);
  } catch (cause) {
    // What closing says after a refusal is less than the refusal.
    for (const undo of opening.cleanUp.reverse()) await Promise.resolve(undo()).catch(() => undefined);
    throw storageError(cause, directory, 'open');
  }
}

async function openChecked(
  opening: Opening,
  modules: { readonly logger: StorageLogger; readonly metrics?: StorageMetrics },
): Promise<OpenedLevelStorage> {
  const { options, markerPath, levelPath, cleanUp } = opening;
  const { directory, genesisHash } = options;
  await prepareDirectory(opening);
  const guard = await lock(opening);
  const record = readMarker(markerPath, directory) ?? firstMarker(opening);
  checkNetwork(directory, record.genesisHash, genesisHash);
  const report = record.created ? await verifyFiles(directory, levelPath) : undefined;
  if (report !== undefined) checkSequence(directory, report.sequence, record);
  const db = await openLevel(opening, !record.created);
  const root = await readRoot(opening, db, record.created);
  invariant(report === undefined || report.sequence === root.sequence, 'LevelDB has read other writes than were checked', {
    checked: report?.sequence,
    read: root.sequence,
  });
  const marker = new CommitMarker(markerPath, record);
  cleanUp.push(() => marker.close());
  marker.confirm(root.sequence);
  marker.sync();
  const cut = describeCut(root, record, report);
  if (cut !== undefined) modules.logger.warn({ event: 'storage.cut', directory, ...cut }, 'an unsynced tail was cut');
  const { files = 0, sizeBytes = 0 } = report ?? {};
  modules.logger.info({ event: 'storage.opened', directory, sequence: root.sequence, files, sizeBytes }, 'storage opened');
  const storage = new LevelStorage(
    { directory, genesisHash, sequence: root.sequence, limits: options.limits ?? LEVEL_STORAGE_LIMITS },
    { db, marker, metrics: modules.metrics, releaseLock: () => guard.close() },
  );
  return cut === undefined ? { storage } : { storage, cut };
}

async function prepareDirectory({ options, markerPath, levelPath }: Opening): Promise<void> {
  const { directory, createIfMissing } = options;
  if (!createIfMissing && !existsSync(markerPath) && !existsSync(levelPath)) {
    throw new ShardlabError('storage/missing', `there is no database in ${directory}: name a node's storage directory, or create one`, { directory });
  }
  await mkdir(directory, { recursive: true });
  await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
}

/**
 * Takes the directory for this process, until it ends however it ends. Node has no file locks; LevelDB has one, but takes it only when it opens,
 * and opening replays and deletes logs. So an empty LevelDB beside the real one lends its lock, and the real one's files can be checked first.
 */
async function lock({ options, cleanUp }: Opening): Promise<BinaryLevel> {
  const guard: BinaryLevel = new Level(join(options.directory, 'guard'), { writeBufferSize: 65_536, cacheSize: 0, maxOpenFiles: 64 });
  try {
    await guard.open();
  } catch (cause) {
    const error = storageError(cause, options.directory, 'open');
    if (error.code !== 'storage/damaged') throw error;
    const message = `${join(options.directory, 'guard')}, which serves as a lock only and holds no data, is damaged: delete it`;
    throw new ShardlabError('storage/damaged', message, { directory: options.directory }, { cause });
  }
  cleanUp.push(() => guard.close());
  return guard;
}

/** Starts a database: what its marker says from now on is that it is being created. */
function firstMarker({ options, markerPath, levelPath }: Opening): MarkerRecord {
  if (existsSync(levelPath)) throw damaged(options.directory, 'the file commit-marker is missing', { file: 'commit-marker' });
  const record: MarkerRecord = { genesisHash: options.genesisHash, created: false, intent: 0, synced: 0 };
  createMarker(markerPath, record);
  return record;
}

function checkNetwork(directory: string, found: Hash32, expected: Hash32): void {
  if (equalBytes(found, expected)) return;
  const message = `${directory} belongs to the network ${toHex(found)}, this node to ${toHex(expected)}: use the matching genesis or directory`;
  throw new ShardlabError('storage/foreign-network', message, { directory, found: toHex(found), expected: toHex(expected) });
}

function checkSequence(directory: string, sequence: number, { synced }: MarkerRecord): void {
  if (sequence >= synced) return;
  throw damaged(directory, `${synced - sequence} synced writes are missing, it ends with ${sequence} instead of ${synced}`, { sequence, synced });
}

async function openLevel({ options, levelPath, cleanUp }: Opening, createIfMissing: boolean): Promise<BinaryLevel> {
  const db: BinaryLevel = new Level(levelPath, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    // Only while it is being created: LevelDB takes a directory without a CURRENT file for an empty database.
    createIfMissing,
    // Hashes and signatures do not shrink; and `verifyTable` reads indexes.
    compression: false,
    cacheSize: options.cacheSizeBytes ?? 8 * 1024 * 1024,
    writeBufferSize: options.writeBufferBytes ?? 4 * 1024 * 1024,
  });
  await db.open();
  cleanUp.push(() => db.close());
  return db;
}

/** The root record; written first where the database is being created. */
async function readRoot({ options }: Opening, db: BinaryLevel, created: boolean): Promise<RootRecord> {
  const { directory, genesisHash } = options;
  const sealed: Uint8Array | undefined = await db.get(ROOT_KEY);
  if (sealed === undefined) {
    if (created) throw damaged(directory, 'its root record is missing');
    const root: RootRecord = { format: STORAGE_FORMAT, genesisHash, sequence: 0 };
    await db.batch(batchOperations([{ puts: seal([{ key: ROOT_KEY, value: encodeRoot(root) }]), deletes: [] }]), { sync: true });
    return root;
  }
  const value = unseal(ROOT_KEY, sealed);
  if (value === undefined) throw damagedValue(directory, ROOT_KEY);
  const root = decodeRoot(value);
  if (root.format !== STORAGE_FORMAT) throw damaged(directory, `commit-marker has format ${STORAGE_FORMAT}, the root record ${root.format}`);
  checkNetwork(directory, root.genesisHash, genesisHash);
  return root;
}

/** An intent that the database does not hold, or a torn log, is a write that was cut. */
function describeCut(root: RootRecord, marker: MarkerRecord, report: FilesReport | undefined): StorageCut | undefined {
  const { sequence } = root;
  const tornBytes = report?.tornBytes ?? 0;
  if (marker.intent <= sequence && tornBytes === 0) return undefined;
  const message = `an unfinished write after write ${sequence} was cut, ${tornBytes} bytes of it had reached the disk`;
  return { sequence, tornBytes, message };
}
