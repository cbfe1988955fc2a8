import { GAS_EXP_BYTE } from '../gas.ts';
import type { Words } from '../types.ts';
import { add, exp, mul, signExtend, sub } from '../words/arithmetic.ts';
import { equalWords, isZeroWord, limbsOf, setSmall } from '../words/basic.ts';
import { and, byte, lessThan, not, or, sar, shl, shr, signedLessThan, xor } from '../words/bits.ts';
import { addmod, div, mod, mulmod, sdiv, smod } from '../words/division.ts';
import { charge, type Instruction } from './instruction.ts';
import { NEXT, OUT_OF_GAS } from './outcome.ts';

type Binary = (words: Words, out: number, a: number, b: number) => void;
type Relation = (words: Words, a: number, b: number) => boolean;

function binary(operation: Binary): Instruction {
  return (machine, frame) => {
    const top = frame.sp - 8;
    frame.sp = top;
    operation(machine.stack, top - 8, top, top - 8);
    return NEXT;
  };
}

function relation(holds: Relation): Instruction {
  return (machine, frame) => {
    const top = frame.sp - 8;
    frame.sp = top;
    setSmall(machine.stack, top - 8, holds(machine.stack, top, top - 8) ? 1 : 0);
    return NEXT;
  };
}

function ternary(operation: (words: Words, out: number, a: number, b: number, n: number) => void): Instruction {
  return (machine, frame) => {
    const top = frame.sp - 8;
    frame.sp = top - 8;
    operation(machine.stack, top - 16, top, top - 8, top - 16);
    return NEXT;
  };
}

/** Bytes of the exponent that EXP charges for. */
export function exponentBytes(words: Words, at: number): number {
  const limbs = limbsOf(words, at);
  return limbs === 0 ? 0 : 4 * limbs - (Math.clz32(words[at + limbs - 1]!) >>> 3);
}

const power: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top;
  if (!charge(frame, GAS_EXP_BYTE * exponentBytes(machine.stack, top - 8))) return OUT_OF_GAS;
  exp(machine.stack, top - 8, top, top - 8);
  return NEXT;
};

const isZero: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  setSmall(machine.stack, top, isZeroWord(machine.stack, top) ? 1 : 0);
  return NEXT;
};

const complement: Instruction = (machine, frame) => {
  not(machine.stack, frame.sp - 8, frame.sp - 8);
  return NEXT;
};

/** Instructions 0x01 to 0x1d. */
export const ARITHMETIC: readonly (readonly [number, Instruction])[] = [
  [0x01, binary(add)],
  [0x02, binary(mul)],
  [0x03, binary(sub)],
  [0x04, binary(div)],
  [0x05, binary(sdiv)],
  [0x06, binary(mod)],
  [0x07, binary(smod)],
  [0x08, ternary(addmod)],
  [0x09, ternary(mulmod)],
  [0x0a, power],
  [0x0b, binary(signExtend)],
  [0x10, relation(lessThan)],
  [0x11, relation((words, a, b) => lessThan(words, b, a))],
  [0x12, relation(signedLessThan)],
  [0x13, relation((words, a, b) => signedLessThan(words, b, a))],
  [0x14, relation((words, a, b) => equalWords(words, a, words, b))],
  [0x15, isZero],
  [0x16, binary(and)],
  [0x17, binary(or)],
  [0x18, binary(xor)],
  [0x19, complement],
  [0x1a, binary(byte)],
  [0x1b, binary(shl)],
  [0x1c, binary(shr)],
  [0x1d, binary(sar)],
];
