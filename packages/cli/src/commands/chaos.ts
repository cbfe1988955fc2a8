import { type Command, InvalidArgumentError, Option } from 'commander';
import { bandwidth, duration, rate } from '../chaos/values.ts';
import { EXIT_BAD, EXIT_GOOD, usageError } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import type { Cli, CommonOptions } from './cli.ts';
import { decimal, text, wholeNumber } from './values.ts';

const DURATION_DEFAULT_MS = 60_000;
const SEED_DEFAULT = 1;

interface ChaosCommandOptions extends CommonOptions {
  readonly kill?: number;
  readonly pause?: number;
  readonly partition?: number;
  readonly latency?: string;
  readonly loss?: number;
  readonly bandwidth?: number;
  readonly beyondF?: true;
  readonly seed: number;
  readonly for: number;
}

/** A share below 1: with all lost there is no network left. */
function loss(value: string): number {
  const share = decimal(0, 1, true)(value);
  if (share < 1) return share;
  throw new InvalidArgumentError('Give a probability from 0 to below 1.');
}

/** `shardlab chaos`: exit code 1 when a fault could not be applied or healed, 2 when there is no cluster. */
export function chaosCommand(cli: Cli): Command {
  return cli
    .command('chaos', 'faults from a seed against a running cluster, healed at the end')
    .addOption(new Option('--kill <rate>', 'SIGKILL and restart: events a minute over the cluster, or 0.1/s').argParser(rate))
    .addOption(new Option('--pause <rate>', 'SIGSTOP, and SIGCONT a few seconds later').argParser(rate))
    .addOption(new Option('--partition <rate>', 'cut some nodes off from the others, both ways or one').argParser(rate))
    .addOption(new Option('--latency <model>', 'of all links: constant:20ms, uniform:1ms..5ms, normal:50ms±10ms, lan or wan').argParser(text('a latency model')))
    .addOption(new Option('--loss <probability>', 'of each message on all links').argParser(loss))
    .addOption(new Option('--bandwidth <bytes>', 'a second, of each link: 200kB/s, 5MB/s').argParser(bandwidth))
    .addOption(new Option('--beyond-f', 'let more than f validators of a committee fail at once'))
    .addOption(new Option('--seed <seed>', 'of all that is drawn').default(SEED_DEFAULT).argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER)))
    .addOption(new Option('--for <duration>', 'how long').default(DURATION_DEFAULT_MS, '60s').argParser(duration))
    .action(
      cli.run<ChaosCommandOptions>(async (options) => {
        // At its first use: it brings the nodes' package with it.
        const [{ runChaos }, { chaosLineText, chaosReportLines }, { parseLatencySpec }] = await Promise.all([
          import('../chaos/run-chaos.ts'),
          import('../chaos/lines.ts'),
          import('@shardlab/node'),
        ]);
        const { json, latency, for: durationMs, dataDir: _dataDir, ...rest } = options;
        const { stdout, nodeCommand, env } = cli.context;
        const spec = latency === undefined ? undefined : latencySpec(latency, parseLatencySpec);
        const progress = cli.progressOutput(options);
        return cli.context.interruptible(async (signal) => {
          const request = { ...rest, durationMs, latency: spec, dataDir: cli.dataDir(options), launch: { command: nodeCommand, env } };
          const report = await runChaos(request, {
            signal,
            onLine: (line) => {
              const shown = chaosLineText(line);
              if (shown !== undefined) progress?.write(`${shown}\n`);
            },
          });
          if (json === true) writeJsonLine(stdout, report);
          else writeLines(stdout, chaosReportLines(report));
          signal.throwIfAborted();
          return report.ok ? EXIT_GOOD : EXIT_BAD;
        });
      }),
    );
}

function latencySpec<T>(given: string, parse: (text: string) => T): T {
  try {
    return parse(given);
  } catch (error) {
    throw usageError('cli/latency', `option '--latency <model>': ${(error as Error).message}`, { cause: error });
  }
}
