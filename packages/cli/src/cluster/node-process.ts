import { spawn } from 'node:child_process';
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { printable } from '../output/style.ts';
import { CONFIG_FLAG, isNodeProcess, type NodeProcess, processStartToken } from './process-identity.ts';
import { waitFor } from './wait.ts';
import { compileCacheDir, type NodePaths } from './layout.ts';

const STDERR_FILE_BYTES_MAX = 1_048_576;
const STDERR_LINE_BYTES_MAX = 2_048;
const HEALTH_TIMEOUT_MS = 2_000;

/** How node processes are started. */
export interface NodeLaunch {
  /** Node.js and its first arguments; `--config FILE` follows. */
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A process that this command has started. */
export interface StartedNode {
  readonly pid: number;
  /** How it ended; undefined while it runs. */
  readonly ended: () => string | undefined;
  /** The first line that it wrote to stderr since it started, made safe for a terminal; undefined when there is none. */
  readonly complaint: () => string | undefined;
}

function firstLine(file: string, fromByte: number): string | undefined {
  const descriptor = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(STDERR_LINE_BYTES_MAX);
    const text = buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, fromByte));
    const line = text.split('\n').find((candidate) => candidate.trim() !== '');
    return line === undefined ? undefined : printable(line.trim());
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Starts one node, whose directory and configuration exist, in a session of its own, so that neither Ctrl-C nor the end of this program reaches it. It inherits no stdio: a caller that reads our
 * output through a pipe would otherwise wait for as long as the node lives. `flags` are V8's. Throws nothing: what goes wrong
 * is told by `ended` and `complaint`.
 */
export function spawnNode(launch: NodeLaunch, flags: readonly string[], paths: NodePaths): StartedNode {
  const stderr = openSync(paths.stderrFile, 'a', 0o644);
  let offset = fstatSync(stderr).size;
  if (offset > STDERR_FILE_BYTES_MAX) {
    ftruncateSync(stderr, 0);
    offset = 0;
  }
  const [program, ...first] = launch.command;
  const child = spawn(program, [...flags, ...first, CONFIG_FLAG, paths.configFile], {
    cwd: paths.directory,
    detached: true,
    stdio: ['ignore', 'ignore', stderr],
    env: { ...launch.env, NODE_COMPILE_CACHE: compileCacheDir(launch.env) },
  });
  closeSync(stderr);
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = signal === null ? `exit code ${code}` : `signal ${signal}`));
  child.unref();
  return { pid: child.pid ?? 0, ended: () => ended, complaint: () => firstLine(paths.stderrFile, offset) };
}

/** What a node says at `/healthz`. */
export interface NodeHealth {
  readonly healthy: boolean;
  /** Why it is not. */
  readonly reason?: string;
  /** Ids of the nodes that it is connected to. */
  readonly connected: readonly string[];
}

/** Asks `/healthz`; undefined when nothing answers there, or nothing that a node would say. */
export async function readHealth(rpcUrl: string, signal?: AbortSignal): Promise<NodeHealth | undefined> {
  const timeout = AbortSignal.timeout(HEALTH_TIMEOUT_MS);
  try {
    const answer = await fetch(new URL('/healthz', rpcUrl), { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) });
    const { connected, reason } = (await answer.json()) as { connected?: unknown; reason?: unknown };
    if (!Array.isArray(connected)) return undefined;
    const why = typeof reason === 'string' ? { reason } : {};
    return { healthy: answer.status === 200, ...why, connected: connected.filter((id) => typeof id === 'string') };
  } catch {
    return undefined;
  }
}

/** Sends `signal` if the process still is that node. */
export function signalNode(node: NodeProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (!isNodeProcess(node.pid, node.configFile)) return;
  try {
    process.kill(node.pid, signal);
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits until none of `nodes` runs; those that still do after `timeoutMs`. What has ended holds no port any more. */
export async function waitUntilGone<T extends NodeProcess>(nodes: readonly T[], timeoutMs: number): Promise<readonly T[]> {
  let left = nodes;
  await waitFor(() => {
    left = left.filter((node) => processStartToken(node.pid) === node.startToken);
    return left.length === 0 ? true : undefined;
  }, timeoutMs);
  return left;
}
