import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { fromHex, toHex } from '../../src/primitives.ts';
import { codeChunkCount, decodeCodeChunks, encodeCodeChunks } from '../../src/state/code-chunks.ts';

/** EIP-7864's `chunkify_code`, line by line. */
function chunkify(code: Uint8Array): string[] {
  const padded = new Uint8Array(Math.ceil(code.length / 31) * 31);
  padded.set(code);
  const bytesToExecData = new Array<number>(padded.length + 32).fill(0);
  for (let pos = 0; pos < padded.length; ) {
    const pushdata = padded[pos]! >= 0x60 && padded[pos]! <= 0x7f ? padded[pos]! - 0x5f : 0;
    pos++;
    for (let x = 0; x < pushdata; x++) bytesToExecData[pos + x] = pushdata - x;
    pos += pushdata;
  }
  const chunks: string[] = [];
  for (let pos = 0; pos < padded.length; pos += 31) chunks.push(toHex(Uint8Array.of(Math.min(bytesToExecData[pos]!, 31), ...padded.subarray(pos, pos + 31))));
  return chunks;
}

function split(chunks: Uint8Array): string[] {
  return Array.from({ length: chunks.length / 32 }, (_, index) => toHex(chunks.subarray(32 * index, 32 * index + 32)));
}

// Half of the bytes are PUSH1 to PUSH32, so that their data crosses the ends of chunks.
const codeByte = fc.oneof(fc.integer({ min: 0x5e, max: 0x80 }), fc.integer({ min: 0, max: 255 }));
const code = fc.array(codeByte, { maxLength: 200 }).map((bytes) => Uint8Array.from(bytes));

test('code is cut as EIP-7864 says, and put together again', () => {
  fc.assert(
    fc.property(code, (bytes) => {
      const chunks = encodeCodeChunks(bytes);
      assert.deepEqual(split(chunks), chunkify(bytes));
      assert.equal(chunks.length, 32 * codeChunkCount(bytes.length));
      assert.deepEqual(decodeCodeChunks(chunks, bytes.length), bytes);
    }),
    { numRuns: 500 },
  );
});

test('data of a push is counted at the start of the chunk that it reaches into', () => {
  // PUSH32 as the last byte of the first chunk: 31 bytes of data fill the second, one is in the third.
  const bytes = new Uint8Array(70).fill(0x01);
  bytes[30] = 0x7f;
  const chunks = encodeCodeChunks(bytes);
  assert.deepEqual([chunks[0], chunks[32], chunks[64]], [0, 31, 1]);
  assert.equal(encodeCodeChunks(new Uint8Array(0)).length, 0);
  assert.equal(toHex(encodeCodeChunks(fromHex('0x6001'))), `0x006001${'00'.repeat(29)}`);
});

test('chunks that no code is cut into are refused', () => {
  const chunks = encodeCodeChunks(Uint8Array.of(0x60, 1, 0x7f, ...new Uint8Array(40).fill(0x5b)));
  assert.throws(() => decodeCodeChunks(chunks, 63), { code: 'decode/truncated' });
  assert.throws(() => decodeCodeChunks(chunks, 31), { code: 'decode/trailing' });
  assert.throws(() => decodeCodeChunks(chunks.with(0, 1), 43), { code: 'decode/range' });
  assert.throws(() => decodeCodeChunks(chunks.with(32, 0), 43), { code: 'decode/range' });
  assert.throws(() => decodeCodeChunks(chunks.with(63, 9), 43), { code: 'decode/range' });
});
