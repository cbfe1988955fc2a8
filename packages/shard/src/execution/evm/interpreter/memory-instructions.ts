import { GAS_COPY_WORD, GAS_KECCAK_WORD, GAS_LOG_BYTE, wordCount } from '../gas.ts';
import { copyToMemory, expandMemory } from '../memory.ts';
import { readWord, setNumber, setSmall, toIndex, writeWord } from '../words/basic.ts';
import { charge, type Instruction } from './instruction.ts';
import { emitLog } from './emit-log.ts';
import { DONE, NEXT, OUT_OF_GAS, RETURN_DATA_OUT_OF_BOUNDS, REVERT, STATIC_VIOLATION, type Outcome } from './outcome.ts';

const load: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  const offset = toIndex(machine.stack, top);
  if (!expandMemory(machine, frame, offset, 32)) return OUT_OF_GAS;
  readWord(machine.view, frame.memoryAt + offset, machine.stack, top);
  return NEXT;
};

const store: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 8;
  const offset = toIndex(machine.stack, top);
  if (!expandMemory(machine, frame, offset, 32)) return OUT_OF_GAS;
  writeWord(machine.view, frame.memoryAt + offset, machine.stack, top - 8);
  return NEXT;
};

const storeByte: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 8;
  const offset = toIndex(machine.stack, top);
  if (!expandMemory(machine, frame, offset, 1)) return OUT_OF_GAS;
  machine.memory[frame.memoryAt + offset] = machine.stack[top - 8]!;
  return NEXT;
};

const size: Instruction = (machine, frame) => {
  setSmall(machine.stack, frame.sp, frame.memorySize);
  frame.sp += 8;
  return NEXT;
};

/** MCOPY (EIP-5656). */
const copy: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 16;
  const to = toIndex(machine.stack, top);
  const from = toIndex(machine.stack, top - 8);
  const length = toIndex(machine.stack, top - 16);
  if (!charge(frame, GAS_COPY_WORD * wordCount(length))) return OUT_OF_GAS;
  if (!expandMemory(machine, frame, Math.max(to, from), length)) return OUT_OF_GAS;
  if (length !== 0) {
    const at = frame.memoryAt;
    machine.memory.copyWithin(at + to, at + from, at + from + length);
  }
  return NEXT;
};

const keccak: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top;
  const offset = toIndex(machine.stack, top);
  const length = toIndex(machine.stack, top - 8);
  if (!charge(frame, GAS_KECCAK_WORD * wordCount(length))) return OUT_OF_GAS;
  if (!expandMemory(machine, frame, offset, length)) return OUT_OF_GAS;
  const from = length === 0 ? 0 : frame.memoryAt + offset;
  machine.memo.hash(machine.memory, machine.view, from, length, machine.stack, top - 8);
  return NEXT;
};

const callDataLoad: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  const offset = toIndex(machine.stack, top);
  const available = frame.inputLength - offset;
  if (available >= 32) readWord(machine.view, frame.inputAt + offset, machine.stack, top);
  else {
    setSmall(machine.stack, top, 0);
    for (let i = 0; i < available; i++) {
      const limb = top + 7 - (i >>> 2);
      machine.stack[limb] = machine.stack[limb]! | (machine.memory[frame.inputAt + offset + i]! << (24 - 8 * (i & 3)));
    }
  }
  return NEXT;
};

const callDataSize: Instruction = (machine, frame) => {
  setSmall(machine.stack, frame.sp, frame.inputLength);
  frame.sp += 8;
  return NEXT;
};

const callDataCopy: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 16;
  const to = toIndex(machine.stack, top);
  const from = toIndex(machine.stack, top - 8);
  const length = toIndex(machine.stack, top - 16);
  if (!charge(frame, GAS_COPY_WORD * wordCount(length))) return OUT_OF_GAS;
  if (!expandMemory(machine, frame, to, length)) return OUT_OF_GAS;
  copyToMemory(machine, frame.memoryAt + to, machine.memory, frame.inputAt, frame.inputLength, from, length);
  return NEXT;
};

const codeSize: Instruction = (machine, frame) => {
  setSmall(machine.stack, frame.sp, frame.code.bytes.length);
  frame.sp += 8;
  return NEXT;
};

const codeCopy: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 16;
  const to = toIndex(machine.stack, top);
  const from = toIndex(machine.stack, top - 8);
  const length = toIndex(machine.stack, top - 16);
  if (!charge(frame, GAS_COPY_WORD * wordCount(length))) return OUT_OF_GAS;
  if (!expandMemory(machine, frame, to, length)) return OUT_OF_GAS;
  const code = frame.code.bytes;
  copyToMemory(machine, frame.memoryAt + to, code, 0, code.length, from, length);
  return NEXT;
};

const returnDataSize: Instruction = (machine, frame) => {
  setNumber(machine.stack, frame.sp, machine.outputLength);
  frame.sp += 8;
  return NEXT;
};

const returnDataCopy: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 16;
  const to = toIndex(machine.stack, top);
  const from = toIndex(machine.stack, top - 8);
  const length = toIndex(machine.stack, top - 16);
  if (!charge(frame, GAS_COPY_WORD * wordCount(length))) return OUT_OF_GAS;
  // EIP-211: also for no bytes, if they begin behind the end.
  if (from + length > machine.outputLength) return RETURN_DATA_OUT_OF_BOUNDS;
  if (!expandMemory(machine, frame, to, length)) return OUT_OF_GAS;
  copyToMemory(machine, frame.memoryAt + to, machine.output, 0, machine.outputLength, from, length);
  return NEXT;
};

function ending(outcome: Outcome): Instruction {
  return (machine, frame) => {
    const top = frame.sp - 8;
    frame.sp = top - 8;
    const offset = toIndex(machine.stack, top);
    const length = toIndex(machine.stack, top - 8);
    if (!expandMemory(machine, frame, offset, length)) return OUT_OF_GAS;
    machine.setOutput(machine.memory, length === 0 ? 0 : frame.memoryAt + offset, length);
    return outcome;
  };
}

function log(topicCount: number): Instruction {
  return (machine, frame) => {
    const top = frame.sp - 8;
    frame.sp = top - 8 - 8 * topicCount;
    if (frame.isStatic) return STATIC_VIOLATION;
    const offset = toIndex(machine.stack, top);
    const length = toIndex(machine.stack, top - 8);
    if (!charge(frame, GAS_LOG_BYTE * length)) return OUT_OF_GAS;
    if (!expandMemory(machine, frame, offset, length)) return OUT_OF_GAS;
    const from = length === 0 ? 0 : frame.memoryAt + offset;
    emitLog(machine, frame, { from, length }, { words: machine.stack, topicsAt: top - 16, step: -8, count: topicCount });
    return NEXT;
  };
}

/** Instructions that read or write memory, call data, code and return data. */
export const MEMORY: readonly (readonly [number, Instruction])[] = [
  [0x20, keccak],
  [0x35, callDataLoad],
  [0x36, callDataSize],
  [0x37, callDataCopy],
  [0x38, codeSize],
  [0x39, codeCopy],
  [0x3d, returnDataSize],
  [0x3e, returnDataCopy],
  [0x51, load],
  [0x52, store],
  [0x53, storeByte],
  [0x59, size],
  [0x5e, copy],
  [0xa0, log(0)],
  [0xa1, log(1)],
  [0xa2, log(2)],
  [0xa3, log(3)],
  [0xa4, log(4)],
  [0xf3, ending(DONE)],
  [0xfd, ending(REVERT)],
];
