/** CALL, CALLCODE, DELEGATECALL and STATICCALL: what they charge, and the frames that they open. */
import { EMPTY_CODE } from './code.ts';
import { ADDRESS_BELOW, CALLER_BELOW, type Frame, FRAME_WORDS, VALUE_BELOW } from './frame.ts';
import { DEPTH_MAX, GAS_CALL_VALUE, GAS_COLD_ACCOUNT, GAS_NEW_ACCOUNT, GAS_STIPEND, GAS_WARM } from './gas.ts';
import { foreignAccount } from './interpreter/foreign.ts';
import { charge, type Instruction } from './interpreter/instruction.ts';
import type { Machine } from './interpreter/machine.ts';
import {
  CALL_DEPTH,
  CALLED,
  DONE,
  haltOf,
  INSUFFICIENT_BALANCE,
  NEXT,
  OUT_OF_GAS,
  type Outcome,
  PRECOMPILE_FAILURE,
  STATIC_VIOLATION,
} from './interpreter/outcome.ts';
import type { CallOp } from './interpreter/pending-call.ts';
import { expandMemory } from './memory.ts';
import { OP } from './opcodes.ts';
import type { AccountId, Precompile } from './types.ts';
import { copyWord, LIMBS, setSmall, toBigint, toIndex, toNumber } from './words/basic.ts';

const HOME = -1;

const KINDS = {
  [OP.CALL]: 'CALL',
  [OP.CALLCODE]: 'CALLCODE',
  [OP.DELEGATECALL]: 'DELEGATECALL',
  [OP.STATICCALL]: 'STATICCALL',
} as const;

/** The precompile at that address, if there is one. */
export function precompileAt(machine: Machine, words: Uint32Array, at: number): Precompile | undefined {
  const high = words[at + 1]! | words[at + 2]! | words[at + 3]! | words[at + 4]!;
  return high === 0 ? machine.precompiles.get(words[at]!) : undefined;
}

/**
 * Finds the code that runs when the account is called: its own, or what it is delegated to (EIP-7702; one step only). Charges for the second account. Anything but
 * NEXT ends the frame.
 */
function findCode(machine: Machine, frame: Frame, account: AccountId): Outcome {
  const { world } = machine;
  const code = world.code(account);
  machine.pending.code = code;
  if (code.delegate === undefined || machine.fork === 'cancun') return NEXT;
  const delegate = world.accountOf(code.delegate);
  if (!charge(frame, world.warmAccount(delegate) ? GAS_COLD_ACCOUNT : GAS_WARM)) return OUT_OF_GAS;
  if (world.homeOf(delegate) !== HOME) return foreignAccount(machine, delegate);
  machine.pending.code = world.code(delegate);
  return NEXT;
}

/** Moves value between accounts of this shard; touches the receiver in any case (EIP-161). */
export function moveValue(machine: Machine, from: AccountId, to: AccountId, wei: bigint): void {
  if (wei === 0n) return machine.world.touch(to);
  machine.world.subBalance(from, wei);
  machine.world.addBalance(to, wei);
}

/** The instruction's operands: memory regions and value, from limb `top` downwards. */
function readOperands(machine: Machine, frame: Frame, op: CallOp, top: number): boolean {
  const { stack, pending } = machine;
  const hasValue = op === OP.CALL || op === OP.CALLCODE;
  const regions = hasValue ? top - 3 * LIMBS : top - 2 * LIMBS;
  const input = toIndex(stack, regions);
  const inputLength = toIndex(stack, regions - LIMBS);
  const output = toIndex(stack, regions - 2 * LIMBS);
  const outputLength = toIndex(stack, regions - 3 * LIMBS);
  frame.sp = regions - 3 * LIMBS;
  if (!expandMemory(machine, frame, input, inputLength) || !expandMemory(machine, frame, output, outputLength)) return false;
  pending.op = op;
  pending.valueAt = hasValue ? top - 2 * LIMBS : -1;
  pending.wei = hasValue ? toBigint(stack, top - 2 * LIMBS) : 0n;
  pending.inputAt = inputLength === 0 ? frame.memoryAt : frame.memoryAt + input;
  pending.inputLength = inputLength;
  pending.outputAt = outputLength === 0 ? 0 : output;
  pending.outputLength = outputLength;
  return true;
}

/** Reads the operands and charges for the call and for what it hands to the callee. Anything but NEXT ends the frame. */
function prepare(machine: Machine, frame: Frame, op: CallOp): Outcome {
  const { stack, world, pending } = machine;
  const top = frame.sp - LIMBS;
  const toAt = top - LIMBS;
  if (!readOperands(machine, frame, op, top)) return OUT_OF_GAS;
  const { wei } = pending;
  if (op === OP.CALL && frame.isStatic && wei !== 0n) return STATIC_VIOLATION;
  const to = world.accountAt(stack, toAt);
  if (!charge(frame, world.warmAccount(to) ? GAS_COLD_ACCOUNT : GAS_WARM)) return OUT_OF_GAS;
  const foreign = world.homeOf(to) !== HOME;
  if (foreign && (op !== OP.CALL || wei === 0n || pending.inputLength !== 0)) return foreignAccount(machine, to);
  pending.to = to;
  pending.precompile = precompileAt(machine, stack, toAt);
  pending.code = EMPTY_CODE;
  if (!foreign && pending.precompile === undefined) {
    const outcome = findCode(machine, frame, to);
    if (outcome !== NEXT) return outcome;
  }
  let extra = wei === 0n ? 0 : GAS_CALL_VALUE;
  if (op === OP.CALL && wei !== 0n && !foreign && world.isEmpty(to)) extra += GAS_NEW_ACCOUNT;
  if (!charge(frame, extra)) return OUT_OF_GAS;
  // EIP-150: a 64th of what is left stays with the caller.
  if (machine.gasAbove === undefined) {
    pending.gas = Math.min(toNumber(stack, top), frame.gas - Math.floor(frame.gas / 64));
    frame.gas -= pending.gas;
  } else machine.gasAbove.giveCall(frame, pending, stack, top);
  if (wei !== 0n) pending.gas += GAS_STIPEND;
  return NEXT;
}

/** Ends a call that needed no frame: the caller goes on with the flag, and with the gas that is left of what it gave. */
function answer(machine: Machine, frame: Frame, success: boolean, gasLeft: number): Outcome {
  if (machine.gasAbove === undefined) frame.gas += gasLeft;
  else machine.gasAbove.giveBackPending(frame, gasLeft);
  setSmall(machine.stack, frame.sp, success ? 1 : 0);
  frame.sp += LIMBS;
  return NEXT;
}

function runPrecompile(machine: Machine, frame: Frame, precompile: Precompile): Outcome {
  const { pending } = machine;
  const { gas, inputAt, inputLength } = pending;
  const input = machine.memory.subarray(inputAt, inputAt + inputLength);
  const cost = precompile.gas(input);
  const output = cost <= gas ? precompile.run(input) : undefined;
  if (output === undefined) {
    machine.outputLength = 0;
    traceExit(machine, cost <= gas ? PRECOMPILE_FAILURE : OUT_OF_GAS, gas);
    return answer(machine, frame, false, 0);
  }
  transfer(machine, frame);
  machine.setOutput(output, 0, output.length);
  const copied = Math.min(pending.outputLength, output.length);
  if (copied > 0) machine.memory.set(output.subarray(0, copied), frame.memoryAt + pending.outputAt);
  traceExit(machine, DONE, cost);
  return answer(machine, frame, true, gas - cost);
}

/** What CALL and STATICCALL do to the callee's account before its code runs. */
function transfer(machine: Machine, frame: Frame): void {
  const { pending } = machine;
  if (pending.op === OP.CALL) moveValue(machine, frame.account, pending.to, pending.wei);
  else if (pending.op === OP.STATICCALL) machine.world.touch(pending.to);
}

function openFrame(machine: Machine, frame: Frame): Outcome {
  const { pending } = machine;
  const { op, to, valueAt } = pending;
  const snapshot = machine.world.snapshot();
  transfer(machine, frame);
  const child = machine.open(frame.depth + 1, frame.sp + FRAME_WORDS * LIMBS, frame.memoryAt + frame.memorySize);
  const { stack } = machine;
  const { base } = child;
  const own = op === OP.CALL || op === OP.STATICCALL;
  if (op === OP.DELEGATECALL) copyWord(stack, base - VALUE_BELOW, stack, frame.base - VALUE_BELOW);
  else if (valueAt < 0) setSmall(stack, base - VALUE_BELOW, 0);
  else copyWord(stack, base - VALUE_BELOW, stack, valueAt);
  if (own) machine.world.addressInto(to, stack, base - ADDRESS_BELOW);
  else copyWord(stack, base - ADDRESS_BELOW, stack, frame.base - ADDRESS_BELOW);
  const callerBelow = op === OP.DELEGATECALL ? CALLER_BELOW : ADDRESS_BELOW;
  copyWord(stack, base - CALLER_BELOW, stack, frame.base - callerBelow);
  child.code = pending.code;
  child.account = own ? to : frame.account;
  child.isStatic = frame.isStatic || op === OP.STATICCALL;
  child.isCreation = false;
  child.gas = pending.gas;
  machine.gasAbove?.begin(child.depth);
  child.gasStart = pending.gas;
  child.inputAt = pending.inputAt;
  child.inputLength = pending.inputLength;
  child.outputAt = pending.outputAt;
  child.outputLength = pending.outputLength;
  child.snapshot = snapshot;
  machine.outputLength = 0;
  return CALLED;
}

function traceEnter(machine: Machine, frame: Frame): void {
  const { tracer, world, pending } = machine;
  if (tracer?.enter === undefined) return;
  tracer.enter({
    kind: KINDS[pending.op],
    from: world.address(frame.account),
    to: world.address(pending.to),
    value: pending.op === OP.DELEGATECALL ? toBigint(machine.stack, frame.base - VALUE_BELOW) : pending.wei,
    gas: pending.gas,
    input: machine.memory.slice(pending.inputAt, pending.inputAt + pending.inputLength),
    depth: frame.depth + 1,
  });
}

function traceExit(machine: Machine, outcome: Outcome, gasUsed: number): void {
  machine.tracer?.exit?.({ halt: haltOf(outcome), gasUsed, output: machine.takeOutput() });
}

/** A call that does not begin: the caller keeps the gas and reads a 0. */
function refuse(machine: Machine, frame: Frame, outcome: Outcome): Outcome {
  machine.outputLength = 0;
  traceEnter(machine, frame);
  traceExit(machine, outcome, 0);
  return answer(machine, frame, false, machine.pending.gas);
}

function callInstruction(op: CallOp): Instruction {
  return (machine, frame) => {
    const outcome = prepare(machine, frame, op);
    if (outcome !== NEXT) return outcome;
    const { pending } = machine;
    const { wei, gas, precompile } = pending;
    if (wei !== 0n && machine.world.balance(frame.account) < wei) return refuse(machine, frame, INSUFFICIENT_BALANCE);
    if (frame.depth === DEPTH_MAX) return refuse(machine, frame, CALL_DEPTH);
    machine.outputLength = 0;
    traceEnter(machine, frame);
    if (precompile !== undefined) return runPrecompile(machine, frame, precompile);
    if (pending.code.bytes.length !== 0) return openFrame(machine, frame);
    if (machine.world.homeOf(pending.to) === HOME) transfer(machine, frame);
    else {
      machine.world.subBalance(frame.account, wei);
      machine.world.credit(pending.to, wei);
    }
    traceExit(machine, DONE, 0);
    return answer(machine, frame, true, gas);
  };
}

/** CALL, CALLCODE, DELEGATECALL, STATICCALL. */
export const CALLS: readonly (readonly [number, Instruction])[] = [
  [OP.CALL, callInstruction(OP.CALL)],
  [OP.CALLCODE, callInstruction(OP.CALLCODE)],
  [OP.DELEGATECALL, callInstruction(OP.DELEGATECALL)],
  [OP.STATICCALL, callInstruction(OP.STATICCALL)],
];
