/** The level storage against the suite that both drivers' storages pass. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realDrive } from '../compliance/drive.ts';
import { storageCompliance } from '../compliance/storage-compliance.ts';
import { close, open } from '../unit/storage-support.ts';

storageCompliance('level', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-storage-'));
  let { storage } = await open(directory);
  const first = storage;
  return {
    storage: first,
    drive: realDrive(10_000),
    reopen: async () => {
      ({ storage } = await open(directory, { createIfMissing: false }));
      return storage;
    },
    stop: async () => {
      // Some checks have closed it themselves.
      await close(storage).catch((error: { code?: string }) => {
        if (error.code !== 'storage/closed') throw error;
      });
      rmSync(directory, { recursive: true, force: true });
    },
  };
});
