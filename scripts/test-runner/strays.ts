/**
 * Finds processes that a test left behind. Every test file runs with a mark of its own in its environment, and children inherit it, also those
 * that were detached into another process group. Linux only: elsewhere nothing is found, and only the process group is ended.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** The variable that carries the mark. */
export const MARK_VARIABLE = 'SHARDLAB_TEST_MARK';

/** A process that outlived its test. */
export interface Stray {
  readonly pid: number;
  readonly command: string;
}

/** Processes that are alive now and carry `mark`, except this one. */
export function findStrays(mark: string): Stray[] {
  if (!existsSync('/proc/self/environ')) return [];
  const needle = `${MARK_VARIABLE}=${mark}\0`;
  const found: Stray[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      // A zombie has an empty environment: it is dead, and no stray.
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(needle)) continue;
      found.push({ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim().slice(0, 200) });
    } catch {
      // Gone in between, or another user's: not ours in both cases.
    }
  }
  return found;
}

/** Kills the process group that `pid` leads, and whatever carries `mark`. */
export function endAll(pid: number | undefined, mark: string): void {
  const targets = findStrays(mark).map((stray) => stray.pid);
  if (pid !== undefined) targets.push(-pid);
  for (const target of targets) {
    try {
      process.kill(target, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
