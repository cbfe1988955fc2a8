import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createKeyedHashSignatures } from '../../src/crypto/keyed-hash.ts';

const { sign, verify, publicKey } = createKeyedHashSignatures();
const secret = fc.uint8Array({ minLength: 32, maxLength: 32 });
const message = fc.uint8Array({ maxLength: 200 });

test('the stand-in for a signature verifies, and nothing that differs in a bit, a byte or its length does', () => {
  fc.assert(
    fc.property(secret, message, fc.nat(), (key, bytes, where) => {
      const signature = sign(key, bytes);
      assert.equal(signature.length, 64);
      const by = publicKey(key);
      assert.ok(verify(by, bytes, signature));
      const flipped = (of: Uint8Array): Uint8Array => of.with((where >> 3) % of.length, of[(where >> 3) % of.length]! ^ (1 << (where & 7)));
      assert.ok(!verify(by, bytes, flipped(signature)));
      assert.ok(!verify(flipped(by), bytes, signature));
      if (bytes.length > 0) assert.ok(!verify(by, flipped(bytes), signature));
      // The last words are padded with zeros: the length tells such messages apart.
      assert.ok(!verify(by, Uint8Array.of(...bytes, 0), signature));
      assert.ok(!verify(by, bytes, signature.subarray(0, 63)));
      assert.ok(!verify(by.subarray(0, 31), bytes, signature));
    }),
  );
});
