import { type Code, EMPTY_CODE } from '../code.ts';
import { OP } from '../opcodes.ts';
import type { AccountId, Precompile } from '../types.ts';

/** The instructions that call. */
export type CallOp = typeof OP.CALL | typeof OP.CALLCODE | typeof OP.DELEGATECALL | typeof OP.STATICCALL;

/** A call instruction between reading its operands and opening its frame. One per machine: calls do not overlap there. */
export class PendingCall {
  op: CallOp = OP.CALL;
  to: AccountId = 0;
  /** What runs: of the callee, or of what it is delegated to. */
  code: Code = EMPTY_CODE;
  precompile: Precompile | undefined = undefined;
  /** Gas for the callee, with the stipend. */
  gas = 0;
  /** Transferred by CALL; tested against the balance by CALLCODE too. */
  wei = 0n;
  /** Limb of the word with the value; -1 if the instruction has none. */
  valueAt = -1;
  /** Place of the call data in the memory arena. */
  inputAt = 0;
  inputLength = 0;
  /** Place for the output in the caller's memory. */
  outputAt = 0;
  outputLength = 0;
}
