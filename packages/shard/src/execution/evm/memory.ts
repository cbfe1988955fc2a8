import type { Frame } from './frame.ts';
import { memoryGas } from './gas.ts';
import type { Machine } from './interpreter/machine.ts';

/**
 * Makes the `length` bytes from `offset` on part of the frame's memory and charges for it. False: out of gas. Nothing happens for no bytes, wherever they
 * are. Infinity, for either, is out of gas.
 */
export function expandMemory(machine: Machine, frame: Frame, offset: number, length: number): boolean {
  if (length === 0) return true;
  const end = offset + length;
  return end <= frame.memorySize || growMemory(machine, frame, end);
}

/** Makes the frame's memory `end` bytes long, rounded up to words, and charges for it. False: out of gas. */
export function growMemory(machine: Machine, frame: Frame, end: number): boolean {
  // 2^32 bytes are above what any gas pays for, and words * words would lose digits.
  if (end > 0x1_0000_0000) return false;
  const words = Math.ceil(end / 32);
  const gas = frame.gas - memoryGas(words) + memoryGas(frame.memorySize / 32);
  frame.gas = gas;
  if (gas < 0) return false;
  const from = frame.memoryAt + frame.memorySize;
  const to = frame.memoryAt + 32 * words;
  if (!machine.reserveMemory(to)) return false;
  // Frames that ended have left their bytes behind.
  machine.memory.fill(0, from, to);
  frame.memorySize = 32 * words;
  return true;
}

/**
 * Copies `length` bytes of `source` (of which `sourceLength` bytes count) from `from` on into the frame's memory at `to`, zeros for what lies beyond. The memory
 * is there already. `from` may be Infinity.
 */
export function copyToMemory(
  machine: Machine,
  to: number,
  source: Uint8Array,
  sourceStart: number,
  sourceLength: number,
  from: number,
  length: number,
): void {
  const memory = machine.memory;
  const available = Math.min(length, Math.max(0, sourceLength - from));
  if (available > 0) memory.set(source.subarray(sourceStart + from, sourceStart + from + available), to);
  if (available < length) memory.fill(0, to + available, to + length);
}
