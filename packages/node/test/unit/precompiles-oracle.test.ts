/** Every precompile, by random and edge inputs, against `@ethereumjs/evm`: result and gas, under both forks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { concatBytes, Prng, toHex } from '@shardlab/crosslink';
import type { EvmFork } from '@shardlab/shard';

import { createCrypto } from '../../src/crypto/create-crypto.ts';
import { answer, blsG1, blsG2, BLS_ORDER, bn254G1, bn254G2, BN254_ORDER, EVM_CRYPTO, fp, oracle, word } from './precompiles-support.ts';

const SEED = 20_261_121;
const crypto = await createCrypto({ libraries: 'native' });
const oracles = { cancun: await oracle('cancun'), prague: await oracle('prague') };
const SECP_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const MAX = (1n << 256n) - 1n;

function random(prng: Prng): bigint {
  return BigInt(toHex(prng.bytes(32)));
}

function scalar(prng: Prng, order: bigint): bigint {
  return (random(prng) % (order - 1n)) + 1n;
}

async function compare(address: number, input: Uint8Array, forks: readonly EvmFork[] = ['cancun', 'prague']): Promise<string> {
  let output = '';
  for (const fork of forks) {
    const expected = await oracles[fork](address, input);
    const actual = answer(fork, address, input);
    const name = `${fork} ${address} ${toHex(input)}, seed ${SEED}`;
    assert.equal(actual.output, expected.output, name);
    if (expected.output !== 'invalid') assert.equal(actual.gas, expected.gas, name);
    ({ output } = actual);
  }
  return output;
}

/** The input itself, cut, grown, and with one byte changed: most of these are invalid. */
function* spoiled(prng: Prng, input: Uint8Array, count: number): Generator<Uint8Array> {
  yield input.subarray(0, prng.below(input.length));
  yield concatBytes(input, prng.bytes(1 + prng.below(40)));
  for (let i = 0; i < count; i++) {
    const changed = input.slice();
    changed[prng.below(changed.length)]! ^= 1 << prng.below(8);
    yield changed;
  }
}

test('the tables hold the addresses of their forks', () => {
  const addresses = (fork: EvmFork): number[] => [...EVM_CRYPTO.precompiles(fork).keys()];
  assert.deepEqual(addresses('cancun'), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(addresses('prague'), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
});

test('ecrecover: valid, high s, v and the ranges of r and s', async () => {
  const prng = new Prng(SEED);
  let recovered = 0;
  for (let i = 0; i < 12; i++) {
    const hash = prng.bytes(32);
    const { signature, yParity } = crypto.secpSign(hash, word(scalar(prng, SECP_ORDER)));
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
    const highS = word(SECP_ORDER - BigInt(toHex(s)));
    if ((await compare(1, concatBytes(hash, word(27n + BigInt(yParity)), signature))) !== '0x') recovered++;
    if ((await compare(1, concatBytes(hash, word(28n - BigInt(yParity)), r, highS))) !== '0x') recovered++;
    for (const v of [0n, 1n, 26n, 29n, 27n + (1n << 8n), 28n + (1n << 255n)]) assert.equal(await compare(1, concatBytes(hash, word(v), signature)), '0x');
    for (const bad of [0n, SECP_ORDER, SECP_ORDER + 1n, MAX]) {
      assert.equal(await compare(1, concatBytes(hash, word(27n), word(bad), s)), '0x');
      assert.equal(await compare(1, concatBytes(hash, word(27n), r, word(bad))), '0x');
    }
    for (const input of spoiled(prng, concatBytes(hash, word(27n), signature), 4)) await compare(1, input);
  }
  assert.equal(recovered, 24);
  for (const hash of [0n, SECP_ORDER, MAX]) await compare(1, concatBytes(word(hash), word(27n), word(5n), word(7n)));
  await compare(1, new Uint8Array(0));
});

test('sha256, ripemd160 and identity: every length around the words, and long ones', async () => {
  const prng = new Prng(SEED + 1);
  for (const length of [...Array(70).keys(), 1_000, 40_000]) for (const address of [2, 3, 4]) await compare(address, prng.bytes(length));
});

function modexpInput(base: Uint8Array, exponent: Uint8Array, modulus: Uint8Array): Uint8Array {
  return concatBytes(word(BigInt(base.length)), word(BigInt(exponent.length)), word(BigInt(modulus.length)), base, exponent, modulus);
}

test('modexp: all small lengths, odd, even and degenerate moduli, inputs that are cut', async () => {
  const prng = new Prng(SEED + 2);
  const lengths = [0, 1, 2, 8, 9, 31, 32, 33, 64, 97];
  for (const base of lengths) {
    for (const exponent of lengths) {
      for (const modulus of lengths) {
        const input = modexpInput(prng.bytes(base), prng.bytes(exponent), prng.bytes(modulus));
        await compare(5, input, ['cancun']);
        await compare(5, input.subarray(0, prng.below(input.length + 1)), ['cancun']);
      }
    }
  }
  const zeroFirst = (bytes: Uint8Array): Uint8Array => bytes.fill(0, 0, bytes.length - 1);
  for (const modulus of [Uint8Array.of(0), Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(0, 0, 1), word(1n << 255n), word(MAX), word(0n)]) {
    for (const exponent of [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(1), new Uint8Array(40), zeroFirst(prng.bytes(50)), prng.bytes(50)]) {
      for (const base of [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(1), prng.bytes(33)]) await compare(5, modexpInput(base, exponent, modulus));
    }
  }
});

test('modexp: lengths that lie', async () => {
  for (const [base, exponent, modulus] of [
    [1n, 1_000_000n, 1n],
    [0n, 0n, 100_000n],
    [100_000n, 0n, 0n],
    [32n, 1n << 20n, 32n],
  ] as const) {
    for (const tail of [0, 40]) await compare(5, concatBytes(word(base), word(exponent), word(modulus), new Uint8Array(tail).fill(0xff)));
  }
  for (const lengths of [
    [MAX, 0n, 0n],
    [0n, 0n, MAX],
    [MAX, MAX, MAX],
    [1n, MAX, 1n],
    [1n << 64n, 1n, 1n],
    [1n, 1n, 1n << 32n],
  ] as const) {
    const input = concatBytes(...lengths.map(word));
    assert.equal(answer('cancun', 5, input).gas, Infinity, 'more than any block has');
  }
  const nothing = { gas: 200, output: '0x' };
  assert.deepEqual(answer('cancun', 5, concatBytes(word(0n), word(MAX), word(0n))), nothing, 'without a base and a modulus the exponent is free');
});

test('bn254: sums and products of points, infinity, and what is not a point', async () => {
  const prng = new Prng(SEED + 3);
  const infinity = new Uint8Array(64);
  const p = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47n;
  for (let i = 0; i < 8; i++) {
    const k = scalar(prng, BN254_ORDER);
    const [a, b, minusA] = [bn254G1(k), bn254G1(scalar(prng, BN254_ORDER)), bn254G1(BN254_ORDER - k)];
    for (const pair of [[a, b], [a, a], [a, minusA], [a, infinity], [infinity, a], [infinity, infinity]] as const) await compare(6, concatBytes(...pair));
    for (const s of [0n, 1n, 2n, 3n, BN254_ORDER - 1n, BN254_ORDER, BN254_ORDER + 1n, MAX, random(prng), random(prng)]) {
      await compare(7, concatBytes(a, word(s)));
      await compare(7, concatBytes(infinity, word(s)));
    }
    for (const input of spoiled(prng, concatBytes(a, b), 4)) await compare(6, input);
    for (const input of spoiled(prng, concatBytes(a, word(k)), 4)) await compare(7, input);
  }
  for (const [x, y] of [[1n, p + 2n], [p + 1n, 2n], [p, p], [1n, 1n], [0n, 1n]] as const) assert.equal(await compare(6, concatBytes(word(x), word(y), infinity)), 'invalid');
});

test('bn254: pairings that are one, that are not, and with infinity', async () => {
  const prng = new Prng(SEED + 4);
  const one = toHex(word(1n));
  assert.equal(await compare(8, new Uint8Array(0)), one);
  for (let i = 0; i < 2; i++) {
    const [a, b] = [scalar(prng, BN254_ORDER), scalar(prng, BN254_ORDER)];
    const balanced = concatBytes(bn254G1(a), bn254G2(b), bn254G1(BN254_ORDER - ((a * b) % BN254_ORDER)), bn254G2(1n));
    assert.equal(await compare(8, balanced), one);
    assert.equal(await compare(8, concatBytes(bn254G1(a), bn254G2(b))), toHex(word(0n)));
    assert.equal(await compare(8, concatBytes(new Uint8Array(64), bn254G2(b))), one);
    assert.equal(await compare(8, concatBytes(bn254G1(a), new Uint8Array(128))), one);
    for (const input of spoiled(prng, balanced, 6)) await compare(8, input);
  }
});

test('blake2f: rounds from none to many, both flags, and bad ones', async () => {
  const prng = new Prng(SEED + 5);
  for (const rounds of [0, 1, 2, 9, 10, 11, 12, 13, 100, 1_000]) {
    for (const flag of [0, 1, 2, 255]) {
      const input = prng.bytes(213);
      new DataView(input.buffer).setUint32(0, rounds);
      input[212] = flag;
      assert.equal((await compare(9, input)) === 'invalid', flag > 1);
    }
  }
  for (const length of [0, 4, 212, 214]) assert.equal(await compare(9, prng.bytes(length)), 'invalid');
});

test('bls12-381: sums and multi-scalar products in both groups', async () => {
  const prng = new Prng(SEED + 6);
  for (const [add, multiply, point, bytes] of [[0x0b, 0x0c, blsG1, 128], [0x0d, 0x0e, blsG2, 256]] as const) {
    const infinity = new Uint8Array(bytes);
    const k = scalar(prng, BLS_ORDER);
    const [a, b, minusA] = [point(k), point(scalar(prng, BLS_ORDER)), point(BLS_ORDER - k)];
    for (const pair of [[a, b], [a, a], [a, minusA], [a, infinity], [infinity, a], [infinity, infinity]] as const) await compare(add, concatBytes(...pair), ['prague']);
    for (const s of [0n, 1n, BLS_ORDER - 1n, BLS_ORDER, BLS_ORDER + 1n, MAX, random(prng)]) await compare(multiply, concatBytes(a, word(s)), ['prague']);
    for (const terms of [0, 2, 3]) {
      const input = concatBytes(...Array.from({ length: terms }, (_, i) => concatBytes(point(scalar(prng, BLS_ORDER)), word(i === 2 ? 0n : random(prng)))));
      assert.equal((await compare(multiply, input, ['prague'])) === 'invalid', terms === 0);
    }
    await compare(multiply, concatBytes(a, word(5n), infinity, word(7n), minusA, word(5n)), ['prague']);
    for (const input of spoiled(prng, concatBytes(a, b), 6)) await compare(add, input, ['prague']);
    for (const input of spoiled(prng, concatBytes(a, word(k)), 6)) await compare(multiply, input, ['prague']);
  }
});

test('bls12-381: pairings and maps to the groups', async () => {
  const prng = new Prng(SEED + 7);
  const [a, b] = [scalar(prng, BLS_ORDER), scalar(prng, BLS_ORDER)];
  const balanced = concatBytes(blsG1(a), blsG2(b), blsG1(BLS_ORDER - ((a * b) % BLS_ORDER)), blsG2(1n));
  assert.equal(await compare(0x0f, balanced, ['prague']), toHex(word(1n)));
  assert.equal(await compare(0x0f, concatBytes(blsG1(a), blsG2(b)), ['prague']), toHex(word(0n)));
  assert.equal(await compare(0x0f, concatBytes(new Uint8Array(128), blsG2(b), blsG1(a), new Uint8Array(256)), ['prague']), toHex(word(1n)));
  assert.equal(await compare(0x0f, new Uint8Array(0), ['prague']), 'invalid');
  for (const input of spoiled(prng, balanced, 4)) await compare(0x0f, input, ['prague']);
  const p = 0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaabn;
  for (const u of [0n, 1n, p - 1n, p, random(prng)]) {
    assert.equal((await compare(0x10, fp(u), ['prague'])) === 'invalid', u === p);
    assert.equal((await compare(0x11, concatBytes(fp(random(prng)), fp(u)), ['prague'])) === 'invalid', u === p);
  }
  for (const input of spoiled(prng, fp(a), 2)) await compare(0x10, input, ['prague']);
});
