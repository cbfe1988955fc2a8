/**
 * Gas above what a number holds exactly. No network pays for it, but Ethereum's own tests have gas limits up to 2^63, and 1,024 calls that each keep a 64th of
 * their gas (EIP-150) bring it down to where every unit shows. What a frame has above `GAS_WHOLE_MAX` stands here; it is split and given back in calls, and never
 * spent, because nothing that ends costs as much.
 */
import type { Code } from './code.ts';
import type { Frame } from './frame.ts';
import type { PendingCall } from './interpreter/pending-call.ts';
import { OP, opcodeSize } from './opcodes.ts';
import type { Words } from './types.ts';
import { toBigint } from './words/basic.ts';

/** Most gas that stands in `frame.gas` when a frame begins or goes on: 2^52, so that sums of two are exact. */
export const GAS_WHOLE_MAX: number = 2 ** 52;

/** By depth: what the open frames have above `frame.gas`. One for each transaction whose gas is above 2^53 - 1. */
export class GasAbove {
  private readonly above: bigint[];
  /** Part of the call that is about to begin. */
  private pending = 0n;

  /** `gas`: above that of the frame of depth 0. */
  constructor(gas: bigint) {
    this.above = [gas];
  }

  /** All gas of a frame. */
  total(frame: Frame): bigint {
    return BigInt(frame.gas) + this.above[frame.depth]!;
  }

  /** Of the frame of depth 0. */
  get left(): bigint {
    return this.above[0]!;
  }

  /** Takes from `frame` what its call gives: what it asks for, at most all but a 64th (EIP-150). */
  giveCall(frame: Frame, pending: PendingCall, asked: Words, at: number): void {
    const total = this.total(frame);
    const most = total - total / 64n;
    const wanted = toBigint(asked, at);
    pending.gas = this.give(frame, wanted < most ? wanted : most);
  }

  /** Takes from `frame` what its creation gets: all but a 64th. Returns what fits into a number. */
  giveCreation(frame: Frame): number {
    const total = this.total(frame);
    return this.give(frame, total - total / 64n);
  }

  /** The frame that was given gas begins. */
  begin(depth: number): void {
    this.above[depth] = this.pending;
  }

  /** The frame lost its gas. */
  lose(depth: number): void {
    this.above[depth] = 0n;
  }

  /** What `callee` has left goes back to `caller`. */
  giveBack(caller: Frame, callee: Frame): void {
    this.set(caller, this.total(caller) + this.total(callee));
  }

  /** What a call has left that needed no frame: nothing if it failed with no gas left. */
  giveBackPending(caller: Frame, gasLeft: number): void {
    this.set(caller, this.total(caller) + (gasLeft === 0 ? 0n : BigInt(gasLeft) + this.pending));
  }

  private give(frame: Frame, gas: bigint): number {
    this.set(frame, this.total(frame) - gas);
    const whole = gas < GAS_WHOLE_MAX ? Number(gas) : GAS_WHOLE_MAX;
    this.pending = gas - BigInt(whole);
    return whole;
  }

  private set(frame: Frame, gas: bigint): void {
    frame.gas = gas < GAS_WHOLE_MAX ? Number(gas) : GAS_WHOLE_MAX;
    this.above[frame.depth] = gas - BigInt(frame.gas);
  }
}

/** Whether a code can see its gas. */
export function showsGas(code: Code): boolean {
  for (let at = 0; at < code.bytes.length; at += opcodeSize(code.padded[at]!)) if (code.padded[at] === OP.GAS) return true;
  return false;
}
