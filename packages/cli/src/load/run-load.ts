import { ShardlabError } from '@shardlab/crosslink';
import { buildReport, type LoadReport } from '../report/load-report.ts';
import { writeLedger } from '../report/ledger.ts';
import { TextFile } from '../report/text-file.ts';
import { writeTransactionsCsv } from '../report/transactions-csv.ts';
import { RpcClient } from '../rpc/client.ts';
import { findEndpoints, type ShardEndpoints } from '../rpc/endpoints.ts';
import { type HttpTransport, KeepAliveTransport } from '../rpc/http.ts';
import { assignmentOverrides, networkStatus, shardStatus } from '../rpc/methods.ts';
import { deriveAccounts, homeShards } from '../workload/account-set.ts';
import { SigningPool } from '../workload/signing-pool.ts';
import { type SignedLoad, signTransfers } from '../workload/signed-load.ts';
import { type EngineProgress, LoadEngine } from './engine.ts';
import { checkLoadOptions, type LoadOptions } from './options.ts';
import { signingTerms } from './terms.ts';
import { planTransfers, readLoadTrace } from './transfer-plan.ts';

/** How a load stands, for people. */
export type LoadProgress =
  | { readonly stage: 'accounts' | 'nonces' | 'signing'; readonly done: number; readonly total: number }
  | ({ readonly stage: 'sending' } & EngineProgress);

/** What a load works with; everything has a default. */
export interface LoadModules {
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Ends the run early: what is open is reported as pending. */
  readonly signal?: AbortSignal;
  readonly http?: HttpTransport;
  /** Wall time in milliseconds, with fractions. */
  readonly nowMs?: () => number;
}

/** What a run needs once everything is signed. */
interface PreparedLoad {
  readonly signed: SignedLoad;
  readonly endpoints: readonly ShardEndpoints[];
  readonly fromHeights: readonly number[];
}

function systemNowMs(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * Offers a load to a running network and waits for the ends: derives accounts, reads nonces, signs everything, runs the open loop, writes CSV and
 * ledger, sums up. Throws one clear error before the run (`load/options`, `load/network`, `trace/…`, `rpc/…`, `report/unwritable`, or `load/cancelled` when the signal comes before it) or, when a node
 * refuses batches for good, during it (`load/refused`); nodes that die and return are waited for.
 */
export async function runLoad(options: LoadOptions, modules: LoadModules = {}): Promise<LoadReport> {
  checkLoadOptions(options);
  const http = modules.http ?? new KeepAliveTransport();
  const nowMs = modules.nowMs ?? systemNowMs;
  try {
    const entry = new RpcClient({ url: options.rpcUrl }, { http });
    const status = await networkStatus(entry);
    const trace = options.trace === undefined ? undefined : await readLoadTrace(options.trace, status.workload);
    const csv = options.out === undefined ? undefined : await TextFile.open(options.out);
    const { signed, endpoints, fromHeights } = await prepare(options, modules, entry, status, trace, http);
    const engine = new LoadEngine(
      signed,
      {
        ratePerSecond: options.rate,
        outstandingPerSender: options.outstandingPerSender ?? 64,
        resubmitAfterMs: options.resubmitAfterMs ?? 3_000,
        drainTimeoutMs: options.drainTimeoutMs ?? 60_000,
        fromHeights,
        ...(modules.signal === undefined ? {} : { signal: modules.signal }),
      },
      { http, endpoints, nowMs, onProgress: (progress) => modules.onProgress?.({ stage: 'sending', ...progress }) },
    );
    const result = await engine.run();
    if (csv !== undefined) await writeTransactionsCsv(csv, result.book);
    if (options.dataDir !== undefined) await writeLedger(options.dataDir, status.genesisHash, result.book);
    const { shards, validators } = status;
    return buildReport(result, { shards, validators, ...(trace === undefined ? {} : { trace: trace.summary }) });
  } finally {
    if (modules.http === undefined) http.close();
  }
}

async function prepare(
  options: LoadOptions,
  modules: LoadModules,
  entry: RpcClient,
  status: Awaited<ReturnType<typeof networkStatus>>,
  trace: Awaited<ReturnType<typeof readLoadTrace>> | undefined,
  http: HttpTransport,
): Promise<PreparedLoad> {
  const { shards } = status;
  const pool = new SigningPool(options.signingThreads === undefined ? {} : { workers: options.signingThreads });
  const goOn = (): void => {
    if (modules.signal?.aborted === true) throw new ShardlabError('load/cancelled', 'cancelled before anything was sent');
  };
  const stage = (name: 'accounts' | 'nonces' | 'signing', total: number) => (done: number): void => {
    goOn();
    modules.onProgress?.({ stage: name, done, total });
  };
  try {
    const { family, size, transfersFor } = planTransfers(options, status, trace);
    const overrides = await assignmentOverrides(entry);
    goOn();
    const accounts = await deriveAccounts(family, pool, stage('accounts', size));
    const homes = homeShards(accounts, shards, overrides);
    const transfers = transfersFor(homes);
    const endpoints = await findEndpoints(entry, status, http);
    goOn();
    const terms = await signingTerms({ status, accounts, homes, transfers, endpoints, progress: (done, total) => stage('nonces', total)(done) });
    const signed = await signTransfers(transfers, accounts, homes, shards, terms, pool, stage('signing', transfers.count));
    // Asked for last: the polls begin with the next block of each shard.
    const heights = endpoints.map(async (ways, shard) => Number((await shardStatus(ways.current, shard))['height'] ?? 0) + 1);
    return { signed, endpoints, fromHeights: await Promise.all(heights) };
  } finally {
    await pool.stop();
  }
}
