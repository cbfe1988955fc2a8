import type { Frame } from '../frame.ts';
import { STACK_WORDS_MAX } from '../gas.ts';
import { OPCODES, opcodeSize } from '../opcodes.ts';
import type { Tracer, TraceStep } from '../tracer.ts';
import { LIMBS, toBytes } from '../words/basic.ts';
import { INSTRUCTIONS } from './instructions.ts';
import type { Machine } from './machine.ts';
import { CALLED, DONE, INVALID_OPCODE, NEXT, OUT_OF_GAS, type Outcome, STACK_OVERFLOW, STACK_UNDERFLOW } from './outcome.ts';

/** The machine before an instruction, as the hook sees it. */
class Step implements TraceStep {
  private readonly machine: Machine;
  private readonly frame: Frame;

  constructor(machine: Machine, frame: Frame) {
    this.machine = machine;
    this.frame = frame;
  }

  get pc(): number {
    return this.frame.pc;
  }
  get op(): number {
    return this.frame.code.padded[this.frame.pc]!;
  }
  get name(): string {
    return OPCODES[this.op]?.name ?? `opcode 0x${this.op.toString(16)} not defined`;
  }
  get gas(): number {
    return this.frame.gas;
  }
  get depth(): number {
    return this.frame.depth + 1;
  }
  get refund(): number {
    return this.machine.world.refund;
  }
  get stackHeight(): number {
    return (this.frame.sp - this.frame.base) / LIMBS;
  }
  get address(): TraceStep['address'] {
    return this.machine.world.address(this.frame.account);
  }
  stackWord(index: number): Uint8Array {
    const out = new Uint8Array(32);
    toBytes(this.machine.stack, this.frame.sp - LIMBS * (index + 1), out, 0);
    return out;
  }
  memory(): Uint8Array {
    const { memoryAt, memorySize } = this.frame;
    return this.machine.memory.slice(memoryAt, memoryAt + memorySize);
  }
  returnData(): Uint8Array {
    return this.machine.takeOutput();
  }
}

/** Checks and runs one instruction by itself. */
function runOne(machine: Machine, frame: Frame, op: number): Outcome {
  const opcode = OPCODES[op];
  if (opcode === undefined) return INVALID_OPCODE;
  const height = (frame.sp - frame.base) / LIMBS;
  if (height < opcode.pops) return STACK_UNDERFLOW;
  if (height + opcode.pushes - opcode.pops > STACK_WORDS_MAX) return STACK_OVERFLOW;
  frame.gas -= opcode.gas;
  if (frame.gas < 0) return OUT_OF_GAS;
  frame.pc += opcodeSize(op);
  return INSTRUCTIONS[op]!(machine, frame);
}

/** Runs the frame until it ends or makes a call, instruction by instruction, with the tracer's hooks. */
export function runTraced(machine: Machine, frame: Frame): Outcome {
  const tracer: Tracer = machine.tracer ?? {};
  const step = new Step(machine, frame);
  for (;;) {
    const op = frame.code.padded[frame.pc]!;
    const before = frame.gas;
    tracer.step?.(step);
    const outcome = runOne(machine, frame, op);
    if (outcome === NEXT || outcome === CALLED || outcome === DONE) tracer.stepped?.(before - frame.gas);
    if (outcome !== NEXT) return outcome;
  }
}
