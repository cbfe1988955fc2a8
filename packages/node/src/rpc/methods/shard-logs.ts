import type { StoredBlock } from '../../storage/chain-store-reader.ts';
import type { RpcMethod } from '../json-rpc.ts';
import { bloomMayMatch, LOG_BLOCKS_MAX, type LogFilter, logMatcher, LOGS_ANSWERED_MAX, type LogQuery, readLogQuery } from '../log-filter.ts';
import type { NodeHandle } from '../node-handle.ts';
import { Params } from '../params.ts';
import { invalidParams, limitExceeded, serverError } from '../rpc-error.ts';
import { data } from '../format.ts';
import { type JsonObject, logJson } from '../transaction-json.ts';
import { headOf } from './shard-blocks.ts';

/** Logs, and bytes of their data, after which a page of `shard_getLogs` is cut. */
const PAGE_LOGS_MAX = 2_000;
const PAGE_BYTES_MAX = 1 << 20;

/** A log on its shard, with what says where it stands on the network. */
export interface FoundLog {
  readonly log: JsonObject;
  readonly height: number;
  /** How many transactions the shard had listed, and logs it had emitted, before it, from genesis. */
  readonly position: number;
  readonly logPosition: number;
}

/** Methods that look for events in blocks of this node's shard. */
export function logMethods(handle: NodeHandle): [string, RpcMethod][] {
  return [
    ['eth_getLogs', async (params) => (await queryLogs(handle, readLogQuery(params.atMost(1), 0))).map(({ log }) => log)],
    [
      'shard_getLogs',
      async (params) => {
        const from = params.atMost(3).integer(0, 'the first height', 0, Number.MAX_SAFE_INTEGER);
        const to = params.integer(1, 'the last height', from, Number.MAX_SAFE_INTEGER);
        const filter = readLogQuery(new Params([params.object(2, 'a filter')]), 0);
        return page(handle, filter, from, Math.min(to, headOf(handle.chain).header.height));
      },
    ],
  ];
}

async function queryLogs(handle: NodeHandle, query: LogQuery): Promise<FoundLog[]> {
  const [from, to] = await range(handle, query);
  const found: FoundLog[] = [];
  for (let height = from; height <= to; ) {
    const { logs, next } = await page(handle, query, height, to);
    for (const log of logs) found.push(log);
    if (found.length > LOGS_ANSWERED_MAX) throw limitExceeded(`query returned more than ${LOGS_ANSWERED_MAX} results: ask for fewer blocks`);
    if (next === null) break;
    height = next;
  }
  return found;
}

async function range({ chain }: NodeHandle, { blocks }: LogQuery): Promise<readonly [number, number]> {
  if ('hash' in blocks) {
    const place = await chain.placeOfBlock(blocks.hash);
    if (place === undefined || place.chain !== chain.chain) throw serverError('unknown block');
    return [place.height, place.height];
  }
  return rangeOf(blocks, headOf(chain).header.height);
}

/** The heights that tags mean below a head; what is above it is empty. Throws where it is too long, or upside down. */
export function rangeOf(blocks: Exclude<LogQuery['blocks'], { hash: unknown }>, head: number): readonly [number, number] {
  const heightOf = (tag: typeof blocks.from): number => (typeof tag === 'number' ? tag : tag === 'earliest' ? 0 : head);
  const [from, to] = [heightOf(blocks.from), heightOf(blocks.to)];
  if (from > to) throw invalidParams(`invalid block range: fromBlock ${from} is above toBlock ${to}`);
  const last = Math.min(to, head);
  if (last - from >= LOG_BLOCKS_MAX) throw limitExceeded(`block range too large: ${last - from + 1} blocks, at most ${LOG_BLOCKS_MAX} are searched at a time`);
  return [from, last];
}

/** Logs from height `from` on, to the end of a block after which there are enough; `next` is where to go on. */
async function page({ chain, crypto }: NodeHandle, filter: LogFilter, from: number, to: number): Promise<{ readonly logs: FoundLog[]; readonly next: number | null }> {
  const matches = logMatcher(filter);
  const logs: FoundLog[] = [];
  let sizeBytes = 0;
  for (let height = from; height <= to; height++) {
    const head = await chain.headAt(height);
    if (head === undefined) throw chain.missingBlock(height);
    if (!bloomMayMatch(crypto, head.header.logsBloom, filter)) continue;
    const stored = await chain.block(height);
    if (stored === undefined) throw chain.missingBlock(height);
    for (const found of logsOf(stored, matches)) {
      logs.push(found);
      sizeBytes += (found.log['data'] as string).length;
    }
    if ((logs.length >= PAGE_LOGS_MAX || sizeBytes >= PAGE_BYTES_MAX) && height < to) return { logs, next: height + 1 };
  }
  return { logs, next: null };
}

function logsOf(stored: StoredBlock, matches: ReturnType<typeof logMatcher>): FoundLog[] {
  const { header, receipts } = stored.block;
  const { height, shard, totals } = header;
  const out: FoundLog[] = [];
  const emitted = receipts.reduce((sum, receipt) => sum + receipt.logs.length, 0);
  const blockHash = data(stored.hash);
  let logIndex = 0;
  receipts.forEach((receipt, transactionIndex) => {
    const place = { blockHash, blockNumber: height, transactionIndex, shard, shardHeight: height };
    const position = totals.transactions - receipts.length + transactionIndex;
    for (const log of receipt.logs) {
      if (matches(log)) out.push({ log: logJson(log, receipt.txHash, place, logIndex), height, position, logPosition: totals.logs - emitted + logIndex });
      logIndex++;
    }
  });
  return out;
}
