import { CALLS } from '../calls.ts';
import { CREATIONS } from '../creations.ts';
import { ARITHMETIC } from './arithmetic.ts';
import { FLOW, UNDEFINED_INSTRUCTION } from './flow.ts';
import type { Instruction } from './instruction.ts';
import { MEMORY } from './memory-instructions.ts';
import { STATE } from './state-instructions.ts';

function build(): readonly Instruction[] {
  const table = new Array<Instruction>(256).fill(UNDEFINED_INSTRUCTION);
  for (const group of [ARITHMETIC, FLOW, MEMORY, STATE, CALLS, CREATIONS]) {
    for (const [op, instruction] of group) table[op] = instruction;
  }
  return table;
}

/** What each byte of code does. */
export const INSTRUCTIONS: readonly Instruction[] = build();
