import {
  accountOwner,
  type Address,
  BASIC_DATA_POSITION,
  BEACON,
  type Block,
  bytesKey,
  crossShardId,
  type CoordinatorRecord,
  decodeBasicData,
  decodeBlock,
  decodeBlockHead,
  decodeCoordinatorRecord,
  decodeFlatValue,
  decodeRecord,
  decodeTombstone,
  encodeBlockEvents,
  encodeFlatKey,
  type Hash32,
  type Hasher,
  headerHash,
  type Height,
  owner,
  type QuorumCertificate,
  readCertificate,
  Reader,
  readHeader,
  RECORD_CHUNKS_MAX,
  recordId,
  type Settlement,
  type ShardHeader,
  ShardlabError,
  type ShardId,
  type TxHash,
  writeCertificate,
  writeHeader,
  Writer,
  XTX_COORDINATOR,
} from '@shardlab/crosslink';
import type { FlatChange, PersistRecord } from '@shardlab/shard';
import type { StorageReader } from '../ports.ts';
import { BeaconReader } from './chain-store-beacon.ts';
import { readCode, readSlot } from './chain-store-contracts.ts';
import { damagedChain, decodeStored, StoreReads } from './chain-store-read.ts';
import {
  type BlockPlace,
  decodeBlockPlace,
  decodeHead,
  decodePlace,
  decodeSnapshotHeight,
  decodeUndo,
  type HeadRecord,
  META_BEACON_HEAD,
  META_HEAD,
  META_SNAPSHOT,
  type TransactionPlace,
} from './chain-store-records.ts';
import { BEACON_BLOCKS, BLOCK_HEIGHTS, BLOCKS, CROSS_SHARD, META, STATE, TRANSACTIONS, UNDO } from './key-space.ts';

/** A final, stored block's head. */
export interface StoredHead {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly certificate: QuorumCertificate;
  /** Wall time of this node at the block, Unix milliseconds. */
  readonly wallMs: number;
}

/** The end of the beacon chain as this node has stored it. */
export interface StoredBeaconHead {
  readonly height: Height;
  readonly hash: Hash32;
  readonly timestampMs: number;
  readonly epoch: number;
}

/** A final, stored block; shared, so never to be written to. */
export interface StoredBlock {
  readonly block: Block;
  readonly hash: Hash32;
  /** Of the stored encoding. */
  readonly sizeBytes: number;
}

/** The events of a final block, see crosslink's `decodeBlockEvents`. */
export interface StoredEvents {
  readonly height: number;
  readonly timestampMs: number;
  readonly wallMs: number;
  readonly events: Uint8Array;
}

/** What a state holds of an account; all zero for one that is absent. */
export interface AccountState {
  /** Wei. */
  readonly balance: bigint;
  readonly nonce: number;
}

/** Which chain a reader reads. */
export interface ChainReaderOptions {
  /** The node's shard, or the beacon. */
  readonly chain: ShardId;
  readonly chainId: number;
}

/** Decoded blocks that are kept, if they are not larger than this: wallets and traces ask for the same few again. */
const BLOCKS_KEPT = 8;
const KEPT_BLOCK_BYTES_MAX = 1 << 20;
/** Stems of one record of the cross-shard protocol. */
const RECORD_STEMS_MAX = Math.ceil(RECORD_CHUNKS_MAX / 256);
const HEADS_KEPT = 1_024;
/** Events of the latest blocks are kept, for those who follow them, within both bounds. */
const EVENT_BLOCKS_KEPT = 64;
const EVENT_BYTES_KEPT = 8 << 20;

/**
 * Reads what is final and stored on a node, for RPC: nothing here is ahead of a synced write (R2). Reads reject with the storage's errors, and with
 * `storage/damaged` for what does not decode. Give it every record that was synced ({@link stored}), so that it knows the heads.
 */
export class ChainReader {
  readonly chain: ShardId;
  private readonly options: ChainReaderOptions;
  /** What the node has of the beacon chain. */
  readonly beacon: BeaconReader;
  private readonly reads: StoreReads;
  private readonly hasher: Hasher;
  private readonly blocks = new Map<number, Promise<StoredBlock | undefined>>();
  private readonly heads = new Map<number, StoredHead>();
  private readonly listeners = new Set<() => void>();
  private readonly events = new Map<number, StoredEvents>();
  private eventBytes = 0;
  private shardHead: StoredHead | undefined;
  private startHeight = 0 as Height;
  private beaconEnd: StoredBeaconHead | undefined;

  constructor(options: ChainReaderOptions, modules: { readonly storage: StorageReader; readonly hasher: Hasher }) {
    this.options = options;
    this.chain = options.chain;
    this.reads = new StoreReads(modules.storage);
    this.beacon = new BeaconReader(this.reads, options.chain === BEACON ? BLOCKS : BEACON_BLOCKS);
    this.hasher = modules.hasher;
  }

  /** Finds the heads in the store; call it once, before {@link stored}. */
  async start(): Promise<void> {
    this.startHeight = (await this.reads.get(META, META_SNAPSHOT, 'the record of the snapshot', decodeSnapshotHeight)) ?? this.startHeight;
    const head = await this.metaHead(META_HEAD);
    if (head !== undefined) {
      this.shardHead = await this.readHead(head.height);
      if (this.shardHead === undefined) throw damagedChain(`block ${head.height}, the head, is missing`);
    }
    const beacon = await this.metaHead(META_BEACON_HEAD);
    if (beacon === undefined) return;
    const block = await this.beacon.block(beacon.height);
    if (block === undefined) throw damagedChain(`beacon block ${beacon.height}, the head, is missing`);
    const { height, timestampMs, epoch } = block.header;
    this.beaconEnd = { height, hash: beacon.hash, timestampMs, epoch };
  }

  /** Takes note of a record that has just been synced. */
  stored(record: PersistRecord): void {
    switch (record.kind) {
      case 'shard-block': {
        const { block, certificate, wallMs } = record;
        this.shardHead = { header: block.header, hash: block.hash, certificate, wallMs };
        this.keepHead(this.shardHead);
        const { height, timestampMs } = block.header;
        this.keepEvents({ height, timestampMs, wallMs, events: encodeBlockEvents(block.events) });
        break;
      }
      case 'beacon-block': {
        const { height, timestampMs, epoch } = record.block.header;
        this.beaconEnd = { height, hash: record.hash, timestampMs, epoch };
        break;
      }
      case 'snapshot': {
        const { header, certificate, wallMs } = record.snapshot.block;
        this.shardHead = detached(this.hasher, header, certificate, wallMs);
        this.keepHead(this.shardHead);
        this.startHeight = header.height;
        break;
      }
      case 'votes':
        // Nobody reads votes, and nothing became final.
        return;
    }
    for (const listener of this.listeners) listener();
  }

  /** Height of the snapshot that this node's chain goes on from: history up to it may be absent. 0 on one that goes on from genesis. */
  get snapshotHeight(): Height {
    return this.startHeight;
  }

  /**
   * The error for a block of the node's own chain that something stored points at and that is not there: `chain/history` where the node has started from a
   * snapshot, else damage.
   */
  missingBlock(height: number): ShardlabError {
    if (height > this.startHeight) return damagedChain(`block ${height} is missing`, { height });
    const message = `block ${height} is not on this node, which started from a snapshot of height ${this.startHeight}: ask another validator of its shard`;
    return new ShardlabError('chain/history', message, { height, snapshotHeight: this.startHeight });
  }

  /** Calls `listener` after each record until the returned function is called. Bounded by its callers. */
  onStored(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** The last final block of the node's shard; undefined on a beacon. */
  get head(): StoredHead | undefined {
    return this.shardHead;
  }

  /** The last beacon block that this node has stored. */
  get beaconHead(): StoredBeaconHead | undefined {
    return this.beaconEnd;
  }

  /** Header, certificate and times of the shard's block at `height`. */
  async headAt(height: number): Promise<StoredHead | undefined> {
    return this.heads.get(height) ?? (await this.readHead(height as Height));
  }

  /** The shard's block at `height`. */
  block(height: number): Promise<StoredBlock | undefined> {
    const known = this.blocks.get(height);
    if (known !== undefined) return known;
    const read = this.reads.get(BLOCKS, height as Height, `block ${height}`, (value) => {
      const block = decodeBlock(value);
      return { block, hash: headerHash(this.hasher, block.header), sizeBytes: value.length };
    });
    this.blocks.set(height, read);
    const drop = (): void => void this.blocks.delete(height);
    // Only what is there is remembered: an absent height may come to be.
    read.then((found) => (found === undefined || found.sizeBytes > KEPT_BLOCK_BYTES_MAX ? drop() : undefined), drop);
    if (this.blocks.size > BLOCKS_KEPT) this.blocks.delete(this.blocks.keys().next().value!);
    return read;
  }

  /** The events of the shard's block at `height`. */
  async eventsAt(height: number): Promise<StoredEvents | undefined> {
    const kept = this.events.get(height);
    if (kept !== undefined) return kept;
    const found = await this.block(height);
    if (found === undefined) return undefined;
    const { header, wallMs, events } = found.block;
    return { height, timestampMs: header.timestampMs, wallMs, events };
  }

  /** Encoded blocks of the node's own chain from `fromHeight` on, cut after `countMax` or when `bytesMax` is exceeded. */
  async encodedBlocks(fromHeight: number, countMax: number, bytesMax: number): Promise<Uint8Array[]> {
    const range = { ...BLOCKS.from(fromHeight as Height), entriesMax: countMax, bytesMax };
    return (await this.reads.range(range)).map((entry) => entry.value);
  }

  /** Which block of the own chain or of the beacon's has this hash. */
  async placeOfBlock(hash: Hash32): Promise<BlockPlace | undefined> {
    return this.reads.get(BLOCK_HEIGHTS, hash, 'a block hash', decodeBlockPlace);
  }

  /** Where a transaction stands on this shard. */
  place(hash: TxHash): Promise<TransactionPlace | undefined> {
    return this.reads.get(TRANSACTIONS, hash, 'the place of a transaction', decodePlace);
  }

  /** How a cross-shard transaction ended that this shard coordinated. */
  tombstone(hash: TxHash): Promise<Settlement | undefined> {
    return this.reads.get(CROSS_SHARD, hash, 'a tombstone', decodeTombstone);
  }

  /** The open cross-shard transaction that this shard coordinates, as of the last final block. */
  async coordinating(hash: TxHash): Promise<CoordinatorRecord | undefined> {
    const id = crossShardId(this.hasher, this.options.chainId, this.chain, hash);
    const of = owner(XTX_COORDINATOR, recordId(id));
    // All its stems in one read: it may change between two.
    const stems = await this.reads.range({ ...STATE.startingWith(of), entriesMax: RECORD_STEMS_MAX, bytesMax: Number.MAX_SAFE_INTEGER });
    if (stems.length === 0) return undefined;
    const chunks = (): Uint8Array[] => stems.flatMap(({ value }) => decodeFlatValue(value).map((leaf) => leaf.value));
    return decodeStored('a coordinator record', () => decodeCoordinatorRecord(decodeRecord(chunks())));
  }

  /** Balance (wei) and nonce at the last final block. */
  async account(address: Address): Promise<AccountState> {
    return accountOf(await this.state(accountKey(address)));
  }

  /** Balance and nonce after the block at `height`; undefined where {@link stateAt} is. */
  async accountAt(address: Address, height: number): Promise<AccountState | undefined> {
    const found = await this.stateAt(accountKey(address), height);
    return found === undefined ? undefined : accountOf(found.value);
  }

  /** The code of an account after the block at `height`, no bytes if it has none; undefined where {@link stateAt} is. */
  codeAt(address: Address, height: number): Promise<Uint8Array | undefined> {
    return readCode((key) => this.stateAt(key, height), address);
  }

  /** The 32 bytes of a storage slot (0 to 2^256 - 1) after the block at `height`, zeros if it is absent; undefined where {@link stateAt} is. */
  storageAt(address: Address, slot: bigint, height: number): Promise<Uint8Array | undefined> {
    return readSlot((key) => this.stateAt(key, height), address, slot);
  }

  /**
   * The flat value under a flat key after the block at `height`, which must be within the undo records (256 heights); undefined when it is not, or when the chain moved
   * on meanwhile by more than that.
   */
  async stateAt(key: Uint8Array, height: number): Promise<{ readonly value: Uint8Array | undefined } | undefined> {
    const wanted = bytesKey(key);
    for (let above = height + 1; ; above++) {
      const headBefore = this.head?.header.height ?? 0;
      // The value first: if no undo record follows it, it is that of this height.
      const latest = await this.state(key);
      const undo = await this.undoAt(above);
      if (undo === undefined) return above <= headBefore ? undefined : { value: latest };
      const change = undo.find((each) => bytesKey(each.key) === wanted);
      if (change !== undefined) return { value: change.value };
    }
  }

  /** What the block at `height` changed, as it was before (256 heights are kept); undefined if there is no such record. Views of one record. */
  undoAt(height: number): Promise<readonly FlatChange[] | undefined> {
    return this.reads.get(UNDO, height as Height, `undo record ${height}`, decodeUndo);
  }

  /** The flat value under a flat key, at the last final block. */
  state(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.reads.get(STATE, key, 'a state entry', (value) => value);
  }

  private async readHead(height: Height): Promise<StoredHead | undefined> {
    const found = await this.reads.get(BLOCKS, height, `block ${height}`, decodeBlockHead);
    if (found === undefined || this.chain === BEACON) return undefined;
    const head = detached(this.hasher, found.header, found.certificate, found.wallMs);
    this.keepHead(head);
    return head;
  }

  private keepHead(head: StoredHead): void {
    this.heads.set(head.header.height, head);
    if (this.heads.size > HEADS_KEPT) this.heads.delete(this.heads.keys().next().value!);
  }

  private keepEvents(events: StoredEvents): void {
    this.events.set(events.height, events);
    this.eventBytes += events.events.length;
    for (const [height, oldest] of this.events) {
      if (this.events.size <= EVENT_BLOCKS_KEPT && this.eventBytes <= EVENT_BYTES_KEPT) return;
      this.events.delete(height);
      this.eventBytes -= oldest.events.length;
    }
  }

  private metaHead(name: string): Promise<HeadRecord | undefined> {
    return this.reads.get(META, name, `the record of the ${name}`, decodeHead);
  }
}

function accountKey(address: Address): Uint8Array {
  return encodeFlatKey({ owner: accountOwner(address), treeIndex: 0n });
}

function accountOf(flat: Uint8Array | undefined): AccountState {
  if (flat === undefined) return NO_ACCOUNT;
  const leaf = decodeStored('an account', () => decodeFlatValue(flat)).find(({ suffix }) => suffix === BASIC_DATA_POSITION.suffix);
  if (leaf === undefined) return NO_ACCOUNT;
  const { balance, nonce } = decodeStored('an account', () => decodeBasicData(leaf.value));
  return { balance, nonce };
}

const NO_ACCOUNT: AccountState = { balance: 0n, nonce: 0 };

/** A copy of its own: decoded fields are views of a whole block, which a head that is kept must not hold. */
function detached(hasher: Hasher, header: ShardHeader, certificate: QuorumCertificate, wallMs: number): StoredHead {
  const writer = new Writer(1024);
  writeHeader(writer, header);
  const headerEnd = writer.length;
  writeCertificate(writer, certificate);
  const bytes = writer.finish().slice();
  const reader = new Reader(bytes);
  return { header: readHeader(reader), certificate: readCertificate(reader), hash: hasher.sha256(bytes.subarray(0, headerEnd)), wallMs };
}
