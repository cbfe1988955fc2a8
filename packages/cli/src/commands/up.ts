import { type Command, Option } from 'commander';
import { type Genesis, SHARDS_MAX } from '@shardlab/crosslink';
import { stopCluster } from '../cluster/change-cluster.ts';
import { type Cluster, readCluster } from '../cluster/cluster-file.ts';
import type { OpenedCluster } from '../cluster/open-cluster.ts';
import { isNodeProcess } from '../cluster/process-identity.ts';
import { pause } from '../cluster/wait.ts';
import { EXIT_BAD, EXIT_GOOD, usageError } from '../output/cli-error.ts';
import type { LiveLine } from '../output/live-line.ts';
import { LOG_LEVELS, type LogLevel } from '../output/log-entry.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import { RpcClient } from '../rpc/client.ts';
import { networkStatus } from '../rpc/methods.ts';
import { type Cli, type CommonOptions, given, type SizeOptions, sizeOf } from './cli.ts';
import { bannerLines, placeAccounts } from './shown-accounts.ts';
import { ACCOUNTS_DEFAULT, SEED_DEFAULT, SHARDS_DEFAULT, startNetwork, type StartRequest } from './start-network.ts';
import { forkOption, workersOption } from './node-options.ts';
import { oneOf, text, wholeNumber } from './values.ts';

const BASE_PORT_DEFAULT = 8_545;
const ACCOUNTS_MAX = 2_000_000;
const WATCH_INTERVAL_MS = 1_000;
const STATUS_TIMEOUT_MS = 2_000;

interface UpOptions extends CommonOptions, SizeOptions {
  readonly basePort: number;
  readonly accounts: number;
  readonly seed: number;
  readonly fork: Genesis['forks'];
  readonly workers?: number;
  readonly trace?: string;
  readonly logLevel?: LogLevel;
  readonly detach?: true;
}

function request(cli: Cli, options: UpOptions, command: Command): StartRequest {
  if (options.trace !== undefined && given(command, 'accounts')) {
    throw usageError('cli/contradiction', '--accounts and --trace exclude each other: a trace brings its own accounts');
  }
  const { accounts, seed, basePort, fork } = options;
  const asked = { ...sizeOf(options), accounts, seed, basePort, fork };
  const demands = Object.fromEntries(Object.entries(asked).filter(([name]) => given(command, name)));
  const traceFile = options.trace === undefined ? undefined : cli.file(options.trace);
  return { dataDir: cli.dataDir(options), ...asked, traceFile, logLevel: options.logLevel, workers: options.workers, demands };
}

async function announce(cli: Cli, options: UpOptions, opened: OpenedCluster): Promise<void> {
  const { stdout, modules } = cli.context;
  const { cluster, resumed, started } = opened;
  const dataDir = cli.dataDir(options);
  const accounts = placeAccounts(await modules.crypto(), cluster, opened.accounts);
  if (options.json === true) {
    const { genesisHash, chainId, shards, validators, beaconValidators, nodes } = cluster;
    const size = { shards, validators, beaconValidators };
    writeJsonLine(stdout, { ok: true, dataDir, resumed, started, genesisHash, chainId, ...size, rpcUrl: nodes[0]!.rpcUrl, nodes, accounts });
    return;
  }
  const total = cluster.nodes.length;
  const again = started.length === 0 ? `all ${total} nodes run already` : `resumed: ${started.length} of ${total} nodes started (${started.join(', ')})`;
  writeLines(stdout, [stdout.style.good(resumed ? again : `${total} nodes run`), ...bannerLines(cluster, accounts, dataDir, stdout)]);
}

async function watchLine(cluster: Cluster): Promise<string> {
  const running = cluster.nodes.filter((node) => isNodeProcess(node.pid, node.configFile));
  const client = new RpcClient({ url: running[0]?.rpcUrl ?? cluster.nodes[0]!.rpcUrl });
  try {
    const status = await networkStatus(client, { timeoutMs: STATUS_TIMEOUT_MS, attempts: 1 });
    const shards = Map.groupBy(status.nodes.filter((node) => node.shard !== undefined), (node) => node.shard!);
    const heights = [...shards.values()].map((nodes) => {
      const healthy = nodes.filter((node) => node.healthy).map((node) => Number(node['height']));
      return healthy.length === 0 ? 'down' : `#${Math.max(...healthy)}`;
    });
    return `${running.length} of ${cluster.nodes.length} nodes run; beacon #${status.beacon.height}, shards ${heights.join(' ')} (Ctrl-C stops all)`;
  } catch {
    return `${running.length} of ${cluster.nodes.length} nodes run; no status yet (Ctrl-C stops all)`;
  } finally {
    client.close();
  }
}

/** Shows the cluster's state and every death until Ctrl-C, which stops all, or until something else has stopped it. */
async function stayInForeground(cli: Cli, options: UpOptions, progress: LiveLine, signal: AbortSignal): Promise<number> {
  const { style } = cli.context.stdout;
  const dataDir = cli.dataDir(options);
  let dead = new Set<string>();
  while (!signal.aborted) {
    // Read again each time: `kill --restart` and another `up` change the pids.
    const known = readCluster(dataDir);
    const nowDead = new Set(known.nodes.filter((node) => !isNodeProcess(node.pid, node.configFile)).map((node) => node.id));
    for (const id of nowDead) if (!dead.has(id)) progress.note(style.bad(`${id} is down: "shardlab kill ${id} --restart" or "shardlab up" starts it again`));
    for (const id of dead) if (!nowDead.has(id)) progress.note(style.good(`${id} runs again`));
    dead = nowDead;
    if (dead.size === known.nodes.length) {
      const wasStopped = known.nodes.every((node) => node.pid === null);
      progress.note(wasStopped ? 'the cluster was stopped by another command' : style.bad('every node has died'));
      return wasStopped ? EXIT_GOOD : EXIT_BAD;
    }
    progress.update(await watchLine(known));
    await pause(WATCH_INTERVAL_MS, signal);
  }
  progress.clear();
  const report = await stopCluster(dataDir);
  progress.note(`${report.stopped.length + report.killed.length} nodes stopped, no process is left`);
  return EXIT_GOOD;
}

/** `shardlab up`. */
export function upCommand(cli: Cli): Command {
  const command = cli.command('up', 'start a network of a beacon and some shards, or resume it');
  return cli
    .withSize(command, SHARDS_MAX, SHARDS_DEFAULT)
    .addOption(
      new Option('--base-port <port>', 'JSON-RPC ports from here on, then libp2p ports; 0: any free ones').default(BASE_PORT_DEFAULT).argParser(wholeNumber(0, 65_535)),
    )
    .addOption(new Option('--accounts <number>', 'funded accounts, derived from the seed').default(ACCOUNTS_DEFAULT).argParser(wholeNumber(1, ACCOUNTS_MAX)))
    .addOption(new Option('--seed <seed>', 'of all keys').default(SEED_DEFAULT).argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER)))
    .addOption(forkOption())
    .addOption(workersOption())
    .addOption(new Option('--trace <file>', "fund a trace's senders instead: ethereum-etl's or BlockEmulator's CSV, gzip too").argParser(text('a file')))
    .addOption(new Option('--log-level <level>', 'of the nodes (default: info; debug logs every transaction)').argParser(oneOf(Object.keys(LOG_LEVELS) as LogLevel[])))
    .option('--detach', 'return once the network is healthy; it goes on until "shardlab down"')
    .action(
      cli.run<UpOptions>(async (options, command) => {
        const progress = cli.progress(options);
        const wanted = request(cli, options, command);
        return cli.context.interruptible(async (signal) => {
          try {
            const opened = await startNetwork(cli.context, wanted, progress, signal);
            await announce(cli, options, opened);
            return options.detach === true ? EXIT_GOOD : await stayInForeground(cli, options, progress, signal);
          } finally {
            progress.clear();
          }
        });
      }),
    );
}
