import { OP } from '../opcodes.ts';
import { copyWord, fromBigint, fromBytes, isZeroWord, setNumber, setSmall, swapWords, toIndex } from '../words/basic.ts';
import type { Instruction } from './instruction.ts';
import { DONE, INVALID_JUMP, INVALID_OPCODE, NEXT } from './outcome.ts';

const stop: Instruction = (machine) => {
  machine.outputLength = 0;
  return DONE;
};

const jump: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top;
  const to = toIndex(machine.stack, top);
  if (!frame.code.isJumpDestination(to)) return INVALID_JUMP;
  frame.pc = to;
  return NEXT;
};

const jumpIf: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 8;
  if (isZeroWord(machine.stack, top - 8)) return NEXT;
  const to = toIndex(machine.stack, top);
  if (!frame.code.isJumpDestination(to)) return INVALID_JUMP;
  frame.pc = to;
  return NEXT;
};

const programCounter: Instruction = (machine, frame) => {
  setSmall(machine.stack, frame.sp, frame.pc - 1);
  frame.sp += 8;
  return NEXT;
};

const gas: Instruction = (machine, frame) => {
  if (machine.gasAbove === undefined) setNumber(machine.stack, frame.sp, frame.gas);
  else fromBigint(machine.stack, frame.sp, machine.gasAbove.total(frame));
  frame.sp += 8;
  return NEXT;
};

const pop: Instruction = (_machine, frame) => {
  frame.sp -= 8;
  return NEXT;
};

const invalid: Instruction = () => INVALID_OPCODE;

function push(bytes: number): Instruction {
  if (bytes === 1) {
    return (machine, frame) => {
      setSmall(machine.stack, frame.sp, frame.code.padded[frame.pc - 1]!);
      frame.sp += 8;
      return NEXT;
    };
  }
  return (machine, frame) => {
    fromBytes(machine.stack, frame.sp, frame.code.padded, frame.pc - bytes, bytes);
    frame.sp += 8;
    return NEXT;
  };
}

function duplicate(limbsBelow: number): Instruction {
  return (machine, frame) => {
    copyWord(machine.stack, frame.sp, machine.stack, frame.sp - limbsBelow);
    frame.sp += 8;
    return NEXT;
  };
}

function swap(limbsBelow: number): Instruction {
  return (machine, frame) => {
    swapWords(machine.stack, frame.sp - 8, frame.sp - 8 - limbsBelow);
    return NEXT;
  };
}

function sized(first: number, count: number, make: (n: number) => Instruction): (readonly [number, Instruction])[] {
  return Array.from({ length: count }, (_, i) => [first + i, make(i + 1)] as const);
}

/** Control flow and what moves words on the stack alone. */
export const FLOW: readonly (readonly [number, Instruction])[] = [
  [OP.STOP, stop],
  [0x50, pop],
  [OP.JUMP, jump],
  [OP.JUMPI, jumpIf],
  [OP.PC, programCounter],
  [OP.GAS, gas],
  [OP.JUMPDEST, () => NEXT],
  [OP.PUSH0, push(0)],
  ...sized(OP.PUSH1, 32, push),
  ...sized(OP.DUP1, 16, (n) => duplicate(8 * n)),
  ...sized(OP.SWAP1, 16, (n) => swap(8 * n)),
  [OP.INVALID, invalid],
];

/** What runs for a byte that is no instruction. */
export const UNDEFINED_INSTRUCTION: Instruction = invalid;
