import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { decodeStateProof, encodeStateProof, Prng, verifyStateProof, ZERO_HASH } from '@shardlab/crosslink';
import { Trie } from '../../src/state/trie/trie.ts';
import { NATIVE_HASHER } from './trie-hashers.ts';
import { forkAt, stemPool, valueOf } from './trie-model.ts';

const POOL = stemPool(2);
const keyOf = (stem: Uint8Array, suffix: number): Uint8Array => Uint8Array.of(...stem, suffix);

/** Stems at all depths, with one leaf, with several, and full. */
function exampleTrie(): Trie {
  const trie = new Trie(NATIVE_HASHER);
  POOL.forEach((stem, index) => {
    const ref = trie.stemRef(stem);
    const leaves = index === 0 ? 256 : index % 3 === 0 ? 5 : 1;
    for (let i = 0; i < leaves; i++) trie.set(ref, (i * 7 + index) & 0xff, valueOf(1 + (i % 200)));
  });
  trie.commit();
  return trie;
}

const TRIE = exampleTrie();
const KEYS = [
  ...POOL.flatMap((stem, index) => [keyOf(stem, index & 0xff), keyOf(stem, (index + 1) & 0xff)]),
  ...Array.from({ length: 60 }, (_, i) => keyOf(new Prng(i).bytes(31), 0)),
  ...Array.from({ length: 247 }, (_, bit) => keyOf(forkAt(POOL[0]!, bit), 0)),
];

test('proofs of all four kinds say what the trie says', () => {
  const kinds = new Map<string, number>();
  for (const key of KEYS) {
    const proof = TRIE.prove(key);
    const ref = TRIE.findStem(key.subarray(0, 31));
    const value = ref < 0 ? undefined : TRIE.get(ref, key[31]!);
    assert.deepEqual(verifyStateProof(NATIVE_HASHER, TRIE.root(), key, proof), { ok: true, value });
    const { kind } = decodeStateProof(proof);
    assert.equal(kind === 'present', value !== undefined);
    assert.deepEqual(encodeStateProof(decodeStateProof(proof)), proof);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  assert.deepEqual([...kinds.keys()].sort(), ['absent-suffix', 'empty', 'other-stem', 'present']);
  for (const [kind, count] of kinds) assert.ok(count >= 5, `${kind}: ${count}`);
});

test('the empty trie and a trie of one stem', () => {
  const trie = new Trie(NATIVE_HASHER);
  const key = keyOf(POOL[0]!, 0);
  assert.deepEqual(verifyStateProof(NATIVE_HASHER, ZERO_HASH, key, trie.prove(key)), { ok: true, value: undefined });
  trie.set(trie.stemRef(POOL[0]!), 0, valueOf(1));
  assert.throws(() => trie.prove(key), { code: 'trie/uncommitted' });
  trie.commit();
  assert.deepEqual(verifyStateProof(NATIVE_HASHER, trie.root(), key, trie.prove(key)), { ok: true, value: valueOf(1) });
  assert.equal(verifyStateProof(NATIVE_HASHER, ZERO_HASH, key, trie.prove(key)).ok, false);
  assert.throws(() => trie.prove(new Uint8Array(31)), { code: 'trie/length' });
});

test('a proof with any one byte changed shows nothing', () => {
  const kinds = new Set<string>();
  for (const key of KEYS) {
    const proof = TRIE.prove(key);
    const { kind } = decodeStateProof(proof);
    if (kinds.has(kind) || proof.length > 2000) continue;
    kinds.add(kind);
    for (let at = 0; at < proof.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const mutated = proof.slice();
        mutated[at]! ^= mask;
        assert.equal(verifyStateProof(NATIVE_HASHER, TRIE.root(), key, mutated).ok, false, `${kind}, byte ${at}`);
      }
      assert.equal(verifyStateProof(NATIVE_HASHER, TRIE.root(), key, proof.subarray(0, at)).ok, false);
    }
    assert.equal(verifyStateProof(NATIVE_HASHER, TRIE.root(), key, Uint8Array.of(...proof, 0)).ok, false);
  }
  assert.equal(kinds.size, 4);
});

test('whatever verifies is what the trie says: proofs of other keys, spliced kinds and garbage never show anything else', () => {
  const anyKey = fc.constantFrom(...KEYS);
  const garbage = fc.uint8Array({ maxLength: 400 });
  fc.assert(
    fc.property(anyKey, anyKey, fc.nat(3), garbage, (key, other, kind, bytes) => {
      const spliced = TRIE.prove(other);
      spliced[1] = kind;
      for (const proof of [TRIE.prove(other), spliced, bytes, Uint8Array.of(1, kind, ...bytes)]) {
        const result = verifyStateProof(NATIVE_HASHER, TRIE.root(), key, proof);
        if (!result.ok) continue;
        const ref = TRIE.findStem(key.subarray(0, 31));
        assert.deepEqual(result.value, ref < 0 ? undefined : TRIE.get(ref, key[31]!));
      }
    }),
    { numRuns: 1500 },
  );
});
