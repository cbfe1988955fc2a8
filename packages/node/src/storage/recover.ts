import { BEACON, type BeaconBlock, beaconHash, decodeBeaconBlock, decodeBlock, encodeHeader, equalBytes, type Hash32, type Hasher, ShardlabError, type ShardId } from '@shardlab/crosslink';
import type { BeaconStart, BeaconTip, CrosslinkTip, FlatEntry } from '@shardlab/shard';
import type { Done, StorageEntry, StorageReader } from '../ports.ts';
import type { RecoveredState } from '../runtime/assemble.ts';
import { BEACON_BLOCKS, BLOCKS, EPOCH_CERTIFICATES, type KeyRange, OUTBOX, STATE } from './key-space.ts';
import { decodeOutboxEntry } from './place.ts';

const PAGE_ENTRIES = 16_384;
const PAGE_BYTES = 8 << 20;

/** Reads a whole range, page by page. */
export function readAll(storage: StorageReader, range: KeyRange, done: Done<StorageEntry[]>): void {
  const all: StorageEntry[] = [];
  const next = (gte: Uint8Array): void => {
    storage.range({ gte, lt: range.lt, entriesMax: PAGE_ENTRIES, bytesMax: PAGE_BYTES }, (result) => {
      if (!result.ok) {
        done(result);
        return;
      }
      for (const entry of result.value) all.push(entry);
      const last = result.value.at(-1);
      if (last === undefined) {
        done({ ok: true, value: all });
        return;
      }
      const after = new Uint8Array(last.key.length + 1);
      after.set(last.key);
      next(after);
    });
  };
  next(range.gte);
}

/** The last value of a range. */
function readLast(storage: StorageReader, range: KeyRange, done: Done<Uint8Array | undefined>): void {
  storage.range({ ...range, entriesMax: 1, bytesMax: PAGE_BYTES, reverse: true }, (result) => {
    done(result.ok ? { ok: true, value: result.value[0]?.value } : result);
  });
}

/** Runs readers one after the other; the first failure ends it. */
function inTurn(readers: readonly ((done: Done<unknown>) => void)[], done: Done<unknown[]>): void {
  const values: unknown[] = [];
  const next = (at: number): void => {
    const reader = readers[at];
    if (reader === undefined) {
      done({ ok: true, value: values });
      return;
    }
    reader((result) => {
      if (!result.ok) {
        done(result);
        return;
      }
      values.push(result.value);
      next(at + 1);
    });
  };
  next(0);
}

/** Turns what decoders throw about stored bytes into the store's own refusal. */
function damagedUnless<T>(what: string, read: () => T): ReturnType<() => { ok: true; value: T } | { ok: false; error: ShardlabError }> {
  try {
    return { ok: true, value: read() };
  } catch (cause) {
    const error = new ShardlabError('storage/damaged', `${what} can not be read: restore this node's data directory from a copy`, {}, { cause });
    return { ok: false, error };
  }
}

/** What the database of a shard's node holds; `undefined` for a new one. */
export function recoverShard(storage: StorageReader, hasher: Hasher, done: Done<RecoveredState | undefined>): void {
  const readers: ((done: Done<unknown>) => void)[] = [
    (next) => readLast(storage, BLOCKS.all(), next),
    (next) => readAll(storage, STATE.all(), next),
    (next) => readAll(storage, OUTBOX.all(), next),
    (next) => readAll(storage, EPOCH_CERTIFICATES.all(), next),
    (next) => readLast(storage, BEACON_BLOCKS.all(), next),
  ];
  inTurn(readers, (result) => {
    if (!result.ok) {
      done(result);
      return;
    }
    const [last, state, outbox, epochs, beacon] = result.value as [Uint8Array | undefined, StorageEntry[], StorageEntry[], StorageEntry[], Uint8Array | undefined];
    if (last === undefined) {
      done({ ok: true, value: undefined });
      return;
    }
    done(damagedUnless('the stored chain', () => recovered(hasher, last, state, outbox, epochs, beacon)));
  });
}

function recovered(
  hasher: Hasher,
  last: Uint8Array,
  state: readonly StorageEntry[],
  outbox: readonly StorageEntry[],
  epochs: readonly StorageEntry[],
  beacon: Uint8Array | undefined,
): RecoveredState {
  const { header, certificate, body } = decodeBlock(last);
  const entries: FlatEntry[] = state.map(({ key, value }) => ({ key: STATE.parse(key), value }));
  return {
    head: { header, hash: hasher.sha256(encodeHeader(header)), pairs: body.pairs, certificate },
    entries,
    outbox: outbox.map(({ key, value }) => {
      const { destination, sequence } = OUTBOX.parse(key);
      return { destination, entry: { firstSequence: sequence, ...decodeOutboxEntry(value) } };
    }),
    epochs: epochs.map((entry) => entry.value),
    beaconTip: beacon === undefined ? undefined : tipOf(hasher, decodeBeaconBlock(beacon)),
  };
}

function tipOf(hasher: Hasher, block: BeaconBlock): BeaconTip & { readonly timestampMs: number } {
  return { height: block.header.height, hash: beaconHash(hasher, block.header), timestampMs: block.header.timestampMs };
}

/** What the database of the beacon's node holds. */
export function recoverBeacon(storage: StorageReader, hasher: Hasher, done: Done<BeaconStart>): void {
  inTurn([(next) => readAll(storage, BLOCKS.all(), next), (next) => readAll(storage, EPOCH_CERTIFICATES.all(), next)], (result) => {
    if (!result.ok) {
      done(result);
      return;
    }
    const [blocks, epochs] = result.value as [StorageEntry[], StorageEntry[]];
    done(damagedUnless('the stored beacon chain', () => beaconStart(hasher, blocks, epochs)));
  });
}

function beaconStart(hasher: Hasher, blocks: readonly StorageEntry[], epochs: readonly StorageEntry[]): BeaconStart {
  const crosslinks = new Map<ShardId, CrosslinkTip>();
  let tip: ReturnType<typeof tipOf> | undefined;
  for (const { value } of blocks) {
    const block = decodeBeaconBlock(value);
    if (tip !== undefined && !equalBytes(block.header.parentHash, tip.hash)) throw new ShardlabError('storage/damaged', 'beacon blocks do not chain');
    tip = tipOf(hasher, block);
    for (const { header } of block.crosslinks) {
      crosslinks.set(header.shard, { height: header.height, hash: hasher.sha256(encodeHeader(header)) as Hash32 });
    }
  }
  return { tip, crosslinks, epochs: epochs.map((entry) => entry.value) };
}

