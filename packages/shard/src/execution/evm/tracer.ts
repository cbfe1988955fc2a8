import type { Address } from '@shardlab/crosslink';
import type { Halt } from './types.ts';

/** What a step hook sees, before the instruction runs. One object serves all steps: read it inside of the hook. */
export interface TraceStep {
  readonly pc: number;
  readonly op: number;
  /** Mnemonic, or `opcode 0x… not defined`. */
  readonly name: string;
  /** Gas left before the instruction. */
  readonly gas: number;
  /** 1 for the transaction's own call. */
  readonly depth: number;
  /** Refund counter. */
  readonly refund: number;
  /** Words on the stack. */
  readonly stackHeight: number;
  /** The account whose storage the code works on. */
  readonly address: Address;
  /** The word `index` from the top, 32 bytes, big-endian. */
  stackWord(index: number): Uint8Array;
  /** A copy of the frame's memory. */
  memory(): Uint8Array;
  /** A copy of the data that the last call returned. */
  returnData(): Uint8Array;
}

/** How a frame was entered. */
export type CallKind = 'CALL' | 'CALLCODE' | 'DELEGATECALL' | 'STATICCALL' | 'CREATE' | 'CREATE2' | 'SELFDESTRUCT';

/** A call or a creation at its start. */
export interface TraceCall {
  readonly kind: CallKind;
  readonly from: Address;
  /** Undefined for a creation that was refused before its address was known. */
  readonly to: Address | undefined;
  readonly value: bigint;
  readonly gas: number;
  /** Call data or initcode; a copy. */
  readonly input: Uint8Array;
  /** 0 for the transaction's own call. */
  readonly depth: number;
}

/** A call or a creation at its end. */
export interface TraceResult {
  readonly halt: Halt | undefined;
  readonly gasUsed: number;
  /** Return or revert data; for a creation that succeeded, the code. A copy. */
  readonly output: Uint8Array;
}

/**
 * Hooks into execution; set on {@link Evm.tracer}. With a tracer every instruction is charged and checked by itself, without compiled code: slower, and with the
 * same outcome.
 */
export interface Tracer {
  /** Before each instruction, also one that cannot be paid for. */
  step?(step: TraceStep): void;
  /** After it: what it cost, with the gas that a call handed to its callee. Not called for an instruction that halts its frame in failure. */
  stepped?(gasCost: number): void;
  /** A call or creation begins; SELFDESTRUCT is a call that ends at once. Every `enter` has its `exit`. */
  enter?(call: TraceCall): void;
  /** The innermost open call ends. */
  exit?(result: TraceResult): void;
}
