import { ShardlabError } from '@shardlab/crosslink';
import type { NetworkStatus, NetworkWorkload } from '../rpc/methods.ts';
import { familySize, type KeyFamily } from '../workload/key-labels.ts';
import { readTrace, type Trace } from '../workload/trace.ts';
import { generateTransfers, type Transfers, TRANSACTIONS_MAX } from '../workload/transfers.ts';
import type { LoadOptions } from './options.ts';

/** Share of cross-shard transfers where the user names none. */
export const CROSS_SHARD_RATIO = 0.2;

/** Who pays, and what, once it is known where accounts live. */
export interface TransferPlan {
  readonly family: KeyFamily;
  /** Accounts in the family. */
  readonly size: number;
  transfersFor(homes: Uint16Array): Transfers;
}

function refuse(code: 'load/network' | 'load/options', what: string): never {
  throw new ShardlabError(code, what);
}

/** Reads a trace and checks that the network was funded for it. Throws `load/network` or the errors of {@link readTrace}. */
export async function readLoadTrace(file: string, workload: NetworkWorkload): Promise<Trace> {
  const trace = await readTrace(file);
  if (workload.trace === undefined) {
    refuse('load/network', `this network is not funded for a trace: start one with: shardlab up --trace ${file}`);
  }
  if (workload.trace !== trace.digest) {
    const [theirs, ours] = [workload.trace.slice(0, 16), trace.digest.slice(0, 16)];
    refuse('load/network', `this network is funded for another trace (SHA-256 ${theirs}…, this file has ${ours}…): start one with: shardlab up --trace ${file}`);
  }
  return trace;
}

/** Transactions that the options ask for; undefined: all of a trace. */
export function wantedCount(options: LoadOptions): number | undefined {
  if (options.count !== undefined) return options.count;
  return options.durationMs === undefined ? undefined : Math.max(1, Math.round((options.rate * options.durationMs) / 1000));
}

/** Decides who pays whom. Throws `load/network` or `load/options`. */
export function planTransfers(options: LoadOptions, status: NetworkStatus, trace: Trace | undefined): TransferPlan {
  const { seed } = status.workload;
  const count = wantedCount(options);
  if (trace !== undefined) {
    const { replayed } = trace.summary;
    if (options.count !== undefined && options.count > replayed) refuse('load/options', `the trace has ${replayed} transactions to replay, not ${options.count}`);
    const family: KeyFamily = { kind: 'trace', seed, addresses: trace.addresses };
    return { family, size: familySize(family), transfersFor: () => traceTransfers(trace, Math.min(count ?? replayed, replayed)) };
  }
  const { accounts } = status.workload;
  if (accounts === undefined || accounts === 0) {
    refuse('load/network', status.workload.trace === undefined ? 'this network has no funded accounts: start one with --accounts N' : 'this network is funded for a trace: add --trace FILE');
  }
  if (count! > TRANSACTIONS_MAX) refuse('load/options', `a run sends at most ${TRANSACTIONS_MAX} transactions, not ${count}`);
  const family: KeyFamily = { kind: 'derived', seed, count: accounts };
  const crossShardRatio = options.crossShardRatio ?? (status.shards === 1 ? 0 : CROSS_SHARD_RATIO);
  const generate = { count: count!, crossShardRatio, zipf: options.zipf ?? 0, seed: options.seed ?? 1 };
  return { family, size: accounts, transfersFor: (homes) => generateTransfers(generate, homes, status.shards) };
}

function traceTransfers(trace: Trace, count: number): Transfers {
  return { count, from: trace.from.subarray(0, count), to: trace.to.subarray(0, count), values: trace.values.subarray(0, 2 * count) };
}
