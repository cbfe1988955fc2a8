/** Runs the `shardlab` program as a user does: a process of its own, its exit code, and all that it prints. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** The program's entry point. */
const PROGRAM = fileURLToPath(new URL('../../packages/cli/bin/shardlab.js', import.meta.url));
/** A command that takes longer hangs: none of the tests' commands needs half of it. */
const COMMAND_TIMEOUT_MS = 150_000;

/** What one command line came to. */
export interface Ran {
  /** -1 when it was ended for taking too long. */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A command that runs now. */
export interface Running {
  readonly child: ChildProcess;
  /** Never rejects for what the command does. */
  readonly done: Promise<Ran>;
  /** Whether it has ended. */
  ended(): boolean;
}

/** Starts `command` with `args`; it is killed after {@link COMMAND_TIMEOUT_MS}. */
export function startCommand(command: readonly [string, ...string[]], args: readonly string[], cwd: string): Running {
  const [program, ...first] = command;
  const child = spawn(program, [...first, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
  let out = '';
  let err = '';
  let tooLong = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const timer = setTimeout(() => {
    tooLong = true;
    child.kill('SIGKILL');
  }, COMMAND_TIMEOUT_MS);
  let ended = false;
  const done = new Promise<Ran>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      ended = true;
      const note = tooLong ? `\n(ended after ${COMMAND_TIMEOUT_MS / 1000} s: ${args.join(' ')})` : '';
      resolve({ code: code ?? -1, out, err: err + note });
    });
  });
  return { child, done, ended: () => ended };
}

/** Starts `shardlab` with `args`. */
export function startShardlab(args: readonly string[], cwd: string): Running {
  return startCommand([process.execPath, PROGRAM], args, cwd);
}
