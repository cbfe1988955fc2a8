import { bytesKey, decodeBlockHead, type Hash32, type Height, keyBytes, ShardlabError, Writer } from '@shardlab/crosslink';
import type { Clock, Storage, StorageEntry, StorageSnapshot } from '../ports.ts';
import { damagedChain, keyAfter, StoreReads } from './chain-store-read.ts';
import { decodeHead, decodeSnapshotHeight, decodeUndo, META_HEAD, META_SNAPSHOT, UNDO_HEIGHTS } from './chain-store-records.ts';
import { BLOCKS, META, STATE, UNDO } from './key-space.ts';

/** Pins that one node holds at a time: each holds a view of the disk. */
export const PINS_MAX = 4;
/** How long a pin lasts, in milliseconds of wall clock. */
export const PIN_MS = 120_000;
/** Most bytes of keys and values in one page. */
export const PAGE_BYTES_MAX = 1 << 20;
/** Most bytes of old values that one pin keeps in memory. */
const OVERLAY_BYTES_MAX = 64 << 20;
const PAGE_ENTRIES_MAX = 16_384;

/** A height of the shard whose state can be read page by page. */
export interface Pin {
  readonly id: string;
  readonly height: number;
  readonly stateRoot: Hash32;
  /** Unix milliseconds. */
  readonly expiresMs: number;
}

/** A part of a pinned state. */
export interface StatePage {
  /** Flat entries in order of key: u16 length and key, u16 length and value, back to back. */
  readonly entries: Uint8Array;
  /** The flat key of the last entry; undefined when nothing follows. */
  readonly next: Uint8Array | undefined;
}

interface Held {
  readonly pin: Pin;
  readonly snapshot: StorageSnapshot;
  readonly reads: StoreReads;
  /** Old values of the stems that changed after the pinned height, by key. */
  readonly overlay: ReadonlyMap<string, Uint8Array | undefined>;
  /** Its keys, ascending. */
  readonly overlayKeys: readonly string[];
  readonly cancelTimer: () => void;
}

/**
 * Heights of a shard whose states auditors read page by page while the chain goes on (design, Fees): a snapshot of the store, and over it the undo records
 * between the pinned height and the snapshot's head. Bounded in number, time and memory.
 */
export class PinnedStates {
  private readonly storage: Storage;
  private readonly clock: Clock;
  private readonly held = new Map<string, Held>();
  /** Pins that are being made. */
  private making = 0;
  private made = 0;
  private closed = false;

  constructor(modules: { readonly storage: Storage; readonly clock: Clock }) {
    this.storage = modules.storage;
    this.clock = modules.clock;
  }

  /** Pins held now. */
  get size(): number {
    return this.held.size;
  }

  /** Pins `height`. Rejects with `pin/limit`, `pin/height` (above the head, more than 256 back, or below the node's snapshot), `pin/too-large`, `pin/closed`. */
  async pin(height: number): Promise<Pin> {
    if (this.closed) throw closedError();
    if (this.held.size + this.making >= PINS_MAX) {
      throw new ShardlabError('pin/limit', `${PINS_MAX} heights are pinned already: unpin one, or wait until one expires`);
    }
    this.making++;
    const snapshot = this.storage.snapshot();
    try {
      const held = await this.make(height, snapshot);
      // Closed while it was made: its snapshot would hold the disk open.
      if (this.closed) {
        held.cancelTimer();
        throw closedError();
      }
      this.held.set(held.pin.id, held);
      return held.pin;
    } catch (error) {
      snapshot.release();
      throw error;
    } finally {
      this.making--;
    }
  }

  /** One page of a pinned state, after the flat key `cursor` (undefined: from the start), of about `bytesMax` bytes. Rejects with `pin/unknown`. */
  async read(id: string, cursor: Uint8Array | undefined, bytesMax: number): Promise<StatePage> {
    const held = this.held.get(id);
    if (held === undefined) throw unknownPin(id);
    const limit = Math.min(Math.max(bytesMax, 1), PAGE_BYTES_MAX);
    const { gte: start, lt } = STATE.all();
    const gte = cursor === undefined ? start : keyAfter(STATE.key(cursor));
    const stored = await held.reads.range({ gte, lt, entriesMax: PAGE_ENTRIES_MAX, bytesMax: limit });
    return merge(held, cursor === undefined ? '' : bytesKey(cursor), stored, limit);
  }

  /** Lets a pin go; `false` if there is none of that id. */
  unpin(id: string): boolean {
    const held = this.held.get(id);
    if (held === undefined) return false;
    this.held.delete(id);
    held.cancelTimer();
    held.snapshot.release();
    return true;
  }

  /** Lets all pins go, for good. */
  close(): void {
    this.closed = true;
    for (const id of [...this.held.keys()]) this.unpin(id);
  }

  private async make(height: number, snapshot: StorageSnapshot): Promise<Held> {
    const reads = new StoreReads(snapshot);
    const head = await reads.get(META, META_HEAD, 'the record of the head', decodeHead);
    if (head === undefined) throw damagedChain('the record of the head is missing');
    if (height > head.height) throw new ShardlabError('pin/height', `height ${height} is above the head, ${head.height}`);
    if (head.height - height > UNDO_HEIGHTS) {
      throw new ShardlabError('pin/height', `height ${height} is ${head.height - height} below the head ${head.height}, at most ${UNDO_HEIGHTS} can be pinned`);
    }
    const start = (await reads.get(META, META_SNAPSHOT, 'the record of the snapshot', decodeSnapshotHeight)) ?? 0;
    if (height < start) throw new ShardlabError('pin/height', `height ${height} is below the snapshot that this node started from, ${start}`);
    const block = await reads.get(BLOCKS, height as Height, `block ${height}`, decodeBlockHead);
    if (block === undefined) throw damagedChain(`block ${height} is missing`, { height });
    const overlay = await readOverlay(reads, height, head.height);
    const id = `pin-${++this.made}`;
    const pin = { id, height, stateRoot: block.header.stateRoot.slice() as Hash32, expiresMs: this.clock.nowMs() + PIN_MS };
    const cancelTimer = this.clock.schedule(PIN_MS, () => void this.unpin(id));
    return { pin, snapshot, reads, overlay, overlayKeys: [...overlay.keys()].sort(), cancelTimer };
  }
}

/** The values at `height` of all stems that changed up to `head`: the oldest undo record that names a stem has it. */
async function readOverlay(reads: StoreReads, height: number, head: number): Promise<Map<string, Uint8Array | undefined>> {
  const overlay = new Map<string, Uint8Array | undefined>();
  let sizeBytes = 0;
  for (let above = height + 1; above <= head; above++) {
    const undo = await reads.get(UNDO, above as Height, `undo record ${above}`, decodeUndo);
    if (undo === undefined) throw damagedChain(`undo record ${above} is missing`, { height: above });
    for (const { key, value } of undo) {
      const name = bytesKey(key);
      if (overlay.has(name)) continue;
      // A copy: a view would keep the whole record.
      overlay.set(name, value?.slice());
      sizeBytes += key.length + (value?.length ?? 0);
    }
    if (sizeBytes > OVERLAY_BYTES_MAX) {
      throw new ShardlabError('pin/too-large', `more than ${OVERLAY_BYTES_MAX} bytes of state changed since height ${height}: pin a later one`);
    }
  }
  return overlay;
}

/** Joins stored entries and the overlay in order of key. `after` is the cursor's key as a string. */
function merge(held: Held, after: string, stored: readonly StorageEntry[], bytesMax: number): StatePage {
  const { overlay, overlayKeys } = held;
  let storedBytes = 0;
  for (const { key, value } of stored) storedBytes += key.length + value.length;
  const cut = stored.length >= PAGE_ENTRIES_MAX || storedBytes >= bytesMax;
  // What the overlay holds beyond a cut page belongs to a later one.
  const end = cut ? bytesKey(stored.at(-1)!.key.subarray(1)) : undefined;
  const writer = new Writer(storedBytes + 4 * stored.length + 64);
  let at = firstAbove(overlayKeys, after);
  let last = after;
  const put = (key: Uint8Array, value: Uint8Array | undefined): void => {
    if (value !== undefined) writer.u16(key.length).fixed(key, key.length).u16(value.length).fixed(value, value.length);
  };
  for (let index = 0; ; ) {
    if (writer.length >= bytesMax) return { entries: writer.finish(), next: keyBytes(last) };
    const entry = stored[index];
    const own = entry === undefined ? undefined : bytesKey(entry.key.subarray(1));
    const over = overlayKeys[at];
    const overDue = over !== undefined && (end === undefined || over <= end);
    if (overDue && (own === undefined || over <= own)) {
      put(keyBytes(over), overlay.get(over));
      at++;
      if (own === over) index++;
      last = over;
    } else if (own !== undefined && entry !== undefined) {
      put(entry.key.subarray(1), entry.value);
      index++;
      last = own;
    } else {
      return { entries: writer.finish(), next: cut ? keyBytes(last) : undefined };
    }
  }
}

/** Index of the first of `keys` above `key`. */
function firstAbove(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function unknownPin(id: string): ShardlabError {
  return new ShardlabError('pin/unknown', `no pin "${id}": it has expired (a pin lasts ${PIN_MS / 1000} s), or was never made here`);
}

function closedError(): ShardlabError {
  return new ShardlabError('pin/closed', 'this node is stopping');
}
