import { resolve } from 'node:path';
import { ShardlabError } from '@shardlab/crosslink';
import { Command, CommanderError, Option } from 'commander';
import { COMMITTEE_SIZES, defaultDataDir, type NetworkSize } from '../cluster/layout.ts';
import { CliError, EXIT_BAD, EXIT_GOOD, EXIT_USAGE } from '../output/cli-error.ts';
import { LiveLine } from '../output/live-line.ts';
import type { Output } from '../output/output.ts';
import { printable } from '../output/style.ts';
import type { CliContext } from './context.ts';
import { committeeSize, rpcUrl, text, wholeNumber } from './values.ts';

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: true;
  readonly dataDir?: string;
}

/** Options of a command that talks to a network. */
export interface NetworkOptions extends CommonOptions {
  readonly rpc?: string;
}

/** Options of a command that makes a network. */
export interface SizeOptions {
  readonly shards: number;
  readonly validators: number;
  readonly beaconValidators?: number;
}

/** The size that the options give. */
export function sizeOf({ shards, validators, beaconValidators = validators }: SizeOptions): NetworkSize {
  return { shards, validators, beaconValidators };
}

/** One run of the program: makes commands alike, and remembers the exit code. */
export class Cli {
  readonly context: CliContext;
  /** Of the command that ran; {@link EXIT_USAGE} until one has. */
  exitCode: number = EXIT_USAGE;

  constructor(context: CliContext) {
    this.context = context;
  }

  /** A command whose errors are thrown, never printed or exited on, and which knows `--json` and `--data-dir`; `home` says where that is by default. */
  command(name: string, summary: string, home = `default: ${defaultDataDir(this.context.env)}`): Command {
    const command = new Command(name)
      .summary(summary)
      .description(summary)
      .exitOverride()
      .configureOutput({
        writeOut: (out) => this.context.stdout.write(out),
        writeErr: () => undefined,
        outputError: () => undefined,
        getOutHelpWidth: () => this.context.stdout.columns,
        getOutHasColors: () => false,
      })
      .helpOption('-h, --help', 'show this help');
    command.addOption(new Option('--json', 'answer in JSON, one line'));
    return command.addOption(
      new Option('--data-dir <directory>', `where the network lives (${home})`).argParser(text('a directory')),
    );
  }

  /** A command that also takes `--rpc`. */
  networkCommand(name: string, summary: string): Command {
    return this.command(name, summary).addOption(
      new Option('--rpc <url>', 'JSON-RPC of any node of the network (default: from cluster.json in the data directory)').argParser(rpcUrl),
    );
  }

  /** Adds the options that give the size of a new network: see {@link sizeOf}. */
  withSize(command: Command, shardsMax: number, shardsDefault: number): Command {
    return command
      .addOption(new Option('--shards <number>', `1 to ${shardsMax}`).default(shardsDefault).argParser(wholeNumber(1, shardsMax)))
      .addOption(new Option('--validators <number>', `of each committee: ${COMMITTEE_SIZES.join(', ')}`).default(1).argParser(committeeSize('--validators')))
      .addOption(new Option('--beacon-validators <number>', "of the beacon's (default: as many)").argParser(committeeSize('--beacon-validators')));
  }

  /** The action of a command: its result is the exit code. */
  run<Options>(action: (options: Options, command: Command, args: readonly string[]) => Promise<number>): (...all: unknown[]) => Promise<void> {
    return async (...all) => {
      // commander calls with the arguments, then the options, then the command.
      const command = all.at(-1) as Command;
      this.exitCode = await action(command.opts() as Options, command, command.args);
    };
  }

  /** The data directory that the options name, absolute. */
  dataDir(options: CommonOptions): string {
    return options.dataDir === undefined ? defaultDataDir(this.context.env) : resolve(this.context.cwd, options.dataDir);
  }

  /** A file that the user named, absolute. */
  file(path: string): string {
    return resolve(this.context.cwd, path);
  }

  /** Progress: beside the answer for people; with `--json` on a terminal's stderr only, so that the answer stays alone. */
  progress(options: CommonOptions): LiveLine {
    return new LiveLine(this.progressOutput(options));
  }

  /** Where {@link progress} goes; undefined: nowhere. */
  progressOutput(options: CommonOptions): Output | undefined {
    const { stdout, stderr } = this.context;
    if (options.json !== true) return stdout;
    return stderr.isTerminal ? stderr : undefined;
  }

  /** Prints the one line that `error` deserves, and returns the exit code. */
  fail(error: unknown): number {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT_GOOD;
    this.context.stderr.write(`shardlab: ${printable(errorLine(error))}\n`);
    if (this.context.env['SHARDLAB_DEBUG'] === '1' && error instanceof Error) this.context.stderr.write(`${error.stack ?? ''}\n`);
    return exitCodeOf(error);
  }
}

/** Whether an option stood on the command line, rather than having its default. */
export function given(command: Command, option: string): boolean {
  return command.getOptionValueSource(option) === 'cli';
}

// What was asked is wrong, or nobody is there to be asked. Other codes: the work was begun.
const USAGE_CODES = /^(?:trace|workload|genesis|cluster)\/|^rpc\/(?:url|unreachable|timeout|bad-answer)$|^audit\/(?:unreachable|url|bad-answer|ledger|too-large)$|^load\/(?:options|network)$|^sim\/(?:faults|seeds|validators|shards|latency|plan)$|^latency\/model$|^report\/unwritable$/;

function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof CommanderError) return EXIT_USAGE;
  return error instanceof ShardlabError && USAGE_CODES.test(error.code) ? EXIT_USAGE : EXIT_BAD;
}

/** Errors of commander that name what is wrong, but not what would be right. */
const HELPFUL = new Set(['commander.unknownCommand', 'commander.unknownOption', 'commander.missingArgument', 'commander.excessArguments']);

function errorLine(error: unknown): string {
  // What commander does when no command is named: it would show the help.
  if (error instanceof CommanderError && error.code === 'commander.help') return 'name a command, such as demo or up ("shardlab --help" lists them)';
  if (error instanceof CommanderError) {
    const hint = HELPFUL.has(error.code) && !error.message.includes('Did you mean') ? ' ("shardlab --help" lists the commands, "shardlab COMMAND --help" their options)' : '';
    return error.message.replace(/^error: /, '') + hint;
  }
  if (error instanceof ShardlabError && error.code === 'rpc/unreachable') {
    return `${error.message} (is that network up? "shardlab up" starts one, and cluster.json names the URLs of its nodes)`;
  }
  if (error instanceof ShardlabError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  return `unexpected error: ${message} (SHARDLAB_DEBUG=1 shows where)`;
}
