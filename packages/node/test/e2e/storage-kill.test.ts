/** SIGKILL in the middle of commits, again and again over one directory: what was told is there, batches are whole, and opening never refuses. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Prng } from '@shardlab/crosslink';
import { close, get, open, range, temporaryDirectory } from '../unit/storage-support.ts';
import { expectedAfter, lastCommit } from './storage-kill-support.ts';

const SEED = 20_260_801;
const ROUNDS = 10;
const CHILD = fileURLToPath(new URL('./storage-kill-child.ts', import.meta.url));

interface Life {
  /** Last commit that the process was told is synced; 0 if none was. */
  readonly told: number;
  /** Whether it said that a tail was cut at its start. */
  readonly cut: boolean;
}

/** Runs the child until it has said `lines` lines, then kills it wherever it is by then. */
async function liveAndDie(directory: string, seed: number, lines: number, pauseMs: number): Promise<Life> {
  const child = spawn(process.execPath, [CHILD, directory, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let seen = 0;
  let told = 0;
  let cut = false;
  // To the end of the pipe: what it said before it died counts.
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('synced ')) told = Number(line.slice(7));
    else if (line.startsWith('cut ')) cut = true;
    // The pause spreads the moments of death; nothing waits for it.
    if (++seen === lines) setTimeout(() => child.kill('SIGKILL'), pauseMs);
  }
  const [code, signal] = await exited;
  assert.equal(signal, 'SIGKILL', `the process ended by itself, with code ${code}`);
  return { told, cut };
}

test('a killed process loses nothing that it was told is synced', { timeout: 120_000 }, async (t) => {
  const directory = temporaryDirectory(t);
  const prng = new Prng(SEED);
  /** What any life was told, and what was there when we looked. */
  let told = 0;
  let last = 0;
  let cuts = 0;
  let unsaid = 0;
  for (let round = 0; round < ROUNDS; round++) {
    // Every third life ends in or soon after its start, where LevelDB replays its log.
    const lines = round % 3 === 2 ? 1 : 2 + prng.below(300);
    const life = await liveAndDie(directory, prng.u32(), lines, prng.below(round % 3 === 2 ? 40 : 8));
    if (life.cut) cuts++;
    told = Math.max(told, life.told);
    // Some lives start from what the one before left, untouched.
    if (round % 3 === 1) continue;
    const { storage, cut } = await open(directory, { createIfMissing: false });
    if (cut !== undefined) cuts++;
    const found = lastCommit(await get(storage, Uint8Array.of(0)));
    assert.ok(found >= told && found >= last, `seed ${SEED}, round ${round}: ${found} is there, ${told} was told, ${last} was there`);
    unsaid += found - Math.max(told, last);
    last = found;
    const entries = await range(storage);
    const expected = expectedAfter(last);
    assert.equal(entries.length, expected.length, `seed ${SEED}, round ${round}`);
    entries.forEach((entry, i) => assert.ok(Buffer.from(entry.key).equals(expected[i]!.key) && Buffer.from(entry.value).equals(expected[i]!.value), `entry ${i}`));
    await close(storage);
  }
  t.diagnostic(`${ROUNDS} kills, ${last} commits, ${cuts} tails cut and told, ${unsaid} commits on the disk that nobody was told of`);
  assert.ok(last > 100);
});
