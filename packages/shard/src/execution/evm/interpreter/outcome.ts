import type { Halt } from '../types.ts';

/** What an instruction comes to: 0 goes on; the others end the frame's turn. */
export type Outcome = number;

/** A compiled trace does not fit the stack: the interpreter runs the segment. Nothing has happened. */
export const FALLBACK: Outcome = -1;
/** As FALLBACK, because words on the stack are not what the trace was made for. */
export const MISSED: Outcome = -2;
/** A compiled trace met words that it was not made for inside of a segment, whose gas is charged: the interpreter runs the instructions that are left of it. */
export function resumeOutcome(instructions: number): Outcome {
  return MISSED - instructions;
}
/** On to the next instruction. */
export const NEXT: Outcome = 0;
/** Another frame has the turn: a call was made. */
export const CALLED: Outcome = 1;
/** The frame ended well. */
export const DONE: Outcome = 2;
/** From here on outcomes are halts in failure. */
const HALTS_FROM = 3;

const HALTS: readonly Halt[] = [
  'revert',
  'out-of-gas',
  'invalid-opcode',
  'stack-underflow',
  'stack-overflow',
  'invalid-jump',
  'static-violation',
  'return-data-out-of-bounds',
  'initcode-too-long',
  'code-too-long',
  'invalid-code',
  'create-collision',
  'precompile-failure',
  'foreign-account',
  'call-depth',
  'insufficient-balance',
  'nonce-overflow',
];

function outcomeOf(halt: Halt): Outcome {
  return HALTS_FROM + HALTS.indexOf(halt);
}

export const REVERT: Outcome = outcomeOf('revert');
export const OUT_OF_GAS: Outcome = outcomeOf('out-of-gas');
export const INVALID_OPCODE: Outcome = outcomeOf('invalid-opcode');
export const STACK_UNDERFLOW: Outcome = outcomeOf('stack-underflow');
export const STACK_OVERFLOW: Outcome = outcomeOf('stack-overflow');
export const INVALID_JUMP: Outcome = outcomeOf('invalid-jump');
export const STATIC_VIOLATION: Outcome = outcomeOf('static-violation');
export const RETURN_DATA_OUT_OF_BOUNDS: Outcome = outcomeOf('return-data-out-of-bounds');
export const INITCODE_TOO_LONG: Outcome = outcomeOf('initcode-too-long');
export const CODE_TOO_LONG: Outcome = outcomeOf('code-too-long');
export const INVALID_CODE: Outcome = outcomeOf('invalid-code');
export const CREATE_COLLISION: Outcome = outcomeOf('create-collision');
export const PRECOMPILE_FAILURE: Outcome = outcomeOf('precompile-failure');
export const FOREIGN_ACCOUNT: Outcome = outcomeOf('foreign-account');
export const CALL_DEPTH: Outcome = outcomeOf('call-depth');
export const INSUFFICIENT_BALANCE: Outcome = outcomeOf('insufficient-balance');
export const NONCE_OVERFLOW: Outcome = outcomeOf('nonce-overflow');

/** The halt that an outcome stands for; undefined if it is no failure. */
export function haltOf(outcome: Outcome): Halt | undefined {
  return HALTS[outcome - HALTS_FROM];
}

/** Whether a frame that ends so keeps the gas that it has left, and gives data back: a revert, of its own will or because it met a foreign account (R12). */
export function keepsGas(outcome: Outcome): boolean {
  return outcome === DONE || outcome === REVERT || outcome === FOREIGN_ACCOUNT;
}
