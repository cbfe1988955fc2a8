import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, write } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hash32, Prng } from '@shardlab/crosslink';
import type { StorageBatch } from '../../src/ports.ts';
import type { LevelStorage } from '../../src/storage/level-storage.ts';
import { openLevelStorage } from '../../src/storage/open.ts';

/** What {@link benchLevel} measures; printed as one JSON line. */
export interface LevelBench {
  readonly bench: 'level';
  /** Puts of 100-byte values under 33-byte keys, 1,000 a commit, each commit synced before the next. */
  readonly perSecond: number;
  /** Commits of one such put, each synced before the next. */
  readonly syncedCommitsPerSecond: number;
  /** Commits of one such put when 64 wait at a time: group commit. */
  readonly groupedCommitsPerSecond: number;
  /** `syncedCommitsPerSecond` to appends of the same bytes with fdatasync, in the same run: what checksums, marker, order and LevelDB cost. */
  readonly ratio: number;
  readonly appendsPerSecond: number;
}

const KEY_BYTES = 33;
const VALUE_BYTES = 100;
const PHASE_MS = 1200;
const appendOf = promisify(write);
const syncOf = promisify(fdatasync);

/** Calls `step` until the phase is over; the work units it reports, per second. */
async function rate(step: () => Promise<number>): Promise<number> {
  const started = performance.now();
  let units = 0;
  for (;;) {
    units += await step();
    const elapsedMs = performance.now() - started;
    if (elapsedMs >= PHASE_MS) return Math.round((units / elapsedMs) * 1000);
  }
}

function batch(prng: Prng, entries: number): StorageBatch {
  return { puts: Array.from({ length: entries }, () => ({ key: prng.bytes(KEY_BYTES), value: prng.bytes(VALUE_BYTES) })), deletes: [] };
}

function commit(storage: LevelStorage, one: StorageBatch): Promise<void> {
  return new Promise((resolve, reject) => storage.commit(one, (result) => (result.ok ? resolve() : reject(result.error))));
}

/** Measures the level storage in a fresh directory, for about 5 seconds. Fixed seed and sizes. */
export async function benchLevel(): Promise<LevelBench> {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-bench-level-'));
  const prng = new Prng(4242);
  // Made beforehand: generating random bytes is no part of the storage. Keys repeat, as accounts do.
  const large = Array.from({ length: 40 }, () => batch(prng, 1000));
  const small = Array.from({ length: 1000 }, () => batch(prng, 1));
  let at = 0;
  const logger = { info: () => undefined, warn: () => undefined };
  const { storage } = await openLevelStorage({ directory, genesisHash: hash32(prng.bytes(32)), createIfMissing: true }, { logger });
  const fd = openSync(join(directory, 'append'), 'a');
  try {
    await commit(storage, large[0]!);
    const perSecond = await rate(async () => {
      await commit(storage, large[at++ % large.length]!);
      return 1000;
    });
    const syncedCommitsPerSecond = await rate(async () => {
      await commit(storage, small[at++ % small.length]!);
      return 1;
    });
    const bytes = new Uint8Array(KEY_BYTES + VALUE_BYTES).fill(1);
    const appendsPerSecond = await rate(async () => {
      await appendOf(fd, bytes);
      await syncOf(fd);
      return 1;
    });
    const groupedCommitsPerSecond = await rate(async () => {
      await Promise.all(Array.from({ length: 64 }, () => commit(storage, small[at++ % small.length]!)));
      return 64;
    });
    const ratio = Number((syncedCommitsPerSecond / appendsPerSecond).toFixed(3));
    return { bench: 'level', perSecond, syncedCommitsPerSecond, groupedCommitsPerSecond, ratio, appendsPerSecond };
  } finally {
    closeSync(fd);
    await new Promise<void>((resolve) => storage.close(() => resolve()));
    rmSync(directory, { recursive: true, force: true });
  }
}
