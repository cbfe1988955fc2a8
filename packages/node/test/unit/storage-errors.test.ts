import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ShardlabError } from '@shardlab/crosslink';
import { storageError } from '../../src/storage/errors.ts';
import { open, temporaryDirectory } from './storage-support.ts';

const failure = (code: string, message: string): Error => Object.assign(new Error(message), { code });
/** As classic-level reports a failed open: its own code outside, LevelDB's text inside. */
const inOpen = (code: string, message: string): Error =>
  Object.assign(new Error('Database failed to open', { cause: failure(code, message) }), { code: 'LEVEL_DATABASE_NOT_OPEN' });

const CASES: readonly (readonly [string, Error])[] = [
  ['storage/locked', inOpen('LEVEL_LOCKED', 'IO error: lock d/level/LOCK: Resource temporarily unavailable')],
  ['storage/full', failure('LEVEL_IO_ERROR', 'IO error: d/level/000005.log: No space left on device')],
  ['storage/full', failure('ENOSPC', 'ENOSPC: no space left on device, write')],
  ['storage/full', failure('EDQUOT', 'EDQUOT: disk quota exceeded, write')],
  ['storage/permission', inOpen('LEVEL_IO_ERROR', 'IO error: d/level/LOCK: Permission denied')],
  ['storage/permission', failure('EROFS', 'EROFS: read-only file system, open')],
  ['storage/directory', failure('EEXIST', 'EEXIST: file already exists, mkdir')],
  ['storage/damaged', inOpen('LEVEL_CORRUPTION', 'Corruption: 1 missing files; e.g.: d/level/000005.ldb')],
  ['storage/damaged', failure('LEVEL_IO_ERROR', 'IO error: d/level/000005.ldb: No such file or directory')],
  ['storage/io', failure('LEVEL_IO_ERROR', 'IO error: d/level/000005.log: Input/output error')],
];

for (const [code, cause] of CASES) {
  test(`${code}: ${(cause.cause instanceof Error ? cause.cause : cause).message}`, () => {
    const error = storageError(cause, '/data/node', 'commit');
    assert.equal(error.code, code);
    assert.equal(error.cause, cause);
    assert.match(error.message, /^commit failed: .*; .*\/data\/node.*$/, 'one line: what is wrong; what would be right');
  });
}

test('an error that has a name keeps it, and what is no error gets one', () => {
  const own = new ShardlabError('storage/closed', 'closed');
  assert.equal(storageError(own, '/data/node', 'read'), own);
  assert.equal(storageError('odd', '/data/node', 'read').code, 'storage/io');
  const loop = new Error('round');
  loop.cause = loop;
  assert.equal(storageError(loop, '/data/node', 'read').code, 'storage/io');
});

test('a file instead of a directory, and one that may not be written', async (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  await assert.rejects(open(file), { code: 'storage/directory' });
  await assert.rejects(open(join(file, 'below')), { code: 'storage/directory' });
  if (process.getuid?.() === 0) return t.diagnostic('permission: not checked, root may write everywhere');
  chmodSync(directory, 0o500);
  t.after(() => chmodSync(directory, 0o700));
  await assert.rejects(open(directory), { code: 'storage/permission' });
});
