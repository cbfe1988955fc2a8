import { ShardlabError } from '@shardlab/crosslink';
import { createCrypto } from '@shardlab/node';
import { checkInvariants, type InvariantResults } from '../audit/invariants.ts';
import { Source } from '../audit/source.ts';
import { buildReport, type LoadReport } from '../report/load-report.ts';
import { writeLedger } from '../report/ledger.ts';
import { TextFile } from '../report/text-file.ts';
import { saveWorkloadRun, withMints } from '../report/workload-file.ts';
import { writeTransactionsCsv } from '../report/transactions-csv.ts';
import { RpcClient } from '../rpc/client.ts';
import { findEndpoints, type ShardEndpoints } from '../rpc/endpoints.ts';
import { type HttpTransport, KeepAliveTransport } from '../rpc/http.ts';
import { assignmentOverrides, type NetworkStatus, networkStatus } from '../rpc/methods.ts';
import { deriveAccounts, homeShards } from '../workload/account-set.ts';
import type { CallOptions } from '../workload/contracts/calls.ts';
import { MIXES, type WorkloadName } from '../workload/names.ts';
import { SigningPool } from '../workload/signing-pool.ts';
import { type SignedLoad, signTransfers } from '../workload/signed-load.ts';
import type { LoadBook } from './book.ts';
import { committedMints, type ContractLoad, nextHeights, prepareContractLoad } from './contract-load.ts';
import { type EngineProgress, LoadEngine } from './engine.ts';
import { checkLoadOptions, type LoadOptions } from './options.ts';
import { signingTerms } from './terms.ts';
import { CROSS_SHARD_RATIO, planTransfers, readLoadTrace, wantedCount } from './transfer-plan.ts';

/** How long one question about a contract may take. */
const CHECK_TIMEOUT_MS = 30_000;

/** How a load stands, for people. */
export type LoadProgress =
  | { readonly stage: Stage; readonly done: number; readonly total: number }
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
  readonly contracts: ContractLoad | undefined;
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
    const { signed, endpoints, fromHeights, contracts } = await prepare(options, { ...modules, http, nowMs }, entry, status, trace);
    const { dataDir } = options;
    // Before the first call, so that an audit finds the contracts of a run that was ended.
    if (dataDir !== undefined && contracts !== undefined) await saveWorkloadRun(dataDir, status.genesisHash, contracts.run);
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
    if (dataDir !== undefined) await writeLedger(dataDir, status.genesisHash, result.book);
    const checked = contracts === undefined ? undefined : await checkContracts(options, status, contracts, result.book, modules.signal);
    const { shards, validators } = status;
    const workload = { name: options.workload ?? 'transfer', invariants: checked?.ok ?? {}, violations: checked?.violations ?? [] };
    return buildReport(result, { shards, validators, ...(trace === undefined ? {} : { trace: trace.summary }), workload });
  } finally {
    if (modules.http === undefined) http.close();
  }
}

/** The invariants of what was deployed, by the audit's code; none after a run that was cancelled. */
async function checkContracts(options: LoadOptions, status: NetworkStatus, contracts: ContractLoad, book: LoadBook, signal: AbortSignal | undefined): Promise<InvariantResults | undefined> {
  if (signal?.aborted === true) return undefined;
  const mints = committedMints(contracts, book);
  const run = mints === undefined ? contracts.run : withMints(contracts.run, mints);
  if (options.dataDir !== undefined) await saveWorkloadRun(options.dataDir, status.genesisHash, run, contracts.run);
  const source = new Source({ rpcUrl: options.rpcUrl, shardUrls: new Map(), timeoutMs: CHECK_TIMEOUT_MS, signal });
  for (const { id, shard, rpcUrl } of status.nodes) if (rpcUrl !== undefined && URL.canParse(rpcUrl)) source.addNode({ id, shard, url: rpcUrl });
  return checkInvariants(run, source);
}

type Stage = 'accounts' | 'nonces' | 'set-up' | 'signing';

async function prepare(
  options: LoadOptions,
  modules: LoadModules & Required<Pick<LoadModules, 'http' | 'nowMs'>>,
  entry: RpcClient,
  status: NetworkStatus,
  trace: Awaited<ReturnType<typeof readLoadTrace>> | undefined,
): Promise<PreparedLoad> {
  const { shards } = status;
  const pool = new SigningPool(options.signingThreads === undefined ? {} : { workers: options.signingThreads });
  const goOn = (): void => {
    if (modules.signal?.aborted === true) throw new ShardlabError('load/cancelled', 'cancelled before anything was sent');
  };
  const progress = (name: Stage, done: number, total: number): void => {
    goOn();
    modules.onProgress?.({ stage: name, done, total });
  };
  const stage = (name: Stage, total: number) => (done: number): void => progress(name, done, total);
  try {
    const { family, size, transfersFor } = planTransfers(options, status, trace);
    const overrides = await assignmentOverrides(entry);
    goOn();
    const accounts = await deriveAccounts(family, pool, stage('accounts', size));
    const homes = homeShards(accounts, shards, overrides);
    const { workload = 'transfer' } = options;
    if (workload !== 'transfer') {
      const endpoints = await findEndpoints(entry, status, modules.http);
      const input = { ...callOptions(options, workload, shards), status, accounts, homes, overrides, endpoints, signal: modules.signal };
      const contracts = await prepareContractLoad(input, { crypto: await createCrypto(), pool, http: modules.http, nowMs: modules.nowMs, progress });
      return { signed: contracts.signed, endpoints, fromHeights: await nextHeights(endpoints), contracts };
    }
    const transfers = transfersFor(homes);
    const endpoints = await findEndpoints(entry, status, modules.http);
    goOn();
    const terms = await signingTerms({ status, accounts, homes, transfers, endpoints, progress: (done, total) => progress('nonces', done, total) });
    const signed = await signTransfers(transfers, accounts, homes, shards, terms, pool, stage('signing', transfers.count));
    // Asked for last: the polls begin with the next block of each shard.
    return { signed, endpoints, fromHeights: await nextHeights(endpoints), contracts: undefined };
  } finally {
    await pool.stop();
  }
}

function callOptions(options: LoadOptions, workload: WorkloadName, shards: number): CallOptions {
  const transfers = (MIXES[workload].shares.transfer ?? 0) > 0 && shards > 1;
  return {
    workload,
    count: wantedCount(options)!,
    transferRatio: transfers ? (options.crossShardRatio ?? CROSS_SHARD_RATIO) : 0,
    callRatio: options.callCrossShardRatio ?? 0,
    zipf: options.zipf ?? 0,
    seed: options.seed ?? 1,
  };
}
