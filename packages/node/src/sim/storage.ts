import { bytesKey, invariant, keyBytes, ShardlabError } from '@shardlab/crosslink';

import type { Done, Result, Storage, StorageBatch, StorageEntry, StorageRange, StorageSnapshot } from '../ports.ts';
import { diskKey, type SimDisk } from './disk.ts';
import type { Incarnation } from './incarnation.ts';
import type { SortedView } from './sorted-map.ts';

/** How much one storage lets wait; beyond it, operations fail with `storage/overload`. */
export interface SimStorageLimits {
  /** Batches that are not synced yet. */
  readonly commitsMax: number;
  /** Bytes of keys and values in them. */
  readonly commitBytesMax: number;
  /** Reads that were not answered yet. */
  readonly readsMax: number;
  /** Snapshots that were not released. */
  readonly snapshotsMax: number;
}

/** Far above what a healthy node has under way. */
export const SIM_STORAGE_LIMITS: SimStorageLimits = { commitsMax: 4096, commitBytesMax: 256 * 1024 * 1024, readsMax: 65_536, snapshotsMax: 1024 };

/**
 * One life's {@link Storage} on a {@link SimDisk}. A read sees what was synced when it was called. After `close` everything fails with
 * `storage/closed`, after `release` a snapshot's reads fail with `storage/released`; beyond the limits operations fail with
 * `storage/overload`, and once a commit has failed so do all later ones. Calls of a dead life do nothing.
 */
export class SimStorage implements Storage {
  private readonly limits: SimStorageLimits;
  private readonly disk: SimDisk;
  private readonly incarnation: Incarnation;
  private reads = 0;
  private commits = 0;
  private snapshots = 0;
  private state: 'open' | 'closing' | 'closed' = 'open';
  /** Of a commit: final, since later ones may rest on it. */
  private failure: ShardlabError | undefined;
  private whenIdle: () => void = () => undefined;

  /** Takes the disk for this life. Throws `storage/locked`. */
  constructor(options: { readonly limits?: SimStorageLimits }, modules: { readonly disk: SimDisk; readonly incarnation: Incarnation }) {
    this.limits = options.limits ?? SIM_STORAGE_LIMITS;
    this.disk = modules.disk;
    this.incarnation = modules.incarnation;
    this.disk.lock(this.incarnation);
  }

  /** Snapshots that were not released: a leak if it stays above 0. */
  get snapshotsOpen(): number {
    return this.snapshots;
  }

  get(key: Uint8Array, done: Done<Uint8Array | undefined>): void {
    const sought = diskKey(key);
    if (this.refused(done)) return;
    const value = this.disk.live().get(sought);
    this.answer(done, () => value?.slice());
  }

  range(range: StorageRange, done: Done<readonly StorageEntry[]>): void {
    if (this.refused(done)) return;
    const found = collect(this.disk.live(), range);
    this.answer(done, () => copyEntries(found));
  }

  commit(batch: StorageBatch, done: Done<void>): void {
    if (!this.incarnation.alive) return;
    if (this.state !== 'open') return this.fail(done, closed());
    if (this.failure === undefined && (this.disk.queued >= this.limits.commitsMax || this.disk.queuedBytes > this.limits.commitBytesMax)) {
      this.failure = new ShardlabError('storage/overload', `${this.disk.queued} commits wait for the disk already`);
    }
    if (this.failure === undefined && this.disk.full) {
      this.failure = new ShardlabError('storage/full', 'there is no room on the disk: make some, then start this node again');
    }
    if (this.failure !== undefined) return this.fail(done, this.failure);
    this.commits++;
    this.disk.write(batch, () => {
      this.commits--;
      done({ ok: true, value: undefined });
      this.closeIfIdle();
    });
  }

  /** Throws `storage/closed` and `storage/overload`. */
  snapshot(): StorageSnapshot {
    if (this.state !== 'open') throw closed();
    if (this.snapshots >= this.limits.snapshotsMax) throw new ShardlabError('storage/overload', `${this.snapshots} snapshots are open already`);
    this.snapshots++;
    let view: SortedView | undefined = this.disk.view();
    const refused = (done: Done<never>): boolean => {
      if (this.refused(done)) return true;
      if (view !== undefined) return false;
      this.fail(done, new ShardlabError('storage/released', 'this snapshot was released'));
      return true;
    };
    return {
      get: (key, done) => {
        const sought = diskKey(key);
        if (refused(done)) return;
        const value = view!.get(sought);
        this.answer(done, () => value?.slice());
      },
      range: (range, done) => {
        if (refused(done)) return;
        const found = collect(view!, range);
        this.answer(done, () => copyEntries(found));
      },
      release: () => {
        if (view === undefined) return;
        view = undefined;
        this.snapshots--;
      },
    };
  }

  /** Fails with `storage/closed` if it was called before; else waits for what is under way. */
  close(done: Done<void>): void {
    if (!this.incarnation.alive) return;
    if (this.state !== 'open') return this.fail(done, closed());
    this.state = 'closing';
    this.whenIdle = () => {
      this.state = 'closed';
      this.disk.unlock();
      done({ ok: true, value: undefined });
    };
    this.incarnation.schedule(this.disk.readUs(), () => this.closeIfIdle());
  }

  private closeIfIdle(): void {
    if (!this.incarnation.alive || this.state !== 'closing' || this.commits > 0 || this.reads > 0) return;
    this.whenIdle();
  }

  /** Whether a read cannot be done now; then `done` will be told why. */
  private refused(done: Done<never>): boolean {
    if (!this.incarnation.alive) return true;
    if (this.state !== 'open') {
      this.fail(done, closed());
      return true;
    }
    if (this.reads < this.limits.readsMax) return false;
    this.fail(done, new ShardlabError('storage/overload', `${this.reads} reads wait already`));
    return true;
  }

  private answer<T>(done: Done<T>, value: () => T): void {
    this.reads++;
    this.incarnation.schedule(this.disk.readUs(), () => {
      this.reads--;
      done({ ok: true, value: value() });
      this.closeIfIdle();
    });
  }

  private fail(done: Done<never>, error: ShardlabError): void {
    const result: Result<never> = { ok: false, error };
    this.incarnation.schedule(0, () => done(result));
  }
}

function closed(): ShardlabError {
  return new ShardlabError('storage/closed', 'the storage was closed');
}

/** The entries of a range; values are the disk's own and stay as they are, so copying can wait until the answer is due. */
function collect(view: SortedView, range: StorageRange): (readonly [string, Uint8Array])[] {
  const { entriesMax, bytesMax } = range;
  invariant(Number.isInteger(entriesMax) && entriesMax >= 0 && bytesMax >= 0, 'a range without bounds', { entriesMax, bytesMax });
  const found: (readonly [string, Uint8Array])[] = [];
  if (entriesMax === 0) return found;
  let bytes = 0;
  const visit = (key: string, value: Uint8Array): boolean => {
    found.push([key, value]);
    bytes += key.length + value.length;
    return found.length < entriesMax && bytes < bytesMax;
  };
  const gte = bytesKey(range.gte);
  const lt = bytesKey(range.lt);
  if (range.reverse === true) view.descend(gte, lt, visit);
  else view.ascend(gte, lt, visit);
  return found;
}

function copyEntries(found: readonly (readonly [string, Uint8Array])[]): StorageEntry[] {
  return found.map(([key, value]) => ({ key: keyBytes(key), value: value.slice() }));
}
