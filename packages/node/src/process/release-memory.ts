import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects what starting has left behind and gives its pages back to the system. Starting touches several times what a node then needs (the genesis as text and
 * objects, the state as entries and as a trie), and V8, which sees no pressure, would keep those pages for as long as the node lives: 592 MB resident instead of
 * what the node holds, measured with 100 k accounts.
 */
export function releaseMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options?: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
