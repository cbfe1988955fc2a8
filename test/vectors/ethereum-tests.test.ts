/** A part of Ethereum's own state tests in every run; all of them by `npm run test:ethereum`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Prng } from '@shardlab/crosslink';
import { createTestCrypto } from '../ethereum/crypto.ts';
import { testFiles } from '../ethereum/files.ts';
import { CaseRunner } from '../ethereum/run-case.ts';
import { runFile } from '../ethereum/run-file.ts';

const DATA = process.env.SHARDLAB_DATA ?? join(import.meta.dirname, '../../../shared/data');
const ARCHIVE = join(DATA, 'ethereum-tests/GeneralStateTests.tar.xz');
const SKIP = existsSync(ARCHIVE)
  ? false
  : `no ${ARCHIVE}: pack GeneralStateTests of github.com/ethereum/tests (v14) so, and set SHARDLAB_DATA`;

/** Which part is run: another seed, another part. */
const SEED = Number(process.env.SHARDLAB_SEED ?? 4);
const FILES = 200;
/** Loops of ten million rounds: half of what all files take together. */
const SLOW = /vmPerformance/;
/** There are at least this many cases in any 200 files. */
const CASES_MIN = 400;

test(`Ethereum's state tests, ${FILES} files of seed ${SEED}`, { skip: SKIP }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'shardlab-state-tests-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const { status, stderr } = spawnSync('tar', ['-xJf', ARCHIVE, '-C', dir], { encoding: 'utf8' });
  assert.equal(status, 0, `tar cannot unpack ${ARCHIVE}: ${stderr}`);
  const files = (await testFiles(dir)).filter(({ name }) => !SLOW.test(name)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  assert.ok(files.length > FILES, `only ${files.length} files in the archive`);
  const prng = new Prng(SEED);
  const runner = new CaseRunner(await createTestCrypto());
  const failures: string[] = [];
  let passed = 0;
  for (let i = 0; i < FILES; i++) {
    const [file] = files.splice(prng.u32() % files.length, 1);
    const outcome = await runFile(runner, file!.path, file!.name, { filter: undefined });
    passed += outcome.passed;
    failures.push(...outcome.failures.map(({ name, reason }) => `${name}: ${reason}`));
  }
  assert.deepEqual(failures, [], `seed ${SEED}`);
  assert.ok(passed >= CASES_MIN, `only ${passed} cases`);
});
