import { type Code, EMPTY_CODE } from './code.ts';
import type { AccountId } from './types.ts';
import { LIMBS } from './words/basic.ts';

/** Words below the stack of each frame: who is called, by whom, with what value. */
export const FRAME_WORDS = 3;
/** Limbs from the base of a frame's stack down to its own address. */
export const ADDRESS_BELOW = 3 * LIMBS;
/** … to its caller's address. */
export const CALLER_BELOW = 2 * LIMBS;
/** … to the value of its call. */
export const VALUE_BELOW = LIMBS;

/**
 * The registers of one call: everything about it that is not a word of its stack or a byte of its memory. Frames are made once per depth and used again by each
 * call that gets there.
 */
export class Frame {
  /** 0 for the transaction's own call. */
  readonly depth: number;
  code: Code = EMPTY_CODE;
  /** Next instruction. */
  pc = 0;
  /** Index of the first free limb of the stack arena; the top word is 8 limbs below. */
  sp = 0;
  /** Limb where the frame's stack begins. */
  base = 0;
  gas = 0;
  /** Where the frame's memory begins in the arena; a multiple of 32. */
  memoryAt = 0;
  /** Bytes of memory, a multiple of 32. */
  memorySize = 0;
  /** Whose storage and balance the code works on. */
  account: AccountId = 0;
  /** Who CALLER is. */
  caller: AccountId = 0;
  isStatic = false;
  isCreation = false;
  /** Call data: a place in the memory arena, below this frame's memory. */
  inputAt = 0;
  inputLength = 0;
  /** Where the caller's memory takes the output: offset and length. */
  outputAt = 0;
  outputLength = 0;
  /** The world's snapshot to go back to on failure. */
  snapshot = 0;
  /** Gas that was given to the frame. */
  gasStart = 0;

  constructor(depth: number) {
    this.depth = depth;
  }
}
