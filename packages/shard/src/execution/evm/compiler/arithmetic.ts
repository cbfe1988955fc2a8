/** Arithmetic, logic and shifts on words while compiling: computed, emitted limb by limb, or emitted as a call of the library for words. */
import { LIMBS } from '../words/basic.ts';
import type { Builder } from './builder.ts';
import { equal, isZero, lessThan, ONE, signedLessThan, ZERO } from './comparisons.ts';
import type { Limb } from './emitter.ts';
import { addLimb, andLimb, type Carried, notLimb, orLimb, shiftLeftLimb, shiftRightLimb, signLimb, subtractLimb, xorLimb } from './limbs.ts';
import { bitLength, booleanValue, constantValue, limbOf, limbsOfValue, limbsValue, numberOf, numberValue, type Value } from './value.ts';

type Emit = (builder: Builder, ...operands: readonly [Value, Value, Value]) => Value;

const wrap = (value: bigint): bigint => BigInt.asUintN(256, value);
const signed = (value: bigint): bigint => BigInt.asIntN(256, value);

function powerOfTwo(value: Value): number | undefined {
  const { constant } = value;
  return constant !== undefined && constant !== 0n && (constant & (constant - 1n)) === 0n ? bitLength(constant) - 1 : undefined;
}

/** A call of the library: `name(U, out, a, b…)` on temporaries. */
function library(builder: Builder, name: string, ...operands: readonly Value[]): Value {
  const places = operands.map((operand) => builder.inTemporary(operand).offset);
  return builder.result((at) => `${name}(U,${at},${places.join(',')});`);
}

/** Limb by limb with a carry. */
function chained(builder: Builder, a: Value, b: Value, step: typeof addLimb, bits: number): Value {
  const { emitter } = builder;
  const limbs: Limb[] = [];
  let carry: Limb = 0;
  for (let i = 0; i < LIMBS; i++) {
    const next: Carried = step(emitter, limbOf(emitter, a, i), limbOf(emitter, b, i), carry);
    limbs.push(next.limb);
    carry = next.carry;
  }
  return limbsValue(limbs, bits);
}

function add(builder: Builder, a: Value, b: Value): Value {
  if (a.constant !== undefined && b.constant !== undefined) return constantValue(wrap(a.constant + b.constant));
  if (a.constant === 0n) return b;
  if (b.constant === 0n) return a;
  const bits = Math.max(a.bits, b.bits) + 1;
  if (bits <= 53) return numberValue(builder.emitter.define(`${numberOf(builder.emitter, a)!}+${numberOf(builder.emitter, b)!}`), bits);
  return chained(builder, a, b, addLimb, bits);
}

function subtract(builder: Builder, a: Value, b: Value): Value {
  if (a.constant !== undefined && b.constant !== undefined) return constantValue(wrap(a.constant - b.constant));
  if (b.constant === 0n) return a;
  return a === b ? ZERO : chained(builder, a, b, subtractLimb, 256);
}

function multiply(builder: Builder, a: Value, b: Value): Value {
  if (a.constant !== undefined && b.constant !== undefined) return constantValue(wrap(a.constant * b.constant));
  if (a.constant === 0n || b.constant === 0n) return ZERO;
  const shift = powerOfTwo(a) ?? powerOfTwo(b);
  if (shift !== undefined) return shiftLeftBy(builder, powerOfTwo(a) === undefined ? a : b, shift);
  const bits = a.bits + b.bits;
  if (bits <= 53) return numberValue(builder.emitter.define(`${numberOf(builder.emitter, a)!}*${numberOf(builder.emitter, b)!}`), bits);
  return library(builder, 'mul', a, b);
}

function divide(builder: Builder, a: Value, b: Value): Value {
  if (b.constant === 0n || a.constant === 0n) return ZERO;
  if (a.constant !== undefined && b.constant !== undefined) return constantValue(a.constant / b.constant);
  const shift = powerOfTwo(b);
  if (shift !== undefined) return shiftRightBy(builder, a, shift, 0);
  const [x, y] = [numberOf(builder.emitter, a), numberOf(builder.emitter, b)];
  if (x === undefined || y === undefined) return library(builder, 'div', a, b);
  const quotient = `Math.floor(${x}/${y})`;
  return numberValue(builder.emitter.define(b.constant === undefined ? `${y}===0?0:${quotient}` : quotient), a.bits);
}

function modulo(builder: Builder, a: Value, b: Value): Value {
  if (b.constant === 0n || a.constant === 0n) return ZERO;
  if (a.constant !== undefined && b.constant !== undefined) return constantValue(a.constant % b.constant);
  const shift = powerOfTwo(b);
  if (shift !== undefined) return and(builder, a, constantValue((1n << BigInt(shift)) - 1n));
  const [x, y] = [numberOf(builder.emitter, a), numberOf(builder.emitter, b)];
  if (x === undefined || y === undefined) return library(builder, 'mod', a, b);
  const rest = `${x}-Math.floor(${x}/${y})*${y}`;
  return numberValue(builder.emitter.define(b.constant === undefined ? `${y}===0?0:${rest}` : rest), Math.min(a.bits, b.bits));
}

/** EXP without its gas. */
function power(builder: Builder, a: Value, b: Value): Value {
  if (b.constant === 0n) return ONE;
  if (b.constant === 1n) return a;
  if (a.constant !== undefined && b.constant !== undefined) {
    let result = 1n;
    for (let bit = BigInt(bitLength(b.constant)) - 1n; bit >= 0n; bit--) {
      result = wrap(result * result);
      if (((b.constant >> bit) & 1n) === 1n) result = wrap(result * a.constant);
    }
    return constantValue(result);
  }
  return library(builder, 'exp', a, b);
}

function signExtend(builder: Builder, a: Value, b: Value): Value {
  if (a.constant === undefined) return library(builder, 'signExtend', a, b);
  if (a.constant >= 31n || b.bits <= 8 * Number(a.constant) + 7) return b;
  const size = Number(a.constant);
  const { emitter } = builder;
  const limb = size >>> 2;
  const shift = 24 - 8 * (size & 3);
  const source = limbOf(emitter, b, limb);
  const extended = typeof source === 'number' ? (source << shift) >> shift : shift === 0 ? source : emitter.define(`${source}<<${shift}>>${shift}`);
  const sign = signLimb(emitter, extended);
  return limbsValue(Array.from({ length: LIMBS }, (_, i) => (i < limb ? limbOf(emitter, b, i) : i === limb ? extended : sign)));
}

function limbwise(builder: Builder, a: Value, b: Value, operation: typeof andLimb, bits: number): Value {
  const { emitter } = builder;
  return limbsValue(
    Array.from({ length: LIMBS }, (_, i) => operation(emitter, limbOf(emitter, a, i), limbOf(emitter, b, i))),
    bits,
  );
}

function and(builder: Builder, a: Value, b: Value): Value {
  if (a.boolean !== undefined && b.boolean !== undefined) return booleanValue(builder.emitter.define(`${a.boolean}&&${b.boolean}`));
  // A mask that keeps all that can be there: the value stays what it is, with its number or place.
  if (b.constant !== undefined && b.constant === (1n << BigInt(Math.max(a.bits, bitLength(b.constant)))) - 1n) return a;
  if (a.constant !== undefined && a.constant === (1n << BigInt(Math.max(b.bits, bitLength(a.constant)))) - 1n) return b;
  return limbwise(builder, a, b, andLimb, Math.min(a.bits, b.bits));
}

function or(builder: Builder, a: Value, b: Value): Value {
  if (a.boolean !== undefined && b.boolean !== undefined) return booleanValue(builder.emitter.define(`${a.boolean}||${b.boolean}`));
  if (a.constant === 0n) return b;
  return b.constant === 0n ? a : limbwise(builder, a, b, orLimb, Math.max(a.bits, b.bits));
}

function xor(builder: Builder, a: Value, b: Value): Value {
  return limbwise(builder, a, b, xorLimb, Math.max(a.bits, b.bits));
}

function not(builder: Builder, a: Value): Value {
  return limbsValue(limbsOfValue(builder.emitter, a).map((limb) => notLimb(builder.emitter, limb)));
}

function byteOf(builder: Builder, a: Value, b: Value): Value {
  if (a.constant === undefined) return library(builder, 'byte', a, b);
  if (a.constant > 31n) return ZERO;
  const index = Number(a.constant);
  return and(builder, shiftRightBy(builder, b, 8 * (31 - index), 0), constantValue(255n));
}

/** value << bits, of 0 to 255. */
function shiftLeftBy(builder: Builder, value: Value, bits: number): Value {
  const { emitter } = builder;
  if (bits === 0) return value;
  const [whole, rest] = [bits >>> 5, bits & 31];
  const at = (i: number): Limb => (i < 0 ? 0 : limbOf(emitter, value, i));
  const limbs = Array.from({ length: LIMBS }, (_, i) =>
    rest === 0
      ? at(i - whole)
      : orLimb(emitter, shiftLeftLimb(emitter, at(i - whole), rest), shiftRightLimb(emitter, at(i - whole - 1), 32 - rest)),
  );
  return limbsValue(limbs, value.bits + bits);
}

/** value >> bits, of 0 to 255, with limbs of `fill` from above. */
function shiftRightBy(builder: Builder, value: Value, bits: number, fill: Limb): Value {
  const { emitter } = builder;
  if (bits === 0) return value;
  const [whole, rest] = [bits >>> 5, bits & 31];
  const at = (i: number): Limb => (i < LIMBS ? limbOf(emitter, value, i) : fill);
  const limbs = Array.from({ length: LIMBS }, (_, i) =>
    rest === 0
      ? at(i + whole)
      : orLimb(emitter, shiftRightLimb(emitter, at(i + whole), rest), shiftLeftLimb(emitter, at(i + whole + 1), 32 - rest)),
  );
  return limbsValue(limbs, fill === 0 ? Math.max(0, value.bits - bits) : 256);
}

function shiftLeft(builder: Builder, a: Value, b: Value): Value {
  if (a.constant === undefined) return library(builder, 'shl', a, b);
  return a.constant > 255n ? ZERO : shiftLeftBy(builder, b, Number(a.constant));
}

function shiftRight(builder: Builder, a: Value, b: Value): Value {
  if (a.constant === undefined) return library(builder, 'shr', a, b);
  return a.constant > 255n ? ZERO : shiftRightBy(builder, b, Number(a.constant), 0);
}

function shiftRightSigned(builder: Builder, a: Value, b: Value): Value {
  if (a.constant === undefined) return library(builder, 'sar', a, b);
  if (b.constant !== undefined) return constantValue(wrap(signed(b.constant) >> (a.constant > 255n ? 255n : a.constant)));
  const fill = signLimb(builder.emitter, limbOf(builder.emitter, b, LIMBS - 1));
  if (a.constant > 255n) return limbsValue(new Array<Limb>(LIMBS).fill(fill));
  return shiftRightBy(builder, b, Number(a.constant), fill);
}

/** Instructions that are pure functions of their operands, the top of the stack first. */
export const PURE: ReadonlyMap<number, Emit> = new Map<number, Emit>([
  [0x01, add],
  [0x02, multiply],
  [0x03, subtract],
  [0x04, divide],
  [0x05, (builder, a, b) => library(builder, 'sdiv', a, b)],
  [0x06, modulo],
  [0x07, (builder, a, b) => library(builder, 'smod', a, b)],
  [0x08, (builder, a, b, n) => library(builder, 'addmod', a, b, n)],
  [0x09, (builder, a, b, n) => library(builder, 'mulmod', a, b, n)],
  [0x0a, power],
  [0x0b, signExtend],
  [0x10, lessThan],
  [0x11, (builder, a, b) => lessThan(builder, b, a)],
  [0x12, signedLessThan],
  [0x13, (builder, a, b) => signedLessThan(builder, b, a)],
  [0x14, equal],
  [0x15, isZero],
  [0x16, and],
  [0x17, or],
  [0x18, xor],
  [0x19, not],
  [0x1a, byteOf],
  [0x1b, shiftLeft],
  [0x1c, shiftRight],
  [0x1d, shiftRightSigned],
]);
