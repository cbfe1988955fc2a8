import { type Hash32, ShardlabError } from '@shardlab/crosslink';
import type { Done, Result, Storage, StorageBatch, StorageEntry, StorageRange, StorageSnapshot } from '../ports.ts';
import { answer, failed } from './answer.ts';
import { checkBatch, type CommitLimits, CommitQueue, type StorageMetrics } from './commit-queue.ts';
import type { CommitMarker } from './commit-marker.ts';
import { storageError } from './errors.ts';
import { type BinaryLevel, checkKey, checkRange, LevelReader, type LevelSnapshot } from './level-reader.ts';

/** How much may wait; beyond it, operations fail with `storage/overload`. */
export interface LevelStorageLimits extends CommitLimits {
  /** Reads that were not answered yet. */
  readonly readsMax: number;
  /** Snapshots that were not released. */
  readonly snapshotsMax: number;
}

/** Far above what a healthy node has under way. */
export const LEVEL_STORAGE_LIMITS: LevelStorageLimits = {
  commitsMax: 4096,
  commitBytesMax: 256 * 1024 * 1024,
  // About 20 ms of writing: longer groups would delay the first commit in them more than they save.
  groupBytesMax: 4 * 1024 * 1024,
  readsMax: 65_536,
  snapshotsMax: 1024,
};

/** A snapshot in use: it is closed when it is released and no read of it runs, as the steps of a range need it open. */
interface HeldSnapshot {
  readonly view: LevelSnapshot;
  reads: number;
  released: boolean;
}

/**
 * The process driver's {@link Storage}. Commits are synced one write after the other; those that come while a sync runs share the next one (group
 * commit). A read sees what was synced when it was called (LevelDB shows a write only after its sync). After the first failure of a commit all
 * later ones fail with the same error, as they might rest on it. Error codes: `storage/closed`, `storage/released`, `storage/overload`, and those
 * of {@link storageError}.
 */
export class LevelStorage implements Storage {
  private readonly directory: string;
  private readonly limits: LevelStorageLimits;
  private readonly db: BinaryLevel;
  private readonly marker: CommitMarker;
  private readonly releaseLock: () => Promise<void>;
  private readonly reader: LevelReader;
  private readonly commits: CommitQueue;
  private readonly snapshots = new Set<HeldSnapshot>();
  private reads = 0;
  private closing = false;
  private whenIdle: () => void = () => undefined;

  /** Takes over an open database whose root record says `sequence`; use `openLevelStorage`. */
  constructor(
    options: { readonly directory: string; readonly genesisHash: Hash32; readonly sequence: number; readonly limits: LevelStorageLimits },
    modules: {
      readonly db: BinaryLevel;
      readonly marker: CommitMarker;
      readonly metrics: StorageMetrics | undefined;
      readonly releaseLock: () => Promise<void>;
    },
  ) {
    this.directory = options.directory;
    this.limits = options.limits;
    this.db = modules.db;
    this.marker = modules.marker;
    this.releaseLock = modules.releaseLock;
    this.reader = new LevelReader(options, modules);
    this.commits = new CommitQueue(options, { ...modules, onIdle: () => this.idle() });
  }

  /** Snapshots that were not released, or are being read still: a leak if it stays above 0. */
  get snapshotsOpen(): number {
    return this.snapshots.size;
  }

  get(key: Uint8Array, done: Done<Uint8Array | undefined>): void {
    checkKey(key);
    this.read(done, () => this.reader.get(key, undefined));
  }

  range(range: StorageRange, done: Done<readonly StorageEntry[]>): void {
    checkRange(range);
    this.read(done, () => this.reader.range(range, undefined));
  }

  /** Throws an `InvariantError` for keys of other than 1 to `KEY_BYTES_MAX` bytes, and for one that is both put and deleted. */
  commit(batch: StorageBatch, done: Done<void>): void {
    checkBatch(batch);
    if (this.closing) return answer(done, failed(closed()));
    this.commits.push(batch, done);
  }

  /** Throws `storage/closed` and `storage/overload`. */
  snapshot(): StorageSnapshot {
    if (this.closing) throw closed();
    if (this.snapshots.size >= this.limits.snapshotsMax) {
      throw new ShardlabError('storage/overload', `${this.snapshots.size} snapshots are open already`);
    }
    const held: HeldSnapshot = { view: this.db.snapshot(), reads: 0, released: false };
    this.snapshots.add(held);
    return {
      get: (key, done) => {
        checkKey(key);
        this.readHeld(held, done, () => this.reader.get(key, held.view));
      },
      range: (range, done) => {
        checkRange(range);
        this.readHeld(held, done, () => this.reader.range(range, held.view));
      },
      release: () => {
        held.released = true;
        this.dropSnapshot(held);
      },
    };
  }

  /** Fails with `storage/closed` if it was called before; else waits for what is under way. */
  close(done: Done<void>): void {
    if (this.closing) return answer(done, failed(closed()));
    this.closing = true;
    this.whenIdle = () => {
      this.whenIdle = () => undefined;
      this.shutDown().then(
        () => answer(done, { ok: true, value: undefined }),
        (cause: unknown) => answer(done, failed(storageError(cause, this.directory, 'close'))),
      );
    };
    this.idle();
  }

  /** Runs one read and answers it, in the bounds of what may be under way. */
  private read<T>(done: Done<T>, work: () => Promise<T>): void {
    if (this.closing) return answer(done, failed(closed()));
    if (this.reads >= this.limits.readsMax) {
      return answer(done, failed(new ShardlabError('storage/overload', `${this.reads} reads wait already`)));
    }
    this.reads++;
    const end = (result: Result<T>): void => {
      this.reads--;
      answer(done, result);
      this.idle();
    };
    work().then(
      (value) => end({ ok: true, value }),
      (cause: unknown) => end(failed(storageError(cause, this.directory, 'read'))),
    );
  }

  private readHeld<T>(held: HeldSnapshot, done: Done<T>, work: () => Promise<T>): void {
    if (held.released && !this.closing) return answer(done, failed(new ShardlabError('storage/released', 'this snapshot was released')));
    this.read(done, async () => {
      held.reads++;
      try {
        return await work();
      } finally {
        held.reads--;
        this.dropSnapshot(held);
      }
    });
  }

  private dropSnapshot(held: HeldSnapshot): void {
    if (!held.released || held.reads > 0 || !this.snapshots.delete(held)) return;
    // A close that fails has nobody to tell, and the database's own close repeats it.
    held.view.close().catch(() => undefined);
  }

  private idle(): void {
    if (this.closing && this.commits.idle && this.reads === 0) this.whenIdle();
  }

  private async shutDown(): Promise<void> {
    try {
      // Closes the snapshots that nobody released, too.
      await this.db.close();
      this.marker.sync();
    } finally {
      this.marker.close();
      await this.releaseLock();
    }
  }
}

function closed(): ShardlabError {
  return new ShardlabError('storage/closed', 'the storage was closed');
}
