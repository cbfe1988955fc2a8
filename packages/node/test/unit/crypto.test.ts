import assert from 'node:assert/strict';
import { test } from 'node:test';

import { concatBytes, fromHex, InvariantError, Prng, ShardlabError, toHex } from '@shardlab/crosslink';
import { AdmissionBatch, recoverBatch, signTransaction, type TransactionFields } from '@shardlab/shard';
import fc from 'fast-check';

import { BoundedCache } from '../../src/crypto/bounded-cache.ts';
import { createCrypto, resolveLibraries } from '../../src/crypto/create-crypto.ts';
import { TRANSFER } from './recovery-support.ts';

const native = await createCrypto({ libraries: 'native' });
const portable = await createCrypto({ libraries: 'portable' });
const simulated = await createCrypto({ signatures: 'keyed-hash', transactions: 'keyed-hash' });
const EMPTY = new Uint8Array(0);

function secretKey(seed: number): Uint8Array {
  const key = new Prng(seed).bytes(32);
  key[0] = 1;
  return key;
}

test('names say which library runs, and portable means none that is native', () => {
  for (const name of [portable.names.secp256k1, portable.names.keccak256, portable.names.hashPairs]) assert.match(name, /^@noble\/.+ \d.+ \(portable\)$/);
  assert.match(native.names.secp256k1, /^(secp256k1 \d+\.\d+\.\d+ \(native\)|@noble\/curves .+\(portable\))$/);
  assert.match(native.names.signatures, /ed25519/);
  assert.match(simulated.names.signatures, /not a signature/);
});

test('the libraries come from the option, then from the environment; a typo is an error', () => {
  assert.equal(resolveLibraries({}, {}), 'native');
  assert.equal(resolveLibraries({}, { SHARDLAB_CRYPTO: 'portable' }), 'portable');
  assert.equal(resolveLibraries({ libraries: 'native' }, { SHARDLAB_CRYPTO: 'portable' }), 'native');
  assert.throws(
    () => resolveLibraries({}, { SHARDLAB_CRYPTO: 'nativ' }),
    (error) => error instanceof ShardlabError && error.code === 'crypto/libraries',
  );
});

test('hashes: known answers and lengths, alike in both', () => {
  for (const crypto of [native, portable]) {
    assert.equal(toHex(crypto.sha256(EMPTY)), '0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    assert.equal(toHex(crypto.keccak256(EMPTY)), '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470');
    assert.equal(Object.getPrototypeOf(crypto.sha256(EMPTY)), Uint8Array.prototype, 'no Buffer leaves');
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40_000, size: 'max' }), (data) => {
      assert.deepEqual(native.keccak256(data), portable.keccak256(data));
    }),
    { numRuns: 30 },
  );
});

test('hashPairs is SHA-256 of each 64-byte block, in both', () => {
  for (const pairs of [0, 1, 2, 7, 8, 33]) {
    const input = new Prng(pairs + 1).bytes(64 * pairs);
    const expected = concatBytes(...Array.from({ length: pairs }, (_, i) => native.sha256(input.subarray(64 * i, 64 * i + 64))));
    for (const crypto of [native, portable]) {
      const output = new Uint8Array(32 * pairs);
      crypto.hashPairs(input, output);
      assert.deepEqual(output, expected);
    }
  }
  for (const crypto of [native, portable]) {
    assert.throws(() => crypto.hashPairs(new Uint8Array(65), new Uint8Array(32)), InvariantError);
    assert.throws(() => crypto.hashPairs(new Uint8Array(128), new Uint8Array(32)), InvariantError);
  }
});

test('hashPairs honours views that start in the middle of a buffer', () => {
  const backing = new Prng(5).bytes(200);
  const output = new Uint8Array(100);
  native.hashPairs(backing.subarray(7, 7 + 64), output.subarray(3, 35));
  assert.deepEqual(output.slice(3, 35), native.sha256(backing.subarray(7, 71)));
  assert.ok(output.slice(35).every((byte) => byte === 0));
});

test('ed25519: RFC 8032, test 2', () => {
  const seed = fromHex('0x4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
  const publicKey = native.publicKey(seed);
  assert.equal(toHex(publicKey), '0x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
  const signature = native.sign(seed, Uint8Array.of(0x72));
  assert.equal(
    toHex(signature),
    '0x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  );
  assert.equal(native.verify(publicKey, Uint8Array.of(0x72), signature), true);
});

test('both signature schemes verify what they signed, nothing else, and never throw', () => {
  for (const crypto of [native, simulated]) {
    const message = Uint8Array.of(1, 2, 3);
    const publicKey = crypto.publicKey(secretKey(1));
    const signature = crypto.sign(secretKey(1), message);
    assert.equal(publicKey.length, 32);
    assert.equal(signature.length, 64);
    assert.equal(crypto.verify(publicKey, message, signature), true);
    for (const at of [0, 31, 32, 63]) {
      const wrong = signature.slice();
      wrong[at] = wrong[at]! ^ 1;
      assert.equal(crypto.verify(publicKey, message, wrong), false);
    }
    assert.equal(crypto.verify(publicKey, Uint8Array.of(1, 2, 4), signature), false);
    assert.equal(crypto.verify(crypto.publicKey(secretKey(2)), message, signature), false);
    for (const length of [0, 31, 33, 65]) {
      assert.equal(crypto.verify(new Uint8Array(length), message, signature), false);
      assert.equal(crypto.verify(publicKey, message, new Uint8Array(length)), false);
    }
    assert.equal(crypto.verify(new Uint8Array(32).fill(0xff), message, signature), false);
  }
  assert.equal(native.scheme, 1);
  assert.equal(simulated.scheme, 0xff);
});

test('native and portable secp256k1 agree on keys, signatures and recovery, good and bad', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat({ max: 63 }), (seed, hash, at) => {
      const key = secretKey(seed);
      assert.deepEqual(native.secpPublicKey(key), portable.secpPublicKey(key));
      const signed = native.secpSign(hash, key);
      assert.deepEqual(signed, portable.secpSign(hash, key));
      const altered = signed.signature.slice();
      altered[at] = altered[at]! ^ 0x10;
      for (const [signature, parity] of [[signed.signature, signed.yParity], [signed.signature, 1 - signed.yParity], [altered, 0]] as const) {
        const [a, b] = [new Uint8Array(65), new Uint8Array(65)];
        const found = native.recoverPublicKey(hash, signature, parity, a);
        assert.equal(portable.recoverPublicKey(hash, signature, parity, b), found);
        if (found) assert.deepEqual(a, b);
      }
    }),
    { numRuns: 40 },
  );
});

test('both refuse secret keys out of range', () => {
  for (const crypto of [native, portable]) {
    assert.throws(() => crypto.secpPublicKey(new Uint8Array(32)));
    assert.throws(() => crypto.secpSign(new Uint8Array(32), new Uint8Array(32).fill(0xff)));
  }
});

test('the simulated transaction scheme fits into real transactions, one sender for each key', () => {
  const policy = { chainId: 1337, allowUnprotected: false, fork: 'cancun' } as const;
  const raws: Uint8Array[] = [];
  for (let seed = 1; seed <= 50; seed++) {
    for (const nonce of [0, 1]) raws.push(signTransaction({ ...TRANSFER, nonce } satisfies TransactionFields, secretKey(seed), simulated).raw);
  }
  const found = new AdmissionBatch(raws, recoverBatch(raws, simulated, policy));
  const senders = new Set<string>();
  for (let i = 0; i < raws.length; i += 2) {
    assert.equal(found.error(i), undefined);
    assert.equal(found.transaction(i).senderKey, found.transaction(i + 1).senderKey);
    senders.add(found.transaction(i).senderKey);
  }
  assert.equal(senders.size, 50);
  const changed = raws[0]!.slice();
  changed[changed.length - 1] = changed[changed.length - 1]! ^ 2;
  assert.equal(new AdmissionBatch([changed], recoverBatch([changed], simulated, policy)).error(0), 'tx/unrecoverable');
});

test('the cache of parsed keys is bounded and keeps what is used', () => {
  const cache = new BoundedCache<number>(2);
  let made = 0;
  const get = (key: string): number => cache.get(key, () => ++made);
  get('a');
  get('b');
  get('a');
  get('c');
  assert.equal(cache.size, 2);
  assert.equal(get('a'), 1, 'used last, so kept');
  assert.equal(get('b'), 4, 'made room, so made anew');
});
