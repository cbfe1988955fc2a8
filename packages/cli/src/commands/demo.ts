import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Genesis, SHARDS_MAX } from '@shardlab/crosslink';
import { type Command, Option } from 'commander';
import { stopCluster } from '../cluster/change-cluster.ts';
import { inspectDataDir } from '../cluster/cluster-file.ts';
import { EXIT_GOOD, usageError } from '../output/cli-error.ts';
import type { LiveLine } from '../output/live-line.ts';
import type { Beside } from '../chaos/demo-chaos.ts';
import { type Cli, type CommonOptions, given, type SizeOptions, sizeOf } from './cli.ts';
import { WORKLOADS, type WorkloadName } from '../workload/names.ts';
import { CROSS_SHARD_DEFAULT, crossShardRatios, runAuditedLoad } from './load.ts';
import { ACCOUNTS_DEFAULT, SEED_DEFAULT, SHARDS_DEFAULT, startNetwork, type StartRequest } from './start-network.ts';
import { forkOption, workersOption } from './node-options.ts';
import { decimal, oneOf, wholeNumber } from './values.ts';

const RATE_DEFAULT = 1_000;
const DURATION_DEFAULT_S = 15;
/** What has not ended this long after the last transaction is reported as pending: the demo is to be over in a minute. */
const DRAIN_TIMEOUT_MS = 15_000;
/** After faults, nodes have to come back first. */
const CHAOS_DRAIN_TIMEOUT_MS = 90_000;
/** Longer runs are for `up` and `load`. */
const DURATION_MAX_S = 600;
/** A demo of many processes shows less, not more. */
const DEMO_SHARDS_MAX = Math.min(64, SHARDS_MAX);

interface DemoOptions extends CommonOptions, SizeOptions {
  readonly rate: number;
  readonly duration: number;
  readonly crossShard: number;
  readonly seed: number;
  readonly fork: Genesis['forks'];
  readonly workers?: number;
  readonly workload: WorkloadName;
  readonly chaos?: true;
}

/** Where the demo lives: a new temporary directory, or the one that was named, which must be new. */
function demoDirectory(cli: Cli, options: DemoOptions): { readonly dataDir: string; readonly temporary: boolean } {
  if (options.dataDir === undefined) return { dataDir: mkdtempSync(join(tmpdir(), 'shardlab-demo-')), temporary: true };
  const dataDir = cli.dataDir(options);
  if (inspectDataDir(dataDir).kind !== 'empty') {
    throw usageError('cli/demo-directory', `${dataDir} holds a network already: a demo makes its own, choose another --data-dir or none`);
  }
  return { dataDir, temporary: false };
}

async function runDemo(cli: Cli, options: DemoOptions, command: Command, dataDir: string, progress: LiveLine, signal: AbortSignal): Promise<number> {
  const { context } = cli;
  const { shards, validators, rate, seed, fork } = options;
  const wanted: StartRequest = { dataDir, ...sizeOf(options), accounts: ACCOUNTS_DEFAULT, seed, basePort: 0, fork, traceFile: undefined, logLevel: undefined, workers: options.workers, demands: {} };
  const opened = await startNetwork(context, wanted, progress, signal);
  const rpcUrl = opened.cluster.nodes[0]!.rpcUrl;
  const chains = `a beacon and ${shards} ${shards === 1 ? 'shard' : 'shards'}${validators === 1 ? '' : ` of ${validators} validators`}`;
  progress.note(`${opened.cluster.nodes.length} nodes run: ${chains}, each ${validators === 1 ? '' : 'validator '}its own process`);
  const { workload } = options;
  const ratios = crossShardRatios(workload, options.crossShard, given(command, 'crossShard'), shards);
  const durationMs = options.duration * 1_000;
  const drainTimeoutMs = options.chaos === true ? CHAOS_DRAIN_TIMEOUT_MS : DRAIN_TIMEOUT_MS;
  const load = { rpcUrl, dataDir, rate, durationMs, drainTimeoutMs, workload, ...ratios, seed };
  const beside = async (ended: AbortSignal): Promise<Beside> => {
    const { demoChaos } = await import('../chaos/demo-chaos.ts');
    return demoChaos({ dataDir, launch: { command: context.nodeCommand, env: context.env }, seed, durationMs, validators }, ended);
  };
  return runAuditedLoad(cli, { json: options.json === true, audit: true, network: { dataDir }, load, ...(options.chaos === true ? { beside } : {}) }, signal);
}

/** Takes the network down whatever happened, and removes what it wrote unless that is needed to find out why. */
async function tearDown(dataDir: string, keep: boolean): Promise<void> {
  if (inspectDataDir(dataDir).kind === 'cluster') await stopCluster(dataDir);
  if (!keep) rmSync(dataDir, { recursive: true, force: true });
}

/** `shardlab demo`. */
export function demoCommand(cli: Cli): Command {
  const command = cli.command('demo', 'up, load, live progress, report, audit, down: in under a minute', 'default: a new one, removed at the end');
  return cli
    .withSize(command, DEMO_SHARDS_MAX, SHARDS_DEFAULT)
    .addOption(new Option('--rate <number>', 'transactions per second').default(RATE_DEFAULT).argParser(decimal(0, 1_000_000, false)))
    .addOption(new Option('--duration <seconds>', 'of the load').default(DURATION_DEFAULT_S).argParser(decimal(0, DURATION_MAX_S, false)))
    .addOption(new Option('--workload <name>', `what the transactions do: ${WORKLOADS.join(', ')}`).default('transfer').argParser(oneOf(WORKLOADS)))
    .addOption(new Option('--cross-shard <ratio>', 'exact share of cross-shard transactions; of calls of contracts: 0 unless given').default(CROSS_SHARD_DEFAULT).argParser(decimal(0, 1, true)))
    .addOption(new Option('--seed <seed>', 'of keys and transactions').default(SEED_DEFAULT).argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER)))
    .addOption(forkOption())
    .addOption(workersOption())
    .addOption(new Option('--chaos', 'kill, pause, cut off, delay and lose while the load runs, by the seed'))
    .action(
      cli.run<DemoOptions>(async (options, command) => {
        if (options.shards === 1 && given(command, 'crossShard') && options.crossShard > 0) {
          throw usageError('cli/cross-shard', 'a network of one shard has no cross-shard transactions: leave out --cross-shard, or give 0');
        }
        const { dataDir, temporary } = demoDirectory(cli, options);
        const progress = cli.progress(options);
        return cli.context.interruptible(async (signal) => {
          let exitCode: number | undefined;
          try {
            exitCode = await runDemo(cli, options, command, dataDir, progress, signal);
            return exitCode;
          } finally {
            progress.clear();
            const good = exitCode === EXIT_GOOD || signal.aborted;
            await tearDown(dataDir, !temporary || !good);
            if (temporary && !good) progress.note(`the nodes' logs are kept in ${dataDir}`);
          }
        });
      }),
    );
}
