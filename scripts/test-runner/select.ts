/** Which test files there are, what kind each is, and which of them a command line asks for. */
import { existsSync, globSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';

/** Where test files live, relative to the repository. */
const TEST_GLOBS = ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'] as const;

/** What `--only` takes. The kind of a file is its folder below `test/`, except that names decide for properties and docker. */
export const TEST_KINDS = ['unit', 'vectors', 'property', 'compliance', 'sim', 'mutants', 'house', 'e2e', 'docker', 'perf'] as const;
/** One of {@link TEST_KINDS}. */
export type TestKind = (typeof TEST_KINDS)[number];

/** Kinds that start processes and wait on wall time, or use all cores by themselves: two at once on a small machine disturb each other. */
const ALONE: ReadonlySet<TestKind> = new Set(['mutants', 'e2e', 'docker', 'perf']);

/** One test file. */
export interface TestFile {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  readonly kind: TestKind;
  /** True if no other file may run beside it. */
  readonly alone: boolean;
}

/** The kind of a test file, from its path relative to the repository. Top-level tests are `house` unless their name or folder says more. */
export function kindOf(path: string): TestKind {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const folder = /(?:^|\/)test\/(?:.*\/)?(unit|vectors|property|compliance|sim|mutants|e2e|perf)\//.exec(path)?.[1] as TestKind | undefined;
  if (/^docker\b/.test(name)) return 'docker';
  if (/\bproperty\b|\bproperties\b/.test(name)) return 'property';
  if (folder !== undefined) return folder;
  return /\be2e\b/.test(name) ? 'e2e' : 'house';
}

/** Every test file below `root`, in a fixed order: those that may share the machine first. */
export function discover(root: string): TestFile[] {
  const paths = globSync([...TEST_GLOBS], { cwd: root, exclude: (name) => name === 'node_modules' || name === 'fixtures' });
  return paths
    .map((path) => path.split(sep).join('/'))
    .map((path) => ({ path, kind: kindOf(path), alone: ALONE.has(kindOf(path)) }))
    .toSorted((a, b) => Number(a.alone) - Number(b.alone) || (a.path < b.path ? -1 : 1));
}

/**
 * The files that match: any of `kinds` (all, if empty) and any of `patterns` (all, if empty). A pattern that is a path in the repository means that
 * file or folder; any other means each path that it is a part of.
 */
export function select(files: readonly TestFile[], kinds: readonly TestKind[], patterns: readonly string[], root: string): TestFile[] {
  const wanted = patterns.map((pattern) => {
    const path = relative(root, resolve(root, pattern)).split(sep).join('/');
    if (existsSync(join(root, path))) return (file: TestFile): boolean => file.path === path || file.path.startsWith(`${path}/`);
    return (file: TestFile): boolean => file.path.includes(pattern);
  });
  return files.filter((file) => (kinds.length === 0 || kinds.includes(file.kind)) && (wanted.length === 0 || wanted.some((match) => match(file))));
}
