import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '@shardlab/crosslink';
import fc from 'fast-check';
import { add, exp, mul, negate, signExtend, sub } from '../../../src/execution/evm/words/arithmetic.ts';
import {
  copyWord,
  equalWords,
  fromBigint,
  fromBytes,
  isZeroWord,
  limbsOf,
  setNumber,
  swapWords,
  toBigint,
  toBytes,
  toIndex,
  toNumber,
} from '../../../src/execution/evm/words/basic.ts';
import {
  and,
  byte,
  lessThan,
  not,
  or,
  sar,
  shl,
  shr,
  signedLessThan,
  xor,
} from '../../../src/execution/evm/words/bits.ts';
import { addmod, div, mod, mulmod, sdiv, smod } from '../../../src/execution/evm/words/division.ts';

const MODULUS = 1n << 256n;
const wrap = (value: bigint): bigint => BigInt.asUintN(256, value);
const signed = (value: bigint): bigint => BigInt.asIntN(256, value);
/** Powers of two and their neighbours, where carries, signs and limb counts change. */
const edge = fc
  .tuple(fc.integer({ min: 0, max: 256 }), fc.integer({ min: -2, max: 2 }))
  .map(([bit, offset]) => wrap((1n << BigInt(bit)) + BigInt(offset)));
/** Words whose limbs are mostly 0, 1, 2^31, 2^32 - 1: the digits that a long division guesses wrong. */
const patterned = fc
  .array(fc.oneof(fc.constantFrom(0n, 1n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_fffen, 0xffff_ffffn), fc.bigInt(0n, 0xffff_ffffn)), {
    minLength: 8,
    maxLength: 8,
  })
  .map((limbs) => limbs.reduce((value, limb) => (value << 32n) | limb, 0n));
const word = fc.oneof(fc.bigInt(0n, MODULUS - 1n), edge, patterned, fc.bigInt(0n, 300n), fc.bigInt(0n, (1n << 53n) - 1n), fc.bigInt(0n, (1n << 128n) - 1n));
const RUNS = { numRuns: 2000 };

type Binary = (words: Uint32Array, out: number, a: number, b: number) => void;

/** Checks `operation` against `expected`, also where the result takes the place of an operand and where both operands are one word. */
function checkBinary(operation: Binary, expected: (a: bigint, b: bigint) => bigint, right: fc.Arbitrary<bigint> = word): void {
  fc.assert(
    fc.property(word, right, (a, b) => {
      for (const out of [16, 0, 8]) {
        const words = new Uint32Array(24);
        fromBigint(words, 0, a);
        fromBigint(words, 8, b);
        operation(words, out, 0, 8);
        assert.equal(toBigint(words, out), expected(a, b));
        if (out !== 0) assert.equal(toBigint(words, 0), a);
        if (out !== 8) assert.equal(toBigint(words, 8), b);
      }
      const words = new Uint32Array(8);
      fromBigint(words, 0, a);
      operation(words, 0, 0, 0);
      assert.equal(toBigint(words, 0), expected(a, a));
    }),
    RUNS,
  );
}

const swapped =
  (operation: Binary): Binary =>
  (words, out, a, b) =>
    operation(words, out, b, a);
const shift = fc.oneof(fc.bigInt(0n, 260n), word);

test('addition and subtraction wrap around', () => {
  checkBinary(add, (a, b) => wrap(a + b));
  checkBinary(sub, (a, b) => wrap(a - b));
  checkBinary((words, out, a) => negate(words, out, a), (a) => wrap(-a));
});

test('multiplication wraps around', () => {
  checkBinary(mul, (a, b) => wrap(a * b));
});

test('exponentiation wraps around', () => {
  const power = (a: bigint, b: bigint): bigint => {
    let result = 1n;
    for (let bit = 255n; bit >= 0n; bit--) {
      result = wrap(result * result);
      if (((b >> bit) & 1n) !== 0n) result = wrap(result * a);
    }
    return result;
  };
  checkBinary(exp, power, fc.oneof(fc.bigInt(0n, 80n), word));
});

test('divisions cut towards zero, and by zero are zero', () => {
  checkBinary(div, (a, b) => (b === 0n ? 0n : a / b));
  checkBinary(mod, (a, b) => (b === 0n ? 0n : a % b));
  checkBinary(sdiv, (a, b) => (b === 0n ? 0n : wrap(signed(a) / signed(b))));
  checkBinary(smod, (a, b) => (b === 0n ? 0n : wrap(signed(a) % signed(b))));
});

test('addmod and mulmod keep the carry', () => {
  fc.assert(
    fc.property(word, word, word, (a, b, n) => {
      for (const out of [0, 8, 16]) {
        const words = new Uint32Array(24);
        const put = (): void => [a, b, n].forEach((value, i) => fromBigint(words, 8 * i, value));
        put();
        addmod(words, out, 0, 8, 16);
        assert.equal(toBigint(words, out), n === 0n ? 0n : (a + b) % n);
        put();
        mulmod(words, out, 0, 8, 16);
        assert.equal(toBigint(words, out), n === 0n ? 0n : (a * b) % n);
      }
    }),
    { numRuns: 5000 },
  );
});

test('long division where the guessed digit is wrong', () => {
  // Found by search: quotient digits of 2^32 - 1 with leading limbs equal, and remainders one below the divisor.
  const cases: [bigint, bigint][] = [
    [MODULUS - 1n, (1n << 128n) - 1n],
    [(1n << 255n) - 1n, (1n << 127n) + 1n],
    [0x80000000_00000000_00000000_00000003_00000000n, 0x80000000_00000000_00000000_00000001n],
  ];
  for (let k = 33n; k < 250n; k++) {
    for (const d of [(1n << k) - 1n, (1n << k) + 1n, ((1n << k) - 1n) ^ 1n]) {
      for (const q of [1n, 0xffff_ffffn, 0x1_0000_0000n, (1n << 64n) - 1n]) {
        for (const rest of [0n, 1n, d - 1n]) if (q * d + rest < MODULUS) cases.push([q * d + rest, d]);
      }
    }
  }
  const words = new Uint32Array(24);
  for (const [a, b] of cases) {
    fromBigint(words, 0, a);
    fromBigint(words, 8, b);
    div(words, 16, 0, 8);
    assert.equal(toBigint(words, 16), a / b);
    mod(words, 16, 0, 8);
    assert.equal(toBigint(words, 16), a % b);
  }
});

test('logic, shifts, bytes and signs', () => {
  checkBinary(and, (a, b) => a & b);
  checkBinary(or, (a, b) => a | b);
  checkBinary(xor, (a, b) => a ^ b);
  checkBinary((words, out, a) => not(words, out, a), (a) => wrap(~a));
  checkBinary(swapped(shl), (a, b) => (b > 255n ? 0n : wrap(a << b)), shift);
  checkBinary(swapped(shr), (a, b) => (b > 255n ? 0n : a >> b), shift);
  checkBinary(swapped(sar), (a, b) => wrap(signed(a) >> (b > 255n ? 255n : b)), shift);
  checkBinary(swapped(byte), (a, b) => (b > 31n ? 0n : (a >> (8n * (31n - b))) & 0xffn), fc.oneof(fc.bigInt(0n, 33n), word));
  const extended = (a: bigint, b: bigint): bigint => (b > 30n ? a : wrap(BigInt.asIntN(8 * Number(b) + 8, a)));
  checkBinary(swapped(signExtend), extended, fc.oneof(fc.bigInt(0n, 33n), word));
});

test('comparisons', () => {
  fc.assert(
    fc.property(word, word, fc.boolean(), (a, other, same) => {
      const b = same ? a : other;
      const words = new Uint32Array(16);
      fromBigint(words, 0, a);
      fromBigint(words, 8, b);
      assert.equal(lessThan(words, 0, 8), a < b);
      assert.equal(signedLessThan(words, 0, 8), signed(a) < signed(b));
      assert.equal(equalWords(words, 0, words, 8), a === b);
      assert.equal(isZeroWord(words, 0), a === 0n);
    }),
    RUNS,
  );
});

test('words to and from numbers, bigints and bytes', () => {
  fc.assert(
    fc.property(word, (a) => {
      const words = new Uint32Array(24).fill(0xdeadbeef);
      fromBigint(words, 8, a);
      assert.equal(toBigint(words, 8), a);
      assert.equal(toNumber(words, 8), a < 1n << 53n ? Number(a) : Infinity);
      assert.equal(toIndex(words, 8), a < 1n << 32n ? Number(a) : Infinity);
      assert.equal(limbsOf(words, 8), Math.ceil(a === 0n ? 0 : a.toString(2).length / 32));
      if (a < 1n << 53n) {
        setNumber(words, 8, Number(a));
        assert.equal(toBigint(words, 8), a);
      }
      const bytes = new Uint8Array(34);
      toBytes(words, 8, bytes, 1);
      assert.equal(BigInt(toHex(bytes.slice(1, 33))), a);
      fromBytes(words, 16, bytes, 1, 32);
      assert.ok(equalWords(words, 8, words, 16));
      fromBytes(words, 16, bytes, 26, 7);
      assert.equal(toBigint(words, 16), a & 0xff_ffff_ffff_ffffn);
      copyWord(words, 0, words, 8);
      swapWords(words, 0, 16);
      assert.equal(toBigint(words, 16), a);
      fromBigint(words, 0, -a);
      assert.equal(toBigint(words, 0), wrap(-a));
    }),
    RUNS,
  );
});
