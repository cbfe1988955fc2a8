import { type Block, compareBytes, encodeBlock, headerHash, type Height, invariant } from '@shardlab/crosslink';
import type { FlatEntry, Snapshot } from '@shardlab/shard';
import type { Done, StorageBatch, StorageEntry, StorageReader } from '../ports.ts';
import { pushBlock, pushHead } from './chain-store-head.ts';
import { decodeStored, step, STORE_HASHER, walk } from './chain-store-read.ts';
import { decodeHead, encodeOutboxValue, encodeSnapshotHeight, META_HEAD, META_SNAPSHOT, UNDO_HEIGHTS } from './chain-store-records.ts';
import { META, OUTBOX, PROPOSALS, STATE, UNDO } from './key-space.ts';

/**
 * The one atomic write that makes a shard's chain go on from `snapshot`. It replaces state, undo records and proposals; the blocks that the node has, what it sent
 * in them, and its own votes stay: they belong to the same chain. Reads what is stored, so no commit may be under way, nor be made before this batch's own.
 * Fails with `storage/damaged`, `invariant` for a snapshot that is not above the stored head, and with the storage's own errors.
 */
export function snapshotBatch(storage: StorageReader, snapshot: Snapshot, done: Done<StorageBatch>): void {
  const { header } = snapshot.block;
  const puts = putsOf(snapshot);
  const deletes: Uint8Array[] = [];
  const stale = staleKeys(snapshot.entries, deletes);
  const dropHistory = (value: Uint8Array | undefined): void => {
    if (value === undefined) return;
    const head = decodeStored('the record of the head', () => decodeHead(value));
    invariant(head.chain === header.shard && head.height < header.height, 'a snapshot is above the head of the same chain', { head: head.height });
    for (let height = Math.max(1, head.height - UNDO_HEIGHTS + 1); height <= head.height; height++) deletes.push(UNDO.key(height as Height));
  };
  storage.get(
    META.key(META_HEAD),
    step(done, dropHistory, () => {
      walk(storage, PROPOSALS.from(0 as Height, (header.height + 1) as Height), done, (page) => deletes.push(...page.map(({ key }) => key)), () => {
        walk(storage, STATE.all(), done, stale, () => done({ ok: true, value: { puts, deletes } }));
      });
    }),
  );
}

function putsOf({ block, hash, entries, older }: Snapshot): StorageEntry[] {
  const puts: StorageEntry[] = [];
  pushHead(puts, block.header, hash, encodeBlock(block));
  puts.push({ key: META.key(META_SNAPSHOT), value: encodeSnapshotHeight(block.header.height) });
  for (const { key, value } of entries) puts.push({ key: STATE.key(key), value });
  for (const each of older) pushBlock(puts, each.header, headerHash(STORE_HASHER, each.header), encodeBlock(each));
  for (const each of [...older, block]) pushOutbox(puts, each);
  return puts;
}

/** Where the block's messages stand: what their destinations have consumed is dropped when they say so. */
function pushOutbox(puts: StorageEntry[], { header, outgoing }: Block): void {
  for (const { destination, firstSequence, messages } of outgoing) {
    const value = encodeOutboxValue(firstSequence + messages.length - 1, header.height);
    puts.push({ key: OUTBOX.key({ destination, sequence: firstSequence }), value });
  }
}

/** Takes pages of the stored state, in order, and appends the keys that `entries`, in order too, does not hold. */
function staleKeys(entries: readonly FlatEntry[], deletes: Uint8Array[]): (page: readonly StorageEntry[]) => void {
  let at = 0;
  return (page) => {
    for (const { key } of page) {
      const own = key.subarray(1);
      while (at < entries.length && compareBytes(entries[at]!.key, own) < 0) at++;
      const kept = at < entries.length && compareBytes(entries[at]!.key, own) === 0;
      // A copy: a view may hold the whole page.
      if (!kept) deletes.push(key.slice());
    }
  };
}
