import { type Command, Option } from 'commander';
import { readCluster } from '../cluster/cluster-file.ts';
import { EXIT_GOOD, usageError } from '../output/cli-error.ts';
import { formatLogEntry, LOG_LEVELS, type LogLevel, logMatcher } from '../output/log-entry.ts';
import { followLogs, readLogs } from '../output/log-files.ts';
import { SHARDS_MAX } from '@shardlab/crosslink';
import type { Cli, CommonOptions } from './cli.ts';
import { hex, oneOf, text, wholeNumber } from './values.ts';

interface LogsOptions extends CommonOptions {
  readonly shard?: number;
  readonly event?: string;
  readonly tx?: string;
  readonly level?: LogLevel;
  readonly follow?: true;
}

/** Beside an empty answer, on stderr: it is no error, and what reads the lines wants lines only. */
const NO_TRANSACTION = 'no line names this transaction: nodes write such lines at log level debug only ("shardlab up --log-level debug"); "shardlab trace" needs none';

/** `shardlab logs`. */
export function logsCommand(cli: Cli): Command {
  return cli
    .command('logs', "all nodes' logs as one, filtered; in a pipe the nodes' own NDJSON")
    .addOption(new Option('--shard <shard>', 'only the nodes of this shard').argParser(wholeNumber(0, SHARDS_MAX - 1)))
    .addOption(new Option('--event <glob>', 'only events like this, such as block.* (* any characters, ? one)').argParser(text('an event')))
    .addOption(new Option('--tx <hash>', 'only lines that name this transaction (written at level debug)').argParser(hex(32, 'a transaction hash')))
    .addOption(new Option('--level <level>', 'only this level and above').argParser(oneOf(Object.keys(LOG_LEVELS) as LogLevel[])))
    .option('-f, --follow', 'go on as lines are written, until Ctrl-C')
    .action(
      cli.run<LogsOptions>(async (options) => {
        const { stdout, stderr } = cli.context;
        const cluster = readCluster(cli.dataDir(options));
        const { shard } = options;
        if (shard !== undefined && shard >= cluster.shards) {
          throw usageError('cli/shard', `there is no shard ${shard}: this network has ${cluster.shards} shards, from 0 on`);
        }
        const sources = cluster.nodes.filter((node) => shard === undefined || node.shard === shard);
        const matches = logMatcher({ ...options, tx: options.tx?.toLowerCase() });
        const raw = options.json === true || !stdout.isTerminal;
        let printed = 0;
        const print = async (signal: AbortSignal): Promise<void> => {
          const until = AbortSignal.any([signal, stdout.closed]);
          for await (const entry of options.follow === true ? followLogs(sources, until) : readLogs(sources)) {
            if (until.aborted) return;
            if (!matches(entry)) continue;
            printed += 1;
            stdout.write(`${raw ? entry.raw : formatLogEntry(entry, stdout.style)}\n`);
          }
        };
        // Following ends by Ctrl-C, always: that is its good end.
        await (options.follow === true ? cli.context.interruptible(print) : print(stdout.closed));
        if (options.tx !== undefined && printed === 0) stderr.write(`shardlab: ${NO_TRANSACTION}\n`);
        return EXIT_GOOD;
      }),
    );
}
