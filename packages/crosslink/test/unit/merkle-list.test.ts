import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { emptyListRoot, listBranch, listRoot, type ListBranch, verifyListBranch } from '../../src/merkle/list.ts';
import { concatBytes, type Hash32, ZERO_HASH } from '../../src/primitives.ts';
import { filled, hashes, HASHER } from './kit.ts';

const leavesOf = (count: number): Hash32[] => Array.from({ length: count }, (_, index) => HASHER.sha256(Uint8Array.of(index, index >> 8)));

test('each leaf of each short list has a branch, and the branch proves that leaf in that place alone', () => {
  for (let count = 1; count <= 33; count++) {
    const leaves = leavesOf(count);
    const root = listRoot(HASHER, leaves);
    for (let index = 0; index < count; index++) {
      const branch = listBranch(HASHER, leaves, index);
      leaves.forEach((leaf, at) => assert.equal(verifyListBranch(HASHER, root, leaf, branch), at === index));
      for (let other = 0; other < count + 2; other++) {
        if (other !== index) assert.equal(verifyListBranch(HASHER, root, leaves[index]!, { ...branch, index: other }), false);
      }
    }
  }
});

test('forged branches prove nothing', () => {
  fc.assert(
    fc.property(fc.array(hashes, { minLength: 2, maxLength: 20 }), fc.nat(), fc.nat(), (leaves, at, which) => {
      const root = listRoot(HASHER, leaves);
      const index = at % leaves.length;
      const leaf = leaves[index]!;
      const branch = listBranch(HASHER, leaves, index);
      const { siblings, count } = branch;
      const depth = siblings.length;
      const flip = (sibling: Hash32): Hash32 => sibling.map((byte, i) => (i === which % 32 ? byte ^ 1 : byte)) as Hash32;
      const forged: ListBranch[] = [
        ...siblings.map((_, level) => ({ ...branch, siblings: siblings.map((sibling, i) => (i === level ? flip(sibling) : sibling)) })),
        { ...branch, count: count + 1 },
        { ...branch, count: count - 1 },
        { ...branch, count: 0 },
        { ...branch, count: 0xffff_ffff },
        { ...branch, index: count },
        { ...branch, index: index + 2 ** depth },
        { ...branch, siblings: siblings.slice(1) },
        { ...branch, siblings: [...siblings, filled(0)] },
      ];
      for (const bad of forged) assert.equal(verifyListBranch(HASHER, root, leaf, bad), false);
      assert.equal(verifyListBranch(HASHER, root, flip(leaf), branch), false);
      assert.equal(verifyListBranch(HASHER, flip(root), leaf, branch), false);
      assert.equal(verifyListBranch(HASHER, root, leaf.subarray(1), branch), false);
    }),
    { numRuns: 200 },
  );
});

test('an inner node can not pose as a leaf, nor padding as an item', () => {
  const leaves = leavesOf(4);
  const root = listRoot(HASHER, leaves);
  const left = HASHER.sha256(concatBytes(leaves[0]!, leaves[1]!));
  const right = HASHER.sha256(concatBytes(leaves[2]!, leaves[3]!));
  for (const count of [1, 2, 3, 4]) assert.equal(verifyListBranch(HASHER, root, left, { index: 0, count, siblings: [right] }), false);
  const three = listRoot(HASHER, leaves.slice(0, 3));
  const siblings = [leaves[2]!, left];
  for (const count of [3, 4]) assert.equal(verifyListBranch(HASHER, three, ZERO_HASH, { index: 3, count, siblings }), false);
  assert.notDeepEqual(three, listRoot(HASHER, [...leaves.slice(0, 3), ZERO_HASH]), 'the count tells an item from padding');
});

test('the empty list has a root of its own, and no leaf', () => {
  assert.deepEqual(listRoot(HASHER, []), emptyListRoot(HASHER));
  assert.notDeepEqual(emptyListRoot(HASHER), listRoot(HASHER, [ZERO_HASH]));
  assert.equal(verifyListBranch(HASHER, emptyListRoot(HASHER), ZERO_HASH, { index: 0, count: 0, siblings: [] }), false);
  assert.throws(() => listBranch(HASHER, [], 0), { code: 'invariant' });
  assert.throws(() => listBranch(HASHER, leavesOf(2), 2), { code: 'invariant' });
});
