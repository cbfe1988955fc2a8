/** Runs one test file in a process group of its own, and judges what it did. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunnerEvent } from './events-reporter.ts';
import { endAll, findStrays, MARK_VARIABLE } from './strays.ts';

/** Most bytes of output that are kept for one file; the rest is counted and left out. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
/** How long a child of a finished test may take to disappear. */
const STRAY_GRACE_MS = 3_000;
/** How long to wait for the last output of a process that is gone. */
const PIPE_GRACE_MS = 5_000;

/** Bounds and options of one run of a file. */
export interface RunFileOptions {
  readonly root: string;
  readonly testTimeoutMs: number;
  readonly fileTimeoutMs: number;
  /** A file whose tests have all ended must end too, within this time: otherwise it leaks a handle. */
  readonly leakGraceMs: number;
  readonly env: NodeJS.ProcessEnv;
  /** Passed to `--test-name-pattern`. */
  readonly namePattern?: string | undefined;
  readonly colours: boolean;
}

/** What one file came to. */
export interface FileResult {
  readonly passed: number;
  readonly skipped: number;
  /** Failed tests, and one for each thing that is wrong with the file as a whole. */
  readonly failed: number;
  /** What is wrong with the file as a whole, for people. */
  readonly complaints: readonly string[];
  readonly output: string;
  readonly durationMs: number;
}

/** A file that runs now. */
export interface RunningFile {
  readonly result: Promise<FileResult>;
  /** Names of tests that have begun or wait, for the report of a run that was cut short. */
  pendingTests(): string[];
  /** Kills the file's process group and everything that it started. */
  end(reason: string): void;
}

const REPORTER = fileURLToPath(new URL('./events-reporter.ts', import.meta.url));

function start(path: string, mark: string, options: RunFileOptions): ChildProcess {
  const args = [
    `--test-timeout=${options.testTimeoutMs}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${REPORTER}`,
    '--test-reporter-destination=stderr',
    ...(options.namePattern === undefined ? [] : [`--test-name-pattern=${options.namePattern}`]),
    path,
  ];
  const env: NodeJS.ProcessEnv = { ...options.env, [MARK_VARIABLE]: mark, ...(options.colours ? { FORCE_COLOR: '1' } : {}) };
  // This variable makes a nested runner change its output; a test run may itself have been started by a test.
  delete env['NODE_TEST_CONTEXT'];
  return spawn(process.execPath, args, { cwd: options.root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
}

/** Counts events, and knows which tests have not ended. */
class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  done = false;
  lastEventMs = Date.now();
  private readonly open = new Map<string, number>();

  take(event: RunnerEvent): void {
    this.lastEventMs = Date.now();
    const count = this.open.get(event.name) ?? 0;
    if (event.type === 'enqueue') this.open.set(event.name, count + 1);
    else if (event.type === 'complete' && count > 1) this.open.set(event.name, count - 1);
    else if (event.type === 'complete') this.open.delete(event.name);
    else if (event.type === 'summary') this.done = true;
    else if (!event.suite) this.judge(event);
  }

  private judge(event: RunnerEvent): void {
    if (event.skipped) this.skipped++;
    else if (event.type === 'pass') this.passed++;
    else if (!event.bySubtest) this.failed++;
  }

  pending(): string[] {
    return [...this.open.keys()];
  }

  /** True when every test that was announced has ended, some time ago. */
  idle(graceMs: number): boolean {
    return this.open.size === 0 && this.passed + this.failed + this.skipped > 0 && Date.now() - this.lastEventMs > graceMs;
  }
}

/** Keeps the first {@link OUTPUT_BYTES_MAX} bytes of both streams, in the order in which they came. */
function collect(child: ChildProcess): () => string {
  const chunks: Buffer[] = [];
  let kept = 0;
  let dropped = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      if (kept + chunk.length > OUTPUT_BYTES_MAX) dropped += chunk.length;
      else {
        chunks.push(chunk);
        kept += chunk.length;
      }
    });
  }
  return () => Buffer.concat(chunks).toString('utf8') + (dropped > 0 ? `\n(${dropped} more bytes of output left out)\n` : '');
}

/** Waits for what the file started to disappear; ends what does not. */
async function sweep(mark: string): Promise<string[]> {
  const until = Date.now() + STRAY_GRACE_MS;
  let strays = findStrays(mark);
  while (strays.length > 0 && Date.now() < until) {
    await delay(100);
    strays = findStrays(mark);
  }
  if (strays.length > 0) endAll(undefined, mark);
  return strays.map((stray) => `left a process running: ${stray.pid} ${stray.command}`);
}

/** Starts `path` (relative to `options.root`). The result never rejects for what the file does. */
export function runFile(path: string, options: RunFileOptions): RunningFile {
  const startedMs = Date.now();
  const mark = randomUUID();
  const child = start(path, mark, options);
  const output = collect(child);
  const tally = new Tally();
  const complaints: string[] = [];
  const events = createInterface({ input: child.stdio[3] as Readable });
  events.on('line', (line) => tally.take(JSON.parse(line) as RunnerEvent));

  let ended = false;
  const end = (reason: string): void => {
    if (ended) return;
    ended = true;
    const pending = tally.pending();
    complaints.push(pending.length === 0 ? reason : `${reason}; not ended: ${pending.slice(0, 5).join(', ')}`);
    endAll(child.pid, mark);
  };
  const watch = setInterval(() => {
    if (Date.now() - startedMs > options.fileTimeoutMs) end(`took longer than ${options.fileTimeoutMs / 1000} s`);
    else if (!tally.done && tally.idle(options.leakGraceMs)) end(`all tests ended ${options.leakGraceMs / 1000} s ago, but the process did not: something is left open`);
  }, 500);

  const judge = async (code: number | null, signal: NodeJS.Signals | null): Promise<FileResult> => {
    clearInterval(watch);
    complaints.push(...(await sweep(mark)));
    // With the strays gone nobody holds the pipes: what is still in them arrives before `close`.
    await Promise.race([closed, delay(PIPE_GRACE_MS, undefined, { ref: false })]);
    events.close();
    if (!ended && code !== 0 && tally.failed === 0) complaints.push(`exited with ${signal ?? code} although no test failed`);
    if (!ended && code === 0 && tally.passed + tally.failed + tally.skipped === 0) complaints.push('has no tests');
    const failed = tally.failed + complaints.length;
    return { passed: tally.passed, skipped: tally.skipped, failed, complaints, output: output(), durationMs: Date.now() - startedMs };
  };
  const closed = new Promise<void>((settle) => child.once('close', () => settle()));
  const result = new Promise<FileResult>((settle, fail) => {
    child.once('error', fail);
    // `exit`, not `close`: a stray that inherited the output would keep it open for ever.
    child.once('exit', (code, signal) => void judge(code, signal).then(settle, fail));
  });
  return { result, pendingTests: () => tally.pending(), end };
}
