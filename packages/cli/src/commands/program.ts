import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { EXIT_GOOD } from '../output/cli-error.ts';
import { auditCommand } from './audit.ts';
import { chaosCommand } from './chaos.ts';
import { composeCommand } from './compose.ts';
import { Cli } from './cli.ts';
import type { CliContext } from './context.ts';
import { demoCommand } from './demo.ts';
import { downCommand } from './down.ts';
import { killCommand } from './kill.ts';
import { loadCommand } from './load.ts';
import { logsCommand } from './logs.ts';
import { nodeCommand } from './node.ts';
import { sendCommand } from './send.ts';
import { statusCommand } from './status.ts';
import { simCommand } from './sim.ts';
import { traceCommand } from './trace.ts';
import { upCommand } from './up.ts';

/** The commands in the order in which the help lists them. */
const COMMANDS = [
  demoCommand,
  upCommand,
  loadCommand,
  statusCommand,
  sendCommand,
  killCommand,
  chaosCommand,
  traceCommand,
  logsCommand,
  auditCommand,
  simCommand,
  composeCommand,
  downCommand,
];

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return manifest.version;
}

function program(cli: Cli): Command {
  const root = new Command('shardlab')
    .description('A sharded blockchain to run, load, break and inspect on a laptop.')
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (out) => cli.context.stdout.write(out),
      writeErr: () => undefined,
      outputError: () => undefined,
      getOutHelpWidth: () => cli.context.stdout.columns,
      getOutHasColors: () => false,
    })
    .addHelpText('after', '\nExit codes: 0 good, 1 the answer is bad, 2 it could not start on what you asked.\n');
  for (const command of COMMANDS) root.addCommand(command(cli));
  root.addCommand(nodeCommand(cli), { hidden: true });
  return root;
}

/**
 * Runs one command line, without the program's name, and returns the exit code: 0 good, 1 the answer is bad, 2 it could not start on what was asked, 130
 * interrupted. Writes at most one line to stderr, and never throws.
 */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  const cli = new Cli(context);
  cli.exitCode = EXIT_GOOD;
  try {
    await program(cli).parseAsync([...args], { from: 'user' });
    return cli.exitCode;
  } catch (error) {
    return cli.fail(error);
  }
}
