import {
  type BeaconBlock,
  beaconHash,
  decodeBeaconBlock,
  decodeBlock,
  equalBytes,
  type Hash32,
  headerHash,
  type Height,
  type PairTable,
  type QuorumCertificate,
  type ShardHeader,
  ShardlabError,
  type ShardId,
  toHex,
} from '@shardlab/crosslink';
import type { BeaconTip, CrosslinkTip, FlatEntry, OutboxEntry, Proposal } from '@shardlab/shard';
import type { Done, StorageReader } from '../ports.ts';
import { PackedEntries } from './chain-store-packed.ts';
import { damagedChain, decodeStored, step, STORE_HASHER, walk } from './chain-store-read.ts';
import {
  decodeCrosslinkTip,
  decodeHead,
  decodeOutboxValue,
  decodeProposal,
  decodeSnapshotHeight,
  decodeVotes,
  type HeadRecord,
  META_BEACON_HEAD,
  META_HEAD,
  META_SNAPSHOT,
  META_VOTES,
  UNDO_HEIGHTS,
} from './chain-store-records.ts';
import { BEACON_BLOCKS, BLOCKS, CROSSLINK_TIPS, EPOCH_CERTIFICATES, META, OUTBOX, type OrderedKeyFamily, PROPOSALS, STATE, UNDO } from './key-space.ts';

/** What a validator has said about blocks that are not final: see `ConsensusOutput`. */
export interface RecoveredVotes {
  /** Undefined on one that has never voted. */
  readonly state: Uint8Array | undefined;
  /** Of heights above the head, in order of height. */
  readonly proposals: readonly { readonly height: Height; readonly proposal: Proposal }[];
}

/** What the store of a shard's node holds. */
export interface RecoveredShard {
  readonly head: {
    readonly header: ShardHeader;
    readonly hash: Hash32;
    readonly pairs: PairTable;
    /** Empty at height 0. */
    readonly certificate: QuorumCertificate;
    readonly wallMs: number;
  };
  /** The state's flat entries, in order of key; can be walked once, and frees what was walked. */
  readonly entries: Iterable<FlatEntry>;
  readonly entryCount: number;
  /** In order of destination and sequence. */
  readonly outbox: readonly { readonly destination: ShardId; readonly entry: OutboxEntry }[];
  /** Encoded epoch certificates, in order, from epoch 0. */
  readonly epochs: readonly Uint8Array[];
  readonly beaconTip: BeaconTip | undefined;
  readonly votes: RecoveredVotes;
  /** Height of the snapshot that the chain goes on from; 0 for one that goes on from genesis. */
  readonly snapshotHeight: Height;
}

/** What the beacon's store holds; a fresh one has no tip. */
export interface RecoveredBeacon {
  readonly tip: (BeaconTip & { readonly timestampMs: number; readonly epoch: number; readonly certificate: QuorumCertificate }) | undefined;
  /** The last header of each shard on the chain. */
  readonly crosslinks: ReadonlyMap<ShardId, CrosslinkTip>;
  /** Encoded epoch certificates, in order, from epoch 0. */
  readonly epochs: readonly Uint8Array[];
  readonly votes: RecoveredVotes;
}

/**
 * Reads what a shard's node starts from; undefined from a store that holds nothing yet. The state's root is for the caller to check. Fails with
 * `storage/damaged` that names what is missing or unreadable, `storage/foreign-chain` for a beacon's store or, where `expected` is given, another
 * shard's, and with the storage's own errors.
 */
export function recoverShard(storage: StorageReader, done: Done<RecoveredShard | undefined>, expected?: ShardId): void {
  readHead(storage, META_HEAD, done, (head) => {
    if (head === undefined) {
      checkNoShard(storage, done, () => done({ ok: true, value: undefined }));
      return;
    }
    if (expected !== undefined && head.chain !== expected) {
      done({ ok: false, error: foreign(`a node of shard ${head.chain}`, `a node of shard ${expected}`) });
      return;
    }
    readShardHead(storage, head, done, (blockHead) => {
      readHistory(storage, head.height, done, (snapshotHeight) => {
        readState(storage, done, (entries) => {
          readOutbox(storage, done, (outbox) => {
            readVotes(storage, head.height, done, (votes) => {
              readBeaconSide(storage, 'shard', done, (beacon, epochs) => {
                const beaconTip = beacon === undefined ? undefined : { height: beacon.block.header.height, hash: beacon.hash };
                const own = { head: blockHead, entries, entryCount: entries.count, outbox, votes, snapshotHeight };
                done({ ok: true, value: { ...own, epochs, beaconTip } });
              });
            });
          });
        });
      });
    });
  });
}

/**
 * Reads what the beacon starts from; an empty store gives an empty start. Fails as {@link recoverShard} does, with `storage/foreign-chain` for a shard's
 * store.
 */
export function recoverBeacon(storage: StorageReader, done: Done<RecoveredBeacon>): void {
  readHead(storage, META_HEAD, done, (shardHead) => {
    if (shardHead !== undefined) {
      done({ ok: false, error: foreign(`a node of shard ${shardHead.chain}`, 'the beacon') });
      return;
    }
    readBeaconSide(storage, 'beacon', done, (beacon, epochs) => {
      readVotes(storage, beacon?.block.header.height ?? (0 as Height), done, (votes) => {
        if (beacon === undefined) {
          holdsAny(storage, BLOCKS, done, (hasBlocks) => {
            if (hasBlocks) done({ ok: false, error: damagedChain('there are blocks, but the record of the beacon-head is missing') });
            else done({ ok: true, value: { tip: undefined, crosslinks: new Map(), epochs, votes } });
          });
          return;
        }
        const { header, certificate } = beacon.block;
        const { height, timestampMs, epoch } = header;
        readCrosslinks(storage, done, (crosslinks) => {
          done({ ok: true, value: { tip: { height, hash: beacon.hash, timestampMs, epoch, certificate }, crosslinks, epochs, votes } });
        });
      });
    });
  });
}

function foreign(found: string, wanted: string): ShardlabError {
  return new ShardlabError('storage/foreign-chain', `this data directory belongs to ${found}, this is ${wanted}: use the matching directory`);
}

function readHead(storage: StorageReader, name: string, done: Done<never>, then: (head: HeadRecord | undefined) => void): void {
  const read = (value: Uint8Array | undefined): HeadRecord | undefined =>
    value === undefined ? undefined : decodeStored(`the record of the ${name}`, () => decodeHead(value));
  storage.get(META.key(name), step(done, read, then));
}

/** Whether a family of heights holds anything. */
function holdsAny(storage: StorageReader, family: OrderedKeyFamily<Height>, done: Done<never>, then: (holds: boolean) => void): void {
  const first = { ...family.all(), entriesMax: 1, bytesMax: 1 };
  storage.range(first, step(done, (entries) => entries.length > 0, then));
}

/** A shard's store without a head holds nothing: else it is damaged, or the beacon's, whose blocks are its own chain. */
function checkNoShard(storage: StorageReader, done: Done<never>, then: () => void): void {
  holdsAny(storage, BLOCKS, done, (hasBlocks) => {
    holdsAny(storage, BEACON_BLOCKS, done, (follows) => {
      if (!hasBlocks && !follows) {
        then();
        return;
      }
      readHead(storage, META_BEACON_HEAD, done, (beacon) => {
        const isBeacon = beacon !== undefined && !follows;
        done({ ok: false, error: isBeacon ? foreign('the beacon', "a shard's node") : damagedChain('there are blocks, but the record of the head is missing') });
      });
    });
  });
}

function readShardHead(storage: StorageReader, head: HeadRecord, done: Done<never>, then: (head: RecoveredShard['head']) => void): void {
  const { height, chain, hash } = head;
  const read = (value: Uint8Array | undefined): RecoveredShard['head'] => {
    if (value === undefined) throw damagedChain(`block ${height}, the head, is missing`, { height });
    const { header, certificate, body, wallMs } = decodeStored(`block ${height}`, () => decodeBlock(value));
    if (header.height !== height || header.shard !== chain || !equalBytes(headerHash(STORE_HASHER, header), hash)) {
      throw damagedChain(`block ${height} is not the head ${toHex(hash)}`, { height });
    }
    return { header, hash, pairs: body.pairs, certificate, wallMs };
  };
  storage.get(BLOCKS.key(height), step(done, read, then));
}

/** Where the chain goes on from, and whether what is needed to go back from the head is there. */
function readHistory(storage: StorageReader, height: Height, done: Done<never>, then: (snapshotHeight: Height) => void): void {
  const read = (value: Uint8Array | undefined): Height => {
    const snapshot = value === undefined ? (0 as Height) : decodeStored('the record of the snapshot', () => decodeSnapshotHeight(value));
    if (snapshot > height) throw damagedChain(`the head, block ${height}, is below the snapshot of height ${snapshot}`, { height });
    return snapshot;
  };
  storage.get(META.key(META_SNAPSHOT), step(done, read, (snapshot) => checkUndo(storage, snapshot, height, done, () => then(snapshot))));
}

/** The newest and the oldest undo record that a node of this height keeps, none of them at or below `start`; those between came by the same writes. */
function checkUndo(storage: StorageReader, start: Height, height: Height, done: Done<never>, then: () => void): void {
  if (height === start) {
    then();
    return;
  }
  const check = (at: Height, next: () => void): void => {
    const present = (value: Uint8Array | undefined): void => {
      if (value === undefined) throw damagedChain(`the undo record of block ${at} is missing`, { height: at });
    };
    storage.get(UNDO.key(at), step(done, present, next));
  };
  const oldest = Math.max(start + 1, height - UNDO_HEIGHTS + 1) as Height;
  check(height, () => check(oldest, then));
}

function readState(storage: StorageReader, done: Done<never>, then: (entries: PackedEntries) => void): void {
  const entries = new PackedEntries();
  walk(storage, STATE.all(), done, (page) => entries.add(page, 1), () => then(entries));
}

function readOutbox(storage: StorageReader, done: Done<never>, then: (outbox: RecoveredShard['outbox']) => void): void {
  const outbox: { destination: ShardId; entry: OutboxEntry }[] = [];
  walk(
    storage,
    OUTBOX.all(),
    done,
    (page) => {
      for (const { key, value } of page) {
        const { destination, sequence } = OUTBOX.parse(key);
        outbox.push({ destination, entry: decodeStored(`outbox entry ${destination}/${sequence}`, () => decodeOutboxValue(sequence, value)) });
      }
    },
    () => then(outbox),
  );
}

/** The votes' record, and the proposals above `head`: those below were left by a write that a block has overtaken. */
function readVotes(storage: StorageReader, head: Height, done: Done<never>, then: (votes: RecoveredVotes) => void): void {
  const proposals: { height: Height; proposal: Proposal }[] = [];
  const read = (value: Uint8Array | undefined): Uint8Array | undefined =>
    value === undefined ? undefined : decodeStored('the record of the votes', () => decodeVotes(value));
  const visit = (page: readonly { key: Uint8Array; value: Uint8Array }[]): void => {
    for (const { key, value } of page) {
      const height = PROPOSALS.parse(key);
      proposals.push({ height, proposal: decodeStored(`the proposal of height ${height}`, () => decodeProposal(value)) });
    }
  };
  storage.get(
    META.key(META_VOTES),
    step(done, read, (state) => walk(storage, PROPOSALS.from((head + 1) as Height), done, visit, () => then({ state, proposals }))),
  );
}

interface BeaconEnd {
  readonly block: BeaconBlock;
  readonly hash: Hash32;
}

/** The beacon chain's last block on this node, and the epochs that it has brought. */
function readBeaconSide(
  storage: StorageReader,
  role: 'shard' | 'beacon',
  done: Done<never>,
  then: (beacon: BeaconEnd | undefined, epochs: readonly Uint8Array[]) => void,
): void {
  readHead(storage, META_BEACON_HEAD, done, (head) => {
    readEpochs(storage, done, (epochs) => {
      if (head === undefined) {
        then(undefined, epochs);
        return;
      }
      const read = (value: Uint8Array | undefined): BeaconEnd => {
        const block = beaconBlockOf(head.height, value);
        if (!equalBytes(beaconHash(STORE_HASHER, block.header), head.hash)) {
          throw damagedChain(`beacon block ${head.height} is not the head ${toHex(head.hash)}`, { height: head.height });
        }
        if (epochs.length <= block.header.epoch) throw damagedChain(`the certificate of epoch ${block.header.epoch} is missing`, { epoch: block.header.epoch });
        return { block, hash: head.hash };
      };
      storage.get(beaconFamily(role).key(head.height), step(done, read, (beacon) => then(beacon, epochs)));
    });
  });
}

function beaconFamily(role: 'shard' | 'beacon'): OrderedKeyFamily<Height> {
  return role === 'beacon' ? BLOCKS : BEACON_BLOCKS;
}

function beaconBlockOf(height: Height, value: Uint8Array | undefined): BeaconBlock {
  if (value === undefined) throw damagedChain(`beacon block ${height} is missing`, { height });
  return decodeStored(`beacon block ${height}`, () => decodeBeaconBlock(value));
}

function readEpochs(storage: StorageReader, done: Done<never>, then: (epochs: readonly Uint8Array[]) => void): void {
  const epochs: Uint8Array[] = [];
  walk(
    storage,
    EPOCH_CERTIFICATES.all(),
    done,
    (page) => {
      for (const { key, value } of page) {
        const epoch = EPOCH_CERTIFICATES.parse(key);
        if (epoch !== epochs.length) throw damagedChain(`the certificate of epoch ${epochs.length} is missing`, { epoch: epochs.length });
        epochs.push(value);
      }
    },
    () => then(epochs),
  );
}

/** The last header of each shard on the beacon's chain, by going down the family of tips from shard to shard. */
function readCrosslinks(storage: StorageReader, done: Done<never>, then: (crosslinks: Map<ShardId, CrosslinkTip>) => void): void {
  const crosslinks = new Map<ShardId, CrosslinkTip>();
  const { gte, lt: end } = CROSSLINK_TIPS.all();
  const next = (lt: Uint8Array): void => {
    const last = { gte, lt, entriesMax: 1, bytesMax: 1, reverse: true };
    const read = (entries: readonly { key: Uint8Array; value: Uint8Array }[]): { shard: ShardId; beaconHeight: Height; height: Height } | undefined => {
      const entry = entries[0];
      if (entry === undefined) return undefined;
      const { shard, height: beaconHeight } = CROSSLINK_TIPS.parse(entry.key);
      return { shard, beaconHeight, height: decodeStored(`the crosslink tip of shard ${shard}`, () => decodeCrosslinkTip(entry.value)).height };
    };
    storage.range(
      last,
      step(done, read, (found) => {
        if (found === undefined) {
          then(crosslinks);
          return;
        }
        const { shard, beaconHeight, height } = found;
        const tip = (value: Uint8Array | undefined): CrosslinkTip => {
          const link = beaconBlockOf(beaconHeight, value).crosslinks.find(({ header }) => header.shard === shard && header.height === height);
          if (link === undefined) throw damagedChain(`beacon block ${beaconHeight} lacks the crosslink of shard ${shard}, height ${height}`);
          return { height, hash: headerHash(STORE_HASHER, link.header) };
        };
        const take = (value: CrosslinkTip): void => {
          crosslinks.set(shard, value);
          next(CROSSLINK_TIPS.key({ shard, height: 0 as Height }));
        };
        storage.get(BLOCKS.key(beaconHeight), step(done, tip, take));
      }),
    );
  };
  next(end);
}
