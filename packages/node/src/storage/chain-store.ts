/**
 * What a node's store holds of its chain, as batches: everything that belongs to one block is one atomic write (R2). Reading it back is
 * `chain-store-recovery.ts` at start, and `chain-store-reader.ts` for RPC.
 */
import {
  BEACON,
  type BeaconBlock,
  encodeBeaconBlock,
  encodeBlock,
  encodeBlockEvents,
  encodeEpochCertificate,
  encodeTombstone,
  type Hash32,
  type Height,
  type PairTable,
  type QuorumCertificate,
  type ShardHeader,
  type TxHash,
} from '@shardlab/crosslink';
import type { ExecutedBlock, FlatEntry, PersistRecord } from '@shardlab/shard';
import type { StorageBatch, StorageEntry } from '../ports.ts';
import { crosslinkRuns } from './chain-store-beacon.ts';
import { pushHead } from './chain-store-head.ts';
import {
  encodeBlockPlace,
  encodeCrosslinkRange,
  encodeCrosslinkTip,
  encodeHead,
  encodeOutboxValue,
  encodeProposal,
  encodeUndo,
  encodeVotes,
  META_BEACON_HEAD,
  META_VOTES,
  PLACE_BYTES,
  UNDO_HEIGHTS,
} from './chain-store-records.ts';
import {
  BEACON_BLOCKS,
  BLOCK_HEIGHTS,
  BLOCKS,
  CROSS_SHARD,
  CROSSLINK_TIPS,
  CROSSLINKS,
  EPOCH_CERTIFICATES,
  META,
  OUTBOX,
  PROPOSALS,
  STATE,
  TRANSACTIONS,
  UNDO,
} from './key-space.ts';

export { type RecoveredBeacon, type RecoveredShard, type RecoveredVotes, recoverBeacon, recoverShard } from './chain-store-recovery.ts';
export { snapshotBatch } from './chain-store-snapshot.ts';

/** Whose store it is: the beacon keeps beacon blocks as its own chain, a shard's node beside its own. */
export type ChainRole = 'shard' | 'beacon';

/** The certificate of blocks that nobody signs. */
const NO_CERTIFICATE: QuorumCertificate = { view: 0, scheme: 0, bitmap: new Uint8Array(0), signatures: [] };

/** What {@link batchOf} can write: a snapshot replaces what is stored, so that its write depends on it. See {@link snapshotBatch}. */
export type PlainRecord = Exclude<PersistRecord, { kind: 'snapshot' }>;

/** The one atomic write of `record` on a node of `role`. No key is in it twice. */
export function batchOf(record: PlainRecord, role: ChainRole): StorageBatch {
  switch (record.kind) {
    case 'shard-block':
      return shardBatch(record);
    case 'beacon-block':
      return beaconBatch(record.block, record.hash, role);
    case 'votes':
      return votesBatch(record);
  }
}

function votesBatch({ state, proposals }: Extract<PersistRecord, { kind: 'votes' }>): StorageBatch {
  const puts: StorageEntry[] = [{ key: META.key(META_VOTES), value: encodeVotes(state) }];
  const deletes: Uint8Array[] = [];
  // The last change of a height is what holds; a key must not be in a batch twice.
  for (const [height, proposal] of new Map(proposals.map((change) => [change.height, change.proposal]))) {
    const key = PROPOSALS.key(height as Height);
    if (proposal === undefined) deletes.push(key);
    else puts.push({ key, value: encodeProposal(proposal) });
  }
  return { puts, deletes };
}

/** The first write of a shard's store: the block of height 0, without a certificate, and the state of genesis. */
export function genesisBatch(
  block: { readonly header: ShardHeader; readonly hash: Hash32; readonly pairs: PairTable },
  entries: Iterable<FlatEntry>,
): StorageBatch {
  const { header, hash, pairs } = block;
  const body = { inbox: [], transactions: [], pairs };
  const stored = { header, certificate: NO_CERTIFICATE, wallMs: header.timestampMs, body, outgoing: [], receipts: [], events: NOTHING };
  const puts: StorageEntry[] = [];
  pushHead(puts, header, hash, encodeBlock(stored));
  for (const { key, value } of entries) puts.push({ key: STATE.key(key), value });
  return { puts, deletes: [] };
}


function shardBatch(record: Extract<PersistRecord, { kind: 'shard-block' }>): StorageBatch {
  const { block, certificate, wallMs, consumed } = record;
  const { header, hash, body, outgoing, receipts } = block;
  const { height } = header;
  const puts: StorageEntry[] = [];
  // What is final is served from the block itself.
  const deletes: Uint8Array[] = [PROPOSALS.key(height)];
  const events = encodeBlockEvents(block.events);
  pushHead(puts, header, hash, encodeBlock({ header, certificate, wallMs, body, outgoing, receipts, events }, block.encodedReceipts));
  pushPlaces(puts, block);
  for (const settlement of block.settled) puts.push({ key: CROSS_SHARD.key(settlement.record.txHash), value: encodeTombstone(settlement) });
  pushState(puts, deletes, block);
  puts.push({ key: UNDO.key(height), value: encodeUndo(block.delta.undo) });
  if (height > UNDO_HEIGHTS) deletes.push(UNDO.key((height - UNDO_HEIGHTS) as Height));
  const dropped = new Set<string>();
  for (const { destination, firstSequence } of consumed) {
    const id = `${destination}/${firstSequence}`;
    if (dropped.has(id)) continue;
    dropped.add(id);
    deletes.push(OUTBOX.key({ destination, sequence: firstSequence }));
  }
  for (const { destination, firstSequence, messages } of outgoing) {
    // What this very block sends can not be consumed yet; the check keeps a key from being put and deleted at once.
    if (dropped.has(`${destination}/${firstSequence}`)) continue;
    const value = encodeOutboxValue(firstSequence + messages.length - 1, height);
    puts.push({ key: OUTBOX.key({ destination, sequence: firstSequence }), value });
  }
  return { puts, deletes };
}

/**
 * Where each transaction of the block stands: those of the body, and those listed, which a settled cross-shard one is in another block than its
 * body. Keys and values of all of them share two buffers: this runs for each transaction of each block.
 */
function pushPlaces(puts: StorageEntry[], block: ExecutedBlock): void {
  const { receipts, transactions } = block;
  const { height } = block.header;
  const listedHere = new Uint8Array(transactions.length);
  for (const receipt of receipts) if (receipt.bodyHeight === height) listedHere[receipt.bodyIndex] = 1;
  const count = receipts.length + transactions.length;
  const keys = new Uint8Array(count * TX_KEY_BYTES);
  const values = new Uint8Array(count * PLACE_BYTES);
  const view = new DataView(values.buffer);
  let n = 0;
  const push = (hash: TxHash, bodyHeight: number, bodyIndex: number, listed: number, index: number): void => {
    const keyAt = n * TX_KEY_BYTES;
    keys[keyAt] = TRANSACTIONS.prefix;
    keys.set(hash, keyAt + 1);
    const at = n * PLACE_BYTES;
    values[at] = 1;
    values[at + 1] = listed < 0 ? 0 : 1;
    setU64(view, at + 2, bodyHeight);
    view.setUint32(at + 10, bodyIndex);
    if (listed >= 0) {
      setU64(view, at + 14, listed);
      view.setUint32(at + 22, index);
    }
    puts.push({ key: keys.subarray(keyAt, keyAt + TX_KEY_BYTES), value: values.subarray(at, at + PLACE_BYTES) });
    n++;
  };
  receipts.forEach((receipt, index) => push(receipt.txHash, receipt.bodyHeight, receipt.bodyIndex, height, index));
  transactions.forEach((tx, index) => {
    if (listedHere[index] === 0) push(tx.hash, height, index, -1, 0);
  });
}

const TX_KEY_BYTES = 33;

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000));
  view.setUint32(at + 4, value >>> 0);
}

/** A delta names each stem once, so its keys are distinct. */
function pushState(puts: StorageEntry[], deletes: Uint8Array[], block: ExecutedBlock): void {
  const { changes } = block.delta;
  let sizeBytes = 0;
  for (const { key } of changes) sizeBytes += 1 + key.length;
  const keys = new Uint8Array(sizeBytes);
  let at = 0;
  for (const change of changes) {
    const end = at + 1 + change.key.length;
    keys[at] = STATE.prefix;
    keys.set(change.key, at + 1);
    const key = keys.subarray(at, end);
    if (change.value === undefined) deletes.push(key);
    else puts.push({ key, value: change.value });
    at = end;
  }
}

function beaconBatch(block: BeaconBlock, hash: Hash32, role: ChainRole): StorageBatch {
  const { height } = block.header;
  const puts: StorageEntry[] = [];
  puts.push({ key: (role === 'beacon' ? BLOCKS : BEACON_BLOCKS).key(height), value: encodeBeaconBlock(block) });
  puts.push({ key: BLOCK_HEIGHTS.key(hash), value: encodeBlockPlace({ chain: BEACON, height }) });
  puts.push({ key: META.key(META_BEACON_HEAD), value: encodeHead({ chain: BEACON, height, hash }) });
  const { epochCertificate } = block;
  if (epochCertificate !== undefined) {
    puts.push({ key: EPOCH_CERTIFICATES.key(epochCertificate.assignment.epoch), value: encodeEpochCertificate(epochCertificate) });
  }
  for (const { first, last } of crosslinkRuns(block)) {
    const { shard, baseFeePerGas, gasUsed, gasLimit, totals } = last;
    const range = { beaconHeight: height, firstHeight: first.height, transactions: totals.transactions, logs: totals.logs };
    puts.push({ key: CROSSLINKS.key({ shard, height: last.height }), value: encodeCrosslinkRange(range) });
    const tip = { height: last.height, baseFeePerGas, gasUsed, gasLimit };
    puts.push({ key: CROSSLINK_TIPS.key({ shard, height }), value: encodeCrosslinkTip(tip) });
  }
  return { puts, deletes: role === 'beacon' ? [PROPOSALS.key(height)] : [] };
}

const NOTHING = new Uint8Array(0);
