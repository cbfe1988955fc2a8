import { ShardlabError } from '@shardlab/crosslink';
import type { WorkloadName } from '../workload/names.ts';

/** What to send, where, and how patiently. */
export interface LoadOptions {
  /** Any node of the network. */
  readonly rpcUrl: string;
  /** Transactions a second, offered whatever the network does. */
  readonly rate: number;
  /** Transactions in all; or give `durationMs`. With a trace and neither: all of it. */
  readonly count?: number;
  readonly durationMs?: number;
  /** Default `transfer`. Others deploy their contracts first, on every shard. Not with a trace. */
  readonly workload?: WorkloadName;
  /** 0 to 1; default 0.2, or 0 on a network of one shard. Not with a trace. Of plain transfers only. */
  readonly crossShardRatio?: number;
  /** 0 to 1; default 0: share of the contract calls that go to a contract of another shard. */
  readonly callCrossShardRatio?: number;
  /** Skew of senders and recipients; default 0 = uniform. Not with a trace. */
  readonly zipf?: number;
  /** Of the generated transfers; default 1. Account keys come from the network's own seed. */
  readonly seed?: number;
  /** A trace file to replay; the network must have been funded for it. */
  readonly trace?: string;
  /** File for one CSV row a transaction. */
  readonly out?: string;
  /** Data directory that gets the ledger for the audit; without it no ledger is written. */
  readonly dataDir?: string;
  /** Transactions of one sender on their way into a block at once; default 64. */
  readonly outstandingPerSender?: number;
  /** What a node took this long ago and seems to have forgotten is sent again; default 3,000. */
  readonly resubmitAfterMs?: number;
  /** How long after the last intended time ends are waited for; default 60,000. */
  readonly drainTimeoutMs?: number;
  /** Signing threads; default one a core. */
  readonly signingThreads?: number;
}

/** Checks what can be checked without a network. Throws `load/options` with one line. */
export function checkLoadOptions(options: LoadOptions): void {
  const refuse = (what: string): never => {
    throw new ShardlabError('load/options', what);
  };
  const { rate, count, durationMs, outstandingPerSender: window = 64 } = options;
  if (!(rate > 0 && rate <= 1_000_000)) refuse(`the rate is above 0 and at most 1000000 transactions a second, not ${rate}`);
  if (count !== undefined && durationMs !== undefined) refuse('give a count or a duration, not both');
  if (count === undefined && durationMs === undefined && options.trace === undefined) refuse('give a count or a duration');
  if (count !== undefined && !(Number.isSafeInteger(count) && count > 0)) refuse(`the count is an integer above 0, not ${count}`);
  if (durationMs !== undefined && !(durationMs > 0 && Number.isFinite(durationMs))) refuse(`the duration is above 0, not ${durationMs} ms`);
  if (!Number.isInteger(window) || window < 1 || window > 4096) refuse(`a sender has 1 to 4096 transactions on their way, not ${window}`);
  if (options.trace !== undefined && (options.workload ?? 'transfer') !== 'transfer') refuse('a trace is made of transfers: leave out the workload');
  if (options.trace !== undefined && (options.crossShardRatio !== undefined || options.zipf !== undefined)) {
    refuse('a trace has its own senders and recipients: leave out the cross-shard ratio and zipf');
  }
}
