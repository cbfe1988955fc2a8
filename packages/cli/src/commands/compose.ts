import { writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { type Genesis, SHARDS_MAX } from '@shardlab/crosslink';
import { type Command, Option } from 'commander';
import { composeFile } from '../cluster/compose-file.ts';
import { EXIT_GOOD, usageError } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import { type Cli, type CommonOptions, type SizeOptions, sizeOf } from './cli.ts';
import { ACCOUNTS_DEFAULT, SEED_DEFAULT, SHARDS_DEFAULT } from './start-network.ts';
import { forkOption, workersOption } from './node-options.ts';
import { imageName, text, wholeNumber } from './values.ts';

const PROJECT = join(import.meta.dirname, '..', '..', '..', '..');
const ACCOUNTS_MAX = 2_000_000;

interface ComposeCommandOptions extends CommonOptions, SizeOptions {
  readonly accounts: number;
  readonly seed: number;
  readonly fork: Genesis['forks'];
  readonly workers?: number;
  readonly image?: string;
  readonly out?: string;
}

/** Path from `directory` to the project, as compose reads it; `.` for the project itself. */
function contextFrom(directory: string): string {
  return relative(directory, PROJECT).split(sep).join('/') || '.';
}

function write(cli: Cli, options: ComposeCommandOptions): void {
  const { stdout, cwd } = cli.context;
  const { accounts, seed, image, fork, workers = 0 } = options;
  const file = options.out === undefined ? undefined : cli.file(options.out);
  const compose = composeFile({ ...sizeOf(options), accounts, seed, fork, workers, image, context: contextFrom(file === undefined ? cwd : dirname(file)) });
  if (file === undefined) {
    if (options.json === true) writeJsonLine(stdout, { ok: true, compose });
    else stdout.write(compose);
    return;
  }
  try {
    writeFileSync(file, compose);
  } catch (cause) {
    throw usageError('cli/unwritable', `${file} cannot be written (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}): choose another --out`, { cause });
  }
  if (options.json === true) writeJsonLine(stdout, { ok: true, file });
  else writeLines(stdout, [`${file} is written: "docker compose -f ${file} up${image === undefined ? ' --build' : ''}" starts the network`]);
}

/** `shardlab compose`: prints a docker compose file, or writes it. */
export function composeCommand(cli: Cli): Command {
  const command = cli.command('compose', 'print a docker compose file for a network: every node a container');
  return cli
    .withSize(command, SHARDS_MAX, SHARDS_DEFAULT)
    .addOption(new Option('--accounts <number>', 'funded accounts').default(ACCOUNTS_DEFAULT).argParser(wholeNumber(1, ACCOUNTS_MAX)))
    .addOption(new Option('--seed <seed>', 'of all keys').default(SEED_DEFAULT).argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER)))
    .addOption(forkOption())
    .addOption(workersOption())
    .addOption(new Option('--image <name>', 'an image that exists (default: build the project)').argParser(imageName))
    .addOption(new Option('--out <file>', 'write it there instead').argParser(text('a file')))
    .action(
      cli.run<ComposeCommandOptions>((options) => {
        write(cli, options);
        return Promise.resolve(EXIT_GOOD);
      }),
    );
}
