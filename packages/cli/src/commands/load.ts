import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { renderAudit } from '../audit/render.ts';
import type { AuditReport } from '../audit/report.ts';
import type { Beside } from '../chaos/demo-chaos.ts';
import type { LoadOptions } from '../load/options.ts';
import type { LoadProgress } from '../load/run-load.ts';
import { clusterPaths } from '../cluster/layout.ts';
import { EXIT_BAD, EXIT_GOOD, usageError } from '../output/cli-error.ts';
import { LiveLine } from '../output/live-line.ts';
import { type Output, writeJsonLine, writeLines } from '../output/output.ts';
import { COLOUR_STYLE } from '../output/style.ts';
import type { LoadReport } from '../report/load-report.ts';
import { ProgressView } from '../report/progress.ts';
import { reportLines } from '../report/table.ts';
import { networkStatus, type NetworkStatus } from '../rpc/methods.ts';
import { ledgersIn } from './audit.ts';
import { WORKLOADS, type WorkloadName } from '../workload/names.ts';
import { type Cli, given, type NetworkOptions } from './cli.ts';
import { clientOf, findNetwork } from './network.ts';
import { fileDigest, SEED_DEFAULT } from './start-network.ts';
import { decimal, oneOf, text, wholeNumber } from './values.ts';

/** Transactions per second unless told otherwise: half of what two cores bear. */
export const RATE_DEFAULT = 1_000;
/** Share of cross-shard transactions unless told otherwise. */
export const CROSS_SHARD_DEFAULT = 0.2;
const DURATION_DEFAULT_S = 20;
const RATE_MAX = 1_000_000;
const DURATION_MAX_S = 86_400;
const COUNT_MAX = 50_000_000;
const ZIPF_MAX = 10;

interface LoadCommandOptions extends NetworkOptions {
  readonly out?: string;
  readonly rate: number;
  readonly duration?: number;
  readonly count?: number;
  readonly crossShard: number;
  readonly zipf: number;
  readonly seed: number;
  readonly trace?: string;
  readonly workload: WorkloadName;
  /** False with --no-audit. */
  readonly audit: boolean;
}

/** Only the accounts that the genesis funds can pay: load and network must come from the same trace, or from none. */
async function assertWorkloadFits(cli: Cli, options: LoadCommandOptions, status: NetworkStatus): Promise<void> {
  const { trace } = status.workload;
  if (options.trace === undefined) {
    if (trace === undefined) return;
    throw usageError('cli/trace', `this network funds the senders of a trace (sha-256 ${trace}): give that file by --trace`);
  }
  const digest = await fileDigest(cli.file(options.trace));
  if (trace === undefined) throw usageError('cli/trace', 'this network funds derived accounts: leave out --trace, or start one with "shardlab up --trace FILE"');
  if (digest !== trace) throw usageError('cli/trace', `${options.trace} (sha-256 ${digest}) is not the trace of this network (sha-256 ${trace}): give that file`);
}

function assertOptionsFit(options: LoadCommandOptions, command: Command, shards: number): void {
  if (options.trace !== undefined) return;
  if (shards === 1 && given(command, 'crossShard') && options.crossShard > 0) {
    throw usageError('cli/cross-shard', 'a network of one shard has no cross-shard transactions: leave out --cross-shard, or give 0');
  }
}

function assertExclusive(options: LoadCommandOptions, command: Command): void {
  if (options.duration !== undefined && options.count !== undefined) {
    throw usageError('cli/contradiction', '--duration and --count exclude each other: the rate gives the other one');
  }
  if (options.trace === undefined) return;
  for (const [name, flag] of [['crossShard', '--cross-shard'], ['zipf', '--zipf'], ['workload', '--workload']] as const) {
    if (given(command, name)) throw usageError('cli/contradiction', `${flag} and --trace exclude each other: a trace brings its own transactions`);
  }
}

/** Where the ledger goes: beside the cluster, where `audit` finds it; for a network named by --rpc alone, away after the audit. */
function ledgerPlace(cli: Cli, options: LoadCommandOptions): { readonly dataDir: string; readonly remove: () => void } {
  if (options.rpc === undefined || options.dataDir !== undefined) return { dataDir: cli.dataDir(options), remove: () => undefined };
  const dataDir = mkdtempSync(join(tmpdir(), 'shardlab-load-'));
  return { dataDir, remove: () => rmSync(dataDir, { recursive: true, force: true }) };
}

/** What a load run and the audit after it are asked for. */
export interface AuditedLoad {
  readonly json: boolean;
  readonly audit: boolean;
  /** How the network is found again for the audit. */
  readonly network: NetworkOptions;
  readonly load: LoadOptions & { readonly dataDir: string };
  /** What runs beside the load and is over before the audit; aborted early when the load fails. */
  readonly beside?: (signal: AbortSignal) => Promise<Beside>;
}

/** Runs `load`, and beside it what is wanted; both are over when this settles. */
async function runBeside<T>(beside: AuditedLoad['beside'], signal: AbortSignal, load: () => Promise<T>): Promise<{ readonly report: T; readonly besides: Beside | undefined }> {
  if (beside === undefined) return { report: await load(), besides: undefined };
  const failed = new AbortController();
  const running = beside(AbortSignal.any([signal, failed.signal]));
  const [loaded, besides] = await Promise.allSettled([
    load().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
    running,
  ]);
  if (loaded.status === 'rejected') throw loaded.reason;
  if (besides.status === 'rejected') throw besides.reason;
  return { report: loaded.value, besides: besides.value };
}

/**
 * Runs a load with progress, then the audit of what it did, and prints both; the exit code. With `--json` the last line is the report. Throws the
 * reason of `signal` when that was aborted, after the report of what was sent until then.
 */
export async function runAuditedLoad(cli: Cli, wanted: AuditedLoad, signal: AbortSignal): Promise<number> {
  const { modules, stdout } = cli.context;
  const { json, load } = wanted;
  const output = cli.progressOutput({ ...(json ? { json: true } : {}) });
  const before = new Set(ledgersIn(load.dataDir));
  const runLoad = (): Promise<LoadReport> => withProgressView(output, (onProgress) => modules.runLoad(load, { signal, onProgress }));
  const { report: loaded, besides } = await runBeside(wanted.beside, signal, runLoad).catch((error: unknown) => {
    // Interrupted before anything was sent: what the user did, not what the load says of it.
    signal.throwIfAborted();
    throw error;
  });
  let audit: AuditReport | undefined;
  if (wanted.audit && !signal.aborted) {
    const progress = new LiveLine(output);
    try {
      const ledgerFiles = ledgersIn(load.dataDir).filter((file) => !before.has(file));
      // The node that the load began with may be down by now.
      const { rpcUrl } = await findNetwork(cli, wanted.network);
      audit = await modules.runAudit({ rpcUrl, ledgerFiles, workloadFile: clusterPaths(load.dataDir).workloadFile, signal, onProgress: (line) => progress.update(line) });
    } finally {
      progress.clear();
    }
  }
  const report = withWeiSupply(loaded, audit);
  const ok = report.ok && audit?.ok !== false && besides?.ok !== false;
  if (json) writeJsonLine(stdout, { ...report, ok, ...besides?.fields, ...(audit === undefined ? {} : { audit }) });
  else {
    const colour = stdout.style === COLOUR_STYLE;
    writeLines(stdout, [...reportLines(report, colour), ...(besides === undefined ? [] : ['', ...besides.lines]), ...(audit === undefined ? [] : ['', ...renderAudit(audit, { colour })])]);
  }
  signal.throwIfAborted();
  return ok ? EXIT_GOOD : EXIT_BAD;
}

/** The invariant of plain transfers, and of whatever else moves wei, is the audit's to check. */
function withWeiSupply(report: LoadReport, audit: AuditReport | undefined): LoadReport {
  if (audit === undefined) return report;
  const { workload } = report;
  return { ...report, workload: { ...workload, invariants: { ...workload.invariants, 'wei-supply': audit.supply.difference === '0' } } };
}

async function withProgressView<T>(output: Output | undefined, task: (onProgress: (progress: LoadProgress) => void) => Promise<T>): Promise<T> {
  if (output === undefined) return task(() => undefined);
  const stream = { isTTY: output.isTerminal, columns: output.columns, write: (text: string) => output.write(text) };
  const view = new ProgressView(stream, { colour: output.style === COLOUR_STYLE, nowMs: () => performance.now() });
  try {
    return await task((progress) => view.update(progress));
  } finally {
    view.end();
  }
}

/** The cross-shard shares of a workload: calls of contracts stay in their shard unless the user gives a ratio, which then holds for everything. */
export function crossShardRatios(workload: WorkloadName, ratio: number, isGiven: boolean, shards: number): { readonly crossShardRatio: number; readonly callCrossShardRatio: number } {
  const own = shards === 1 ? 0 : ratio;
  return { crossShardRatio: own, callCrossShardRatio: workload !== 'transfer' && isGiven ? own : 0 };
}

function loadOptions(cli: Cli, options: LoadCommandOptions, command: Command, rpcUrl: string, dataDir: string, shards: number): AuditedLoad['load'] {
  const { rate, count, duration, seed } = options;
  const { workload, zipf, crossShard } = options;
  const ratios = crossShardRatios(workload, crossShard, given(command, 'crossShard'), shards);
  const from = options.trace === undefined ? { workload, ...ratios, zipf } : { trace: cli.file(options.trace) };
  const durationS = duration ?? (count === undefined && options.trace === undefined ? DURATION_DEFAULT_S : undefined);
  return {
    rpcUrl,
    dataDir,
    rate,
    seed,
    ...from,
    ...(count === undefined ? {} : { count }),
    ...(durationS === undefined ? {} : { durationMs: durationS * 1_000 }),
    ...(options.out === undefined ? {} : { out: cli.file(options.out) }),
  };
}

/** `shardlab load`: exit code 1 when something was lost or rejected, or the books do not balance. */
export function loadCommand(cli: Cli): Command {
  return cli
    .networkCommand('load', 'push signed transactions through the network, open loop, and report')
    .addOption(new Option('--out <file>', 'one CSV row a transaction').argParser(text('a file')))
    .addOption(new Option('--rate <number>', 'transactions per second').default(RATE_DEFAULT).argParser(decimal(0, RATE_MAX, false)))
    .addOption(new Option('--duration <seconds>', `how long (default: ${DURATION_DEFAULT_S}; a trace: all of it)`).argParser(decimal(0, DURATION_MAX_S, false)))
    .addOption(new Option('--count <number>', 'how many, instead').argParser(wholeNumber(1, COUNT_MAX)))
    .addOption(new Option('--workload <name>', `what they do: ${WORKLOADS.join(', ')}`).default('transfer').argParser(oneOf(WORKLOADS)))
    .addOption(new Option('--cross-shard <ratio>', 'exact share of cross-shard ones; of calls of contracts: 0 unless given').default(CROSS_SHARD_DEFAULT).argParser(decimal(0, 1, true)))
    .addOption(new Option('--zipf <exponent>', 'skew of senders and recipients; 0: uniform').default(0).argParser(decimal(0, ZIPF_MAX, true)))
    .addOption(new Option('--seed <seed>', 'of senders, recipients and values').default(SEED_DEFAULT).argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER)))
    .addOption(new Option('--trace <file>', 'replay this trace, which the network was started with').argParser(text('a file')))
    .option('--no-audit', 'do not audit the books afterwards')
    .action(
      cli.run<LoadCommandOptions>(async (options, command) => {
        assertExclusive(options, command);
        const network = await findNetwork(cli, options);
        const client = clientOf(network);
        let status: NetworkStatus;
        try {
          status = await networkStatus(client);
        } finally {
          client.close();
        }
        await assertWorkloadFits(cli, options, status);
        assertOptionsFit(options, command, status.shards);
        const ledger = ledgerPlace(cli, options);
        try {
          const load = loadOptions(cli, options, command, network.rpcUrl, ledger.dataDir, status.shards);
          return await cli.context.interruptible((signal) => runAuditedLoad(cli, { json: options.json === true, audit: options.audit, network: options, load }, signal));
        } finally {
          ledger.remove();
        }
      }),
    );
}
