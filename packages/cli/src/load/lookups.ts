import { ShardlabError, toHex } from '@shardlab/crosslink';
import type { ShardEndpoints } from '../rpc/endpoints.ts';
import type { RpcOutcome } from '../rpc/client.ts';
import { receiptFate, type TransactionFate, transactionFate } from '../rpc/methods.ts';
import type { SignedLoad } from '../workload/signed-load.ts';

/** Transactions of one request. */
const BATCH = 100;
/** Times that a node may say "never heard of it" of a nonce that it calls used, before that is believed. */
const UNKNOWN_MAX = 5;
/** Pause before the first look and between looks: the blocks usually tell first. */
const PAUSE_MS = 1500;
const TIMEOUT_MS = 5000;

/** Takes what a look at the chain brings. */
export interface LookupEvents {
  /** Whether the answer is still wanted. */
  isOpen(index: number): boolean;
  ended(index: number, fate: TransactionFate): void;
  /** The nonce is used, and not by this transaction. */
  stranger(index: number): void;
}

/**
 * Asks nodes for the fate of single transactions: only of those whose nonce a node calls used although no block with them has been seen, and of
 * those still open at the very end. Bounded by what is open; in batches.
 */
export class Lookups {
  private readonly load: SignedLoad;
  private readonly endpoints: readonly ShardEndpoints[];
  private readonly events: LookupEvents;
  private readonly wanted = new Map<number, { atMs: number; unknown: number }>();
  private busy = false;

  constructor(load: SignedLoad, modules: { readonly endpoints: readonly ShardEndpoints[]; readonly events: LookupEvents }) {
    this.load = load;
    this.endpoints = modules.endpoints;
    this.events = modules.events;
  }

  /** Asks for `index` after a pause, unless it ends before. */
  want(index: number, nowMs: number): void {
    if (!this.wanted.has(index)) this.wanted.set(index, { atMs: nowMs + PAUSE_MS, unknown: 0 });
  }

  /** Starts one request if any look is due and none is under way. Called now and then. */
  pump(nowMs: number, signal: AbortSignal): void {
    if (this.busy || this.wanted.size === 0) return;
    let shard = -1;
    const batch: number[] = [];
    for (const [index, entry] of this.wanted) {
      if (!this.events.isOpen(index)) this.wanted.delete(index);
      else if (entry.atMs <= nowMs && batch.length < BATCH && (shard === -1 || this.load.fromShard[index] === shard)) {
        shard = this.load.fromShard[index]!;
        batch.push(index);
      }
    }
    if (batch.length === 0) return;
    this.busy = true;
    for (const index of batch) this.wanted.get(index)!.atMs = nowMs + PAUSE_MS;
    const done = (): void => {
      this.busy = false;
    };
    void this.ask(shard, batch, signal).then((fates) => this.judge(fates)).then(done, done);
  }

  /** Asks once for everything in `open`, until `signal` is aborted: the last look before the rest is called pending. */
  async sweep(open: readonly number[], signal: AbortSignal): Promise<void> {
    const byShard = Map.groupBy(open, (index) => this.load.fromShard[index]!);
    for (const [shard, indexes] of byShard) {
      for (let from = 0; from < indexes.length && !signal.aborted; from += BATCH) {
        const fates = await this.ask(shard, indexes.slice(from, from + BATCH), signal).catch(() => undefined);
        // A shard that does not answer now keeps its transactions pending.
        if (fates === undefined) break;
        for (const [index, fate] of fates) if (fate.outcome === 'committed' || fate.outcome === 'aborted') this.events.ended(index, fate);
      }
    }
  }

  private judge(fates: ReadonlyMap<number, TransactionFate>): void {
    for (const [index, fate] of fates) {
      const entry = this.wanted.get(index);
      if (entry === undefined) continue;
      if (fate.outcome === 'unknown' && ++entry.unknown < UNKNOWN_MAX) continue;
      if (fate.outcome === 'unknown') this.events.stranger(index);
      else if (fate.outcome !== 'pending') this.events.ended(index, fate);
      // A pending one ends with a block, which the poll will bring.
      this.wanted.delete(index);
    }
  }

  private async ask(shard: number, batch: readonly number[], signal: AbortSignal): Promise<Map<number, TransactionFate>> {
    const client = this.endpoints[shard]!.current;
    const hashes = batch.map((index) => toHex(this.load.hashes.subarray(32 * index, 32 * index + 32)));
    const options = { timeoutMs: TIMEOUT_MS, attempts: 1, signal };
    const path = `/shard/${shard}` as const;
    const fates = new Map<number, TransactionFate>();
    const take = (outcomes: readonly RpcOutcome[], indexes: readonly number[], read: (value: unknown) => TransactionFate): void => {
      outcomes.forEach((outcome, at) => {
        if (!outcome.ok) throw new ShardlabError('load/lookup', outcome.error.message, {}, { cause: outcome.error });
        fates.set(indexes[at]!, read(outcome.result));
      });
    };
    const calls = hashes.map((hash) => ({ method: 'shard_getCrossShardTransaction', params: [hash] }));
    take(await client.batch(path, calls, options), batch, transactionFate);
    const unknown = batch.filter((index) => fates.get(index)!.outcome === 'unknown');
    const receipts = unknown.map((index) => ({ method: 'eth_getTransactionReceipt', params: [hashes[batch.indexOf(index)]] }));
    take(await client.batch(path, receipts, options), unknown, receiptFate);
    return fates;
  }
}
