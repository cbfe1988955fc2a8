import { readFile, stat } from 'node:fs/promises';
import { FORK_RULES } from '../../packages/shard/src/execution/evm/fork-rules.ts';
import type { EvmFork } from '../../packages/shard/src/execution/evm/types.ts';
import { fieldsOf } from './json-fields.ts';
import { type Failure, failedFile, type FileOutcome, messageOf, type Skip } from './outcome.ts';
import type { CaseRunner, OpenTest } from './run-case.ts';
import { skipReason } from './skips.ts';
import { casesByFork, readCase, readTest } from './state-test.ts';

/** A file larger than this is no state test; the largest of ethereum/tests has 3 MB. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;

/** Names of forks as the files write them. */
const FORKS: ReadonlyMap<string, EvmFork> = new Map((Object.keys(FORK_RULES) as EvmFork[]).map((fork) => [fork.charAt(0).toUpperCase() + fork.slice(1), fork]));

/** What of a run decides which cases of a file count. */
export interface FileOptions {
  /** Cases whose name, with the path of the file, does not contain this are left out. */
  readonly filter: string | undefined;
}

class Tally {
  passed = 0;
  readonly failures: Failure[] = [];
  readonly skipped: Skip[] = [];
  readonly otherForks: Record<string, number> = {};
}

function caseName(prefix: string, fork: string, value: unknown, position: number): string {
  const indexes = (value as { readonly indexes?: Readonly<Record<string, unknown>> } | null)?.indexes;
  if (typeof indexes !== 'object' || indexes === null) return `${prefix} [${fork} #${position}]`;
  return `${prefix} [${fork} d${String(indexes.data)} g${String(indexes.gas)} v${String(indexes.value)}]`;
}

async function runCase(opened: OpenTest, name: string, value: unknown, tally: Tally): Promise<void> {
  const skip = skipReason(name);
  if (skip !== undefined) {
    tally.skipped.push({ name, reason: skip });
    return;
  }
  try {
    const reason = await opened.run(readCase(value, name));
    if (reason === undefined) tally.passed++;
    else tally.failures.push({ name, reason });
  } catch (error) {
    tally.failures.push({ name, reason: messageOf(error) });
  }
}

async function runTest(runner: CaseRunner, prefix: string, name: string, value: unknown, options: FileOptions, tally: Tally): Promise<void> {
  for (const [fork, cases] of casesByFork(name, value)) {
    const implemented = FORKS.get(fork);
    if (implemented === undefined) {
      tally.otherForks[fork] = (tally.otherForks[fork] ?? 0) + cases.length;
      continue;
    }
    const named = cases.map((entry, position) => ({ entry, full: caseName(prefix, fork, entry, position) }));
    const wanted = named.filter(({ full }) => options.filter === undefined || full.includes(options.filter));
    if (wanted.length === 0) continue;
    const opened = runner.open(readTest(name, value), implemented);
    for (const { entry, full } of wanted) await runCase(opened, full, entry, tally);
  }
}

/** Runs all cases of one file. Never throws: what cannot be read is a failure with a line that says so. `name`: how the file is called in the outcome. */
export async function runFile(runner: CaseRunner, path: string, name: string, options: FileOptions): Promise<FileOutcome> {
  const tally = new Tally();
  try {
    if ((await stat(path)).size > FILE_BYTES_MAX) return failedFile(name, `larger than ${FILE_BYTES_MAX} bytes`);
    const tests = fieldsOf(JSON.parse(await readFile(path, 'utf8')), name);
    for (const [test, value] of Object.entries(tests.values)) {
      const prefix = `${name}::${test}`;
      try {
        await runTest(runner, prefix, test, value, options, tally);
      } catch (error) {
        tally.failures.push({ name: prefix, reason: messageOf(error) });
      }
    }
  } catch (error) {
    tally.failures.push({ name, reason: messageOf(error) });
  }
  return tally;
}
