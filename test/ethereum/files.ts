import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { ShardlabError } from '@shardlab/crosslink';
import type { FileJob } from './worker.ts';

const EXTENSION = '.json';

/** Whether a path, relative to where the tests are, may be that of a test: directories with a dot in front hold indexes (`.meta`). */
function isTest(path: string): boolean {
  return path.endsWith(EXTENSION) && !path.split(sep).some((part) => part.startsWith('.'));
}

async function below(dir: string): Promise<string[]> {
  if ((await stat(dir)).isFile()) return [dir];
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => isTest(relative(dir, path)));
}

/**
 * Every `.json` file below `dir` (or `dir` itself, if it is a file), the largest first, so that the end of a run is not one thread's long file. Links to directories are
 * not followed. Throws `ethereum-test/dir`.
 */
export async function testFiles(dir: string): Promise<FileJob[]> {
  try {
    const sized = await Promise.all((await below(dir)).map(async (path) => ({ path, size: (await stat(path)).size })));
    sized.sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
    return sized.map(({ path }) => ({ path, name: (relative(dir, path) || basename(path)).split(sep).join('/') }));
  } catch (error) {
    throw new ShardlabError('ethereum-test/dir', `cannot read ${dir}: ${(error as Error).message}`, {}, { cause: error });
  }
}
