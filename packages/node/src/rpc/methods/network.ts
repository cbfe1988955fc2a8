import { BEACON, bytesKey, type ShardId, type TxHash, ZERO_HASH, equalBytes } from '@shardlab/crosslink';
import { recoverSender, rejectionOf, TransactionError } from '@shardlab/shard';
import { networkBlockJson } from '../block-json.ts';
import { data, quantity } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import type { NodeHandle } from '../node-handle.ts';
import type { BlockTag, Params } from '../params.ts';
import { RPC_CODES, RpcError, serverError, unavailable } from '../rpc-error.ts';
import type { ShardCalls } from '../shard-calls.ts';
import { SUGGESTED_TIP } from './constant.ts';
import { networkContractMethods, TRACE_TIMEOUT_MS } from './network-contracts.ts';
import { networkLogMethods } from './network-logs.ts';
import { networkStatus } from './network-status.ts';
import { NetworkView } from './network-view.ts';
import { percentilesOf } from './shard-blocks.ts';
import type { FoundTransaction } from './shard-find.ts';
import { RAW_BYTES_MAX } from './shard-transactions.ts';

/** Hashes whose shard is remembered: what was sent or found here lately, and is asked for again. */
const HOMES_MAX = 8_192;
/** Blocks in one answer of `eth_feeHistory`: each is put together from all shards' headers. */
const FEE_HISTORY_MAX = 64;
const BEACON_BLOCKS_MAX = 256;
const BEACON_BYTES_MAX = 2 << 20;

/** Methods of the network view that belong to shards' own views: named, so that a caller learns where to ask. */
const SHARD_ONLY = [
  'shard_getBlocks',
  'shard_getBlockEvents',
  'shard_listTransactions',
  'shard_findTransaction',
  'shard_getLogs',
  'shard_pinState',
  'shard_readState',
  'shard_unpinState',
] as const;

/** Where transactions were found, bounded; the oldest is forgotten first. */
class Homes {
  private readonly shards = new Map<string, ShardId>();

  get(hash: TxHash): ShardId | undefined {
    return this.shards.get(bytesKey(hash));
  }

  set(hash: TxHash, shard: ShardId): void {
    this.shards.set(bytesKey(hash), shard);
    if (this.shards.size > HOMES_MAX) this.shards.delete(this.shards.keys().next().value!);
  }
}

/** The methods of `/`: the network as one chain, whichever node is asked. */
export function networkMethods(handle: NodeHandle, calls: ShardCalls): [string, RpcMethod][] {
  const view = new NetworkView(handle, calls);
  const homes = new Homes();
  const shardOnly = SHARD_ONLY.map((name): [string, RpcMethod] => [
    name,
    () => {
      throw new RpcError(RPC_CODES.methodNotFound, `${name} is about one shard: ask for it on /shard/I`);
    },
  ]);
  return [
    ...shardOnly,
    ...blockMethods(view),
    ...accountMethods(view, calls),
    ...networkContractMethods(view, calls),
    ...networkLogMethods(handle, view, calls),
    ...transactionMethods(handle, view, calls, homes),
    ['shard_status', () => networkStatus(handle, calls)],
    [
      'shard_getBeaconBlocks',
      async (params) => {
        const from = params.atMost(2).integer(0, 'the first height', 0, Number.MAX_SAFE_INTEGER);
        const count = params.integer(1, 'a number of blocks', 1, BEACON_BLOCKS_MAX);
        const latest = view.height;
        return { latest, blocks: (await handle.chain.beacon.encodedBlocks(from, count, BEACON_BYTES_MAX)).map(data) };
      },
    ],
    beaconByHash(handle, view),
  ];
}

function heightOf(view: NetworkView, tag: BlockTag): number {
  if (tag === 'earliest') return 0;
  return typeof tag === 'number' ? tag : view.height;
}

async function blockJson(view: NetworkView, height: number, whole: boolean): Promise<unknown> {
  const viewed = await view.block(height);
  return viewed === undefined ? null : networkBlockJson(viewed.shown, await view.transactions(viewed, whole));
}

function beaconByHash(handle: NodeHandle, view: NetworkView): [string, RpcMethod] {
  return [
    'eth_getBlockByHash',
    async (params) => {
      const hash = params.atMost(2).hash(0);
      const whole = params.boolean(1, false);
      if (equalBytes(hash, ZERO_HASH)) return blockJson(view, 0, whole);
      const place = await handle.chain.placeOfBlock(hash);
      return place?.chain !== BEACON ? null : blockJson(view, place.height, whole);
    },
  ];
}

function blockMethods(view: NetworkView): [string, RpcMethod][] {
  return [
    ['eth_blockNumber', () => quantity(view.height)],
    ['eth_getBlockByNumber', (params) => blockJson(view, heightOf(view, params.atMost(2).block(0)), params.boolean(1, false))],
    ['eth_gasPrice', async () => quantity(2n * (await view.nextBaseFee()) + SUGGESTED_TIP)],
    ['eth_feeHistory', (params) => feeHistory(view, params)],
  ];
}

async function feeHistory(view: NetworkView, params: Params): Promise<unknown> {
  const wanted = params.atMost(3).integer(0, 'a number of blocks', 1, 1024);
  const newest = heightOf(view, params.block(1));
  const percentiles = percentilesOf(params, 2);
  if (newest > view.height) throw serverError(`request beyond head block: requested ${newest}, head ${view.height}`);
  const oldest = Math.max(0, newest + 1 - Math.min(wanted, FEE_HISTORY_MAX));
  const fees: bigint[] = [];
  const ratios: number[] = [];
  for (let height = oldest; height <= newest; height++) {
    const viewed = await view.block(height);
    if (viewed === undefined) throw serverError(`block ${height} not found`);
    fees.push(viewed.shown.baseFeePerGas);
    ratios.push(viewed.shown.gasUsed / viewed.shown.gasLimit);
  }
  fees.push(await view.nextBaseFee(newest));
  // What single transactions tipped stands in shards' blocks; what should be tipped is the same everywhere.
  const reward = percentiles === undefined || percentiles.length === 0 ? {} : { reward: ratios.map(() => percentiles.map(() => quantity(SUGGESTED_TIP))) };
  return { oldestBlock: quantity(oldest), baseFeePerGas: fees.map(quantity), gasUsedRatio: ratios, ...reward };
}

function accountMethods(view: NetworkView, calls: ShardCalls): [string, RpcMethod][] {
  return ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode', 'shard_getProof'].map((method): [string, RpcMethod] => [
    method,
    (params) => {
      const address = params.atMost(method === 'shard_getProof' ? 3 : 2).address(0);
      const reference = params.blockReference(1);
      const slots = params.has(2) ? [params.raw(2)] : [];
      return calls.callHome(address, method, async (shard) => [data(address), await view.stateTag(shard, reference), ...slots]);
    },
  ]);
}

function transactionMethods(handle: NodeHandle, view: NetworkView, calls: ShardCalls, homes: Homes): [string, RpcMethod][] {
  /** The first shard that answers something else than null; own and remembered ones are asked first. */
  async function firstOf<T>(method: string, hash: TxHash): Promise<{ readonly shard: ShardId; readonly result: T } | null> {
    const remembered = homes.get(hash) ?? (handle.name.chain === BEACON ? undefined : handle.name.chain);
    let failed: RpcError | undefined;
    if (remembered !== undefined) {
      const [near] = await Promise.allSettled([calls.call(remembered, method, [data(hash)])]);
      if (near.status === 'fulfilled' && near.value !== null) return { shard: remembered, result: near.value as T };
      if (near.status === 'rejected') {
        if (!(near.reason instanceof RpcError)) throw near.reason;
        failed = near.reason;
      }
    }
    for (const outcome of await calls.callAll(method, [data(hash)], remembered)) {
      if (outcome.ok && outcome.result !== null) {
        homes.set(hash, outcome.shard);
        return { shard: outcome.shard, result: outcome.result as T };
      }
      if (!outcome.ok) failed ??= outcome.error;
    }
    // "Nobody has it" can not be said while somebody was not heard.
    if (failed !== undefined) throw unavailable(`not found where it could be looked for: ${failed.message}`);
    return null;
  }

  async function find(params: Params): Promise<Awaited<ReturnType<NetworkView['place']>> | null> {
    const found = await firstOf<FoundTransaction>('shard_findTransaction', params.atMost(1).txHash(0));
    return found === null ? null : view.place(found.shard, found.result);
  }

  return [
    ['eth_sendRawTransaction', (params) => send(params.atMost(1).data(0, RAW_BYTES_MAX))],
    ['eth_getTransactionByHash', async (params) => (await find(params))?.transaction ?? null],
    ['eth_getTransactionReceipt', async (params) => (await find(params))?.receipt ?? null],
    [
      'debug_traceTransaction',
      async (params) => {
        const hash = params.atMost(2).txHash(0);
        const found = await firstOf<FoundTransaction>('shard_findTransaction', hash);
        if (found === null) throw serverError('transaction not found');
        return calls.call(found.shard, 'debug_traceTransaction', [data(hash), params.raw(1) ?? {}], TRACE_TIMEOUT_MS);
      },
    ],
    ['shard_getCrossShardTransaction', async (params) => (await firstOf('shard_getCrossShardTransaction', params.atMost(1).txHash(0)))?.result ?? null],
  ];

  async function send(raw: Uint8Array): Promise<unknown> {
    let shard: ShardId;
    try {
      shard = calls.homeOf(recoverSender(raw, handle.crypto));
    } catch (error) {
      if (error instanceof TransactionError) throw serverError(rejectionOf(error.code).message);
      throw error;
    }
    const hash = handle.crypto.keccak256(raw) as TxHash;
    const answer = await calls.callOnce(shard, 'eth_sendRawTransaction', [data(raw)]);
    homes.set(hash, shard);
    try {
      return answer.result();
    } catch (error) {
      // The validator that did not answer in time had passed it on to its committee: the caller's only attempt has succeeded.
      if (answer.repeated && error instanceof RpcError && error.message === 'already known') return data(hash);
      throw error;
    }
  }
}
