import { bytesKey, invariant, type Prng, ShardlabError } from '@shardlab/crosslink';

import type { StorageBatch } from '../ports.ts';
import type { Incarnation } from './incarnation.ts';
import type { Scheduler } from './scheduler.ts';
import { SortedMap, type SortedView } from './sorted-map.ts';

/** Longest key in bytes, as in the process driver; the key space's are below a tenth of it. */
const KEY_BYTES_MAX = 1024;

/** What goes wrong with a disk. */
export interface DiskFaults {
  /**
   * How many of the `pending` batches that were not synced yet are on the disk after the crash: 0 to `pending`, the oldest ones, each whole.
   * A disk may well have written what it had not confirmed.
   */
  survivors(pending: number): number;
  /** Whether there is no room for one more write; never, if this is left out. */
  isFull?(): boolean;
  /** Microseconds that the next sync takes in addition: a disk that stalls, so that writes gather which are not synced. None, if this is left out. */
  stallUs?(): number;
}

/** Whatever was not synced is lost. */
export const NO_DISK_FAULTS: DiskFaults = { survivors: () => 0 };

/** How fast a disk is, in microseconds. Uniform between the two ends. */
export interface DiskLatency {
  readonly syncMinUs: number;
  readonly syncMaxUs: number;
  readonly readMinUs: number;
  readonly readMaxUs: number;
}

/** Around what the target machine's level does (3.8 k synced commits a second), with reads mostly from the page cache. */
export const DISK_LATENCY: DiskLatency = { syncMinUs: 100, syncMaxUs: 1000, readMinUs: 5, readMaxUs: 100 };

/** Between the sync and its confirmation: a crash can fall in between, and then the batch is durable though nobody was told. */
const CONFIRM_US = 2;

/** The key as the disk's map has it. Throws an `InvariantError` unless it has 1 to 1024 bytes. */
export function diskKey(key: Uint8Array): string {
  invariant(key.length > 0 && key.length <= KEY_BYTES_MAX, 'a key has 1 to 1024 bytes', { keyBytes: key.length });
  return bytesKey(key);
}

/** What a disk has done, for reports and checkers. */
export interface DiskCounters {
  commits: number;
  bytes: number;
  /** Batches that crashes have lost. */
  lost: number;
  /** Batches that were not confirmed before a crash, and survived it. */
  survived: number;
}

interface PendingBatch {
  readonly puts: readonly (readonly [key: string, value: Uint8Array])[];
  readonly deletes: readonly string[];
  readonly bytes: number;
  readonly confirm: () => void;
}

/**
 * A node's disk: what is synced, and what is on its way there. It outlives the node's lives; one life at a time holds it. Batches are synced one
 * after the other, in order, and visible to readers from then on, not earlier: code that counts on reading its own unsynced writes breaks here first.
 */
export class SimDisk {
  readonly counters: DiskCounters = { commits: 0, bytes: 0, lost: 0, survived: 0 };
  private readonly name: string;
  private readonly latency: DiskLatency;
  private readonly scheduler: Scheduler;
  private readonly prng: Prng;
  private readonly faults: DiskFaults;
  private readonly synced = new SortedMap();
  private pending: PendingBatch[] = [];
  private pendingBytes = 0;
  private holder: Incarnation | undefined;

  constructor(
    options: { readonly name: string; readonly latency?: DiskLatency },
    modules: { readonly scheduler: Scheduler; readonly prng: Prng; readonly faults?: DiskFaults },
  ) {
    this.name = options.name;
    this.latency = options.latency ?? DISK_LATENCY;
    this.scheduler = modules.scheduler;
    this.prng = modules.prng;
    this.faults = modules.faults ?? NO_DISK_FAULTS;
  }

  /** All that is synced now, whatever is written later: for snapshots. */
  view(): SortedView {
    return this.synced.view();
  }

  /** All that is synced, until the next event: for reads, and for checkers that look from outside. */
  live(): SortedView {
    return this.synced.live();
  }

  /** Whether a write would fail for want of room. */
  get full(): boolean {
    return this.faults.isFull?.() ?? false;
  }

  /** Keys that are synced. */
  get size(): number {
    return this.synced.size;
  }

  /** Batches that are not synced yet. */
  get queued(): number {
    return this.pending.length;
  }

  /** Bytes of keys and values that are not synced yet. */
  get queuedBytes(): number {
    return this.pendingBytes;
  }

  /** Gives the disk to one life, until {@link unlock} or its crash. Throws `storage/locked` while another life has it. */
  lock(incarnation: Incarnation): void {
    if (this.holder !== undefined) throw new ShardlabError('storage/locked', `${this.holder.label} has the disk of ${this.name} open`);
    this.holder = incarnation;
    incarnation.onKill(() => {
      if (this.holder === incarnation) this.crash();
    });
  }

  /** The holder has closed its storage; nothing is pending. */
  unlock(): void {
    invariant(this.pending.length === 0, 'a disk was closed over pending batches');
    this.holder = undefined;
  }

  /** Copies `batch`, syncs it after all earlier ones, then calls `confirm`. Only the holder writes. */
  write(batch: StorageBatch, confirm: () => void): void {
    const holder = this.holder;
    invariant(holder !== undefined && holder.alive, 'only the living holder writes');
    const copied = copyBatch(batch, confirm);
    const { trace } = this.scheduler;
    trace.text('disk').text(this.name).integer(batch.puts.length).integer(batch.deletes.length);
    if (trace.enabled) {
      for (const put of batch.puts) trace.bytes(put.key).bytes(put.value);
      for (const key of batch.deletes) trace.bytes(key);
    }
    this.pending.push(copied);
    this.pendingBytes += copied.bytes;
    if (this.pending.length === 1) this.syncNext(holder);
  }

  /** A seeded time for one read. */
  readUs(): number {
    return this.between(this.latency.readMinUs, this.latency.readMaxUs);
  }

  private syncNext(holder: Incarnation): void {
    const stallUs = this.faults.stallUs?.() ?? 0;
    holder.schedule(this.between(this.latency.syncMinUs, this.latency.syncMaxUs) + stallUs, () => {
      const batch = this.pending.shift();
      invariant(batch !== undefined, 'a sync without a batch');
      this.pendingBytes -= batch.bytes;
      this.apply(batch);
      holder.schedule(CONFIRM_US, batch.confirm);
      if (this.pending.length > 0) this.syncNext(holder);
    });
  }

  private crash(): void {
    const count = this.pending.length;
    const survivors = count === 0 ? 0 : this.faults.survivors(count);
    invariant(Number.isInteger(survivors) && survivors >= 0 && survivors <= count, 'not a number of survivors', { survivors, count });
    for (const batch of this.pending.slice(0, survivors)) this.apply(batch);
    this.counters.survived += survivors;
    this.counters.lost += count - survivors;
    this.pending = [];
    this.pendingBytes = 0;
    this.holder = undefined;
  }

  private apply(batch: PendingBatch): void {
    for (const key of batch.deletes) this.synced.delete(key);
    for (const [key, value] of batch.puts) this.synced.set(key, value);
    this.counters.commits++;
    this.counters.bytes += batch.bytes;
  }

  private between(minUs: number, maxUs: number): number {
    return minUs + this.prng.below(maxUs - minUs + 1);
  }
}

function copyBatch(batch: StorageBatch, confirm: () => void): PendingBatch {
  let bytes = 0;
  const deleted = new Set<string>();
  for (const key of batch.deletes) {
    bytes += key.length;
    deleted.add(diskKey(key));
  }
  const puts = batch.puts.map((put) => {
    bytes += put.key.length + put.value.length;
    const key = diskKey(put.key);
    // The port promises no order between the two lists, so whoever does this means something that a real store may not do.
    invariant(!deleted.has(key), 'one batch puts and deletes the same key');
    return [key, put.value.slice()] as const;
  });
  return { puts, deletes: [...deleted], bytes, confirm };
}
