import assert from 'node:assert/strict';
import test from 'node:test';
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { address, concatBytes, fromHex, toHex } from '../../src/primitives.ts';
import { decodeFlatKey, encodeFlatKey } from '../../src/state/flat.ts';
import {
  accountOwner,
  ACCOUNTS,
  BASIC_DATA_POSITION,
  CODE_HASH_POSITION,
  codeChunkPosition,
  deriveStem,
  deriveStems,
  LOCKS,
  namespace,
  owner,
  PAIRS,
  PARKED,
  recordChunkPosition,
  stateKey,
  storagePosition,
  TREE_INDEX_MAX,
  XTX_COORDINATOR,
  XTX_PARTICIPANT,
} from '../../src/state/keys.ts';
import { HASHER } from './state-hasher.ts';

const ALICE = address(fromHex('0x00112233445566778899aabbccddeeff00112233'));

/** EIP-7864's `get_tree_key`, with SHA-256 and a big-endian index. */
function treeKey(address32: Uint8Array, treeIndex: bigint, subIndex: number): string {
  const index = fromHex(`0x${treeIndex.toString(16).padStart(64, '0')}`);
  return toHex(concatBytes(sha256(concatBytes(address32, index)).subarray(0, 31), Uint8Array.of(subIndex)));
}

test('account keys are those of EIP-7864', () => {
  const address32 = concatBytes(new Uint8Array(12), ALICE);
  const of = accountOwner(ALICE);
  assert.deepEqual(of, address32);
  const cases: [Parameters<typeof stateKey>[2], bigint, number][] = [
    [BASIC_DATA_POSITION, 0n, 0],
    [CODE_HASH_POSITION, 0n, 1],
    [storagePosition(0n), 0n, 64],
    [storagePosition(63n), 0n, 127],
    [storagePosition(64n), 256n ** 30n, 64],
    [storagePosition(256n), 256n ** 30n + 1n, 0],
    [storagePosition(2n ** 256n - 1n), TREE_INDEX_MAX, 255],
    [codeChunkPosition(0), 0n, 128],
    [codeChunkPosition(127), 0n, 255],
    [codeChunkPosition(128), 1n, 0],
    [recordChunkPosition(0), 0n, 0],
    [recordChunkPosition(264), 1n, 8],
  ];
  for (const [position, treeIndex, suffix] of cases) {
    assert.deepEqual(position, { treeIndex, suffix });
    assert.equal(toHex(stateKey(HASHER, of, position)), treeKey(address32, treeIndex, suffix));
  }
});

test('stems of many owners are the stems of each', () => {
  const owners = Array.from({ length: 9 }, (_, i) => owner(LOCKS, new Uint8Array(20).fill(i)));
  const all = deriveStems(HASHER, concatBytes(...owners), 3n);
  assert.equal(all.length, 9 * 31);
  owners.forEach((each, i) => assert.deepEqual(all.slice(31 * i, 31 * i + 31), deriveStem(HASHER, each, 3n).slice()));
  assert.throws(() => deriveStems(HASHER, new Uint8Array(33)), { code: 'state/owner' });
});

test('namespaces are different, padded, and never that of accounts', () => {
  const all = [ACCOUNTS, XTX_COORDINATOR, XTX_PARTICIPANT, LOCKS, PAIRS, PARKED].map(toHex);
  assert.equal(new Set(all).size, all.length);
  assert.equal(toHex(LOCKS), '0x6c6f636b0000000000000000');
  for (const bad of ['', 'thirteen-char', 'a\0b']) assert.throws(() => namespace(bad), { code: 'state/namespace' });
  assert.throws(() => owner(LOCKS, new Uint8Array(19)), { code: 'state/owner' });
});

test('positions out of range are refused', () => {
  for (const slot of [-1n, 2n ** 256n]) assert.throws(() => storagePosition(slot), { code: 'state/range' });
  for (const chunk of [-1, 0.5, 2 ** 24 + 1]) {
    assert.throws(() => codeChunkPosition(chunk), { code: 'state/range' });
    assert.throws(() => recordChunkPosition(chunk), { code: 'state/range' });
  }
  assert.throws(() => deriveStem(HASHER, accountOwner(ALICE), TREE_INDEX_MAX + 1n), { code: 'state/range' });
});

const index = fc.oneof(
  fc.bigInt({ min: 0n, max: 300n }),
  fc.bigInt({ min: 0n, max: TREE_INDEX_MAX }),
  fc.bigInt({ min: (1n << 240n) - 3n, max: (1n << 240n) + 300n }),
  fc.constantFrom((1n << 240n) - 1n, 1n << 240n, TREE_INDEX_MAX),
);

test('flat keys round trip, sort as (owner, index) does, and no key is a prefix of another', () => {
  fc.assert(
    fc.property(index, index, (a, b) => {
      const [keyA, keyB] = [a, b].map((treeIndex) => encodeFlatKey({ owner: accountOwner(ALICE), treeIndex }));
      assert.deepEqual(decodeFlatKey(keyA!), { owner: accountOwner(ALICE), treeIndex: a });
      const order = Buffer.compare(keyA!, keyB!);
      assert.equal(order, a < b ? -1 : a > b ? 1 : 0);
      if (a !== b) assert.equal(Buffer.from(keyB!).subarray(0, keyA!.length).equals(keyA!), false);
    }),
    { numRuns: 1000 },
  );
  assert.equal(encodeFlatKey({ owner: accountOwner(ALICE), treeIndex: 0n }).length, 33);
  assert.equal(encodeFlatKey({ owner: accountOwner(ALICE), treeIndex: 1n << 240n }).length, 33);
});

test('flat keys that are not canonical are refused', () => {
  const start = accountOwner(ALICE);
  const bad: [Uint8Array, string][] = [
    [start, 'decode/truncated'],
    [concatBytes(start, Uint8Array.of(1)), 'decode/truncated'],
    [concatBytes(start, Uint8Array.of(0, 0)), 'decode/trailing'],
    [concatBytes(start, Uint8Array.of(2, 0, 5)), 'decode/range'],
    [concatBytes(start, Uint8Array.of(32, 0)), 'decode/range'],
    [concatBytes(start, Uint8Array.of(63), new Uint8Array(32).fill(1)), 'decode/range'],
  ];
  for (const [key, code] of bad) assert.throws(() => decodeFlatKey(key), { code });
  assert.throws(() => encodeFlatKey({ owner: start, treeIndex: TREE_INDEX_MAX + 1n }), { code: 'invariant' });
});
