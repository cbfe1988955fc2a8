import { BEACON, type BeaconBlock, beaconHash, encodeBeaconBlock, equalBytes, type Hash32, LOGS_BLOOM_BYTES, type ShardId, ZERO_HASH } from '@shardlab/crosslink';
import { nextBaseFee } from '@shardlab/shard';
import type { CrosslinkRun } from '../../storage/chain-store-beacon.ts';
import type { CrosslinkTipRecord } from '../../storage/chain-store-records.ts';
import type { BlockTransactions, NetworkBlock } from '../block-json.ts';
import { data, quantity } from '../format.ts';
import type { NodeHandle } from '../node-handle.ts';
import { limitExceeded, serverError, unavailable } from '../rpc-error.ts';
import { inParallel, type ShardCalls } from '../shard-calls.ts';
import type { JsonObject } from '../transaction-json.ts';
import type { BlockReference } from '../params.ts';
import type { FoundTransaction } from './shard-find.ts';
import type { FoundLog } from './shard-logs.ts';

/** Transactions that one block object of the network view may list: hashes, and whole ones. */
const HASHES_MAX = 50_000;
const WHOLE_MAX = 5_000;

/** A beacon block with what it crosslinks; block 0 stands for genesis, before the beacon's first. */
export interface ViewedBlock {
  readonly shown: NetworkBlock;
  /** In order of shard. */
  readonly runs: readonly CrosslinkRun[];
}

/** A log in the network's view. */
export interface PlacedLog {
  readonly height: number;
  readonly logIndex: number;
  readonly log: JsonObject;
}

/**
 * The network as one chain (design, Blocks and finality): block N holds the transactions of the shard blocks that beacon block N crosslinks, in shard order.
 * Reads the beacon chain as this node has followed it, so that nothing shows before `eth_blockNumber` has reached it.
 */
export class NetworkView {
  private readonly handle: NodeHandle;
  private readonly calls: ShardCalls;

  constructor(handle: NodeHandle, calls: ShardCalls) {
    this.handle = handle;
    this.calls = calls;
  }

  /** `eth_blockNumber`: how far this node has followed the beacon. */
  get height(): number {
    return this.handle.chain.beaconHead?.height ?? 0;
  }

  /** Block `height`; undefined above {@link height}. */
  async block(height: number): Promise<ViewedBlock | undefined> {
    if (height > this.height) return undefined;
    if (height === 0) return { shown: this.genesis(), runs: [] };
    const block = await this.handle.chain.beacon.block(height);
    if (block === undefined) return undefined;
    const runs = await this.handle.chain.beacon.runsOf(block);
    return { shown: await this.shown(block), runs };
  }

  private async shown(block: BeaconBlock): Promise<NetworkBlock> {
    const { height, parentHash, timestampMs, crosslinkRoot } = block.header;
    let gasUsed = 0;
    let gasLimit = 0;
    let logsBloom: Uint8Array | undefined;
    for (const { header } of block.crosslinks) {
      gasUsed += header.gasUsed;
      gasLimit += header.gasLimit;
      logsBloom = joinBloom(logsBloom, header.logsBloom);
    }
    // A block without crosslinks has room for none; wallets divide by the limit.
    if (gasLimit === 0) gasLimit = this.handle.genesis.parameters.blockGasLimit;
    const baseFeePerGas = highest((await this.tips(height)).map((tip) => tip.baseFeePerGas));
    const hash = beaconHash(this.handle.crypto, block.header);
    return { height, hash, parentHash, timestampMs, crosslinkRoot, gasLimit, gasUsed, baseFeePerGas, sizeBytes: encodeBeaconBlock(block).length, logsBloom };
  }

  /** Its hash is what the beacon's first block names as its parent. */
  private genesis(): NetworkBlock {
    const { parameters, timestampMs } = this.handle.genesis;
    const { blockGasLimit: gasLimit, baseFeePerGas } = parameters;
    const hashes = { hash: ZERO_HASH, parentHash: ZERO_HASH, crosslinkRoot: ZERO_HASH };
    return { ...hashes, height: 0, timestampMs, gasLimit, gasUsed: 0, baseFeePerGas, sizeBytes: 0, logsBloom: undefined };
  }

  /** Each shard's last header on the beacon chain up to `height`; genesis' figures for one that has none yet. */
  async tips(height: number): Promise<Pick<CrosslinkTipRecord, 'height' | 'baseFeePerGas' | 'gasUsed' | 'gasLimit'>[]> {
    const { genesis, chain } = this.handle;
    const { baseFeePerGas, blockGasLimit: gasLimit } = genesis.parameters;
    // Genesis counts as half full, so that the first block's fee is the configured one.
    const none = { height: 0 as CrosslinkTipRecord['height'], baseFeePerGas, gasLimit, gasUsed: Math.floor(gasLimit / 2) };
    const shards = Array.from({ length: genesis.shards }, (_, shard) => shard as ShardId);
    return inParallel(shards, async (shard) => (await chain.beacon.tip(shard, height)) ?? none);
  }

  /** The base fee that a transaction sent now should expect on any shard. */
  async nextBaseFee(height = this.height): Promise<bigint> {
    return highest((await this.tips(height)).map((tip) => nextBaseFee(tip)));
  }

  /** The transactions of a block: hashes, or whole, from the shards that have them. */
  async transactions({ shown, runs }: ViewedBlock, whole: boolean): Promise<BlockTransactions> {
    const count = runs.reduce((sum, run) => sum + run.transactions - run.transactionsBefore, 0);
    const max = whole ? WHOLE_MAX : HASHES_MAX;
    if (count > max) throw limitExceeded(`block ${shown.height} lists ${count} transactions, more than ${max}: read its shards' blocks on /shard/I`);
    const lists = await inParallel(runs.filter((run) => run.transactions > run.transactionsBefore), (run) => this.listed(run, whole));
    const all = lists.flat();
    if (all.length !== count) throw unavailable(`the shards list ${all.length} transactions of block ${shown.height}, the beacon ${count}`);
    if (!whole) return all as string[];
    return (all as JsonObject[]).map((transaction, index) => placed(transaction, shown, index));
  }

  private async listed(run: CrosslinkRun, whole: boolean): Promise<unknown[]> {
    const out: unknown[] = [];
    for (let from: number = run.firstHeight; ; ) {
      const answer = (await this.calls.call(run.shard, 'shard_listTransactions', [from, run.lastHeight, whole])) as { transactions?: unknown; next?: unknown } | null;
      if (!Array.isArray(answer?.transactions)) throw unavailable(`shard ${run.shard} gave an answer that is not understood`);
      for (const each of answer.transactions as unknown[]) out.push(each);
      if (answer.next === null) return out;
      if (typeof answer.next !== 'number' || answer.next <= from) throw unavailable(`shard ${run.shard} gave an answer that is not understood`);
      from = answer.next;
    }
  }

  /** Moves what a shard has found into the network's blocks: pending until this node has the beacon block that crosslinks it. */
  async place(shard: ShardId, found: FoundTransaction): Promise<{ readonly transaction: JsonObject; readonly receipt: JsonObject | null }> {
    const { transaction, receipt, position, logPosition } = found;
    const run = receipt === null || position === null ? undefined : await this.handle.chain.beacon.runWith(shard, Number(receipt['shardHeight']) as never);
    const viewed = run === undefined ? undefined : await this.block(run.beaconHeight);
    if (receipt === null || position === null || logPosition === null || run === undefined || viewed === undefined) {
      const { shard: _shard, shardHeight: _shardHeight, ...rest } = transaction;
      return { transaction: { ...rest, blockHash: null, blockNumber: null, transactionIndex: null }, receipt: null };
    }
    const { index, logIndex } = placeIn(viewed, run, position, logPosition);
    const logs = (receipt['logs'] as JsonObject[]).map((log, at) => placed({ ...log, logIndex: quantity(logIndex + at) }, viewed.shown, index));
    return { transaction: placed(transaction, viewed.shown, index), receipt: { ...placed(receipt, viewed.shown, index), logs } };
  }

  /** Moves logs that a shard has found into the network's blocks, in order; those that are not crosslinked yet are left out. */
  async placeLogs(shard: ShardId, found: readonly FoundLog[]): Promise<PlacedLog[]> {
    const out: PlacedLog[] = [];
    let run: CrosslinkRun | undefined;
    let viewed: ViewedBlock | undefined;
    for (const { log, height, position, logPosition } of found) {
      if (run === undefined || height > run.lastHeight || height < run.firstHeight) {
        run = await this.handle.chain.beacon.runWith(shard, height as never);
        viewed = run === undefined ? undefined : await this.block(run.beaconHeight);
      }
      if (run === undefined || viewed === undefined) continue;
      const { index, logIndex } = placeIn(viewed, run, position, logPosition);
      out.push({ height: viewed.shown.height, logIndex, log: placed({ ...log, logIndex: quantity(logIndex) }, viewed.shown, index) });
    }
    return out;
  }

  /** The network's height of a block that a caller names by hash: that of a beacon block. Undefined if there is none. */
  async heightOfHash(hash: Hash32): Promise<number | undefined> {
    if (equalBytes(hash, ZERO_HASH)) return 0;
    const place = await this.handle.chain.placeOfBlock(hash);
    return place?.chain !== BEACON || place.height > this.height ? undefined : place.height;
  }

  /** The shard's height whose state belongs to block `height` of the network; `latest` for the latest. */
  async stateTag(shard: ShardId, reference: BlockReference): Promise<string> {
    const tag = typeof reference === 'object' ? await this.heightOfHash(reference.hash) : reference;
    if (tag === undefined) throw serverError('block not found');
    if (tag === 'latest' || tag === 'pending') return tag;
    const height = tag === 'earliest' ? 0 : tag;
    const head = this.height;
    if (height > head) throw serverError(`block ${height} is above the head ${head}`);
    if (height === head) return 'latest';
    return quantity((await this.handle.chain.beacon.tip(shard, height))?.height ?? 0);
  }
}

/** Where a shard's transaction, and its log, stand in the network's block: shards come in order. */
function placeIn(viewed: ViewedBlock, run: CrosslinkRun, position: number, logPosition: number): { readonly index: number; readonly logIndex: number } {
  let index = position - run.transactionsBefore;
  let logIndex = logPosition - run.logsBefore;
  for (const before of viewed.runs) {
    if (before.shard >= run.shard) break;
    index += before.transactions - before.transactionsBefore;
    logIndex += before.logs - before.logsBefore;
  }
  return { index, logIndex };
}

function placed(object: JsonObject, block: NetworkBlock, index: number): JsonObject {
  return { ...object, blockHash: data(block.hash), blockNumber: quantity(block.height), transactionIndex: quantity(index) };
}

function highest(values: readonly bigint[]): bigint {
  return values.reduce((max, value) => (value > max ? value : max), 0n);
}

function joinBloom(sum: Uint8Array | undefined, bloom: Uint8Array): Uint8Array | undefined {
  if (bloom.every((byte) => byte === 0)) return sum;
  const out = sum ?? new Uint8Array(LOGS_BLOOM_BYTES);
  bloom.forEach((byte, at) => void (out[at]! |= byte));
  return out;
}
