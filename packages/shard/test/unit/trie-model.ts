import { bytesKey, computeStateRoot, type Hasher, type Hash32, keyBytes, Prng } from '@shardlab/crosslink';
import { Trie } from '../../src/state/trie/trie.ts';

/** One change: which stem of a pool, which suffix, and what value (0: absent). */
export interface Change {
  readonly stem: number;
  readonly suffix: number;
  readonly value: number;
}

/** A 32-byte value; zero for 0. Small ones differ in the first or the last byte, so that a lost end shows. */
export function valueOf(value: number): Uint8Array {
  const out = new Uint8Array(32);
  out[value % 2 === 0 ? 0 : 31] = value;
  return out;
}

/** A stem that agrees with `base` in exactly the first `bit` bits. */
export function forkAt(base: Uint8Array, bit: number): Uint8Array {
  const out = base.slice();
  out[bit >> 3]! ^= 0x80 >> (bit & 7);
  return out;
}

/** Stems that are random, and stems that share prefixes of all lengths with one another, as somebody would grind them. */
export function stemPool(seed: number): Uint8Array[] {
  const prng = new Prng(seed);
  const base = prng.bytes(31);
  const other = forkAt(base, 12);
  const forks = [0, 1, 7, 8, 63, 100, 200, 246, 247].map((bit) => forkAt(base, bit));
  const deeper = [13, 20, 21, 22, 247].map((bit) => forkAt(other, bit));
  return [base, other, ...forks, ...deeper, ...Array.from({ length: 16 }, () => prng.bytes(31))];
}

/** A trie beside the plainest model of it: a map, and the root computed from scratch. References are held as long as they live. */
export class Modelled {
  readonly trie: Trie;
  readonly leaves = new Map<string, Uint8Array>();
  private readonly hasher: Hasher;
  private readonly refs = new Map<string, number>();

  constructor(hasher: Hasher) {
    this.hasher = hasher;
    this.trie = new Trie(hasher);
  }

  ref(stem: Uint8Array): number {
    const key = bytesKey(stem);
    const held = this.refs.get(key);
    const ref = this.trie.stemRef(stem);
    if (held !== undefined && held !== ref) throw new Error('a living reference changed');
    this.refs.set(key, ref);
    return held ?? ref;
  }

  set(stem: Uint8Array, suffix: number, value: Uint8Array): void {
    this.trie.set(this.ref(stem), suffix, value);
    const key = bytesKey(Uint8Array.of(...stem, suffix));
    if (value.every((byte) => byte === 0)) this.leaves.delete(key);
    else this.leaves.set(key, value);
  }

  commit(): Hash32 {
    const { root, freed } = this.trie.commit();
    const dead = new Set(freed);
    for (const [key, ref] of this.refs) {
      const empty = ![...this.leaves.keys()].some((leaf) => leaf.startsWith(key));
      if (dead.delete(ref) !== empty) throw new Error('freed must be the stems without leaves');
      if (empty) this.refs.delete(key);
    }
    if (dead.size !== 0) throw new Error('a reference died that nobody held');
    return root;
  }

  expectedRoot(): Hash32 {
    return computeStateRoot(this.hasher, [...this.leaves].map(([key, value]) => ({ key: keyBytes(key), value })));
  }
}
