import { type BeaconBlock, decodeBeaconBlock, type Height, type ShardHeader, type ShardId } from '@shardlab/crosslink';
import { damagedChain, decodeStored, type StoreReads } from './chain-store-read.ts';
import {
  type CrosslinkRange,
  type CrosslinkTipRecord,
  decodeCrosslinkRange,
  decodeCrosslinkTip,
} from './chain-store-records.ts';
import { CROSSLINK_TIPS, CROSSLINKS, type OrderedKeyFamily } from './key-space.ts';

/** A run of one shard's blocks in one beacon block. */
export interface CrosslinkRun extends CrosslinkRange {
  readonly shard: ShardId;
  readonly lastHeight: Height;
  /** Transactions that the shard had listed before the first of these blocks. */
  readonly transactionsBefore: number;
  /** Logs that it had emitted before. */
  readonly logsBefore: number;
}

/** Reads the beacon chain as a node has stored it, and which shard blocks it crosslinks. */
export class BeaconReader {
  private readonly reads: StoreReads;
  private readonly family: OrderedKeyFamily<Height>;

  /** `family` is where this node keeps beacon blocks. */
  constructor(reads: StoreReads, family: OrderedKeyFamily<Height>) {
    this.reads = reads;
    this.family = family;
  }

  /** The beacon block at `height`. */
  block(height: number): Promise<BeaconBlock | undefined> {
    return this.reads.get(this.family, height as Height, `beacon block ${height}`, decodeBeaconBlock);
  }

  /** Encoded beacon blocks from `fromHeight` on, cut after `countMax` or when `bytesMax` is exceeded. */
  async encodedBlocks(fromHeight: number, countMax: number, bytesMax: number): Promise<Uint8Array[]> {
    const range = { ...this.family.from(fromHeight as Height), entriesMax: countMax, bytesMax };
    return (await this.reads.range(range)).map((entry) => entry.value);
  }

  /** The run in which the beacon chain crosslinks the shard's block at `height`; undefined while it does not. */
  async runWith(shard: ShardId, height: Height): Promise<CrosslinkRun | undefined> {
    const gte = CROSSLINKS.key({ shard, height });
    const lt = CROSSLINKS.key({ shard, height: Number.MAX_SAFE_INTEGER as Height });
    const [entry] = await this.reads.range({ gte, lt, entriesMax: 1, bytesMax: 1 });
    if (entry === undefined) return undefined;
    const range = decodeStored('a crosslink', () => decodeCrosslinkRange(entry.value));
    if (range.firstHeight > height) throw damagedChain(`the crosslinks of shard ${shard} leave out height ${height}`);
    return this.run(shard, CROSSLINKS.parse(entry.key).height, range);
  }

  /** The runs of all shards in a beacon block, in order of shard. */
  runsOf(block: BeaconBlock): Promise<CrosslinkRun[]> {
    const beaconHeight = block.header.height;
    const runs = crosslinkRuns(block).map(({ first, last }) =>
      this.run(last.shard, last.height, { beaconHeight, firstHeight: first.height, transactions: last.totals.transactions, logs: last.totals.logs }),
    );
    return Promise.all(runs);
  }

  /** The shard's last header on the beacon chain up to beacon block `beaconHeight`; undefined before its first. */
  async tip(shard: ShardId, beaconHeight: number): Promise<CrosslinkTipRecord | undefined> {
    const gte = CROSSLINK_TIPS.key({ shard, height: 0 as Height });
    const lt = CROSSLINK_TIPS.key({ shard, height: (beaconHeight + 1) as Height });
    const [entry] = await this.reads.range({ gte, lt, entriesMax: 1, bytesMax: 1, reverse: true });
    return entry === undefined ? undefined : decodeStored('a crosslink tip', () => decodeCrosslinkTip(entry.value));
  }

  private async run(shard: ShardId, lastHeight: Height, range: CrosslinkRange): Promise<CrosslinkRun> {
    const { firstHeight } = range;
    if (firstHeight <= 1) return { ...range, shard, lastHeight, transactionsBefore: 0, logsBefore: 0 };
    // Runs of a shard follow each other without gaps, so the one before ends just below.
    const id = { shard, height: (firstHeight - 1) as Height };
    const previous = await this.reads.get(CROSSLINKS, id, 'a crosslink', decodeCrosslinkRange);
    if (previous === undefined) throw damagedChain(`the crosslinks of shard ${shard} have a gap before height ${firstHeight}`);
    return { ...range, shard, lastHeight, transactionsBefore: previous.transactions, logsBefore: previous.logs };
  }
}

/** The first and the last header of each shard in a beacon block, whose crosslinks stand in order of (shard, height). */
export function crosslinkRuns(block: BeaconBlock): readonly { readonly first: ShardHeader; readonly last: ShardHeader }[] {
  const runs: { first: ShardHeader; last: ShardHeader }[] = [];
  for (const { header } of block.crosslinks) {
    const run = runs.at(-1);
    if (run !== undefined && run.last.shard === header.shard) run.last = header;
    else runs.push({ first: header, last: header });
  }
  return runs;
}
