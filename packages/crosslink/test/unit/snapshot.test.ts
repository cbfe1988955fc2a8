import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DecodeError, InvariantError } from '../../src/errors.ts';
import { compareBytes, type Height, toHex } from '../../src/primitives.ts';
import { Prng } from '../../src/prng.ts';
import {
  decodeSnapshotHead,
  decodeSnapshotPage,
  encodeSnapshotHead,
  encodeSnapshotPage,
  SNAPSHOT_BLOCK_BYTES_MAX,
  SNAPSHOT_PAGE_BYTES,
  SNAPSHOT_PAGE_ENTRIES_MAX,
  type SnapshotEntry,
} from '../../src/snapshot.ts';
import { FLAT_KEY_BYTES_MAX, FLAT_VALUE_BYTES_MAX } from '../../src/state/flat.ts';
import { ANSWER_ITEM_BYTES_MAX } from '../../src/wire.ts';

const heads = fc.record({ block: fc.uint8Array({ maxLength: 60 }), messagesFrom: fc.maxSafeNat() as fc.Arbitrary<Height> }, { noNullPrototype: true });
const entry = fc.record({ key: fc.uint8Array({ minLength: 1, maxLength: FLAT_KEY_BYTES_MAX }), value: fc.uint8Array({ minLength: 1, maxLength: 80 }) }, { noNullPrototype: true });
const pages = fc
  .uniqueArray(entry, { selector: ({ key }) => toHex(key), maxLength: 12 })
  .map((entries): SnapshotEntry[] => entries.sort((a, b) => compareBytes(a.key, b.key)));

test('heads and pages are read as they were written', () => {
  fc.assert(fc.property(heads, (head) => assert.deepEqual(decodeSnapshotHead(encodeSnapshotHead(head)), head)));
  fc.assert(fc.property(pages, (page) => assert.deepEqual(decodeSnapshotPage(encodeSnapshotPage(page)), page)));
});

test('what is accepted is canonical, everything else is a DecodeError', () => {
  const random = new Prng(5);
  const codecs = [
    { sample: fc.sample(heads, { numRuns: 20, seed: 3 }).map(encodeSnapshotHead), again: (data: Uint8Array) => encodeSnapshotHead(decodeSnapshotHead(data)) },
    { sample: fc.sample(pages, { numRuns: 20, seed: 3 }).map(encodeSnapshotPage), again: (data: Uint8Array) => encodeSnapshotPage(decodeSnapshotPage(data)) },
  ];
  let refused = 0;
  for (const { sample, again } of codecs) {
    for (const data of sample) {
      for (let length = 0; length < data.length; length++) assert.throws(() => again(data.slice(0, length)), DecodeError);
      assert.throws(() => again(Uint8Array.of(...data, 0)), { code: 'decode/trailing' });
      for (let round = 0; round < 40; round++) {
        const bent = data.slice();
        bent[random.below(bent.length)]! ^= 1 << random.below(8);
        try {
          assert.deepEqual(again(bent), bent);
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error));
          refused++;
        }
      }
    }
  }
  assert.ok(refused > 100, `${refused} inputs were refused`);
});

test('the bytes are what they are written down to be', () => {
  assert.equal(toHex(encodeSnapshotHead({ block: Uint8Array.of(7, 8), messagesFrom: 258 as Height })), '0x010000000207080000000000000102');
  const page = [
    { key: Uint8Array.of(1), value: Uint8Array.of(9) },
    { key: Uint8Array.of(1, 0), value: Uint8Array.of(9, 9) },
  ];
  assert.equal(toHex(encodeSnapshotPage(page)), '0x010002010100010902010000020909');
  assert.equal(toHex(encodeSnapshotPage([])), '0x010000');
});

test('keys out of order, empty fields and fields beyond their bounds are refused by name', () => {
  const page = (...entries: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array => {
    const parts = entries.flatMap(([key, value]) => [key.length, ...key, value.length >> 8, value.length & 255, ...value]);
    return Uint8Array.of(1, entries.length >> 8, entries.length & 255, ...parts);
  };
  const [a, b, value] = [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)];
  assert.equal(decodeSnapshotPage(page([a, value], [b, value])).length, 2);
  assert.throws(() => decodeSnapshotPage(page([b, value], [a, value])), { code: 'decode/range' });
  assert.throws(() => decodeSnapshotPage(page([a, value], [a, value])), { code: 'decode/range' });
  assert.throws(() => decodeSnapshotPage(page([new Uint8Array(0), value])), { code: 'decode/bound' });
  assert.throws(() => decodeSnapshotPage(page([a, new Uint8Array(0)])), { code: 'decode/bound' });
  assert.throws(() => decodeSnapshotPage(page([new Uint8Array(FLAT_KEY_BYTES_MAX + 1), value])), { code: 'decode/bound' });
  assert.throws(() => decodeSnapshotPage(page([a, new Uint8Array(FLAT_VALUE_BYTES_MAX + 1)])), { code: 'decode/bound' });
  assert.throws(() => decodeSnapshotPage(Uint8Array.of(1, 0xff, 0xff)), { code: 'decode/bound' });
  assert.throws(() => decodeSnapshotPage(Uint8Array.of(2, 0, 0)), { code: 'decode/version' });
  assert.throws(() => encodeSnapshotPage([{ key: b, value }, { key: a, value }]), InvariantError);
});

test('the largest head and the largest page fit into one item of an answer', () => {
  const head = encodeSnapshotHead({ block: new Uint8Array(SNAPSHOT_BLOCK_BYTES_MAX), messagesFrom: 1 as Height });
  assert.ok(head.length <= ANSWER_ITEM_BYTES_MAX);
  assert.throws(() => encodeSnapshotHead({ block: new Uint8Array(SNAPSHOT_BLOCK_BYTES_MAX + 1), messagesFrom: 1 as Height }), InvariantError);
  assert.ok(3 + SNAPSHOT_PAGE_BYTES + FLAT_KEY_BYTES_MAX + FLAT_VALUE_BYTES_MAX + 3 * SNAPSHOT_PAGE_ENTRIES_MAX <= ANSWER_ITEM_BYTES_MAX);
});
