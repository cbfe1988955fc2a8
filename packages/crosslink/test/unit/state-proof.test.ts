import assert from 'node:assert/strict';
import test from 'node:test';
import { sha256 } from '@noble/hashes/sha2.js';
import { ascii, concatBytes, ZERO_HASH } from '../../src/primitives.ts';
import { pathBit, STEM_TAG, stateLeafHash, stateStemHash, stateSubtreeHash } from '../../src/merkle/state-hash.ts';
import { encodeStateProof, type StateProof, verifyStateProof } from '../../src/merkle/state-proof.ts';
import { computeStateRoot, type StateLeaf } from '../../src/merkle/state-root.ts';
import { HASHER } from './state-hasher.ts';

const VALUE: Uint8Array = new Uint8Array(32).fill(9);
const hash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(concatBytes(left, right));
const not = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => ~byte);
const leaf = (stem: Uint8Array, suffix: number, value = VALUE): StateLeaf => ({ key: Uint8Array.of(...stem, suffix), value });
const verify = (root: Uint8Array, key: Uint8Array, proof: StateProof) => verifyStateProof(HASHER, root, key, encodeStateProof(proof));
/** Root of the subtree of a stem with one leaf at suffix 0, and the hash of its upper seven levels' left child. */
function singleSubtree(value = VALUE): { root: Uint8Array; leftHalf: Uint8Array } {
  let node = hash(value, ZERO_HASH);
  for (let level = 0; level < 7; level++) node = hash(node, ZERO_HASH);
  return { root: hash(node, ZERO_HASH), leftHalf: node };
}

test('the tag is what it says', () => {
  assert.deepEqual(STEM_TAG, sha256(ascii('shardlab/state-trie/stem/v1')));
});

test('roots by hand: no stem, one, two that part at the second bit, and a leaf on the right', () => {
  const tag = (stem: Uint8Array): Uint8Array => sha256(concatBytes(stem, Uint8Array.of(1), STEM_TAG));
  const stemHash = (stem: Uint8Array, subtree: Uint8Array): Uint8Array => hash(not(tag(stem)), not(subtree));
  const [a, b] = [new Uint8Array(31).fill(0x80), new Uint8Array(31).fill(0xc0)];
  const subtree = singleSubtree().root;
  assert.deepEqual(computeStateRoot(HASHER, []), ZERO_HASH);
  assert.deepEqual(computeStateRoot(HASHER, [leaf(a, 0)]), stemHash(a, subtree));
  assert.deepEqual(computeStateRoot(HASHER, [leaf(b, 0), leaf(a, 0)]), hash(ZERO_HASH, hash(stemHash(a, subtree), stemHash(b, subtree))));
  let right = hash(VALUE, ZERO_HASH);
  for (let level = 0; level < 8; level++) right = hash(ZERO_HASH, right);
  assert.deepEqual(computeStateRoot(HASHER, [leaf(a, 255)]), stemHash(a, right));
  assert.deepEqual(stateStemHash(HASHER, a, subtree), stemHash(a, subtree));
});

test('leaves that are no set of leaves are refused', () => {
  const stem = new Uint8Array(31);
  for (const bad of [[leaf(stem, 1), leaf(stem, 1)], [leaf(stem, 1, ZERO_HASH)], [{ key: stem, value: VALUE }], [leaf(stem, 1, stem)]]) {
    assert.throws(() => computeStateRoot(HASHER, bad), { code: 'state/leaf' });
  }
});

test('a stem cannot pose as an internal node: the empty half of its subtree does not prove it absent', () => {
  // The path goes right, right: where the stem stands alone at the root, "below" it its subtree and the subtree's empty right half would lie.
  const stem = new Uint8Array(31).fill(0xff);
  const key = Uint8Array.of(...stem, 0);
  const { root: subtree, leftHalf } = singleSubtree();
  const tag = sha256(concatBytes(stem, Uint8Array.of(1), STEM_TAG));
  // With the parts as they are, as in EIP-7864, the forgery convinces the verifier: this test would see it.
  const forged = (left: Uint8Array): StateProof => ({ kind: 'empty', siblings: [left, leftHalf] });
  assert.deepEqual(verify(hash(tag, subtree), key, forged(tag)), { ok: true, value: undefined });
  const root = computeStateRoot(HASHER, [leaf(stem, 0)]);
  for (const left of [tag, not(tag)]) assert.deepEqual(verify(root, key, forged(left)), { ok: false, reason: 'root-mismatch' });
});

test('a stem cannot pose as an internal node: a value that is the hash of a stem does not prove what somebody likes', () => {
  // The attacker writes 32 bytes of storage. Their leaf's block (value, 0) would read as an internal node, whose left child is a stem of their making.
  const attacker = new Uint8Array(31).fill(0xff);
  const victim = attacker.slice();
  // Path of the victim: right (into the subtree), eight times right (suffix 255), left (the value).
  victim[1] = 0b1011_1111;
  assert.equal(pathBit(victim, 9), 0);
  const fakeStem = stateStemHash(HASHER, victim, singleSubtree().root);
  const tag = sha256(concatBytes(attacker, Uint8Array.of(1), STEM_TAG));
  let subtree: Uint8Array = stateLeafHash(HASHER, fakeStem);
  // Beside each step there is something, as in a real contract: the verifier wants no certain siblings on the way, only at its end.
  const beside = new Uint8Array(32).fill(3);
  for (let level = 0; level < 8; level++) subtree = stateSubtreeHash(HASHER, beside, subtree);
  const forged = (left: Uint8Array, last: Uint8Array): StateProof => ({
    kind: 'present',
    siblings: [left, ...new Array<Uint8Array>(8).fill(beside), last],
    subtreeSiblings: new Array<Uint8Array>(8).fill(ZERO_HASH),
    value: VALUE,
  });
  const key = Uint8Array.of(...victim, 0);
  // The leaf's right side is zero, which the verifier refuses as the last sibling, so the attacker goes on one level: a chain hides it.
  assert.deepEqual(verify(hash(tag, subtree), key, forged(tag, ZERO_HASH)), { ok: false, reason: 'not-canonical' });
  const sibling = stateStemHash(HASHER, victim.map((byte, at) => (at === 1 ? byte ^ 0x20 : byte)), singleSubtree().root);
  const chained = hash(sibling, stateStemHash(HASHER, victim, singleSubtree().root));
  let chainedSubtree: Uint8Array = stateLeafHash(HASHER, chained);
  for (let level = 0; level < 8; level++) chainedSubtree = stateSubtreeHash(HASHER, beside, chainedSubtree);
  const chain = (left: Uint8Array): StateProof => {
    const proof = forged(left, ZERO_HASH);
    return { ...proof, siblings: [...proof.siblings, sibling] };
  };
  assert.deepEqual(verify(hash(tag, chainedSubtree), key, chain(tag)), { ok: true, value: VALUE }, 'the forgery works on the plain hash');
  const root = stateStemHash(HASHER, attacker, chainedSubtree);
  for (const left of [tag, not(tag)]) assert.deepEqual(verify(root, key, chain(left)), { ok: false, reason: 'root-mismatch' });
});

test('an internal node cannot pose as another stem', () => {
  // Two stems; the left child's hash ends in 0x00, so that (left, right) reads as EIP-7864's stem || 0x00 || subtree root.
  const right = leaf(new Uint8Array(31).fill(0xff), 0);
  const rightHash = stateStemHash(HASHER, right.key.subarray(0, 31), singleSubtree().root);
  const stem = new Uint8Array(31);
  let left: Uint8Array = new Uint8Array(32);
  let value = new Uint8Array(32);
  for (let tries = 1; left[31] !== 0 || tries === 1; tries++) {
    value = new Uint8Array(32);
    new DataView(value.buffer).setUint32(0, tries);
    left = stateStemHash(HASHER, stem, singleSubtree(value).root);
  }
  const root = computeStateRoot(HASHER, [leaf(stem, 0, value), right]);
  assert.deepEqual(root, hash(left, rightHash));
  // In EIP-7864 this other "stem" at depth 0 hashes to the root, and proves that every key but one is absent.
  assert.deepEqual(sha256(concatBytes(left.subarray(0, 31), Uint8Array.of(0), rightHash)), root);
  for (const subtreeRoot of [rightHash, not(rightHash)]) {
    for (const otherStem of [left.slice(0, 31), not(left).slice(0, 31)]) {
      const forged: StateProof = { kind: 'other-stem', siblings: [], otherStem, subtreeRoot };
      assert.deepEqual(verify(root, right.key, forged), { ok: false, reason: 'root-mismatch' });
    }
  }
});

test('the verifier names why it refuses', () => {
  const [a, b] = [leaf(new Uint8Array(31).fill(0x40), 0), leaf(new Uint8Array(31).fill(0x80), 0)];
  const subtreeRoot = singleSubtree().root;
  const [stemA, stemB] = [a.key.slice(0, 31), b.key.slice(0, 31)];
  const root = computeStateRoot(HASHER, [a, b]);
  const other = (otherStem: Uint8Array): StateProof => ({ kind: 'other-stem', siblings: [stateStemHash(HASHER, stemB, subtreeRoot)], otherStem, subtreeRoot });
  const near = Uint8Array.of(0x41, ...a.key.subarray(1));
  assert.deepEqual(verify(root, near, other(stemA)), { ok: true, value: undefined });
  assert.deepEqual(verify(root, a.key, other(stemA)), { ok: false, reason: 'same-stem' });
  assert.deepEqual(verify(root, near, other(stemB)), { ok: false, reason: 'foreign-stem' });
  assert.deepEqual(verify(root, near, { ...other(stemA), subtreeRoot: ZERO_HASH } as StateProof), { ok: false, reason: 'not-canonical' });
  const nothing = new Array<Uint8Array>(8).fill(ZERO_HASH);
  assert.deepEqual(verify(root, near, { kind: 'absent-suffix', siblings: [], subtreeSiblings: nothing }), { ok: false, reason: 'not-canonical' });
  assert.deepEqual(verifyStateProof(HASHER, root, near.subarray(1), new Uint8Array(0)), { ok: false, reason: 'length' });
  assert.deepEqual(verifyStateProof(HASHER, root.subarray(1), near, new Uint8Array(0)), { ok: false, reason: 'length' });
  assert.deepEqual(verifyStateProof(HASHER, root, near, new Uint8Array(0)), { ok: false, reason: 'decode/truncated' });
  assert.deepEqual(verifyStateProof(HASHER, root, near, Uint8Array.of(2)), { ok: false, reason: 'decode/version' });
  assert.deepEqual(verifyStateProof(HASHER, root, near, Uint8Array.of(1, 4, 0)), { ok: false, reason: 'decode/range' });
  assert.deepEqual(verifyStateProof(HASHER, root, near, Uint8Array.of(1, 3, 249)), { ok: false, reason: 'decode/range' });
  assert.deepEqual(verifyStateProof(HASHER, root, near, Uint8Array.of(1, 3, 1, 0x40)), { ok: false, reason: 'decode/range' });
  assert.deepEqual(verifyStateProof(HASHER, root, near, Uint8Array.of(1, 3, 1, 0x80, ...ZERO_HASH)), { ok: false, reason: 'decode/range' });
  assert.deepEqual(verifyStateProof(HASHER, root, near, new Uint8Array(10_000)), { ok: false, reason: 'decode/bound' });
  const deep: StateProof = { kind: 'empty', siblings: new Array<Uint8Array>(249).fill(VALUE) };
  assert.throws(() => encodeStateProof(deep), { code: 'invariant' });
  assert.throws(() => encodeStateProof({ kind: 'present', siblings: [], subtreeSiblings: nothing, value: ZERO_HASH }), { code: 'invariant' });
  assert.throws(() => encodeStateProof({ kind: 'absent-suffix', siblings: [], subtreeSiblings: [] }), { code: 'invariant' });
});
