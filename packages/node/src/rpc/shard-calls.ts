import { type Address, bytesKey, shardByRule, type ShardId, type WireRequest } from '@shardlab/crosslink';
import { nodeLabel } from '../network/names.ts';
import type { NodeName } from '../ports.ts';
import { chainName, Committees } from './committees.ts';
import type { MethodTable } from './json-rpc.ts';
import type { NodeHandle } from './node-handle.ts';
import { Params } from './params.ts';
import { movedTo, RpcError, unavailable } from './rpc-error.ts';

/** How long another shard may take for one call, in milliseconds. */
export const CALL_TIMEOUT_MS = 10_000;
/** Nodes that are asked at a time. */
const PARALLEL = 32;
/** Contracts that are known to live elsewhere than their addresses say. */
const MOVED_MAX = 8_192;

/** What became of one shard's call. */
export type ShardOutcome = { readonly shard: ShardId; readonly ok: true; readonly result: unknown } | { readonly shard: ShardId; readonly ok: false; readonly error: RpcError };

/**
 * Calls methods of shards' own chains: this node's directly, others' over the network, by any of their validators. A node that is asked answers from its own chain alone, so that a call
 * travels once at most.
 */
export class ShardCalls {
  private readonly handle: NodeHandle;
  private readonly own: MethodTable;
  private readonly committees: Committees;
  /** By `bytesKey` of the address; a contract stays where it is for good. */
  private readonly moved = new Map<string, ShardId>();
  private asked = 0;

  /** `own` are the methods of this node's own chain. */
  constructor(handle: NodeHandle, own: MethodTable) {
    this.handle = handle;
    this.own = own;
    this.committees = new Committees(handle);
  }

  /** Home shard of an address, by the latest assignment (by rule alone before the beacon's first block, R8). */
  homeOf(address: Address): ShardId {
    const epoch = this.handle.assignment();
    return epoch === undefined ? shardByRule(this.handle.crypto, address, this.handle.genesis.shards) : epoch.table.shardOf(address);
  }

  /** Calls `method` where `address` lives: where the assignment says, or where the stub that is found there points to (R11). */
  async callHome(address: Address, method: string, params: (home: ShardId) => Promise<readonly unknown[]>, timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    const key = bytesKey(address);
    const home = this.moved.get(key) ?? this.homeOf(address);
    try {
      return await this.call(home, method, await params(home), timeoutMs);
    } catch (error) {
      const shard = movedTo(error);
      if (shard === undefined || shard === home || shard >= this.handle.genesis.shards) throw error;
      this.moved.set(key, shard as ShardId);
      if (this.moved.size > MOVED_MAX) this.moved.delete(this.moved.keys().next().value!);
      return this.call(shard as ShardId, method, await params(shard as ShardId), timeoutMs);
    }
  }

  /** Calls `method` on the chain of `shard`. Rejects with that chain's error, or -32002 when no validator of it can be reached. */
  async call(shard: ShardId, method: string, params: readonly unknown[], timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    return (await this.callOnce(shard, method, params, timeoutMs)).result();
  }

  /** As {@link call}, and tells whether a validator before the one that answered may have done the same already. */
  async callOnce(shard: ShardId, method: string, params: readonly unknown[], timeoutMs = CALL_TIMEOUT_MS): Promise<{ readonly repeated: boolean; readonly result: () => unknown }> {
    if (shard === this.handle.name.chain) {
      const result: unknown = await this.own.get(method)!(new Params(params));
      return { repeated: false, result: () => result };
    }
    const { text, repeated } = await this.committees.ask(shard, this.request(method, params), timeoutMs);
    return { repeated, result: () => resultOf(shard, text) };
  }

  /** Calls `method` on every shard but `except`; outcomes in order of shard. */
  callAll(method: string, params: readonly unknown[], except?: ShardId): Promise<ShardOutcome[]> {
    const shards = Array.from({ length: this.handle.genesis.shards }, (_, shard) => shard as ShardId).filter((shard) => shard !== except);
    return inParallel(shards, (shard) => this.outcome(shard, method, params));
  }

  private async outcome(shard: ShardId, method: string, params: readonly unknown[]): Promise<ShardOutcome> {
    try {
      return { shard, ok: true, result: await this.call(shard, method, params) };
    } catch (error) {
      if (error instanceof RpcError) return { shard, ok: false, error };
      throw error;
    }
  }

  /** Calls `method` on one other node, answered from its own chain. Rejects with its error, or -32002. */
  async remote(node: NodeName, method: string, params: readonly unknown[], timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    let text: string;
    try {
      text = await this.committees.askOne(node, this.request(method, params), timeoutMs);
    } catch (error) {
      throw unavailable(`${nodeLabel(node)} cannot be reached (${(error as { code?: string }).code ?? 'failed'})`);
    }
    return resultOf(node.chain, text);
  }

  /** Passes a request on to a chain as it is; the JSON text of the answer. Rejects with -32002. */
  async forward(chain: ShardId, request: WireRequest, timeoutMs: number): Promise<string> {
    return (await this.committees.ask(chain, request, timeoutMs)).text;
  }

  private request(method: string, params: readonly unknown[]): WireRequest {
    return { kind: 'rpc', json: new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id: ++this.asked, method, params })) };
  }
}

/** Maps with a bounded number of tasks at a time; results in order. */
export async function inParallel<T, U>(items: readonly T[], task: (item: T) => Promise<U>): Promise<U[]> {
  const results: U[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) results[index] = await task(items[index]!);
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, work));
  return results;
}

function resultOf(chain: ShardId, text: string): unknown {
  const bad = (): RpcError => unavailable(`${chainName(chain)} gave an answer that is not understood`);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw bad();
  }
  if (typeof answer !== 'object' || answer === null) throw bad();
  const { result, error } = answer as { result?: unknown; error?: { code?: unknown; message?: unknown; data?: unknown } };
  if (error !== undefined) {
    if (typeof error.code !== 'number' || typeof error.message !== 'string') throw bad();
    throw new RpcError(error.code, error.message, { rpcData: error.data });
  }
  if (result === undefined) throw bad();
  return result;
}
