import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { computeStateRoot, Prng, ZERO_HASH } from '@shardlab/crosslink';
import { Trie } from '../../src/state/trie/trie.ts';
import { NATIVE_HASHER, PURE_HASHER } from './trie-hashers.ts';
import { type Change, forkAt, Modelled, stemPool, valueOf } from './trie-model.ts';

const POOL = stemPool(1);
// Few values and suffixes, so that overwriting, deleting and setting the same again all happen; suffixes of every group and side.
const change: fc.Arbitrary<Change> = fc.record({
  stem: fc.nat(POOL.length - 1),
  suffix: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(1, 2, 15, 16, 127, 128, 255), fc.nat(255)),
  value: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5 })),
});
const changes = fc.array(change, { maxLength: 60 });

function apply(model: Modelled, list: readonly Change[]): void {
  for (const { stem, suffix, value } of list) model.set(POOL[stem]!, suffix, valueOf(value));
}

test('root, reads, sizes and freed references agree with the naive model after any sequence of commits', () => {
  fc.assert(
    fc.property(fc.array(changes, { maxLength: 6 }), (blocks) => {
      const model = new Modelled(NATIVE_HASHER);
      for (const block of blocks) {
        apply(model, block);
        const root = model.commit();
        assert.deepEqual(root, model.expectedRoot());
        assert.deepEqual(model.trie.root(), root);
        assert.equal(model.trie.size().leaves, model.leaves.size);
        for (const stem of POOL) {
          const ref = model.trie.findStem(stem);
          for (const suffix of [0, 1, 16, 255]) {
            const expected = model.leaves.get(String.fromCharCode(...stem, suffix));
            assert.deepEqual(ref < 0 ? undefined : model.trie.get(ref, suffix), expected);
          }
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('the root depends on the contents alone: order, detours and number of commits do not matter', () => {
  fc.assert(
    fc.property(changes, fc.integer(), changes, (list, seed, detour) => {
      const final = new Map(list.map((entry) => [`${entry.stem}/${entry.suffix}`, entry]));
      const straight = new Modelled(NATIVE_HASHER);
      apply(straight, [...final.values()]);
      const other = new Modelled(NATIVE_HASHER);
      apply(other, detour);
      other.commit();
      apply(other, detour.map((entry) => ({ ...entry, value: 0 })));
      const prng = new Prng(seed);
      const shuffled = [...final.values()].map((entry) => ({ entry, at: prng.u32() })).sort((a, b) => a.at - b.at);
      for (const { entry } of shuffled) {
        apply(other, [entry]);
        if (prng.below(4) === 0) other.commit();
      }
      assert.deepEqual(other.commit(), straight.commit());
      assert.equal(other.trie.size().nodes, straight.trie.size().nodes);
    }),
    { numRuns: 100 },
  );
});

test('setting the old values back gives the old root', () => {
  fc.assert(
    fc.property(changes, changes, fc.boolean(), (before, after, commitBetween) => {
      const model = new Modelled(NATIVE_HASHER);
      apply(model, before);
      const root = model.commit();
      const undo = after.map(({ stem, suffix }) => ({ stem, suffix, old: model.leaves.get(String.fromCharCode(...POOL[stem]!, suffix)) }));
      apply(model, after);
      if (commitBetween) model.commit();
      for (const { stem, suffix, old } of undo) model.set(POOL[stem]!, suffix, old ?? ZERO_HASH);
      assert.deepEqual(model.commit(), root);
    }),
    { numRuns: 100 },
  );
});

test('full stems: every change of one of up to 256 leaves, with cached groups, gives the naive root', () => {
  const prng = new Prng(5);
  const model = new Modelled(NATIVE_HASHER);
  const stems = [POOL[0]!, POOL[1]!, prng.bytes(31)];
  for (let round = 0; round < 60; round++) {
    const growing = round < 30;
    for (let i = 0; i < 40; i++) model.set(stems[prng.below(3)]!, prng.below(256), growing || prng.below(9) === 0 ? prng.bytes(32) : ZERO_HASH);
    assert.deepEqual(model.commit(), model.expectedRoot(), `round ${round}`);
  }
  assert.ok(model.leaves.size > 50);
  const memory: number[] = [];
  for (let cycle = 0; cycle < 3; cycle++) {
    for (const stem of stems) for (let suffix = 0; suffix < 256; suffix++) model.set(stem, suffix, valueOf(1 + cycle + (suffix & 1)));
    assert.deepEqual(model.commit(), model.expectedRoot());
    memory.push(model.trie.size().memoryBytes);
    for (const stem of stems) for (let suffix = 255; suffix >= 0; suffix--) model.set(stem, suffix, ZERO_HASH);
    assert.deepEqual(model.commit(), ZERO_HASH);
  }
  assert.equal(memory[2], memory[1], 'freed blocks, stems and nodes are used again');
});

test('a group of a large stem that is emptied is forgotten', () => {
  const model = new Modelled(NATIVE_HASHER);
  for (let suffix = 0; suffix < 256; suffix += 2) model.set(POOL[0]!, suffix, valueOf(3));
  model.commit();
  for (let suffix = 48; suffix < 64; suffix += 2) model.set(POOL[0]!, suffix, ZERO_HASH);
  assert.deepEqual(model.commit(), model.expectedRoot());
  model.set(POOL[0]!, 200, valueOf(4));
  assert.deepEqual(model.commit(), model.expectedRoot());
});

test('a large commit into a lopsided tree: stems above the depth where its parts meet, beside hundreds below', () => {
  const prng = new Prng(8);
  const model = new Modelled(NATIVE_HASHER);
  const low = Array.from({ length: 1100 }, () => prng.bytes(31).fill(0xf5, 0, 1));
  const high = [0x00, 0x88].map((first) => prng.bytes(31).fill(first, 0, 1));
  for (let round = 1; round < 4; round++) {
    for (const stem of [...low, ...high]) model.set(stem, 0, valueOf(round));
    assert.deepEqual(model.commit(), model.expectedRoot());
  }
  for (const stem of low.slice(1)) model.set(stem, 0, ZERO_HASH);
  assert.deepEqual(model.commit(), model.expectedRoot());
});

test('one changed leaf of a full stem costs at most 46 hashes in its subtree, its stem and its path', () => {
  const trie = new Trie(NATIVE_HASHER);
  const ref = trie.stemRef(POOL[0]!);
  for (let suffix = 0; suffix < 256; suffix++) trie.set(ref, suffix, valueOf(7));
  assert.equal(trie.commit().hashes, 1 + 511 + 1);
  trie.set(ref, 200, valueOf(8));
  assert.equal(trie.commit().hashes, 31 + 15 + 1);
});

test('a single-leaf stem costs ten hashes and one more for each level above it; a new one one more for its tag', () => {
  const trie = new Trie(NATIVE_HASHER);
  const ref = trie.stemRef(POOL[0]!);
  trie.set(ref, 0, valueOf(1));
  assert.equal(trie.commit().hashes, 11);
  trie.set(trie.stemRef(forkAt(POOL[0]!, 9)), 3, valueOf(1));
  assert.equal(trie.commit().hashes, 11 + 10);
  trie.set(ref, 0, valueOf(2));
  assert.equal(trie.commit().hashes, 10 + 10);
});

test('bulk loading gives what one by one gives, for random stems, ground ones and repeated ones', () => {
  const prng = new Prng(3);
  const random = Array.from({ length: 3000 }, () => prng.bytes(31));
  const ground = Array.from({ length: 248 }, (_, bit) => forkAt(POOL[0]!, bit));
  const stems = [...random, ...ground, POOL[0]!, ...random.slice(0, 10)];
  const joined = new Uint8Array(31 * stems.length);
  stems.forEach((stem, index) => joined.set(stem, 31 * index));
  const loaded = new Trie(NATIVE_HASHER);
  const refs = loaded.load(joined);
  const single = new Trie(NATIVE_HASHER);
  const leaves = new Map<string, { key: Uint8Array; value: Uint8Array }>();
  stems.forEach((stem, index) => {
    const suffix = index % 5 === 0 ? index & 0xff : 0;
    const value = prng.bytes(32);
    assert.equal(loaded.findStem(stem), refs[index]);
    loaded.set(refs[index]!, suffix, value);
    single.set(single.stemRef(stem), suffix, value);
    const key = Uint8Array.of(...stem, suffix);
    leaves.set(String(key), { key, value });
  });
  assert.deepEqual(loaded.commit().root, single.commit().root);
  assert.deepEqual(loaded.root(), computeStateRoot(NATIVE_HASHER, [...leaves.values()]));
  // And it goes on working: stems that come and go after loading.
  for (const trie of [loaded, single]) {
    for (let i = 0; i < 1500; i++) trie.set(trie.stemRef(stems[i]!), i % 5 === 0 ? i & 0xff : 0, ZERO_HASH);
    for (let i = 0; i < 50; i++) trie.set(trie.stemRef(forkAt(random[i]!, 40)), 9, valueOf(1));
    trie.commit();
  }
  for (let i = 0; i < 1500; i++) leaves.delete(String(Uint8Array.of(...stems[i]!, i % 5 === 0 ? i & 0xff : 0)));
  for (let i = 0; i < 50; i++) {
    const key = Uint8Array.of(...forkAt(random[i]!, 40), 9);
    leaves.set(String(key), { key, value: valueOf(1) });
  }
  assert.deepEqual(loaded.root(), computeStateRoot(NATIVE_HASHER, [...leaves.values()]));
  assert.deepEqual(loaded.root(), single.root());
  assert.throws(() => loaded.load(joined), { code: 'trie/not-empty' });
  assert.throws(() => new Trie(NATIVE_HASHER).load(new Uint8Array(30)), { code: 'trie/length' });
});

test('both hashers give the same root', () => {
  const roots = [NATIVE_HASHER, PURE_HASHER].map((hasher) => {
    const prng = new Prng(11);
    const trie = new Trie(hasher);
    for (let i = 0; i < 700; i++) trie.set(trie.stemRef(prng.bytes(31)), i % 3 === 0 ? prng.below(256) : 0, prng.bytes(32));
    return trie.commit().root;
  });
  assert.deepEqual(roots[0], roots[1]);
});

test('a reference lives until a commit finds its stem empty', () => {
  const trie = new Trie(NATIVE_HASHER);
  const [a, b] = [trie.stemRef(POOL[0]!), trie.stemRef(POOL[1]!)];
  trie.set(a, 0, valueOf(1));
  assert.deepEqual([...trie.commit().freed], [b], 'asked for, never filled');
  trie.set(a, 0, ZERO_HASH);
  trie.set(a, 5, valueOf(2));
  assert.deepEqual([...trie.commit().freed], [], 'emptied and filled again');
  trie.set(a, 5, ZERO_HASH);
  assert.equal(trie.findStem(POOL[0]!), a, 'still there before the commit');
  assert.deepEqual([...trie.commit().freed], [a]);
  assert.deepEqual(trie.root(), ZERO_HASH);
  assert.equal(trie.findStem(POOL[0]!), -1);
  assert.throws(() => trie.set(a, 0, valueOf(1)), { code: 'invariant' });
  assert.throws(() => trie.get(a, 0), { code: 'invariant' });
  assert.equal(trie.size().stems, 0);
  assert.equal(trie.size().nodes, 0);
});

test('bad arguments are named', () => {
  const trie = new Trie(NATIVE_HASHER);
  const ref = trie.stemRef(POOL[0]!);
  assert.throws(() => trie.stemRef(new Uint8Array(32)), { code: 'trie/length' });
  assert.throws(() => trie.findStem(new Uint8Array(30)), { code: 'trie/length' });
  assert.throws(() => trie.set(ref, 0, new Uint8Array(31)), { code: 'trie/length' });
  assert.throws(() => trie.set(ref, 256, valueOf(1)), { code: 'trie/suffix' });
  assert.throws(() => trie.set(ref, -1, valueOf(1)), { code: 'trie/suffix' });
  assert.throws(() => trie.set(ref, 0.5, valueOf(1)), { code: 'trie/suffix' });
  assert.throws(() => trie.set(99, 0, valueOf(1)), { code: 'invariant' });
  assert.throws(() => trie.set(-1, 0, ZERO_HASH), { code: 'invariant' });
  const out = new Uint8Array(40).fill(1);
  assert.equal(trie.read(ref, 0, out, 4), false);
  assert.deepEqual([...out.subarray(3, 37)], [1, ...new Array<number>(32).fill(0), 1]);
});

test('memory: a million single-leaf stems take at most 250 bytes each, counted on a tenth of them', () => {
  const prng = new Prng(21);
  const stems = prng.bytes(31 * 100_000);
  const trie = new Trie(NATIVE_HASHER);
  for (const ref of trie.load(stems)) trie.set(ref, 0, valueOf(1));
  trie.commit();
  const { memoryBytes, stems: count } = trie.size();
  assert.equal(count, 100_000);
  assert.ok(memoryBytes / count <= 250, `${memoryBytes / count}`);
});
