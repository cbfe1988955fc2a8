/** Comparisons of words, as JavaScript booleans. */
import { LIMBS } from '../words/basic.ts';
import type { Builder } from './builder.ts';
import type { Limb } from './emitter.ts';
import { xorLimb } from './limbs.ts';
import { booleanValue, constantValue, limbOf, limbsOfValue, negated, numberOf, type Value } from './value.ts';

/** 0. */
export const ZERO: Value = constantValue(0n);
/** 1. */
export const ONE: Value = constantValue(1n);

function decided(holds: boolean): Value {
  return holds ? ONE : ZERO;
}

function condition(builder: Builder, text: string): Value {
  return booleanValue(builder.emitter.define(text));
}

/** Text that compares the lower `count` limbs, from the most significant down. */
function lessText(a: readonly Limb[], b: readonly Limb[], count: number): string {
  let text = 'false';
  for (let i = 0; i < count; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (typeof x === 'number' && typeof y === 'number') {
      if (x !== y) text = String(x >>> 0 < y >>> 0);
      continue;
    }
    // What the limbs below already decide is not asked twice: extended signs repeat.
    if (i > 0 && x === a[i - 1] && y === b[i - 1]) continue;
    const less = `(${x}>>>0)<(${y}>>>0)`;
    text = text === 'false' ? less : `${x}===${y}?${text}:${less}`;
    text = `(${text})`;
  }
  return text;
}

function highText(limbs: readonly Limb[], from: number, to: number): string {
  return `(${limbs.slice(from, to).filter((limb) => limb !== 0).join('|') || '0'})`;
}

/** a < b, unsigned. */
export function lessThan(builder: Builder, a: Value, b: Value): Value {
  const { emitter } = builder;
  if (a.constant !== undefined && b.constant !== undefined) return decided(a.constant < b.constant);
  if (a === b || b.constant === 0n) return ZERO;
  if (a.bits <= 53 && b.bits <= 53) return condition(builder, `${numberOf(emitter, a)!}<${numberOf(emitter, b)!}`);
  const [x, y] = [limbsOfValue(emitter, a), limbsOfValue(emitter, b)];
  const [aLimbs, bLimbs] = [Math.ceil(a.bits / 32), Math.ceil(b.bits / 32)];
  const low = lessText(x, y, Math.min(aLimbs, bLimbs));
  if (aLimbs > bLimbs) return condition(builder, `${highText(x, bLimbs, aLimbs)}===0&&${low}`);
  if (bLimbs > aLimbs) return condition(builder, `${highText(y, aLimbs, bLimbs)}!==0||${low}`);
  return condition(builder, low);
}

/** a < b as two's complement. */
export function signedLessThan(builder: Builder, a: Value, b: Value): Value {
  const { emitter } = builder;
  if (a.constant !== undefined && b.constant !== undefined) {
    return decided(BigInt.asIntN(256, a.constant) < BigInt.asIntN(256, b.constant));
  }
  if (a === b) return ZERO;
  if (a.bits < 256 && b.bits < 256) return lessThan(builder, a, b);
  const [x, y] = [limbsOfValue(emitter, a), limbsOfValue(emitter, b)];
  const [top, other] = [x[LIMBS - 1]!, y[LIMBS - 1]!];
  return condition(builder, `${top}===${other}?${lessText(x, y, LIMBS - 1)}:${top}<${other}`);
}

/** a === b. */
export function equal(builder: Builder, a: Value, b: Value): Value {
  const { emitter } = builder;
  if (a.constant !== undefined && b.constant !== undefined) return decided(a.constant === b.constant);
  if (a === b) return ONE;
  if (a.constant === 0n) return isZero(builder, b);
  if (b.constant === 0n) return isZero(builder, a);
  const differences: Limb[] = [];
  for (let i = 0; i < LIMBS; i++) {
    const difference = xorLimb(emitter, limbOf(emitter, a, i), limbOf(emitter, b, i));
    if (typeof difference === 'number' && difference !== 0) return ZERO;
    if (difference !== 0) differences.push(difference);
  }
  return differences.length === 0 ? ONE : condition(builder, `(${differences.join('|')})===0`);
}

/** a === 0. */
export function isZero(builder: Builder, a: Value): Value {
  if (a.constant !== undefined) return decided(a.constant === 0n);
  if (a.boolean !== undefined) return booleanValue(negated(a.boolean));
  if (a.number !== undefined) return condition(builder, `${a.number}===0`);
  const limbs = limbsOfValue(builder.emitter, a);
  return condition(builder, `${highText(limbs, 0, LIMBS)}===0`);
}
