import { bytesKey, type Hash32, invariant, ShardlabError } from '@shardlab/crosslink';
import type { Done, Result, StorageBatch, StorageEntry } from '../ports.ts';
import { answer, failed } from './answer.ts';
import { seal } from './checked-value.ts';
import type { CommitMarker } from './commit-marker.ts';
import { storageError } from './errors.ts';
import { type BinaryLevel, checkKey } from './level-reader.ts';
import { encodeRoot, ROOT_KEY, STORAGE_FORMAT } from './root-record.ts';

/** How many commits may wait; beyond it, they fail with `storage/overload`. */
export interface CommitLimits {
  /** Commits that are not synced yet. */
  readonly commitsMax: number;
  /** Bytes of keys and values in them. */
  readonly commitBytesMax: number;
  /** Most bytes that are coalesced into one synced write; a larger commit is written alone. */
  readonly groupBytesMax: number;
}

/** What the store tells about its work. */
export interface StorageMetrics {
  /** One synced write of `commits` commits with `sizeBytes` of keys and values took `seconds`. */
  synced(commits: number, sizeBytes: number, seconds: number): void;
}

interface PendingCommit {
  readonly puts: readonly StorageEntry[];
  readonly deletes: readonly Uint8Array[];
  readonly sizeBytes: number;
  readonly done: Done<void>;
}

/**
 * Writes commits in the order of their calls, one synced write after the other; those that come while a sync runs share the next one (group
 * commit). After the first failure all later commits fail with the same error, as they might rest on it.
 */
export class CommitQueue {
  private readonly directory: string;
  private readonly genesisHash: Hash32;
  private readonly limits: CommitLimits;
  private readonly db: BinaryLevel;
  private readonly marker: CommitMarker;
  private readonly metrics: StorageMetrics | undefined;
  private readonly onIdle: () => void;
  private sequence: number;
  private queue: PendingCommit[] = [];
  /** Commits, and their bytes, that were not answered: queued or being written. */
  private waiting = 0;
  private waitingBytes = 0;
  private writing = false;
  private failure: ShardlabError | undefined;

  /** `sequence` is the root record's; `onIdle` is called when everything was written. */
  constructor(
    options: { readonly directory: string; readonly genesisHash: Hash32; readonly sequence: number; readonly limits: CommitLimits },
    modules: { readonly db: BinaryLevel; readonly marker: CommitMarker; readonly metrics: StorageMetrics | undefined; readonly onIdle: () => void },
  ) {
    this.directory = options.directory;
    this.genesisHash = options.genesisHash;
    this.sequence = options.sequence;
    this.limits = options.limits;
    this.db = modules.db;
    this.marker = modules.marker;
    this.metrics = modules.metrics;
    this.onIdle = modules.onIdle;
  }

  /** Whether nothing waits or is being written. */
  get idle(): boolean {
    return !this.writing;
  }

  /** Takes a batch that {@link checkBatch} has passed; `done` is called when it is synced. */
  push(batch: StorageBatch, done: Done<void>): void {
    if (this.failure !== undefined) return answer(done, failed(this.failure));
    let sizeBytes = 0;
    for (const { key, value } of batch.puts) sizeBytes += key.length + value.length;
    for (const key of batch.deletes) sizeBytes += key.length;
    if (this.waiting >= this.limits.commitsMax || this.waitingBytes + sizeBytes > this.limits.commitBytesMax) {
      const message = `${this.waiting} commits of ${this.waitingBytes} bytes wait for the disk already`;
      this.failure = new ShardlabError('storage/overload', message, { commits: this.waiting, sizeBytes: this.waitingBytes });
      return answer(done, failed(this.failure));
    }
    this.waiting++;
    this.waitingBytes += sizeBytes;
    this.queue.push({ puts: seal(batch.puts), deletes: batch.deletes.map((key) => key.slice()), sizeBytes, done });
    if (this.writing) return;
    this.writing = true;
    // Not at once: what else is committed in this turn of the event loop shares the sync.
    queueMicrotask(() => void this.writeGroups());
  }

  /** Writes the queue, group by group, until it is empty. Never rejects. */
  private async writeGroups(): Promise<void> {
    while (this.queue.length > 0) {
      const group = this.nextGroup();
      const result = await this.writeGroup(group);
      if (!result.ok) {
        this.failure = result.error;
        group.push(...this.queue.splice(0));
      }
      for (const { sizeBytes, done } of group) {
        this.waiting--;
        this.waitingBytes -= sizeBytes;
        answer(done, result);
      }
      // One turn later, so that what these answers lead to is in the next group.
      await Promise.resolve();
    }
    this.writing = false;
    this.onIdle();
  }

  private nextGroup(): PendingCommit[] {
    let count = 0;
    let sizeBytes = 0;
    for (const commit of this.queue) {
      sizeBytes += commit.sizeBytes;
      if (count > 0 && sizeBytes > this.limits.groupBytesMax) break;
      count++;
    }
    return this.queue.splice(0, count);
  }

  private async writeGroup(group: readonly PendingCommit[]): Promise<Result<void>> {
    const startedMs = performance.now();
    const sequence = this.sequence + 1;
    try {
      const root = encodeRoot({ format: STORAGE_FORMAT, genesisHash: this.genesisHash, sequence });
      const operations = batchOperations([{ puts: seal([{ key: ROOT_KEY, value: root }]), deletes: [] }, ...group]);
      this.marker.intend(sequence);
      await this.db.batch(operations, { sync: true });
      this.marker.confirm(sequence);
    } catch (cause) {
      return failed(storageError(cause, this.directory, 'commit'));
    }
    this.sequence = sequence;
    let sizeBytes = 0;
    for (const commit of group) sizeBytes += commit.sizeBytes;
    this.metrics?.synced(group.length, sizeBytes, (performance.now() - startedMs) / 1000);
    return { ok: true, value: undefined };
  }
}

/** One operation as the binding takes it; its encodings are said each time, see `BINARY`. */
type LevelOperation =
  | { readonly type: 'del'; readonly key: Uint8Array; readonly keyEncoding: 'view' }
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly keyEncoding: 'view'; readonly valueEncoding: 'view' };

/** The operations that `parts` make, in their order; values are sealed already. */
export function batchOperations(parts: readonly StorageBatch[]): LevelOperation[] {
  const operations: LevelOperation[] = [];
  for (const { puts, deletes } of parts) {
    for (const key of deletes) operations.push({ type: 'del', key, keyEncoding: 'view' });
    for (const { key, value } of puts) operations.push({ type: 'put', key, value, keyEncoding: 'view', valueEncoding: 'view' });
  }
  return operations;
}

/** Throws an `InvariantError` for keys of other than 1 to 1024 bytes, and for one that is both put and deleted. */
export function checkBatch({ puts, deletes }: StorageBatch): void {
  for (const { key } of puts) checkKey(key);
  for (const key of deletes) checkKey(key);
  if (deletes.length === 0) return;
  const deleted = new Set(deletes.map(bytesKey));
  // The port promises no order between the two lists, so whoever does this means something that it does not say.
  for (const { key } of puts) invariant(!deleted.has(bytesKey(key)), 'one batch puts and deletes the same key');
}
