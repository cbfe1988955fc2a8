/** Operations on single limbs: computed while compiling if the operands are known, otherwise emitted. */
import type { Emitter, Limb } from './emitter.ts';

/** a & b. */
export function andLimb(emitter: Emitter, a: Limb, b: Limb): Limb {
  if (typeof a === 'number' && typeof b === 'number') return a & b;
  if (a === 0 || b === 0) return 0;
  if (a === -1 || a === b) return b;
  if (b === -1) return a;
  return emitter.define(`${a}&${b}`);
}

/** a | b. */
export function orLimb(emitter: Emitter, a: Limb, b: Limb): Limb {
  if (typeof a === 'number' && typeof b === 'number') return a | b;
  if (a === -1 || b === -1) return -1;
  if (a === 0 || a === b) return b;
  if (b === 0) return a;
  return emitter.define(`${a}|${b}`);
}

/** a ^ b. */
export function xorLimb(emitter: Emitter, a: Limb, b: Limb): Limb {
  if (typeof a === 'number' && typeof b === 'number') return a ^ b;
  if (a === b) return 0;
  if (a === 0) return b;
  if (b === 0) return a;
  return emitter.define(`${a}^${b}`);
}

/** ~a. */
export function notLimb(emitter: Emitter, a: Limb): Limb {
  return typeof a === 'number' ? ~a : emitter.define(`~${a}`);
}

/** a << bits, of 0 to 31. */
export function shiftLeftLimb(emitter: Emitter, a: Limb, bits: number): Limb {
  if (typeof a === 'number') return a << bits;
  return bits === 0 ? a : emitter.define(`${a}<<${bits}`);
}

/** a >>> bits, of 0 to 31, as a signed limb again. */
export function shiftRightLimb(emitter: Emitter, a: Limb, bits: number): Limb {
  if (typeof a === 'number') return bits === 0 ? a : a >>> bits;
  return bits === 0 ? a : emitter.define(`${a}>>>${bits}`);
}

/** All ones if the limb is negative, otherwise 0. */
export function signLimb(emitter: Emitter, a: Limb): Limb {
  return typeof a === 'number' ? a >> 31 : emitter.define(`${a}>>31`);
}

/** A limb and the carry or borrow out of it, 0 or 1. */
export interface Carried {
  readonly limb: Limb;
  readonly carry: Limb;
}

/**
 * a + b + carry. The carry out is the majority of the top bits of a, b and the complement of the sum (Hacker's Delight 2-16): integer operations only, no branch
 * and no conversion to floating point.
 */
export function addLimb(emitter: Emitter, a: Limb, b: Limb, carry: Limb): Carried {
  if (typeof a === 'number' && typeof b === 'number' && typeof carry === 'number') {
    const sum = (a >>> 0) + (b >>> 0) + carry;
    return { limb: sum | 0, carry: sum > 0xffff_ffff ? 1 : 0 };
  }
  const terms = [a, b, carry].filter((term) => term !== 0);
  if (terms.length === 1) return { limb: terms[0]!, carry: 0 };
  const limb = emitter.define(terms.length === 2 ? `${terms[0]!}+(${terms[1]!})|0` : `(${terms[0]!}+(${terms[1]!})|0)+(${terms[2]!})|0`);
  if (a === 0 || b === 0) return { limb, carry: emitter.define(`(${a === 0 ? b : a}&~${limb})>>>31`) };
  return { limb, carry: emitter.define(`(${a}&${b}|(${a}|${b})&~${limb})>>>31`) };
}

/** a - b - borrow. */
export function subtractLimb(emitter: Emitter, a: Limb, b: Limb, borrow: Limb): Carried {
  if (typeof a === 'number' && typeof b === 'number' && typeof borrow === 'number') {
    const difference = (a >>> 0) - (b >>> 0) - borrow;
    return { limb: difference | 0, carry: difference < 0 ? 1 : 0 };
  }
  if (b === 0 && borrow === 0) return { limb: a, carry: 0 };
  // Above both operands: the borrow goes through all limbs.
  if (a === 0 && b === 0) return { limb: emitter.define(`-${borrow}|0`), carry: borrow };
  if (borrow === 0) {
    const limb = emitter.define(`${a}-(${b})|0`);
    return { limb, carry: emitter.define(`(~${a}&${b}|~(${a}^${b})&${limb})>>>31`) };
  }
  const limb = emitter.define(b === 0 ? `${a}-${borrow}|0` : `(${a}-(${b})|0)-${borrow}|0`);
  if (b === 0) return { limb, carry: emitter.define(`(~${a}&${limb})>>>31`) };
  return { limb, carry: emitter.define(`(~${a}&${b}|~(${a}^${b})&${limb})>>>31`) };
}
