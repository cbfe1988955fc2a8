import { deepEqual, equal, match } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/violations.ts';

const SCRIPT = join(ROOT, 'scripts/fuzz-evm.ts');

function fuzz(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8', timeout: 120_000 });
}

test('fuzz:evm ends with how many programs differ, however many threads run them', () => {
  for (const workers of ['1', '3']) {
    const { status, stdout } = fuzz('--programs', '20', '--seed', '5', '--workers', workers);
    equal(stdout, '20 programs, 0 differ\n');
    equal(status, 0);
  }
});

test('fuzz:evm --json says the same in one line', () => {
  const { stdout } = fuzz('--programs', '3', '--json');
  const [json, last] = stdout.split('\n');
  const { programs, differ, excluded, seed, findings } = JSON.parse(json!) as Record<string, unknown>;
  deepEqual({ programs, differ, excluded, seed, findings }, { programs: 3, differ: 0, excluded: 0, seed: 1, findings: [] });
  equal(last, '3 programs, 0 differ');
});

test('fuzz:evm refuses a command line that makes no sense in one line', () => {
  for (const args of [['--programs', '0'], ['--programs', '1e3'], ['--seed', '-1'], ['--workers', 'two'], ['--speed', '9']]) {
    const { status, stdout, stderr } = fuzz(...args);
    equal(status, 2, args.join(' '));
    equal(stdout, '');
    match(stderr, /^fuzz:evm: [^\n]+\n$/);
  }
});
