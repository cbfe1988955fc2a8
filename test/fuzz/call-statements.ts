/** Statements that call, create and destroy. */
import type { Prng } from '@shardlab/crosslink';
import { OPS } from './builder.ts';
import type { ProgramBuilder } from './builder.ts';
import type { Program } from './case.ts';
import { precompileInput } from './precompile-inputs.ts';

/** Makes the initcode of a creation within a program. */
export type MakeInitcode = (prng: Prng) => Program;

const IDENTITY = 4;
const PAIRING = 8;
const CALLS = [OPS.CALL, OPS.CALL, OPS.CALL, OPS.STATICCALL, OPS.DELEGATECALL, OPS.DELEGATECALL, OPS.CALLCODE];

function callGas(b: ProgramBuilder): void {
  const kind = b.prng.below(20);
  if (kind < 12) b.op(OPS.GAS);
  else if (kind < 16) b.push(BigInt(b.prng.below(60_000)));
  else if (kind < 18) b.push(BigInt(b.prng.below(3_000)));
  else if (kind === 18) b.push(1n << BigInt(30 + b.prng.below(226)));
  else b.operand();
}

function callValue(b: ProgramBuilder): void {
  const kind = b.prng.below(20);
  if (kind < 13) b.push(0n);
  else if (kind < 18) b.push(BigInt(1 + b.prng.below(50)));
  else if (kind === 18) b.push(1n << BigInt(b.prng.below(256)));
  else b.operand();
}

/** What follows a call: its result is kept or dropped, its data is looked at now and then. */
function afterCall(b: ProgramBuilder): void {
  if (b.oneIn(3)) {
    b.op(OPS.RETURNDATASIZE);
    b.push(0n);
    b.push(BigInt(b.prng.below(128)));
    b.op(OPS.RETURNDATACOPY);
  }
  if (b.oneIn(4)) b.op(OPS.RETURNDATASIZE);
  if (b.oneIn(2) && b.free > 0) b.op(OPS.POP);
}

/** A call of an account of any kind. */
export function call(b: ProgramBuilder): void {
  const op = b.pick(CALLS);
  b.memoryLength();
  b.memoryOffset();
  b.memoryLength();
  b.memoryOffset();
  if (op === OPS.CALL || op === OPS.CALLCODE) callValue(b);
  b.account();
  callGas(b);
  b.op(op);
  afterCall(b);
}

/** A call of a precompile with an input that it may like. */
export function callPrecompile(b: ProgramBuilder): void {
  const any = 1 + b.prng.below(b.world.precompileMax + 1);
  // A pairing takes as long as a thousand other programs.
  const number = any === PAIRING && !b.oneIn(6) ? IDENTITY : any;
  const input = precompileInput(b.prng, number);
  if (b.oneIn(6) && input.length > 0) input[b.prng.below(input.length)]! ^= 1 << b.prng.below(8);
  const index = b.addData(input);
  b.copyData(index, 0);
  const op = b.pick([OPS.STATICCALL, OPS.CALL, OPS.DELEGATECALL, OPS.CALLCODE]);
  b.push(BigInt(b.prng.below(80)));
  b.memoryOffset();
  if (b.oneIn(6)) b.memoryLength();
  else b.pushSize(index);
  b.push(0n);
  if (op === OPS.CALL || op === OPS.CALLCODE) callValue(b);
  b.push(BigInt(number));
  callGas(b);
  b.op(op);
  afterCall(b);
}

/** CREATE or CREATE2, mostly of initcode that ends well; the new account may be called at once, or be made once more at the same address. */
export function create(b: ProgramBuilder, makeInitcode: MakeInitcode): void {
  const op = b.pick([OPS.CREATE, OPS.CREATE2]);
  const known = !b.oneIn(8);
  const index = known ? b.addData(makeInitcode(b.prng.fork())) : 0;
  const times = b.oneIn(5) ? 2 : 1;
  const salt = BigInt(b.prng.below(2));
  for (let i = 0; i < times; i++) {
    if (known) b.copyData(index, 0);
    if (op === OPS.CREATE2) b.push(salt);
    if (known) b.pushSize(index);
    else b.memoryLength();
    if (known) b.push(0n);
    else b.memoryOffset();
    callValue(b);
    b.op(op);
    if (b.oneIn(2)) callTop(b);
  }
}

/** Calls the account whose address is on top of the stack, which stays there. */
function callTop(b: ProgramBuilder): void {
  for (const value of [32n, 0n, BigInt(b.prng.below(64)), 0n, BigInt(b.prng.below(3))]) b.push(value);
  b.op(OPS.DUP1 + 5);
  callGas(b);
  b.op(OPS.CALL);
  b.op(OPS.POP);
}

/** SELFDESTRUCT. Nothing behind it runs. */
export function destroy(b: ProgramBuilder): void {
  b.account();
  b.op(OPS.SELFDESTRUCT);
}
