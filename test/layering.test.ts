import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readProject } from '../scripts/layers/project.ts';
import { findViolations } from '../scripts/layers/rules.ts';
import type { Violation } from '../scripts/layers/rules.ts';
import { copyViolations, ROOT } from './support/violations.ts';

function check(root: string): readonly Violation[] {
  return findViolations(readProject(root));
}

describe('layers of the project', () => {
  const project = readProject(ROOT);

  test('every package was read', () => {
    for (const workspace of ['crosslink', 'shard', 'node', 'cli']) {
      ok(project.files.some((file) => file.workspace === workspace && !file.test && file.imports.length > 0), workspace);
    }
  });

  test('no rule is broken', () => {
    deepEqual(findViolations(project), []);
  });
});

describe('the layer check on deliberate violations', () => {
  using copy = copyViolations();
  const found = check(copy.path);
  const at = (rule: Violation['rule'], where: string): string[] => found.filter((item) => item.rule === rule && item.where.startsWith(where)).map((item) => item.what);

  const expected: readonly [rule: Violation['rule'], where: string, count: number][] = [
    ['direction', 'packages/crosslink/src/upward.ts:1', 1],
    ['direction', 'packages/node/src/careless.ts:1', 1],
    ['root-only', 'packages/shard/src/replica.ts:1', 1],
    ['missing-file', 'packages/node/src/careless.ts:5', 1],
    ['missing-file', 'packages/node/src/careless.ts:18', 1],
    ['undeclared', 'packages/shard/src/replica.ts:2', 1],
    ['unused-dependency', 'packages/node/package.json', 1],
    ['audit', 'packages/cli/src/audit/peek.ts:1', 1],
    ['audit', 'packages/cli/src/audit/peek.ts:2', 1],
    ['audit', 'packages/cli/src/audit/deep/down.ts:3', 1],
    ['audit', 'packages/cli/src/audit/', 3],
    ['index', 'packages/node/src/inner/index.ts', 1],
    ['circle', 'packages/crosslink/src/circle-left.ts', 1],
    ['circle', 'packages/cli/src/index.ts', 1],
  ];
  for (const [rule, where, count] of expected) {
    test(`${rule} fires ${count} times at ${where}`, () => {
      equal(at(rule, where).length, count);
    });
  }

  const impure = ['node:fs', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'console', 'localeCompare', 'Date', 'Math.random'];
  for (const name of [...impure, 'process', 'Buffer', 'performance', 'globalThis', 'Function', 'async code', 'Promise', 'fetch']) {
    test(`purity names ${name}`, () => {
      ok(at('purity', 'packages/crosslink/src/impure.ts').some((what) => what.includes(name)));
    });
  }

  test('a file that breaks nothing is left in peace', () => {
    deepEqual(
      found.filter((item) => item.where.startsWith('packages/crosslink/src/hash.ts')),
      [],
    );
  });
});

describe('the layer check as a program', () => {
  const script = join(ROOT, 'scripts/check-layers.ts');

  test('fails on violations, and says how many', () => {
    using copy = copyViolations();
    const run = spawnSync(process.execPath, [script, copy.path], { encoding: 'utf8', timeout: 60_000 });
    equal(run.status, 1);
    match(run.stdout, /^layers: \d+ files, [1-9]\d* violations$/m);
  });

  test('fails when there is nothing to check', () => {
    using copy = copyViolations();
    rmSync(join(copy.path, 'packages'), { recursive: true });
    const run = spawnSync(process.execPath, [script, copy.path], { encoding: 'utf8', timeout: 60_000 });
    equal(run.status, 1);
    match(run.stdout, /^packages empty: only 0 source files were read$/m);
  });
});
