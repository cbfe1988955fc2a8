import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fromHex, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';

import { TransactionError } from '../../src/transaction/errors.ts';
import { rlpBytes, RlpCursor, rlpList, rlpUint } from '../../src/transaction/rlp.ts';

function readOne(hex: string): { list: boolean; payload: Uint8Array } {
  const data = fromHex(hex);
  const cursor = new RlpCursor();
  cursor.open(data, 0, data.length);
  cursor.next();
  if (!cursor.done) throw new TransactionError('tx/rlp', 'trailing');
  return { list: cursor.list, payload: data.slice(cursor.start, cursor.start + cursor.length) };
}

test('RLP: the examples of the Yellow Paper', () => {
  assert.equal(toHex(rlpBytes(new TextEncoder().encode('dog'))), '0x83646f67');
  assert.equal(toHex(rlpUint(0)), '0x80');
  assert.equal(toHex(rlpUint(15)), '0x0f');
  assert.equal(toHex(rlpUint(1024n)), '0x820400');
  assert.equal(toHex(rlpList([])), '0xc0');
  assert.equal(toHex(rlpBytes(new Uint8Array(56))).slice(0, 6), '0xb838');
  assert.equal(toHex(rlpList([rlpBytes(new Uint8Array(300))])).slice(0, 14), '0xf9012fb9012c');
});

test('RLP: whatever is not the one shortest form is refused', () => {
  const bad = {
    'prefixed single byte': '0x8105',
    'long form for a short string': `0xb837${'11'.repeat(55)}`,
    'length with a leading zero': `0xb90038${'11'.repeat(56)}`,
    'long form for a short list': '0xf801c0',
    'truncated string': '0x83646f',
    'truncated length': '0xb9',
    'item beyond its end': '0xc283',
    'length of eight bytes': `0xbfffffffffffffffff${'11'.repeat(8)}`,
    'nothing at all': '0x',
  };
  for (const [name, hex] of Object.entries(bad)) {
    assert.throws(
      () => {
        const { list, payload } = readOne(hex);
        const inner = new RlpCursor();
        inner.open(payload, 0, payload.length);
        if (list) inner.next();
      },
      (error) => error instanceof TransactionError && error.code === 'tx/rlp',
      name,
    );
  }
});

test('RLP: reads what it writes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000, size: 'max' }), (bytes) => {
      const { list, payload } = readOne(toHex(rlpBytes(bytes)));
      assert.equal(list, false);
      assert.deepEqual(payload, bytes);
    }),
    { numRuns: 50 },
  );
});
