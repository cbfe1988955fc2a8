import {
  encodeSnapshotHead,
  encodeSnapshotPage,
  type Height,
  ShardlabError,
  SNAPSHOT_BLOCK_BYTES_MAX,
  SNAPSHOT_PAGE_BYTES,
  SNAPSHOT_PAGE_ENTRIES_MAX,
  type ShardId,
} from '@shardlab/crosslink';
import type { Clock, Done, Storage, StorageEntry, StorageSnapshot } from '../ports.ts';
import { damagedChain, decodeStored, keyAfter, step } from './chain-store-read.ts';
import { decodeHead, decodeOutboxValue, META_HEAD } from './chain-store-records.ts';
import { BLOCKS, META, OUTBOX, STATE } from './key-space.ts';

/** Views of the disk that are held for others at a time. */
export const SERVED_MAX = 2;
/** How long a view is held, in milliseconds: a state of a million accounts takes seconds. */
export const SERVED_MS = 300_000;
/** A view that is not older is handed to the next who asks, in milliseconds: so nobody can drive out, by asking, one that another reads, within twice this time. */
export const SERVED_FRESH_MS = 60_000;
/** Requests that wait while a view is made; others are refused. */
const WAITING_MAX = 64;

/** Takes the items of an answer; none = there is nothing of the kind, `undefined` = refused. */
type Answered = (items: readonly Uint8Array[] | undefined) => void;

interface Held {
  readonly height: Height;
  /** The encoded `SnapshotHead`. */
  readonly head: Uint8Array;
  readonly madeMs: number;
  readonly snapshot: StorageSnapshot;
  readonly cancelTimer: () => void;
}

/**
 * States that a shard's node hands out page by page to validators that start from them, while its chain goes on. Each is a view of the store at its head: no undo
 * records are needed, as they are for pins of a height of choice. Bounded in number and time. Callbacks only: it runs in the simulation, too.
 */
export class ServedSnapshots {
  private readonly storage: Storage;
  private readonly clock: Clock;
  private held: Held[] = [];
  private waiting: Answered[] = [];
  private closed = false;

  constructor(modules: { readonly storage: Storage; readonly clock: Clock }) {
    this.storage = modules.storage;
    this.clock = modules.clock;
  }

  /** Views held now. */
  get size(): number {
    return this.held.length;
  }

  /** Answers `snapshot-head`: one encoded head, or nothing while there is no certified block. */
  head(answer: Answered): void {
    const newest = this.held.at(-1);
    if (newest !== undefined && this.clock.nowMs() - newest.madeMs < SERVED_FRESH_MS) {
      answer([newest.head]);
      return;
    }
    if (this.closed || this.waiting.length >= WAITING_MAX) {
      answer(undefined);
      return;
    }
    this.waiting.push(answer);
    if (this.waiting.length === 1) this.make();
  }

  /** Answers `snapshot-page`: the next cursor (empty at the end) and the page after `cursor`; nothing for a height that is not held. */
  page(height: Height, cursor: Uint8Array, answer: Answered): void {
    const held = this.held.find((each) => each.height === height);
    if (held === undefined) {
      answer([]);
      return;
    }
    const { gte: start, lt } = STATE.all();
    const gte = cursor.length === 0 ? start : keyAfter(STATE.key(cursor));
    held.snapshot.range({ gte, lt, entriesMax: SNAPSHOT_PAGE_ENTRIES_MAX, bytesMax: SNAPSHOT_PAGE_BYTES }, (result) => {
      answer(result.ok ? pageOf(result.value) : undefined);
    });
  }

  /** Lets all views go, for good. */
  close(): void {
    this.closed = true;
    for (const held of this.held.splice(0)) release(held);
  }

  private make(): void {
    let snapshot: StorageSnapshot;
    try {
      snapshot = this.storage.snapshot();
    } catch (error) {
      if (!(error instanceof ShardlabError)) throw error;
      this.answer(undefined);
      return;
    }
    readHead(snapshot, (result) => {
      const found = result.ok ? result.value : undefined;
      if (found === undefined || this.closed) {
        snapshot.release();
        this.answer(result.ok && !this.closed ? [] : undefined);
        return;
      }
      const cancelTimer = this.clock.schedule(SERVED_MS, () => this.expire(held));
      const held: Held = { ...found, madeMs: this.clock.nowMs(), snapshot, cancelTimer };
      this.held.push(held);
      if (this.held.length > SERVED_MAX) release(this.held.shift()!);
      this.answer([held.head]);
    });
  }

  private answer(items: readonly Uint8Array[] | undefined): void {
    for (const answer of this.waiting.splice(0)) answer(items);
  }

  private expire(held: Held): void {
    this.held = this.held.filter((each) => each !== held);
    held.snapshot.release();
  }
}

function release(held: Held): void {
  held.cancelTimer();
  held.snapshot.release();
}

function pageOf(stored: readonly StorageEntry[]): Uint8Array[] {
  const entries = stored.map(({ key, value }) => ({ key: key.subarray(1), value }));
  let sizeBytes = 0;
  for (const { key, value } of stored) sizeBytes += key.length + value.length;
  const cut = stored.length >= SNAPSHOT_PAGE_ENTRIES_MAX || sizeBytes >= SNAPSHOT_PAGE_BYTES;
  return [cut ? entries.at(-1)!.key : NOTHING, encodeSnapshotPage(entries)];
}

const NOTHING = new Uint8Array(0);

/** The head of a view; undefined on genesis, which nobody certifies, and for a block that is too large to be handed out. */
function readHead(snapshot: StorageSnapshot, done: Done<{ readonly height: Height; readonly head: Uint8Array } | undefined>): void {
  const heightOf = (value: Uint8Array | undefined): Height =>
    value === undefined ? (0 as Height) : decodeStored('the record of the head', () => decodeHead(value)).height;
  snapshot.get(
    META.key(META_HEAD),
    step(done, heightOf, (height) => {
      if (height === 0) {
        done({ ok: true, value: undefined });
        return;
      }
      const present = (value: Uint8Array | undefined): Uint8Array => {
        if (value === undefined) throw damagedChain(`block ${height}, the head, is missing`, { height });
        return value;
      };
      snapshot.get(
        BLOCKS.key(height),
        step(done, present, (block) => {
          if (block.length > SNAPSHOT_BLOCK_BYTES_MAX) done({ ok: true, value: undefined });
          else readMessagesFrom(snapshot, height, done, (messagesFrom) => done({ ok: true, value: { height, head: encodeSnapshotHead({ block, messagesFrom }) } }));
        }),
      );
    }),
  );
}

/** The lowest height in the outbox, by reading each destination's first entry: sequences and heights rise together. */
function readMessagesFrom(snapshot: StorageSnapshot, height: Height, done: Done<never>, then: (lowest: Height) => void): void {
  const { lt } = OUTBOX.all();
  let lowest = height;
  const next = (gte: Uint8Array): void => {
    const destinationOf = (entries: readonly StorageEntry[]): ShardId | undefined => {
      const entry = entries[0];
      if (entry === undefined) return undefined;
      const { destination, sequence } = OUTBOX.parse(entry.key);
      const { height: sent } = decodeStored(`outbox entry ${destination}/${sequence}`, () => decodeOutboxValue(sequence, entry.value));
      if (sent < lowest) lowest = sent;
      return destination;
    };
    snapshot.range(
      { gte, lt, entriesMax: 1, bytesMax: 1 },
      step(done, destinationOf, (destination) => {
        if (destination === undefined) then(lowest);
        else next(OUTBOX.key({ destination: (destination + 1) as ShardId, sequence: 0 }));
      }),
    );
  };
  next(OUTBOX.all().gte);
}
