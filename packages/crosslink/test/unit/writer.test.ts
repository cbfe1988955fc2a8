import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeAll } from '../../src/codec/reader.ts';
import { Writer } from '../../src/codec/writer.ts';

const write = (writer: Writer): Uint8Array =>
  writer.u8(0xa1).u16(0xb2b3).u32(0xc4c5c6c7).u64(2 ** 53 - 1).u128(2n ** 127n + 5n).u256(2n ** 255n + 6n).bool(true).fixed(Uint8Array.of(9, 8), 2)
    .bytes(Uint8Array.of(7, 6, 5), 3).text('ä', 2).list([1, 2, 3], 3, (out, item) => out.u8(item)).u8(0xff).finish();

test('no byte is lost where the buffer grows, whatever the capacity', () => {
  const expected = write(new Writer(4096));
  for (let capacity = 0; capacity <= expected.length + 1; capacity++) assert.deepEqual(write(new Writer(capacity)), expected, `capacity ${capacity}`);
  // A single byte at a time, from full buffers on.
  const writer = new Writer(1);
  for (let i = 0; i < 300; i++) writer.u8(i & 0xff);
  writer.finish().forEach((byte, i) => assert.equal(byte, i & 0xff));
});

test('what is read back is what was written', () => {
  const read = decodeAll(write(new Writer(1)), (reader) => [
    reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.u128(), reader.u256(), reader.bool(), [...reader.fixed(2)],
    [...reader.bytes(3)], reader.text(2), reader.list(3, (input) => input.u8()), reader.u8(),
  ]);
  assert.deepEqual(read, [0xa1, 0xb2b3, 0xc4c5c6c7, 2 ** 53 - 1, 2n ** 127n + 5n, 2n ** 255n + 6n, true, [9, 8], [7, 6, 5], 'ä', [1, 2, 3], 0xff]);
});

test('values that do not fit are bugs of ours, and say so', () => {
  const bad: ((writer: Writer) => unknown)[] = [
    (writer) => writer.u8(256),
    (writer) => writer.u8(-1),
    (writer) => writer.u16(65_536),
    (writer) => writer.u32(2 ** 32),
    (writer) => writer.u32(0.5),
    (writer) => writer.u64(2 ** 53),
    (writer) => writer.u64(Number.NaN),
    (writer) => writer.u128(1n << 128n),
    (writer) => writer.u128(-1n),
    (writer) => writer.u256(1n << 256n),
    (writer) => writer.fixed(new Uint8Array(3), 4),
    (writer) => writer.bytes(new Uint8Array(3), 2),
    (writer) => writer.text('ä', 1),
    (writer) => writer.list([1, 2], 1, (out, item) => out.u8(item)),
  ];
  for (const run of bad) assert.throws(() => run(new Writer()), { code: 'invariant' });
});

test('integers above 2^53 - 1 and text that is not UTF-8 are refused by the reader', () => {
  assert.throws(() => decodeAll(Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0), (reader) => reader.u64()), { code: 'decode/range' });
  assert.throws(() => decodeAll(Uint8Array.of(0, 0, 0, 1, 0xff), (reader) => reader.text(4)), { code: 'decode/range' });
  assert.throws(() => decodeAll(Uint8Array.of(1, 0), (reader) => reader.shard()), { code: 'decode/range' });
});
