import { equal, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, test } from 'node:test';
import { copyViolations, ROOT } from './support/violations.ts';

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
  readonly message: string;
}

/** Runs the linter as `npm run lint` does, in `directory`, and returns its findings and exit code. */
function lint(directory: string): { readonly diagnostics: readonly Diagnostic[]; readonly status: number | null } {
  const bin = join(directory, 'node_modules/.bin');
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` };
  const run = spawnSync(join(bin, 'oxlint'), ['--type-aware', '--format=json'], { cwd: directory, env, encoding: 'utf8', timeout: 120_000, maxBuffer: 64 * 1024 * 1024 });
  return { diagnostics: (JSON.parse(run.stdout) as { diagnostics: Diagnostic[] }).diagnostics, status: run.status };
}

describe('the linter on deliberate violations', () => {
  using copy = copyViolations();
  // Too long to be kept in the repository.
  appendFileSync(join(copy.path, 'packages/node/src/inner/index.ts'), '// one line\n'.repeat(400));
  const { diagnostics, status } = lint(copy.path);
  const count = (code: string, file: string): number => diagnostics.filter((item) => item.code === code && item.filename.startsWith(file)).length;

  test('it fails', () => {
    equal(status, 1);
  });

  const expected: readonly [code: string, file: string, count: number][] = [
    ['import(no-cycle)', 'packages/crosslink/src/circle-left.ts', 1],
    ['import(no-cycle)', 'packages/node/src/careless.ts', 1],
    ['eslint(no-restricted-imports)', 'packages/crosslink/src/upward.ts', 1],
    ['eslint(no-restricted-imports)', 'packages/crosslink/src/impure.ts', 1],
    ['eslint(no-restricted-imports)', 'packages/shard/src/replica.ts', 2],
    ['eslint(no-restricted-imports)', 'packages/node/src/careless.ts', 1],
    ['eslint(no-restricted-imports)', 'packages/cli/src/audit/peek.ts', 2],
    ['eslint(no-restricted-imports)', 'packages/cli/src/audit/deep/down.ts', 1],
    ['eslint(no-restricted-imports)', 'packages/crosslink/src/hash.ts', 0],
    ['eslint(no-restricted-globals)', 'packages/crosslink/src/impure.ts', 11],
    ['eslint(no-restricted-properties)', 'packages/crosslink/src/impure.ts', 2],
    ['typescript(no-restricted-types)', 'packages/crosslink/src/impure.ts', 1],
    ['oxc(no-async-await)', 'packages/crosslink/src/impure.ts', 1],
    ['typescript(no-floating-promises)', 'packages/node/src/careless.ts', 1],
    ['typescript(no-misused-promises)', 'packages/node/src/careless.ts', 1],
    ['typescript(switch-exhaustiveness-check)', 'packages/node/src/careless.ts', 1],
    ['typescript(no-explicit-any)', 'packages/node/src/careless.ts', 1],
    ['typescript(only-throw-error)', 'packages/node/src/careless.ts', 1],
    ['typescript(consistent-type-imports)', 'packages/node/src/careless.ts', 1],
    ['import(no-default-export)', 'packages/node/src/careless.ts', 1],
    ['unicorn(prefer-node-protocol)', 'packages/node/src/careless.ts', 1],
    ['eslint(no-unused-vars)', 'packages/node/src/careless.ts', 1],
    ['eslint(eqeqeq)', 'packages/node/src/careless.ts', 1],
    ['eslint(no-console)', 'packages/node/src/careless.ts', 1],
    ['eslint(no-warning-comments)', 'packages/node/src/careless.ts', 1],
    ['eslint(max-lines)', 'packages/node/src/inner/index.ts', 1],
  ];
  for (const [code, file, times] of expected) {
    test(`${code} fires ${times} times in ${file}`, () => {
      equal(count(code, file), times);
    });
  }

  test('nothing is wrong with the file that breaks no rule', () => {
    ok(!diagnostics.some((item) => item.filename === 'packages/crosslink/src/hash.ts'));
  });
});

test('the linter leaves the deliberate violations out of a normal run, and reads the packages', () => {
  const files = spawnSync(join(ROOT, 'node_modules/.bin/oxlint'), ['--debug=files'], { cwd: ROOT, encoding: 'utf8', timeout: 60_000 }).stdout;
  ok(!files.includes('fixtures/violations'));
  for (const workspace of ['crosslink', 'shard', 'node', 'cli']) ok(files.includes(`packages/${workspace}/src/`), workspace);
});
