import { type Hasher, Prng } from '@shardlab/crosslink';
import { Trie } from '../../src/state/trie/trie.ts';

/** What {@link benchTrie} measures; one JSON line of `npm run bench`. */
export interface TrieBench {
  readonly bench: 'trie';
  /** Leaves set and committed in one second on one core, references held for existing stems, new stems put in: median of the rounds. */
  readonly perSecond: number;
  /** The same, with every stem looked up. */
  readonly perSecondByStem: number;
  readonly leaves: number;
  readonly into: number;
  readonly hashesPerLeaf: number;
  /** Hashes per second of the bare hasher in batches of the same size, in the same run. */
  readonly bound: number;
  /** Share of a round that the bare hasher would take for the same number of hashes. */
  readonly ratio: number;
  readonly loadSeconds: number;
  readonly bytesPerStem: number;
}

const INTO = 1_000_000;
const LEAVES = 10_000;
const NEW_STEMS = 1_000;
const ROUNDS = 40;
const SEED = 7864;

/** Commits 10 k changed leaves, a tenth of them in new stems, into a trie of a million single-leaf stems, over and over. */
export function benchTrie(hasher: Hasher): TrieBench {
  const prng = new Prng(SEED);
  const stems = new Uint8Array(31 * INTO);
  fill(prng, stems);
  const value = prng.bytes(32);
  const startLoad = performance.now();
  const trie = new Trie(hasher);
  const refs = trie.load(stems);
  for (let i = 0; i < INTO; i++) {
    value[i & 31]!++;
    trie.set(refs[i]!, 0, value);
  }
  trie.commit();
  const loadSeconds = (performance.now() - startLoad) / 1000;
  const { memoryBytes } = trie.size();

  let hashes = 0;
  const round = (byStem: boolean): number => {
    const picks = Array.from({ length: LEAVES - NEW_STEMS }, () => prng.below(INTO));
    // What an executor holds beside each account that it has just run.
    const held = Int32Array.from(picks, (pick) => refs[pick]!);
    const known = picks.map((pick) => stems.subarray(31 * pick, 31 * pick + 31));
    const fresh = Array.from({ length: NEW_STEMS }, () => prng.bytes(31));
    const values = prng.bytes(32 * LEAVES);
    const start = performance.now();
    let at = 0;
    for (let i = 0; i < picks.length; i++, at += 32) trie.set(byStem ? trie.stemRef(known[i]!) : held[i]!, 0, values, at);
    for (let i = 0; i < fresh.length; i++, at += 32) trie.set(trie.stemRef(fresh[i]!), 0, values, at);
    hashes = trie.commit().hashes;
    return performance.now() - start;
  };
  for (let i = 0; i < 10; i++) round(i % 2 === 0);
  const roundMs = median(Array.from({ length: ROUNDS }, () => round(false)));
  const byStemMs = median(Array.from({ length: ROUNDS / 2 }, () => round(true)));
  const boundMs = median(Array.from({ length: ROUNDS }, () => bareHashes(hasher, hashes)));
  return {
    bench: 'trie',
    perSecond: Math.round((LEAVES / roundMs) * 1000),
    perSecondByStem: Math.round((LEAVES / byStemMs) * 1000),
    leaves: LEAVES,
    into: INTO,
    hashesPerLeaf: Number((hashes / LEAVES).toFixed(2)),
    bound: Math.round((hashes / boundMs) * 1000),
    ratio: Number((boundMs / roundMs).toFixed(3)),
    loadSeconds: Number(loadSeconds.toFixed(2)),
    bytesPerStem: Math.round(memoryBytes / INTO),
  };
}

function bareHashes(hasher: Hasher, count: number): number {
  const input = new Uint8Array(64 * 512);
  const output = new Uint8Array(32 * 512);
  const start = performance.now();
  for (let done = 0; done < count; done += 512) hasher.hashPairs(input, output);
  return performance.now() - start;
}

function fill(prng: Prng, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = prng.u32();
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

if (import.meta.main) {
  const { NATIVE_HASHER } = await import('../unit/trie-hashers.ts');
  process.stdout.write(`${JSON.stringify(benchTrie(NATIVE_HASHER))}\n`);
}
