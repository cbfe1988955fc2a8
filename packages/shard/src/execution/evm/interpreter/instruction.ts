import type { Frame } from '../frame.ts';
import type { Machine } from './machine.ts';
import type { Outcome } from './outcome.ts';

/**
 * One instruction. Its static gas is charged and the stack checked before; `pc` points behind it (and behind what it pushes). It charges for what depends on
 * operands and state, works on the frame's stack, and returns what comes next.
 */
export type Instruction = (machine: Machine, frame: Frame) => Outcome;

/** Takes gas; false: out of gas. */
export function charge(frame: Frame, gas: number): boolean {
  const left = frame.gas - gas;
  frame.gas = left;
  return left >= 0;
}
