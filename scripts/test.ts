/**
 * `npm test`: runs every test file in a process of its own, some side by side, and says at the end `N passed, N failed`.
 *
 *   npm test                                   everything
 *   npm test -- packages/shard/test/unit       a folder, a file, or a part of a path
 *   npm test -- --only sim --only property     kinds
 *   npm test -- --name 'wait-die' locks        tests whose name matches
 *
 * A file without tests, a file that leaves a handle or a process behind, and a run with fewer tests than there once were are failures. Node's
 * own runner (`node --test`) passes the first, hangs on the second and cannot know of the third; each file here is a plain `node FILE`.
 * Exit code: 0 all passed, 1 something failed, 2 nothing could be started.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runFile } from './test-runner/run-file.ts';
import type { FileResult, RunFileOptions, RunningFile } from './test-runner/run-file.ts';
import { discover, select, TEST_KINDS } from './test-runner/select.ts';
import type { TestFile, TestKind } from './test-runner/select.ts';

/** A run of everything with fewer files or tests than this has lost some. Raise both as the project grows. */
const FILES_MIN = 175;
const TESTS_MIN = 1_760;
/** Default bound of one test; a test that needs more says so itself. */
const TEST_TIMEOUT_MS = 240_000;
const FILE_TIMEOUT_MS = 600_000;
const LEAK_GRACE_MS = 20_000;
/** Below the bound of the continuous integration, which has other things to do besides. */
const RUN_DEADLINE_MS = 20 * 60_000;

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Plan {
  readonly files: readonly TestFile[];
  /** True if the command line asked for everything: only then the minimum counts hold. */
  readonly complete: boolean;
  readonly concurrency: number;
  readonly deadlineMs: number;
  readonly options: RunFileOptions;
}

/** Ends the program: the question was wrong, not the answer. */
function refuse(message: string): never {
  process.stderr.write(`test: ${message}\n`);
  process.exit(2);
}

function positive(text: string | undefined, name: string, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) refuse(`--${name} takes a whole number of at least 1, not ${text}`);
  return value;
}

function parseCommandLine(): ReturnType<typeof parse> {
  try {
    return parse();
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function parse() {
  return parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true },
      name: { type: 'string' },
      concurrency: { type: 'string' },
      'deadline-s': { type: 'string' },
      root: { type: 'string' },
      list: { type: 'boolean' },
    },
  });
}

function plan(cache: string): Plan {
  const { values, positionals } = parseCommandLine();
  const kinds = values.only ?? [];
  for (const kind of kinds) if (!(TEST_KINDS as readonly string[]).includes(kind)) refuse(`--only takes ${TEST_KINDS.join(', ')}, not ${kind}`);
  const root = values.root ?? ROOT;
  const files = select(discover(root), kinds as TestKind[], positionals, root);
  if (files.length === 0) refuse('no test file matches');
  if (values.list === true) {
    for (const file of files) process.stdout.write(`${file.kind.padEnd(8)} ${file.path}\n`);
    process.exit(0);
  }
  const env = { ...process.env, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? cache };
  return {
    files,
    complete: kinds.length === 0 && positionals.length === 0 && values.name === undefined && values.root === undefined,
    concurrency: positive(values.concurrency, 'concurrency', Math.min(4, availableParallelism())),
    deadlineMs: positive(values['deadline-s'], 'deadline-s', RUN_DEADLINE_MS / 1000) * 1000,
    options: {
      root,
      testTimeoutMs: TEST_TIMEOUT_MS,
      fileTimeoutMs: FILE_TIMEOUT_MS,
      leakGraceMs: LEAK_GRACE_MS,
      env,
      namePattern: values.name,
      colours: process.stdout.isTTY,
    },
  };
}

/** On a terminal everything is shown, elsewhere the output of what failed. */
function show(file: TestFile, result: FileResult): void {
  const verdict = result.failed === 0 ? 'ok  ' : 'FAIL';
  const skipped = result.skipped === 0 ? '' : `, ${result.skipped} skipped`;
  process.stdout.write(`${verdict} ${file.path} (${result.passed} passed, ${result.failed} failed${skipped}, ${(result.durationMs / 1000).toFixed(1)} s)\n`);
  if (process.stdout.isTTY || result.failed > 0) process.stdout.write(result.output);
  for (const complaint of result.complaints) process.stdout.write(`     ${file.path} ${complaint}\n`);
}

/** Runs the plan; `running` is what a deadline or a signal has to end. */
async function execute(what: Plan, running: Map<TestFile, RunningFile>, stopped: () => boolean): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const worker = async (queue: TestFile[]): Promise<void> => {
    for (let file = queue.shift(); file !== undefined && !stopped(); file = queue.shift()) {
      const run = runFile(file.path, what.options);
      running.set(file, run);
      const result = await run.result;
      running.delete(file);
      // A name pattern leaves most files without tests; there that is no failure.
      const empty = what.options.namePattern !== undefined && result.complaints.length === 1 && result.complaints[0] === 'has no tests';
      if (empty) continue;
      results.push(result);
      show(file, result);
    }
  };
  const together = what.files.filter((file) => !file.alone);
  await Promise.all(Array.from({ length: what.concurrency }, () => worker(together)));
  await worker(what.files.filter((file) => file.alone));
  return results;
}

async function main(): Promise<number> {
  if (Number(process.versions.node.split('.')[0]) < 24) refuse(`needs Node 24, this is ${process.versions.node}: run it with npm test`);
  const cache = mkdtempSync(join(tmpdir(), 'shardlab-compile-cache-'));
  process.once('exit', () => rmSync(cache, { recursive: true, force: true }));
  const what = plan(cache);
  const running = new Map<TestFile, RunningFile>();
  let stopReason: string | undefined;
  const stop = (reason: string): void => {
    stopReason = reason;
    process.stdout.write(`${reason}; still running: ${[...running.keys()].map((file) => file.path).join(', ') || 'nothing'}\n`);
    for (const run of running.values()) run.end(reason);
  };
  // The reader of a pipe may go away, and this very program may fail: nothing may go on running without it.
  process.stdout.on('error', () => process.exit(1));
  process.on('exit', () => {
    for (const run of running.values()) run.end('the run ended');
  });
  const deadline = setTimeout(() => stop(`the whole run took longer than ${what.deadlineMs / 1000} s`), what.deadlineMs);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(`ended by ${signal}`));

  const results = await execute(what, running, () => stopReason !== undefined);
  clearTimeout(deadline);

  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const result of results) {
    passed += result.passed;
    failed += result.failed;
    skipped += result.skipped;
  }
  const missing = what.files.length - results.length;
  if (stopReason !== undefined && missing > 0) {
    failed += missing;
    process.stdout.write(`${missing} files were not run\n`);
  }
  if (passed + failed === 0) {
    failed++;
    process.stdout.write('no test ran\n');
  }
  if (what.complete && (what.files.length < FILES_MIN || passed + failed + skipped < TESTS_MIN)) {
    failed++;
    process.stdout.write(`${what.files.length} files and ${passed + failed + skipped} tests: at least ${FILES_MIN} and ${TESTS_MIN} were expected\n`);
  }
  if (skipped > 0) process.stdout.write(`${skipped} skipped\n`);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
