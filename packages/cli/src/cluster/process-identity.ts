import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const PS_TIMEOUT_MS = 5_000;
/** The option by which a node process is told its configuration, and recognised. */
export const CONFIG_FLAG = '--config';

/** The command line of a live process, arguments separated by NUL (Linux) or spaces (elsewhere); undefined when there is no such process. */
function commandLine(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      // A zombie's command line is empty: it runs no more, only its parent has not looked yet.
      const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return text === '' ? undefined : text;
    } catch {
      return undefined;
    }
  }
  try {
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8', timeout: PS_TIMEOUT_MS }).trim();
  } catch {
    return undefined;
  }
}

/**
 * Whether process `pid` runs now and is the node whose configuration is `configFile`. Pids are reused, so a pid on disk proves nothing: the
 * absolute path on the command line does. What cannot be looked at counts as foreign, and is never signalled.
 */
export function isNodeProcess(pid: number | null, configFile: string): boolean {
  if (pid === null) return false;
  const separator = process.platform === 'linux' ? '\0' : ' ';
  return commandLine(pid)?.includes(`${CONFIG_FLAG}${separator}${configFile}`) ?? false;
}

/** Whether a process has ended. A zombie has, unless threads of it still hold its files and ports: the leader may be the first to end. */
function linuxEnded(pid: number, state: string): boolean {
  if (state !== 'Z') return state === 'X';
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true;
  }
}

/**
 * A token that differs between two processes that had the same pid: the start time. Undefined when no such process runs.
 * Linux: field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)).
 */
export function processStartToken(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The command's name, in parentheses, may itself hold spaces and parentheses.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return linuxEnded(pid, fields[0]!) ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: PS_TIMEOUT_MS }).trim() || undefined;
  } catch {
    return undefined;
  }
}

/** One process that is known to be one of our nodes. */
export interface NodeProcess {
  readonly pid: number;
  readonly configFile: string;
  readonly startToken: string;
}

/** The running process `pid`, if it is the node of `configFile`. */
export function findNodeProcess(pid: number | null, configFile: string): NodeProcess | undefined {
  if (pid === null) return undefined;
  // The token first: were the pid reused between the two looks, the command line would tell.
  const startToken = processStartToken(pid);
  return startToken !== undefined && isNodeProcess(pid, configFile) ? { pid, configFile, startToken } : undefined;
}
