/** Gas of what is not static per opcode (see opcodes.ts); Cancun's schedule. */

/** A first touch of an account in a transaction, above the warm price (EIP-2929). */
export const GAS_COLD_ACCOUNT = 2600;
/** An account that was touched before (EIP-2929). */
export const GAS_WARM = 100;
/** A first touch of a slot (EIP-2929). */
export const GAS_COLD_SLOT = 2100;
/** SSTORE: zero to not zero (EIP-2200). */
export const GAS_SLOT_SET = 20_000;
/** SSTORE: a change of a slot that was not zero (EIP-2929). */
export const GAS_SLOT_RESET = 2900;
/** Refund for a slot that is cleared (EIP-3529). */
export const REFUND_SLOT_CLEAR = 4800;
/** SSTORE needs more gas than this to be left (EIP-2200); what a call with value gives to the callee. */
export const GAS_STIPEND = 2300;
/** A call that carries value. */
export const GAS_CALL_VALUE = 9000;
/** A call or a self-destruction that brings an account to life (EIP-161). */
export const GAS_NEW_ACCOUNT = 25_000;
/** EXP per byte of the exponent (EIP-160). */
export const GAS_EXP_BYTE = 50;
/** KECCAK256 per word. */
export const GAS_KECCAK_WORD = 6;
/** Copies per word. */
export const GAS_COPY_WORD = 3;
/** Logs per byte of data. */
export const GAS_LOG_BYTE = 8;
/** Code that is deployed, per byte. */
export const GAS_CODE_BYTE = 200;
/** Initcode per word (EIP-3860). */
export const GAS_INITCODE_WORD = 2;
/** Longest code (EIP-170). */
export const CODE_BYTES_MAX = 0x6000;
/** Longest initcode (EIP-3860). */
export const INITCODE_BYTES_MAX = 2 * CODE_BYTES_MAX;
/** Calls below the first one. */
export const DEPTH_MAX = 1024;
/** Words on the stack of one frame. */
export const STACK_WORDS_MAX = 1024;

/** Words of 32 bytes that hold `length` bytes. */
export function wordCount(length: number): number {
  return Math.ceil(length / 32);
}

/** What a memory of `words` words costs in all (Yellow Paper, appendix H). Exact below 2^26 words. */
export function memoryGas(words: number): number {
  return 3 * words + Math.floor((words * words) / 512);
}
