import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { concatBytes, fromHex, toHex } from '../../src/primitives.ts';
import { checkFlatKey, decodeFlatKey, encodeFlatKey } from '../../src/state/flat.ts';
import { deriveFlatStems, firstSlotOf, isHeaderSlot, isStorageKey, writeStorageIndex } from '../../src/state/flat-stems.ts';
import { deriveStem, MAIN_STORAGE_OFFSET, type Owner, storagePosition, TREE_INDEX_MAX } from '../../src/state/keys.ts';
import { HASHER } from './state-hasher.ts';

const owner = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytes as Owner);
const treeIndex = fc.oneof(
  fc.bigInt({ min: 0n, max: TREE_INDEX_MAX }),
  fc.constantFrom(0n, 1n, 255n, 256n, (1n << 240n) - 1n, 1n << 240n, (1n << 240n) + 1n, (255n << 240n) - 1n, 255n << 240n, 256n << 240n, TREE_INDEX_MAX),
);
const slot = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
  fc.constantFrom(0n, 1n, 63n, 64n, 255n, 256n, 65_535n, 65_536n, 2n ** 247n, 2n ** 248n, 255n << 248n, 2n ** 256n - 1n),
);

function word(value: bigint): Uint8Array {
  return fromHex(`0x${value.toString(16).padStart(64, '0')}`);
}

test('stems of flat keys are those of owner and tree index', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ owner, treeIndex }), { maxLength: 5 }), (preimages) => {
      const stems = deriveFlatStems(HASHER, preimages.map(encodeFlatKey), preimages.length);
      assert.equal(stems.length, 31 * preimages.length);
      preimages.forEach((each, index) => {
        assert.equal(toHex(stems.subarray(31 * index, 31 * index + 31)), toHex(deriveStem(HASHER, each.owner, each.treeIndex)));
        assert.equal(isStorageKey(encodeFlatKey(each)), each.treeIndex >= MAIN_STORAGE_OFFSET / 256n);
      });
    }),
  );
});

test('many stems are hashed in batches, from keys that share one buffer', () => {
  const key = new Uint8Array(33);
  const keys = function* (count: number): Iterable<Uint8Array> {
    for (let i = 0; i < count; i++) yield key.fill(i & 255, 0, 32).fill(0, 32);
  };
  const stems = deriveFlatStems(HASHER, keys(2_500), 2_500);
  for (const index of [0, 1023, 1024, 2047, 2048, 2499]) {
    const expected = deriveStem(HASHER, new Uint8Array(32).fill(index & 255) as Owner, 0n);
    assert.equal(toHex(stems.subarray(31 * index, 31 * index + 31)), toHex(expected));
  }
  assert.throws(() => deriveFlatStems(HASHER, keys(3), 2), { code: 'invariant' });
  assert.throws(() => deriveFlatStems(HASHER, keys(3), 4), { code: 'invariant' });
  assert.equal(deriveFlatStems(HASHER, [], 0).length, 0);
});

test('flat keys of storage slots, as bytes, are those of their positions', () => {
  fc.assert(
    fc.property(owner, slot, (of, value) => {
      const { treeIndex: index, suffix } = storagePosition(value);
      const bytes = concatBytes(Uint8Array.of(7), word(value));
      assert.equal(isHeaderSlot(bytes, 1), value < 64n);
      fc.pre(value >= 64n);
      const out = new Uint8Array(80).fill(0xee);
      out.set(of);
      const key = out.subarray(0, writeStorageIndex(bytes, 1, out, 32));
      assert.equal(toHex(key), toHex(encodeFlatKey({ owner: of, treeIndex: index })));
      assert.equal(suffix, Number(value & 255n));
      assert.equal(toHex(firstSlotOf(key)), toHex(word(value - (value & 255n))));
    }),
  );
});

test('what is no flat key is refused as it is decoded', () => {
  const good = encodeFlatKey({ owner: new Uint8Array(32) as Owner, treeIndex: 300n });
  const wrong: [Uint8Array, string][] = [
    [good.subarray(0, 32), 'decode/truncated'],
    [good.subarray(0, 34), 'decode/truncated'],
    [concatBytes(good, Uint8Array.of(1)), 'decode/trailing'],
    [good.with(33, 0), 'decode/range'],
    [good.with(32, 63), 'decode/range'],
  ];
  for (const [key, code] of wrong) {
    assert.throws(() => checkFlatKey(key), { code });
    assert.throws(() => decodeFlatKey(key), { code });
    assert.throws(() => deriveFlatStems(HASHER, [key], 1), { code });
  }
});
