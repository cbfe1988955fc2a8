import type { ShardId } from '@shardlab/crosslink';
import { data } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import { bloomMayMatch, filterJson, type LogFilter, LOGS_ANSWERED_MAX, type LogQuery, readLogQuery } from '../log-filter.ts';
import type { NodeHandle } from '../node-handle.ts';
import { limitExceeded, serverError, unavailable } from '../rpc-error.ts';
import { inParallel, type ShardCalls } from '../shard-calls.ts';
import type { NetworkView, PlacedLog } from './network-view.ts';
import { type FoundLog, rangeOf } from './shard-logs.ts';

/** Heights of one shard without a match between two with one, that are searched all the same: fewer questions. */
const GAP_MAX = 64;

/** Heights of one shard that may hold wanted logs. */
interface Stretch {
  readonly shard: ShardId;
  readonly first: number;
  last: number;
}

/** `eth_getLogs` on the network as one chain: the filters in the crosslinked headers say which shards are asked for which heights. */
export function networkLogMethods(handle: NodeHandle, view: NetworkView, calls: ShardCalls): [string, RpcMethod][] {
  return [['eth_getLogs', async (params) => getLogs(readLogQuery(params.atMost(1), 0))]];

  async function getLogs(query: LogQuery): Promise<unknown> {
    const [from, to] = await range(query);
    const stretches = await stretchesOf(query, from, to);
    let count = 0;
    const lists = await inParallel(stretches, async (stretch) => {
      const logs = await view.placeLogs(stretch.shard, await searched(stretch, query));
      // A stretch may reach over blocks outside of the range.
      const inside = logs.filter(({ height }) => height >= from && height <= to);
      count += inside.length;
      if (count > LOGS_ANSWERED_MAX) throw tooMany();
      return inside;
    });
    return lists.flat().sort(byPlace).map(({ log }) => log);
  }

  async function range({ blocks }: LogQuery): Promise<readonly [number, number]> {
    if (!('hash' in blocks)) return rangeOf(blocks, view.height);
    const height = await view.heightOfHash(blocks.hash);
    if (height === undefined) throw serverError('unknown block');
    return [height, height];
  }

  async function stretchesOf(filter: LogFilter, from: number, to: number): Promise<Stretch[]> {
    const open = new Map<ShardId, Stretch>();
    const out: Stretch[] = [];
    for (let height = Math.max(1, from); height <= to; height++) {
      const block = await handle.chain.beacon.block(height);
      if (block === undefined) throw serverError(`block ${height} not found`);
      for (const { header } of block.crosslinks) {
        if (!bloomMayMatch(handle.crypto, header.logsBloom, filter)) continue;
        const stretch = open.get(header.shard);
        if (stretch !== undefined && header.height - stretch.last <= GAP_MAX) stretch.last = header.height;
        else {
          const next = { shard: header.shard, first: header.height, last: header.height };
          open.set(header.shard, next);
          out.push(next);
        }
      }
    }
    return out;
  }

  async function searched({ shard, first, last }: Stretch, filter: LogFilter): Promise<FoundLog[]> {
    const out: FoundLog[] = [];
    for (let from = first; ; ) {
      const answer = (await calls.call(shard, 'shard_getLogs', [from, last, filterJson(filter, data)])) as { logs?: unknown; next?: unknown } | null;
      if (!Array.isArray(answer?.logs)) throw unavailable(`shard ${shard} gave an answer that is not understood`);
      for (const each of answer.logs as FoundLog[]) out.push(each);
      if (out.length > LOGS_ANSWERED_MAX) throw tooMany();
      if (answer.next === null) return out;
      if (typeof answer.next !== 'number' || answer.next <= from) throw unavailable(`shard ${shard} gave an answer that is not understood`);
      from = answer.next;
    }
  }
}

function tooMany(): Error {
  return limitExceeded(`query returned more than ${LOGS_ANSWERED_MAX} results: ask for fewer blocks`);
}

function byPlace(a: PlacedLog, b: PlacedLog): number {
  return a.height - b.height || a.logIndex - b.logIndex;
}
