/** The process that `storage-kill.test.ts` kills: commits without end, and says on stdout what it was told is synced. Arguments: directory, seed. */
import { writeSync } from 'node:fs';
import { Prng } from '@shardlab/crosslink';
import { batchOf, lastCommit } from './storage-kill-support.ts';
import { get, open } from '../unit/storage-support.ts';

const [directory, seed] = process.argv.slice(2);
const prng = new Prng(Number(seed));
// A pipe holds it when the process is killed: what was written is read.
const say = (line: string): void => void writeSync(1, `${line}\n`);

say('opening');
const { storage, cut } = await open(directory!);
if (cut !== undefined) say(`cut ${cut.tornBytes}`);
let next = lastCommit(await get(storage, Uint8Array.of(0))) + 1;

function burst(): void {
  const size = 1 + prng.below(5);
  let waiting = size;
  for (let i = 0; i < size; i++) {
    const n = next++;
    storage.commit(batchOf(n), (result) => {
      if (!result.ok) throw result.error;
      say(`synced ${n}`);
      if (--waiting === 0) setImmediate(burst);
    });
  }
}
burst();
