import { decodeBlockEvents, type BlockEvent } from '@shardlab/crosslink';
import { badAnswer, bytesOf, integerOf, listOf, objectOf, quantityOf, textOf } from './answers.ts';
import type { CallOptions, RpcClient } from './client.ts';

/** What one node says of itself; fields beyond these are passed on unread. */
export interface NodeStatus extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly role: string;
  /** Undefined for the beacon. */
  readonly shard: number | undefined;
  readonly healthy: boolean;
  /** As the node knows it: inside a container it may mean nothing outside. */
  readonly rpcUrl: string | undefined;
}

/** Where the funded accounts' keys come from (contract: genesis `workload`). */
export interface NetworkWorkload {
  readonly seed: number;
  readonly accounts: number | undefined;
  /** SHA-256 of the trace file, hex without `0x`. */
  readonly trace: string | undefined;
}

/** The network view's `shard_status`. */
export interface NetworkStatus {
  readonly genesisHash: string;
  readonly chainId: number;
  readonly shards: number;
  readonly validators: number;
  /** Wei. */
  readonly baseFeePerGas: bigint;
  readonly workload: NetworkWorkload;
  readonly beacon: { readonly height: number; readonly epoch: number };
  readonly nodes: readonly NodeStatus[];
}

function nodeStatus(value: unknown): NodeStatus {
  const method = 'shard_status';
  const node = objectOf(method, value);
  const shard = node['shard'];
  return {
    ...node,
    id: textOf(method, node, 'id'),
    role: textOf(method, node, 'role'),
    shard: typeof shard === 'number' ? shard : undefined,
    healthy: node['healthy'] === true,
    rpcUrl: typeof node['rpcUrl'] === 'string' ? node['rpcUrl'] : undefined,
  };
}

/** Asks for the state of the whole network. */
export async function networkStatus(client: RpcClient, options?: CallOptions): Promise<NetworkStatus> {
  const method = 'shard_status';
  const answer = objectOf(method, await client.call('/', method, [], options));
  const workload = objectOf(method, answer['workload'] ?? {});
  const parameters = objectOf(method, answer['parameters']);
  const beacon = objectOf(method, answer['beacon']);
  const fee = textOf(method, parameters, 'baseFeePerGas');
  if (!/^\d{1,39}$/.test(fee)) throw badAnswer(method, 'has no base fee in wei');
  return {
    genesisHash: textOf(method, answer, 'genesisHash'),
    chainId: integerOf(method, answer, 'chainId'),
    shards: integerOf(method, answer, 'shards'),
    validators: integerOf(method, answer, 'validators'),
    baseFeePerGas: BigInt(fee),
    workload: {
      seed: typeof workload['seed'] === 'number' ? workload['seed'] : 0,
      accounts: typeof workload['accounts'] === 'number' ? workload['accounts'] : undefined,
      trace: typeof workload['trace'] === 'string' ? workload['trace'] : undefined,
    },
    beacon: { height: integerOf(method, beacon, 'height'), epoch: integerOf(method, beacon, 'epoch') },
    nodes: listOf(method, answer, 'nodes').map(nodeStatus),
  };
}

/** Asks for the state of a node of one shard. */
export async function shardStatus(client: RpcClient, shard: number, options?: CallOptions): Promise<NodeStatus> {
  return nodeStatus(await client.call(`/shard/${shard}`, 'shard_status', [], options));
}

/** The accounts that do not live where R8's rule puts them, by lower-case hex address. */
export async function assignmentOverrides(client: RpcClient): Promise<ReadonlyMap<string, number>> {
  const method = 'shard_getAssignment';
  const answer = objectOf(method, await client.call('/', method, []));
  const overrides = new Map<string, number>();
  for (const item of listOf(method, answer, 'overrides')) {
    const entry = Array.isArray(item) ? { address: item[0] as unknown, shard: item[1] as unknown } : objectOf(method, item);
    overrides.set(textOf(method, entry, 'address').toLowerCase(), integerOf(method, entry, 'shard'));
  }
  return overrides;
}

/** One final block's events. */
export interface EventBlock {
  readonly height: number;
  /** Header time, Unix milliseconds. */
  readonly timestampMs: number;
  readonly events: readonly BlockEvent[];
}

/** Long poll for the events of final blocks of one shard from `fromHeight`, waiting up to `waitMs` for the first. */
export async function blockEvents(client: RpcClient, shard: number, fromHeight: number, waitMs: number, signal: AbortSignal): Promise<EventBlock[]> {
  const method = 'shard_getBlockEvents';
  const options = { timeoutMs: waitMs + 5000, attempts: 1, signal };
  const answer = objectOf(method, await client.call(`/shard/${shard}`, method, [fromHeight, waitMs], options));
  return listOf(method, answer, 'blocks').map((item) => {
    const block = objectOf(method, item);
    return {
      height: integerOf(method, block, 'height'),
      timestampMs: integerOf(method, block, 'timestampMs'),
      events: decodeBlockEvents(bytesOf(method, block, 'events')),
    };
  });
}

/** What a node knows of one transaction's fate. `unknown`: it has never met it, or has forgotten it. */
export interface TransactionFate {
  readonly outcome: 'unknown' | 'pending' | 'committed' | 'aborted';
  readonly reason: string | undefined;
  /** When it ended, Unix milliseconds by the node's clock, if it says so. */
  readonly endMs: number | undefined;
}

/** Reads an answer of `shard_getCrossShardTransaction`. */
export function transactionFate(value: unknown): TransactionFate {
  const method = 'shard_getCrossShardTransaction';
  if (value === null) return { outcome: 'unknown', reason: undefined, endMs: undefined };
  const answer = objectOf(method, value);
  const outcome = textOf(method, answer, 'outcome');
  if (outcome !== 'pending' && outcome !== 'committed' && outcome !== 'aborted') throw badAnswer(method, `has the outcome "${outcome}"`);
  const reason = answer['reason'];
  let endMs: number | undefined;
  for (const item of listOf(method, answer, 'phases')) {
    const phase = objectOf(method, item);
    const at = phase['wallMs'] ?? phase['timeMs'];
    if (typeof at === 'number' && (endMs === undefined || at > endMs)) endMs = at;
  }
  return { outcome, reason: typeof reason === 'string' ? reason : undefined, endMs };
}

/** Reads an answer of `eth_getTransactionReceipt` for a transaction that stayed in its shard: null is `unknown`; one whose code reverted is committed, for that reason. */
export function receiptFate(value: unknown): TransactionFate {
  if (value === null) return { outcome: 'unknown', reason: undefined, endMs: undefined };
  const status = quantityOf('eth_getTransactionReceipt', objectOf('eth_getTransactionReceipt', value)['status']);
  return { outcome: 'committed', reason: status === 1n ? undefined : 'reverted', endMs: undefined };
}
