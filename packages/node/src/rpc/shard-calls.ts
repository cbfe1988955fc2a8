import { type Address, BEACON, shardByRule, type ShardId, type WireRequest } from '@shardlab/crosslink';
import type { NodeName } from '../ports.ts';
import { promised } from '../storage/chain-store-read.ts';
import type { MethodTable } from './json-rpc.ts';
import type { NodeHandle } from './node-handle.ts';
import { Params } from './params.ts';
import { RpcError, unavailable } from './rpc-error.ts';

/** How long another shard may take for one call, in milliseconds. */
export const CALL_TIMEOUT_MS = 10_000;
/** Nodes that are asked at a time. */
const PARALLEL = 32;

/** What became of one shard's call. */
export type ShardOutcome = { readonly shard: ShardId; readonly ok: true; readonly result: unknown } | { readonly shard: ShardId; readonly ok: false; readonly error: RpcError };

/**
 * Calls methods of shards' own chains: this node's directly, others' over the network. A node that is asked answers from its own chain alone, so that a call
 * travels once at most.
 */
export class ShardCalls {
  private readonly handle: NodeHandle;
  private readonly own: MethodTable;
  private asked = 0;

  /** `own` are the methods of this node's own chain. */
  constructor(handle: NodeHandle, own: MethodTable) {
    this.handle = handle;
    this.own = own;
  }

  /** Home shard of an address, by the latest assignment (by rule alone before the beacon's first block, R8). */
  homeOf(address: Address): ShardId {
    const epoch = this.handle.assignment();
    return epoch === undefined ? shardByRule(this.handle.crypto, address, this.handle.genesis.shards) : epoch.table.shardOf(address);
  }

  /** Calls `method` on the chain of `shard`. Rejects with that chain's error, or -32002 when it cannot be reached. */
  async call(shard: ShardId, method: string, params: readonly unknown[], timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    if (shard === this.handle.name.chain) return this.own.get(method)!(new Params(params));
    return this.remote({ chain: shard, validator: 0 }, method, params, timeoutMs);
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

  /** Calls `method` on one other node, answered from its own chain. */
  async remote(node: NodeName, method: string, params: readonly unknown[], timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    const json = new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id: ++this.asked, method, params }));
    const text = await this.ask(node, { kind: 'rpc', json }, timeoutMs);
    return resultOf(node, text);
  }

  /** Sends a request to a shard, trying its nodes in turn, and returns the JSON text of the answer. Rejects with -32002. */
  async ask(node: NodeName, request: WireRequest, timeoutMs: number): Promise<string> {
    const { genesis, name } = this.handle;
    const committee = node.chain === BEACON ? genesis.beaconValidators : genesis.shardValidators[node.chain];
    let reason = 'it has no nodes';
    // Whoever asks a chain for its first node wants any of them.
    const last = node.validator === 0 ? (committee?.length ?? 0) - 1 : node.validator;
    for (let validator = node.validator; validator <= last; validator++) {
      const to = { chain: node.chain, validator };
      if (to.chain === name.chain && to.validator === name.validator) continue;
      try {
        return join(await promised((done) => this.handle.ask(to, request, timeoutMs, done)));
      } catch (error) {
        reason = (error as { code?: string }).code ?? 'failed';
      }
    }
    throw unavailable(`${node.chain === BEACON ? 'the beacon' : `shard ${node.chain}`} cannot be reached (${reason})`);
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

/** A long text travels as several items. */
function join(items: readonly Uint8Array[]): string {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for (const item of items) text += decoder.decode(item, { stream: true });
  return text + decoder.decode();
}

function resultOf(node: NodeName, text: string): unknown {
  const bad = (): RpcError => unavailable(`${node.chain === BEACON ? 'the beacon' : `shard ${node.chain}`} gave an answer that is not understood`);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw bad();
  }
  if (typeof answer !== 'object' || answer === null) throw bad();
  const { result, error } = answer as { result?: unknown; error?: { code?: unknown; message?: unknown } };
  if (error !== undefined) {
    if (typeof error.code !== 'number' || typeof error.message !== 'string') throw bad();
    throw new RpcError(error.code, error.message);
  }
  if (result === undefined) throw bad();
  return result;
}
