import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from 'node:child_process';

/** The commit that this program was checked out at, so that a seed can be played again; `unknown` outside a checkout. */
export function commitOf(directory: string): string {
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    const commit = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], options).trim();
    const changed = execFileSync('git', ['status', '--porcelain', '--untracked-files=no'], options).trim() !== '';
    return changed ? `${commit} with changes` : commit;
  } catch {
    return 'unknown';
  }
}
