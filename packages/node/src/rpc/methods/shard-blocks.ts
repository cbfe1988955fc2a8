import type { ShardHeader } from '@shardlab/crosslink';
import { nextBaseFee } from '@shardlab/shard';
import type { ChainReader, StoredBlock, StoredHead } from '../../storage/chain-store-reader.ts';
import { type BlockTransactions, shardBlockJson } from '../block-json.ts';
import { data, quantity } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { NodeHandle } from '../node-handle.ts';
import type { BlockReference, BlockTag, Params } from '../params.ts';
import { invalidParams, serverError } from '../rpc-error.ts';
import type { Waiters } from '../waiters.ts';
import { SUGGESTED_TIP } from './constant.ts';
import { listedReceipt, listedTransaction } from './shard-find.ts';

/** Blocks in one answer of `shard_getBlocks`. */
const BLOCKS_MAX = 256;
/** Bytes after which an answer of `shard_getBlocks` is cut. */
const BLOCKS_BYTES_MAX = 2 << 20;
/** Blocks and bytes of events in one answer of `shard_getBlockEvents`: 4 MiB in hex. */
const EVENT_BLOCKS_MAX = 64;
const EVENT_BYTES_MAX = 2 << 20;
/** Blocks in one answer of `eth_feeHistory`, and with rewards, for which whole blocks are read. */
export const FEE_HISTORY_MAX = 256;
const FEE_REWARDS_MAX = 16;
/** Hashes, or whole transactions, in one answer of `shard_listTransactions`. */
const LISTED_HASHES_MAX = 20_000;
const LISTED_WHOLE_MAX = 2_000;

/** The shard's final head; a node that serves has one. */
export function headOf(chain: ChainReader): StoredHead {
  const { head } = chain;
  if (head === undefined) throw serverError('this shard has no block yet');
  return head;
}

function heightOf(chain: ChainReader, tag: BlockTag): number {
  if (tag === 'earliest') return 0;
  return typeof tag === 'number' ? tag : headOf(chain).header.height;
}

/** The height of a block that a caller names. Rejects for a hash that is not this shard's. */
export async function heightOfReference(chain: ChainReader, reference: BlockReference): Promise<number> {
  if (typeof reference !== 'object') return heightOf(chain, reference);
  const place = await chain.placeOfBlock(reference.hash);
  if (place === undefined || place.chain !== chain.chain) throw serverError('block not found');
  return place.height;
}

/** The transactions that a block lists: hashes, or whole as the shard's own view shows them. */
async function listed(handle: NodeHandle, stored: StoredBlock, whole: boolean): Promise<BlockTransactions> {
  const { receipts } = stored.block;
  if (!whole) return receipts.map((receipt) => data(receipt.txHash));
  const out: Record<string, unknown>[] = [];
  for (let index = 0; index < receipts.length; index++) out.push((await listedTransaction(handle, stored, index)).transaction);
  return out;
}

/** Percentile of the tips that a block's transactions paid, by gas (EIP-1559's `reward`). */
function rewards(stored: StoredBlock, percentiles: readonly number[]): string[] {
  const base = stored.block.header.baseFeePerGas;
  const tips = stored.block.receipts
    .map(({ effectiveGasPrice, gasUsed }) => ({ tip: effectiveGasPrice > base ? effectiveGasPrice - base : 0n, gasUsed }))
    .sort((a, b) => (a.tip < b.tip ? -1 : a.tip > b.tip ? 1 : 0));
  const gas = tips.reduce((sum, each) => sum + each.gasUsed, 0);
  return percentiles.map((percentile) => {
    let passed = 0;
    for (const { tip, gasUsed } of tips) {
      passed += gasUsed;
      if (passed >= (gas * percentile) / 100) return quantity(tip);
    }
    return '0x0';
  });
}

/** Reads the percentiles of `eth_feeHistory`: ascending, 0 to 100, at most 100. */
export function percentilesOf(params: Params, index: number): readonly number[] | undefined {
  const value = params.raw(index);
  if (value === undefined || value === null) return undefined;
  const ascending = (list: readonly unknown[]): list is number[] =>
    list.every((each, at) => typeof each === 'number' && each >= 0 && each <= 100 && (at === 0 || each >= (list[at - 1] as number)));
  if (!Array.isArray(value) || value.length > 100 || !ascending(value)) {
    throw invalidParams(`parameter ${index + 1} must be a list of at most 100 percentiles, ascending, from 0 to 100`);
  }
  return value;
}

async function feeHistory(chain: ChainReader, params: Params): Promise<unknown> {
  const wanted = params.atMost(3).integer(0, 'a number of blocks', 1, 1024);
  const newest = heightOf(chain, params.block(1));
  const percentiles = percentilesOf(params, 2);
  const head = headOf(chain).header.height;
  if (newest > head) throw serverError(`request beyond head block: requested ${newest}, head ${head}`);
  const withRewards = percentiles !== undefined && percentiles.length > 0;
  const count = Math.min(wanted, newest + 1, withRewards ? FEE_REWARDS_MAX : FEE_HISTORY_MAX);
  const headers: ShardHeader[] = [];
  const reward: string[][] = [];
  for (let height = newest - count + 1; height <= newest; height++) {
    const found = await chain.headAt(height);
    if (found === undefined) throw serverError(`block ${height} not found`);
    headers.push(found.header);
    if (withRewards) reward.push(rewards((await chain.block(height))!, percentiles));
  }
  return {
    oldestBlock: quantity(newest - count + 1),
    baseFeePerGas: [...headers.map((header) => header.baseFeePerGas), nextBaseFee(headers.at(-1)!)].map(quantity),
    gasUsedRatio: headers.map((header) => header.gasUsed / header.gasLimit),
    ...(withRewards ? { reward } : {}),
  };
}

async function blockEvents(chain: ChainReader, waiters: Waiters, waitMsMax: number, params: Params): Promise<unknown> {
  const from = params.atMost(2).integer(0, 'the first height', 0, Number.MAX_SAFE_INTEGER);
  const waitMs = params.has(1) ? params.integer(1, 'milliseconds to wait', 0, 30_000) : 0;
  await waiters.until(() => headOf(chain).header.height >= from, Math.min(waitMs, waitMsMax));
  const latest = headOf(chain).header.height;
  const blocks: Record<string, unknown>[] = [];
  let sizeBytes = 0;
  for (let height = from; height <= latest && blocks.length < EVENT_BLOCKS_MAX; height++) {
    const found = await chain.eventsAt(height);
    if (found === undefined) throw serverError(`block ${height} not found`);
    sizeBytes += found.events.length;
    if (blocks.length > 0 && sizeBytes > EVENT_BYTES_MAX) break;
    blocks.push({ ...found, events: data(found.events) });
  }
  return { latest, blocks };
}

async function listTransactions(handle: NodeHandle, params: Params): Promise<unknown> {
  const { chain } = handle;
  const first = params.atMost(3).integer(0, 'the first height', 0, Number.MAX_SAFE_INTEGER);
  const last = params.integer(1, 'the last height', first, Number.MAX_SAFE_INTEGER);
  const whole = params.boolean(2, false);
  const transactions: unknown[] = [];
  for (let height = first; height <= last; height++) {
    const stored = await chain.block(height);
    if (stored === undefined) throw serverError(`block ${height} not found`);
    if (transactions.length > 0 && transactions.length + stored.block.receipts.length > (whole ? LISTED_WHOLE_MAX : LISTED_HASHES_MAX)) {
      return { transactions, next: height };
    }
    for (const each of await listed(handle, stored, whole)) transactions.push(each);
  }
  return { transactions, next: null };
}

/** Methods about the blocks of this node's shard. `waitMsMax` bounds long polls below what carries them. */
export function shardBlockMethods(handle: NodeHandle, waiters: Waiters, waitMsMax: number): [string, RpcMethod][] {
  const { chain } = handle;

  async function blockJson(height: number, whole: boolean): Promise<Record<string, unknown> | null> {
    if (height > headOf(chain).header.height) return null;
    const stored = await chain.block(height);
    if (stored === undefined) return null;
    return shardBlockJson(stored.block.header, stored.hash, stored.sizeBytes, await listed(handle, stored, whole));
  }

  return [
    ['eth_blockNumber', () => quantity(headOf(chain).header.height)],
    ['eth_getBlockByNumber', (params) => blockJson(heightOf(chain, params.atMost(2).block(0)), params.boolean(1, false))],
    [
      'eth_getBlockByHash',
      async (params) => {
        const place = await chain.placeOfBlock(params.atMost(2).hash(0));
        return place === undefined || place.chain !== chain.chain ? null : blockJson(place.height, params.boolean(1, false));
      },
    ],
    [
      'eth_getBlockReceipts',
      async (params) => {
        const height = await heightOfReference(chain, params.atMost(1).blockReference(0));
        const stored = height > headOf(chain).header.height ? undefined : await chain.block(height);
        return stored === undefined ? null : stored.block.receipts.map((_, index) => listedReceipt(handle, stored, index).receipt);
      },
    ],
    ['eth_gasPrice', () => quantity(2n * nextBaseFee(headOf(chain).header) + SUGGESTED_TIP)],
    ['eth_feeHistory', (params) => feeHistory(chain, params)],
    [
      'shard_getBlocks',
      async (params) => {
        const from = params.atMost(2).integer(0, 'the first height', 0, Number.MAX_SAFE_INTEGER);
        const count = params.integer(1, 'a number of blocks', 1, BLOCKS_MAX);
        // The head first: blocks read afterwards reach it at least.
        const latest = headOf(chain).header.height;
        return { latest, blocks: (await chain.encodedBlocks(from, count, BLOCKS_BYTES_MAX)).map(data) };
      },
    ],
    ['shard_getBlockEvents', (params) => blockEvents(chain, waiters, waitMsMax, params)],
    ['shard_listTransactions', (params) => listTransactions(handle, params)],
  ];
}
