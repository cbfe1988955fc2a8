/**
 * `npm run test:ethereum -- --dir DIR [--json] [--filter TEXT] [--workers N]`: runs every GeneralStateTest below DIR for the forks that are implemented, and checks
 * that the post-state's Merkle Patricia root and the hash of the logs are Ethereum's, and that what must be refused is. The files are those of ethereum/tests and
 * of execution-spec-tests' `state_tests`.
 * Failures by name on stdout, and as the last line `N passed, N failed, N skipped`. With --json stdout is one line of JSON, and that line goes to stderr.
 * Exit code: 0 all passed, 1 something failed, or nothing was there to run, 2 a wrong command line.
 */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { testFiles } from '../test/ethereum/files.ts';
import { messageOf } from '../test/ethereum/outcome.ts';
import { runAll } from '../test/ethereum/pool.ts';
import { Report } from '../test/ethereum/report.ts';

/** The slowest file of ethereum/tests takes some 15 seconds of a core. */
const FILE_TIMEOUT_MS = 600_000;
const WORKERS_MAX = 256;

interface CommandLine {
  readonly dir: string;
  readonly json: boolean;
  readonly filter: string | undefined;
  readonly workers: number;
}

function refuse(message: string): never {
  process.stderr.write(`test:ethereum: ${message}\n`);
  process.exit(2);
}

function parse(): CommandLine {
  const { values } = parseArgs({
    options: { dir: { type: 'string' }, json: { type: 'boolean', default: false }, filter: { type: 'string' }, workers: { type: 'string' } },
  });
  if (values.dir === undefined) throw new Error('--dir DIR is missing: a directory with GeneralStateTests');
  const workers = values.workers === undefined ? availableParallelism() : Number(values.workers);
  if (!Number.isInteger(workers) || workers < 1 || workers > WORKERS_MAX) throw new Error(`--workers takes 1 to ${WORKERS_MAX}, not ${values.workers}`);
  // npm runs scripts in the project's root; what the user typed is relative to where they are.
  return { dir: resolve(process.env.INIT_CWD ?? '.', values.dir), json: values.json, filter: values.filter, workers };
}

async function main(): Promise<void> {
  let commandLine: CommandLine;
  try {
    commandLine = parse();
  } catch (error) {
    return refuse(messageOf(error));
  }
  const { dir, json, filter, workers } = commandLine;
  const report = new Report({ json });
  try {
    const files = await testFiles(dir);
    report.start(files.length);
    await runAll(files, { workers, timeoutMs: FILE_TIMEOUT_MS, filter }, (_job, outcome) => report.add(outcome));
  } catch (error) {
    report.addProblem(messageOf(error));
  }
  process.exitCode = report.finish();
}

await main();
