import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { usageError } from '../output/cli-error.ts';
import { clusterPaths } from './layout.ts';
import { processStartToken } from './process-identity.ts';
import { waitFor } from './wait.ts';

const LOCK_WAIT_MS = 15_000;
const LOCK_POLL_MS = 100;

function ownToken(): string {
  return `${process.pid} ${processStartToken(process.pid) ?? 'unknown'}\n`;
}

function holder(text: string): { pid: number; alive: boolean } {
  const [pidText = '', start = ''] = text.trim().split(' ');
  const pid = Number(pidText);
  const token = Number.isSafeInteger(pid) && pid > 0 ? processStartToken(pid) : undefined;
  return { pid, alive: token !== undefined && (start === 'unknown' || start === token) };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Takes the lock by hard-linking a finished file into place, so that nobody ever reads a half-written one. */
function tryTake(lockFile: string, token: string): boolean {
  const own = `${lockFile}.${process.pid}`;
  writeFileSync(own, token);
  try {
    linkSync(own, lockFile);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Removes a dead holder's lock. Two may try at once, and one may move a lock that the other has just taken: it is then put back. */
function clearStale(lockFile: string, staleText: string): void {
  const aside = `${lockFile}.stale.${process.pid}`;
  try {
    renameSync(lockFile, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readIfThere(aside) !== staleText) linkSync(aside, lockFile);
  rmSync(aside, { force: true });
}

/**
 * Runs `task` while no other command changes the cluster at `dataDir`; makes the directory if needed. A holder that died is not waited for.
 * Throws `cluster/locked` when a live one keeps it for `waitMs`.
 */
export async function withClusterLock<T>(dataDir: string, task: () => Promise<T>, waitMs: number = LOCK_WAIT_MS): Promise<T> {
  const { lockFile, dataDir: root } = clusterPaths(dataDir);
  try {
    mkdirSync(root, { recursive: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw usageError('cluster/directory', `${root} cannot be made (${code ?? 'unknown error'}): choose another --data-dir`, { cause });
  }
  const token = ownToken();
  let holderPid = 0;
  const take = (): true | undefined => {
    if (tryTake(lockFile, token)) return true;
    const text = readIfThere(lockFile);
    if (text === undefined) return undefined;
    const found = holder(text);
    holderPid = found.pid;
    if (!found.alive) clearStale(lockFile, text);
    return undefined;
  };
  if ((await waitFor(take, waitMs, undefined, LOCK_POLL_MS)) === undefined) {
    throw usageError('cluster/locked', `another shardlab command (pid ${holderPid}) is changing ${root}: wait until it has ended`);
  }
  try {
    return await task();
  } finally {
    if (readIfThere(lockFile) === token) rmSync(lockFile, { force: true });
  }
}
