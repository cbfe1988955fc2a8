import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DecodeError } from '../../src/errors.ts';
import { toHex } from '../../src/primitives.ts';
import { type BasicData, CODE_SIZE_MAX, decodeBasicData, encodeBasicData } from '../../src/state/basic-data.ts';
import { decodeFlatValue, encodeFlatValue, FLAT_VALUE_BYTES_MAX } from '../../src/state/flat.ts';
import { decodeRecord, encodeRecord, RECORD_BYTES_MAX, RECORD_CHUNKS_MAX, recordChunksOf } from '../../src/state/record.ts';

const data: fc.Arbitrary<BasicData> = fc.record(
  {
    status: fc.constant(0 as const),
    codeSize: fc.integer({ min: 0, max: CODE_SIZE_MAX }),
    nonce: fc.oneof(fc.maxSafeNat(), fc.nat(100)),
    balance: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 66n })),
  },
  { noNullPrototype: true },
);

test('basic data stands where EIP-7864 puts it', () => {
  const packed = encodeBasicData({ status: 0, codeSize: 0x010203, nonce: 0x1122334455, balance: 0xaan << 120n });
  assert.equal(toHex(packed), '0x0000000000010203' + '0000001122334455' + 'aa000000000000000000000000000000');
  assert.deepEqual(encodeBasicData({ status: 0, codeSize: 0, nonce: 0, balance: 0n }), new Uint8Array(32), 'an empty account is absent');
});

test('basic data round trips, in place too, and what decodes encodes to the same', () => {
  fc.assert(
    fc.property(data, (value) => {
      assert.deepEqual(decodeBasicData(encodeBasicData(value)), value);
      const out = new Uint8Array(40).fill(0xff);
      encodeBasicData(value, out, 5);
      assert.deepEqual(decodeBasicData(out, 5), value);
      assert.deepEqual([...out.subarray(0, 5), ...out.subarray(37)], new Array(8).fill(0xff));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.boolean(), (bytes, plausible) => {
      if (plausible) bytes.fill(0, 0, 10);
      try {
        assert.deepEqual(encodeBasicData(decodeBasicData(bytes)), bytes);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
        assert.equal(plausible, false);
      }
    }),
  );
});

test('basic data out of range is refused both ways', () => {
  const good: BasicData = { status: 0, codeSize: 0, nonce: 0, balance: 0n };
  for (const bad of [{ codeSize: 2 ** 24 }, { codeSize: -1 }, { nonce: -1 }, { nonce: 2 ** 53 }, { balance: -1n }, { balance: 2n ** 128n }]) {
    assert.throws(() => encodeBasicData({ ...good, ...bad }), { code: 'invariant' });
  }
  const at = (offset: number): Uint8Array => new Uint8Array(32).fill(1, offset, offset + 1);
  assert.throws(() => decodeBasicData(at(0)), { code: 'decode/version' });
  for (const offset of [1, 2, 3, 4, 8]) assert.throws(() => decodeBasicData(at(offset)), { code: 'decode/range' });
  assert.throws(() => decodeBasicData(new Uint8Array(31)), { code: 'decode/truncated' });
});

test('records of every length round trip, lose no chunk, and are canonical', () => {
  for (let length = 0; length <= RECORD_BYTES_MAX; length += length < 130 ? 1 : 99_877) {
    for (const fill of [0, 0xff]) {
      const record = new Uint8Array(length).fill(fill);
      const chunks = encodeRecord(record);
      assert.ok(chunks.length <= RECORD_CHUNKS_MAX);
      assert.equal(recordChunksOf(chunks[0]!), chunks.length);
      assert.ok(chunks.every((chunk) => chunk.length === 32 && chunk.some((byte) => byte !== 0)));
      assert.deepEqual(decodeRecord(chunks), record);
    }
  }
  assert.equal(encodeRecord(new Uint8Array(RECORD_BYTES_MAX)).length, RECORD_CHUNKS_MAX);
  assert.throws(() => encodeRecord(new Uint8Array(RECORD_BYTES_MAX + 1)), { code: 'invariant' });
});

test('records that are not canonical are refused', () => {
  const chunks = encodeRecord(new Uint8Array(40).fill(7));
  const changed = (index: number, at: number, value: number): Uint8Array[] =>
    chunks.map((chunk, i) => (i === index ? chunk.with(at, value) : chunk));
  assert.throws(() => decodeRecord([]), { code: 'decode/truncated' });
  assert.throws(() => decodeRecord(chunks.slice(0, 1)), { code: 'decode/truncated' });
  assert.throws(() => decodeRecord([...chunks, chunks[1]!]), { code: 'decode/trailing' });
  assert.throws(() => decodeRecord(changed(1, 0, 0)), { code: 'decode/version' });
  assert.throws(() => decodeRecord(changed(1, 31, 1)), { code: 'decode/range' });
  assert.throws(() => decodeRecord(changed(0, 1, 0xff)), { code: 'decode/bound' });
  assert.throws(() => decodeRecord([chunks[0]!, chunks[1]!.subarray(1)]), { code: 'decode/truncated' });
});

test('flat values round trip and are canonical', () => {
  const leaves = fc
    .uniqueArray(fc.nat(255), { minLength: 1 })
    .map((suffixes) => suffixes.sort((a, b) => a - b).map((suffix) => ({ suffix, value: new Uint8Array(32).fill(suffix + 1, 3, 9).fill(1, 9) })));
  fc.assert(fc.property(leaves, (list) => assert.deepEqual(decodeFlatValue(encodeFlatValue(list)), list)));
  const full = Array.from({ length: 256 }, (_, suffix) => ({ suffix, value: new Uint8Array(32).fill(1) }));
  assert.equal(encodeFlatValue(full).length, FLAT_VALUE_BYTES_MAX);
  assert.equal(decodeFlatValue(encodeFlatValue(full)).length, 256);
  const bytes = encodeFlatValue([full[3]!, full[9]!]);
  assert.throws(() => decodeFlatValue(bytes.with(0, 2)), { code: 'decode/version' });
  assert.throws(() => decodeFlatValue(bytes.with(1, 2)), { code: 'decode/truncated' });
  assert.throws(() => decodeFlatValue(bytes.with(1, 0)), { code: 'decode/trailing' });
  assert.throws(() => decodeFlatValue(bytes.with(2, 9)), { code: 'decode/range' });
  assert.throws(() => decodeFlatValue(bytes.slice().fill(0, 3, 35)), { code: 'decode/range' });
  assert.throws(() => decodeFlatValue(new Uint8Array(1)), { code: 'decode/truncated' });
  for (const bad of [[], [full[9]!, full[3]!], [full[3]!, full[3]!], [{ suffix: 1, value: new Uint8Array(32) }], [{ suffix: 256, value: full[0]!.value }]]) {
    assert.throws(() => encodeFlatValue(bad), { code: 'invariant' });
  }
});
