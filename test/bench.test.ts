import { equal, match } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './support/violations.ts';

const script = join(ROOT, 'scripts/bench.ts');

test('an unknown benchmark is refused in one line that lists those there are', () => {
  const run = spawnSync(process.execPath, [script, 'warp'], { encoding: 'utf8', timeout: 60_000 });
  equal(run.status, 2);
  match(run.stderr, /^bench: there is no warp; there are recovery, trie, level, gossip, execute, storage, contract-blocks, evm, parallel, network, network-erc20, committees, view-change, sim\n$/);
  equal(run.stdout, '');
});

test('every benchmark that is named exists', () => {
  const source = readFileSync(script, 'utf8');
  const named = [...source.matchAll(/module: '\.\.\/([^']+)', exportName: '(\w+)'/g)];
  equal(named.length, 14);
  for (const [, path, name] of named) {
    equal(existsSync(join(ROOT, path!)), true, path);
    match(readFileSync(join(ROOT, path!), 'utf8'), new RegExp(`^export (?:async )?function ${name}\\b`, 'm'));
  }
});
