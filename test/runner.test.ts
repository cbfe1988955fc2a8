import { equal, match, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runFile } from '../scripts/test-runner/run-file.ts';
import type { FileResult } from '../scripts/test-runner/run-file.ts';
import { kindOf } from '../scripts/test-runner/select.ts';
import { findStrays, MARK_VARIABLE } from '../scripts/test-runner/strays.ts';
import { ROOT } from './support/violations.ts';

const SOURCES = {
  'test/mixed.test.ts': `
    import { test, describe } from 'node:test';
    test('passes', () => {});
    describe('suite', () => { test('passes too', () => {}); test.skip('is skipped', () => {}); });
    test('parent', async (t) => { await t.test('child fails', () => { throw new Error('on purpose'); }); });`,
  'test/good.test.ts': `import { test } from 'node:test'; test('one', () => {}); test('two', () => {});`,
  'test/empty.test.ts': `console.log('no test here');`,
  'test/crash.test.ts': `throw new Error('on purpose');`,
  'test/late.test.ts': `import { test } from 'node:test'; test('one', () => {}); process.on('exit', () => { process.exitCode = 3; });`,
  'test/leak.test.ts': `import { test } from 'node:test'; setInterval(() => {}, 1000); test('one', () => {});`,
  'test/endless.test.ts': `import { test } from 'node:test'; test('never ends', () => new Promise(() => { setInterval(() => {}, 1000); }));`,
  'test/stray.test.ts': `
    import { test } from 'node:test';
    import { spawn } from 'node:child_process';
    test('leaves a process', () => { spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'inherit' }).unref(); });`,
  'packages/x/test/unit/deep.test.ts': `import { test } from 'node:test'; test('deep', () => {});`,
} as const;

function project(names: readonly (keyof typeof SOURCES)[]): { readonly root: string } & Disposable {
  const root = mkdtempSync(join(tmpdir(), 'shardlab-runner-'));
  for (const name of names) {
    mkdirSync(join(root, dirname(name)), { recursive: true });
    writeFileSync(join(root, name), SOURCES[name]);
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

async function run(name: keyof typeof SOURCES, bounds: { readonly fileTimeoutMs?: number; readonly leakGraceMs?: number } = {}): Promise<FileResult> {
  using files = project([name]);
  return await runFile(name, { root: files.root, testTimeoutMs: 60_000, fileTimeoutMs: 60_000, leakGraceMs: 20_000, env: process.env, colours: false, ...bounds }).result;
}

describe('one test file', () => {
  test('counts tests, not suites, skipped ones or parents', async () => {
    const result = await run('test/mixed.test.ts');
    equal(`${result.passed} ${result.failed} ${result.skipped}`, '2 1 1');
    equal(result.complaints.length, 0);
    match(result.output, /on purpose/);
  });

  test('without tests is a failure', async () => {
    const result = await run('test/empty.test.ts');
    equal(`${result.passed} ${result.failed}`, '0 1');
    equal(result.complaints.join(), 'has no tests');
  });

  test('that throws at once is a failure', async () => {
    const result = await run('test/crash.test.ts');
    equal(`${result.passed} ${result.failed}`, '0 1');
  });

  test('whose tests pass but whose process fails is a failure', async () => {
    const result = await run('test/late.test.ts');
    equal(`${result.passed} ${result.failed}`, '1 1');
    match(result.complaints.join(), /exited with 3/);
  });

  test('that leaves a handle open is ended, and a failure', async () => {
    const result = await run('test/leak.test.ts', { leakGraceMs: 500 });
    equal(`${result.passed} ${result.failed}`, '1 1');
    match(result.complaints.join(), /something is left open/);
  });

  test('that does not end is ended, and says what hangs', async () => {
    const result = await run('test/endless.test.ts', { fileTimeoutMs: 1500 });
    equal(`${result.passed} ${result.failed}`, '0 1');
    match(result.complaints.join(), /took longer than 1.5 s; not ended: never ends/);
  });

  test('that leaves a detached process behind is a failure, and the process is gone', { skip: process.platform !== 'linux' }, async () => {
    const result = await run('test/stray.test.ts');
    equal(`${result.passed} ${result.failed}`, '1 1');
    const pid = Number(/left a process running: (\d+)/.exec(result.complaints.join())?.[1]);
    ok(pid > 0);
    // What runs this very test carries its own mark, so the search works.
    const mark = process.env[MARK_VARIABLE];
    if (mark !== undefined) ok(!findStrays(mark).some((stray) => stray.pid === pid));
    await ended(pid);
  });
});

/** Waits until `pid` is no process, or a zombie that its new parent has not buried yet. */
async function ended(pid: number): Promise<void> {
  for (let round = 0; round < 200; round++) {
    if (!existsSync(`/proc/${pid}/stat`)) return;
    if (/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) return;
    await delay(50);
  }
  throw new Error(`process ${pid} is still there`);
}

describe('the runner as a program', () => {
  const start = (root: string, ...args: string[]) =>
    spawnSync(process.execPath, [join(ROOT, 'scripts/test.ts'), '--root', root, ...args], { encoding: 'utf8', timeout: 120_000 });
  const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)!;

  test('adds up, and ends with the counts', () => {
    using files = project(['test/good.test.ts', 'test/mixed.test.ts', 'packages/x/test/unit/deep.test.ts']);
    const result = start(files.root);
    equal(lastLine(result.stdout), '5 passed, 1 failed');
    equal(result.status, 1);
  });

  test('takes kinds, paths and names', () => {
    using files = project(['test/good.test.ts', 'test/mixed.test.ts', 'packages/x/test/unit/deep.test.ts']);
    equal(lastLine(start(files.root, '--only', 'unit').stdout), '1 passed, 0 failed');
    equal(lastLine(start(files.root, 'test/good.test.ts').stdout), '2 passed, 0 failed');
    equal(lastLine(start(files.root, 'deep').stdout), '1 passed, 0 failed');
    equal(lastLine(start(files.root, 'packages').stdout), '1 passed, 0 failed');
    const named = start(files.root, '--name', '^one$');
    equal(lastLine(named.stdout), '1 passed, 0 failed');
    equal(named.status, 0);
  });

  test('a run that takes too long is ended, and says what was running', () => {
    using files = project(['test/endless.test.ts', 'test/good.test.ts']);
    const result = start(files.root, '--deadline-s', '2', '--concurrency', '1');
    match(result.stdout, /the whole run took longer than 2 s; still running: test\/endless\.test\.ts/);
    equal(lastLine(result.stdout), '0 passed, 2 failed');
    equal(result.status, 1);
  });

  test('refuses what it does not know, in one line', () => {
    using files = project(['test/good.test.ts']);
    for (const args of [['--only', 'nothing'], ['no-such-file'], ['--concurrency', '0'], ['--wrong']]) {
      const result = start(files.root, ...args);
      equal(result.status, 2, args.join(' '));
      match(result.stderr, /^test: [^\n]+\n$/);
    }
  });
});

test('the kind of a file comes from its folder and name', () => {
  equal(kindOf('packages/shard/test/unit/trie.test.ts'), 'unit');
  equal(kindOf('packages/shard/test/unit/trie.property.test.ts'), 'property');
  equal(kindOf('packages/node/test/sim/deep/seeds.test.ts'), 'sim');
  equal(kindOf('packages/cli/test/e2e/kill.test.ts'), 'e2e');
  equal(kindOf('test/e2e/network.test.ts'), 'e2e');
  equal(kindOf('test/docker-files.test.ts'), 'docker');
  equal(kindOf('test/lint.test.ts'), 'house');
});
