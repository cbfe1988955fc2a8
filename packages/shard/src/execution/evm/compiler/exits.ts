/** Exits that are rarely taken: the trace hands over what is in its variables, and a description says where on the stack it belongs. */
import type { Frame } from '../frame.ts';
import type { Machine } from '../interpreter/machine.ts';
import { INVALID_JUMP, NEXT, type Outcome } from '../interpreter/outcome.ts';
import { LIMBS, setNumber, TWO_32 } from '../words/basic.ts';
import type { Builder } from './builder.ts';
import type { TraceState } from './state.ts';
import { TEMPORARIES } from './temporaries.ts';
import { limbsOfValue, type Place, type Value } from './value.ts';

/** One word that the stack in memory lacks. `argument` counts the values that the trace hands over. */
type Write =
  | { readonly kind: 'move'; readonly position: number; readonly from: Place }
  | { readonly kind: 'number'; readonly position: number; readonly argument: number }
  | { readonly kind: 'limbs'; readonly position: number; readonly limbs: readonly number[] };

/** Where a trace leaves off, and what must be written for it. */
export interface Exit {
  /** Height of the stack, relative to the start of the trace. */
  readonly height: number;
  readonly writes: readonly Write[];
}

/** Among limbs that are known (below 2^32), stands for the first value that is handed over; the following numbers stand for the next ones. */
const HANDED_OVER = TWO_32;

/** Words that are moved, between reading and writing. */
const moved = new Uint32Array(LIMBS * 1024);

/** Describes the exit; `handed` gets the names of the variables to hand over. Nothing is emitted but definitions. */
export function describeExit(builder: Builder, state: TraceState, handed: Map<string, number>): Exit {
  const writes = state.pending().map(({ position, value }) => describeWrite(builder, position, value, handed));
  return { height: state.height, writes };
}

function describeWrite(builder: Builder, position: number, value: Value, handed: Map<string, number>): Write {
  const from = builder.placeOf(value);
  if (from !== undefined) return { kind: 'move', position, from };
  const handOver = (name: string): number => {
    const known = handed.get(name) ?? handed.size;
    handed.set(name, known);
    return known;
  };
  if (value.number !== undefined) return { kind: 'number', position, argument: handOver(value.number) };
  const limbs = limbsOfValue(builder.emitter, value).map((limb) =>
    typeof limb === 'number' ? limb >>> 0 : HANDED_OVER + handOver(limb),
  );
  return { kind: 'limbs', position, limbs };
}

/**
 * Brings frame and stack up to date and leaves the trace for the code at `target`, with the outcome that is given. INVALID_JUMP stands for a jump that was computed:
 * it is the outcome only if the code may not be jumped to there. `start` is the limb where the trace began.
 */
export function leave(
  machine: Machine,
  frame: Frame,
  gas: number,
  start: number,
  exit: Exit,
  target: number,
  outcome: Outcome,
  handed: readonly number[],
): Outcome {
  if (outcome === INVALID_JUMP && !frame.code.isJumpDestination(target)) return INVALID_JUMP;
  frame.gas = gas;
  frame.pc = target;
  frame.sp = start + LIMBS * exit.height;
  restore(machine.stack, frame.base, start, exit.writes, handed);
  return outcome === INVALID_JUMP ? NEXT : outcome;
}

function restore(stack: Uint32Array, base: number, start: number, writes: readonly Write[], handed: readonly number[]): void {
  let count = 0;
  for (const write of writes) {
    if (write.kind !== 'move') continue;
    const { array, base: from, offset } = write.from;
    const source = array === 'T' ? TEMPORARIES : stack;
    const at = array === 'T' ? offset : (from === 'B' ? base : start) + offset;
    for (let i = 0; i < LIMBS; i++) moved[count + i] = source[at + i]!;
    count += LIMBS;
  }
  count = 0;
  for (const write of writes) {
    const to = start + LIMBS * write.position;
    if (write.kind === 'move') {
      for (let i = 0; i < LIMBS; i++) stack[to + i] = moved[count + i]!;
      count += LIMBS;
    } else if (write.kind === 'number') setNumber(stack, to, handed[write.argument]!);
    else {
      for (let i = 0; i < LIMBS; i++) {
        const limb = write.limbs[i]!;
        stack[to + i] = limb < HANDED_OVER ? limb : handed[limb - HANDED_OVER]!;
      }
    }
  }
}
