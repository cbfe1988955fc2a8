import { setImmediate as pause } from 'node:timers/promises';
import { AssignmentTable, bytesKey, type ShardId, type TransactionReceipt, TwoPhaseCommit, type TxHash } from '@shardlab/crosslink';
import { type PoolTransaction, poolTransactionOf, recoverSender, replayBlock, type ReplayedPart, TraceBound } from '@shardlab/shard';
import type { StoredBlock } from '../../storage/chain-store-reader.ts';
import { data } from '../format.ts';
import type { NodeHandle } from '../node-handle.ts';
import { limitExceeded, serverError } from '../rpc-error.ts';
import { heightOfRun, votesOf } from './find-run.ts';
import type { StateView, StateViews } from './state-views.ts';
import type { StartTracing, Tracing } from './trace-options.ts';
import { localReceipts, wholeOf } from './traced-part.ts';

/** Senders that are recovered without a pause: some 5 ms. */
const RECOVERED_AT_ONCE = 64;

/** Traces that are asked for at once. */
const WAITING_MAX = 32;

/** A stored block, ready to be executed again. */
interface LoadedBlock {
  readonly stored: StoredBlock;
  readonly parent: StoredBlock;
  readonly transactions: readonly PoolTransaction[];
  /** Of what ran wholly in it, by `bytesKey` of the hashes. */
  readonly receipts: ReadonlyMap<string, TransactionReceipt>;
}

/** One transaction's trace in a block. */
interface TracedTransaction {
  readonly txHash: TxHash;
  readonly result: unknown;
}

/**
 * Traces what blocks of the node's shard have executed: a block is executed once more on the state before it, inbox and all, and what comes of it must be that very block.
 */
export class BlockTraces {
  private readonly shard: ShardId;
  private readonly handle: NodeHandle;
  private readonly views: StateViews;
  /** Ends when the last trace that was asked for does. */
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  constructor(handle: NodeHandle, views: StateViews) {
    this.shard = handle.chain.chain;
    this.handle = handle;
    this.views = views;
  }

  /** The trace of what this shard ran of a transaction, in the newest block in which it did. Rejects if it is unknown here, or if the state before that block is not kept. */
  transaction(hash: TxHash, start: StartTracing): Promise<unknown> {
    return this.inTurn(() => this.traceOf(hash, start));
  }

  private async traceOf(hash: TxHash, start: StartTracing): Promise<unknown> {
    const height = await heightOfRun(this.handle.chain, hash);
    if (height === undefined) throw serverError('transaction not found: this shard has neither taken it in nor voted on it in its latest 256 blocks');
    const [traced] = await this.traced(await this.load(height), start, hash);
    if (traced === undefined) throw serverError(`nothing of the transaction ran on shard ${this.shard} in block ${height}: its part gave way to another transaction`);
    return traced.result;
  }

  /** The traces of all that the block at `height` ran: parts for other shards' transactions first, then its body. */
  block(height: number, start: StartTracing): Promise<unknown[]> {
    return this.inTurn(() => this.tracesOf(height, start));
  }

  private async tracesOf(height: number, start: StartTracing): Promise<unknown[]> {
    if (height === 0) throw serverError('genesis is not traceable');
    if (height > (this.handle.chain.head?.header.height ?? 0)) throw serverError(`block ${height} not found`);
    const traced = await this.traced(await this.load(height), start, undefined);
    return traced.map(({ txHash, result }) => ({ txHash: data(txHash), result }));
  }

  /** One trace at a time: each holds whole blocks. Rejects with -32005 when too many wait. */
  private async inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (this.waiting >= WAITING_MAX) throw limitExceeded(`${WAITING_MAX} traces wait already: try again`);
    this.waiting++;
    const run = this.last.then(task);
    this.last = run.catch(() => undefined);
    try {
      return await run;
    } finally {
      this.waiting--;
    }
  }

  private async load(height: number): Promise<LoadedBlock> {
    const { chain } = this.handle;
    const stored = await chain.block(height);
    const parent = await chain.block(height - 1);
    if (stored === undefined || parent === undefined) throw chain.missingBlock(stored === undefined ? height : height - 1);
    const receipts = localReceipts(height, stored.block.receipts);
    return { stored, parent, receipts, transactions: await this.recovered(stored, receipts) };
  }

  /** The body's transactions. Receipts of this block tell most senders; the others are recovered, with pauses. */
  private async recovered({ block }: StoredBlock, receipts: LoadedBlock['receipts']): Promise<PoolTransaction[]> {
    const { crypto, genesis } = this.handle;
    const known = new Map<number, TransactionReceipt>();
    for (const receipt of receipts.values()) known.set(receipt.bodyIndex, receipt);
    const out: PoolTransaction[] = [];
    for (const [index, raw] of block.body.transactions.entries()) {
      const receipt = known.get(index);
      const hash = receipt?.txHash ?? (crypto.keccak256(raw) as TxHash);
      out.push(poolTransactionOf(raw, hash, receipt?.from ?? recoverSender(raw, crypto), genesis.forks));
      if (out.length % RECOVERED_AT_ONCE === 0) await pause();
    }
    return out;
  }

  /** Traces one transaction of a block, or all (`only` undefined). */
  private traced(loaded: LoadedBlock, start: StartTracing, only: TxHash | undefined): Promise<TracedTransaction[]> {
    const wanted = only === undefined ? undefined : bytesKey(only);
    return this.views.at(loaded.stored.block.header.height - 1, (view) => {
      const bound = new TraceBound();
      const tracings = new Map<string, Tracing>();
      const seen = this.replayed(loaded, view, (txHash) => {
        const key = bytesKey(txHash);
        if (wanted !== undefined && key !== wanted) return undefined;
        const tracing = start(bound);
        tracings.set(key, tracing);
        return tracing.tracer;
      });
      return answers(loaded, seen, (key) => tracings.get(key) ?? start(bound), wanted);
    });
  }

  private replayed({ stored, parent, transactions }: LoadedBlock, view: StateView, tracerOf: (txHash: TxHash) => Tracing['tracer'] | undefined): ReadonlyMap<string, ReplayedPart> {
    const { crypto, genesis, assignment } = this.handle;
    const { parameters, chainId, shards, forks: fork, feePolicy } = genesis;
    const { header, body } = stored.block;
    const block = {
      header,
      hash: stored.hash,
      inbox: body.inbox,
      transactions,
      parent: { header: parent.block.header, hash: parent.hash, pairs: parent.block.body.pairs },
      assignment: assignment()?.table ?? new AssignmentTable(crypto, { shards, overrides: [] }),
    };
    const { state, past, source } = view;
    const modules = { crypto, protocol: new TwoPhaseCommit({ ...parameters, shards }), state, past, source };
    return replayBlock({ chainId, shard: this.shard, gasLimit: parameters.blockGasLimit, fork, feePolicy }, block, modules, tracerOf);
  }
}

/** Puts the answers together: parts of other shards' transactions in the order in which they were judged, then the body's. */
function answers({ stored, transactions, receipts }: LoadedBlock, seen: ReadonlyMap<string, ReplayedPart>, tracingOf: (key: string) => Tracing, wanted: string | undefined): TracedTransaction[] {
  const votes = votesOf(stored.block.events);
  const body = new Map(transactions.map((transaction) => [transaction.hashKey, transaction]));
  const parts = [...seen.values()].map(({ txHash }) => txHash).filter((txHash) => !body.has(bytesKey(txHash)));
  const out: TracedTransaction[] = [];
  for (const txHash of [...parts, ...transactions.map(({ hash }) => hash)]) {
    const key = bytesKey(txHash);
    if (wanted !== undefined && key !== wanted) continue;
    const found = seen.get(key);
    const whole = wholeOf({ seen: found, vote: votes.get(key), transaction: body.get(key), receipt: receipts.get(key) });
    if (whole !== undefined) out.push({ txHash, result: tracingOf(key).answer(whole, found?.run) });
  }
  return out;
}
