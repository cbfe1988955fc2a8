import { InvariantError } from '@shardlab/crosslink';
import type { Compiler } from '../compiler/compiler.ts';
import { deposit } from '../creations.ts';
import { ADDRESS_BELOW, type Frame } from '../frame.ts';
import { showsGas } from '../gas-above.ts';
import { STACK_WORDS_MAX } from '../gas.ts';
import { opcodeSize } from '../opcodes.ts';
import { copyWord, LIMBS, setSmall } from '../words/basic.ts';
import { INSTRUCTIONS } from './instructions.ts';
import type { Machine } from './machine.ts';
import { CALLED, DONE, FALLBACK, haltOf, keepsGas, MISSED, NEXT, OUT_OF_GAS, type Outcome, STACK_OVERFLOW, STACK_UNDERFLOW } from './outcome.ts';
import { runTraced } from './run-traced.ts';

const STACK_LIMBS_MAX = STACK_WORDS_MAX * LIMBS;
const SIZES = Uint8Array.from({ length: 256 }, (_, op) => opcodeSize(op));

/** Runs one segment in the interpreter: static gas and the stack are checked once. */
function runSegment(machine: Machine, frame: Frame, segment: number): Outcome {
  const { segments } = frame.code;
  const height = frame.sp - frame.base;
  const gas = frame.gas - segments.gas[segment]!;
  frame.gas = gas;
  if (gas < 0) return OUT_OF_GAS;
  if (height < LIMBS * segments.need[segment]!) return STACK_UNDERFLOW;
  if (height + LIMBS * segments.growth[segment]! > STACK_LIMBS_MAX) return STACK_OVERFLOW;
  return runInstructions(machine, frame, segments.count[segment]!);
}

/** Runs instructions of one segment, whose static gas is charged. */
function runInstructions(machine: Machine, frame: Frame, count: number): Outcome {
  const { padded } = frame.code;
  for (let left = count; left !== 0; left--) {
    const op = padded[frame.pc]!;
    frame.pc += SIZES[op]!;
    const outcome = INSTRUCTIONS[op]!(machine, frame);
    if (outcome !== NEXT) return outcome;
  }
  return NEXT;
}

/** Runs the frame until it ends or makes a call, in compiled traces where there are any. */
function runFrame(machine: Machine, frame: Frame, compiler: Compiler): Outcome {
  const { segments } = frame.code;
  const { at, compiled } = segments;
  for (;;) {
    const known = at[frame.pc]!;
    const segment = known === 0 ? segments.enter(frame.pc) : known - 1;
    const trace = compiled[segment] ?? compiler.traceOf(machine, frame, segment);
    let outcome = trace === undefined ? FALLBACK : trace(machine, frame);
    if (outcome < NEXT) {
      if (outcome !== FALLBACK) compiler.missed(segments, segment);
      outcome = outcome < MISSED ? runInstructions(machine, frame, MISSED - outcome) : runSegment(machine, frame, segment);
    }
    if (outcome !== NEXT) return outcome;
  }
}

/** Runs the frame until it ends or makes a call: step by step if somebody looks on, or if it may look at more gas than a number holds. */
function run(machine: Machine, frame: Frame, compiler: Compiler): Outcome {
  const isTraced = machine.tracer !== undefined || (machine.gasAbove !== undefined && showsGas(frame.code));
  return isTraced ? runTraced(machine, frame) : runFrame(machine, frame, compiler);
}

/** Ends the frame in the world: code is stored, or everything is undone. Returns what it came to, which a code that may not be stored changes. */
function settle(machine: Machine, frame: Frame, ended: Outcome): Outcome {
  const outcome = ended === DONE && frame.isCreation ? deposit(machine, frame) : ended;
  if (outcome === DONE) return outcome;
  machine.world.revertTo(frame.snapshot);
  if (!keepsGas(outcome)) {
    frame.gas = 0;
    machine.gasAbove?.lose(frame.depth);
    machine.outputLength = 0;
  }
  return outcome;
}

/** Gives the caller its gas, the flag or the address, and its part of the output. */
function resume(machine: Machine, caller: Frame, callee: Frame, outcome: Outcome): void {
  if (machine.gasAbove === undefined) caller.gas += callee.gas;
  else machine.gasAbove.giveBack(caller, callee);
  if (!callee.isCreation) {
    setSmall(machine.stack, caller.sp, outcome === DONE ? 1 : 0);
    const copied = Math.min(callee.outputLength, machine.outputLength);
    if (copied > 0) machine.memory.set(machine.output.subarray(0, copied), caller.memoryAt + callee.outputAt);
  } else if (outcome === DONE) {
    copyWord(machine.stack, caller.sp, machine.stack, callee.base - ADDRESS_BELOW);
    machine.outputLength = 0;
  } else setSmall(machine.stack, caller.sp, 0);
  caller.sp += LIMBS;
}

/** Runs the frame of depth 0, which is open, and all that it calls, to its end. Its gas and the machine's output are then those of the transaction's call. */
export function execute(machine: Machine, compiler: Compiler): Outcome {
  let frame = machine.frameAt(0);
  for (;;) {
    const ended = run(machine, frame, compiler);
    if (ended === NEXT) throw new InvariantError('a frame stopped without a reason', { pc: frame.pc });
    if (ended === CALLED) {
      frame = machine.frameAt(frame.depth + 1);
      continue;
    }
    const outcome = settle(machine, frame, ended);
    if (frame.depth === 0) return outcome;
    const { tracer } = machine;
    if (tracer?.exit !== undefined) {
      const gasUsed = frame.gasStart - frame.gas;
      tracer.exit({ halt: haltOf(outcome), gasUsed, output: machine.takeOutput() });
    }
    const caller = machine.frameAt(frame.depth - 1);
    resume(machine, caller, frame, outcome);
    frame = caller;
  }
}
