/** The instructions of Cancun and Prague, which have the same ones: names, static gas and effect on the stack (Yellow Paper, appendix H, and the EIPs since). */

/** Opcodes that code outside of the table names. */
export const OP = {
  STOP: 0x00,
  JUMP: 0x56,
  JUMPI: 0x57,
  PC: 0x58,
  GAS: 0x5a,
  JUMPDEST: 0x5b,
  PUSH0: 0x5f,
  PUSH1: 0x60,
  PUSH32: 0x7f,
  DUP1: 0x80,
  SWAP1: 0x90,
  LOG0: 0xa0,
  CREATE: 0xf0,
  CALL: 0xf1,
  CALLCODE: 0xf2,
  RETURN: 0xf3,
  DELEGATECALL: 0xf4,
  CREATE2: 0xf5,
  STATICCALL: 0xfa,
  REVERT: 0xfd,
  INVALID: 0xfe,
  SELFDESTRUCT: 0xff,
} as const;

/** One instruction. */
export interface Opcode {
  /** As `debug_traceTransaction` prints it. */
  readonly name: string;
  /** Gas that does not depend on operands or state. */
  readonly gas: number;
  /** Words taken from the stack. */
  readonly pops: number;
  /** Words put onto it. */
  readonly pushes: number;
  /** Ends the frame. */
  readonly halts: boolean;
  /**
   * Ends a segment: a stretch of instructions whose static gas is charged at once, at its start. After it the flow may go elsewhere, or it must see the exact gas:
   * it hands gas out (calls), shows it (GAS), judges it (SSTORE), or may end the frame as a revert, which keeps the rest (what touches foreign accounts, R12).
   */
  readonly ends: boolean;
}

/** Those that end a segment though they do not halt. */
const ENDING = new Set([
  'BALANCE',
  'EXTCODESIZE',
  'EXTCODECOPY',
  'EXTCODEHASH',
  'SSTORE',
  'JUMP',
  'JUMPI',
  'GAS',
  'CREATE',
  'CALL',
  'CALLCODE',
  'DELEGATECALL',
  'CREATE2',
  'STATICCALL',
]);
const HALTING = new Set(['STOP', 'RETURN', 'REVERT', 'INVALID', 'SELFDESTRUCT']);

/** [code, name, gas, pops, pushes] */
const ROWS: readonly (readonly [number, string, number, number, number])[] = [
  [0x00, 'STOP', 0, 0, 0],
  [0x01, 'ADD', 3, 2, 1],
  [0x02, 'MUL', 5, 2, 1],
  [0x03, 'SUB', 3, 2, 1],
  [0x04, 'DIV', 5, 2, 1],
  [0x05, 'SDIV', 5, 2, 1],
  [0x06, 'MOD', 5, 2, 1],
  [0x07, 'SMOD', 5, 2, 1],
  [0x08, 'ADDMOD', 8, 3, 1],
  [0x09, 'MULMOD', 8, 3, 1],
  [0x0a, 'EXP', 10, 2, 1],
  [0x0b, 'SIGNEXTEND', 5, 2, 1],
  [0x10, 'LT', 3, 2, 1],
  [0x11, 'GT', 3, 2, 1],
  [0x12, 'SLT', 3, 2, 1],
  [0x13, 'SGT', 3, 2, 1],
  [0x14, 'EQ', 3, 2, 1],
  [0x15, 'ISZERO', 3, 1, 1],
  [0x16, 'AND', 3, 2, 1],
  [0x17, 'OR', 3, 2, 1],
  [0x18, 'XOR', 3, 2, 1],
  [0x19, 'NOT', 3, 1, 1],
  [0x1a, 'BYTE', 3, 2, 1],
  [0x1b, 'SHL', 3, 2, 1],
  [0x1c, 'SHR', 3, 2, 1],
  [0x1d, 'SAR', 3, 2, 1],
  [0x20, 'KECCAK256', 30, 2, 1],
  [0x30, 'ADDRESS', 2, 0, 1],
  [0x31, 'BALANCE', 100, 1, 1],
  [0x32, 'ORIGIN', 2, 0, 1],
  [0x33, 'CALLER', 2, 0, 1],
  [0x34, 'CALLVALUE', 2, 0, 1],
  [0x35, 'CALLDATALOAD', 3, 1, 1],
  [0x36, 'CALLDATASIZE', 2, 0, 1],
  [0x37, 'CALLDATACOPY', 3, 3, 0],
  [0x38, 'CODESIZE', 2, 0, 1],
  [0x39, 'CODECOPY', 3, 3, 0],
  [0x3a, 'GASPRICE', 2, 0, 1],
  [0x3b, 'EXTCODESIZE', 100, 1, 1],
  [0x3c, 'EXTCODECOPY', 100, 4, 0],
  [0x3d, 'RETURNDATASIZE', 2, 0, 1],
  [0x3e, 'RETURNDATACOPY', 3, 3, 0],
  [0x3f, 'EXTCODEHASH', 100, 1, 1],
  [0x40, 'BLOCKHASH', 20, 1, 1],
  [0x41, 'COINBASE', 2, 0, 1],
  [0x42, 'TIMESTAMP', 2, 0, 1],
  [0x43, 'NUMBER', 2, 0, 1],
  [0x44, 'PREVRANDAO', 2, 0, 1],
  [0x45, 'GASLIMIT', 2, 0, 1],
  [0x46, 'CHAINID', 2, 0, 1],
  [0x47, 'SELFBALANCE', 5, 0, 1],
  [0x48, 'BASEFEE', 2, 0, 1],
  [0x49, 'BLOBHASH', 3, 1, 1],
  [0x4a, 'BLOBBASEFEE', 2, 0, 1],
  [0x50, 'POP', 2, 1, 0],
  [0x51, 'MLOAD', 3, 1, 1],
  [0x52, 'MSTORE', 3, 2, 0],
  [0x53, 'MSTORE8', 3, 2, 0],
  [0x54, 'SLOAD', 100, 1, 1],
  [0x55, 'SSTORE', 0, 2, 0],
  [0x56, 'JUMP', 8, 1, 0],
  [0x57, 'JUMPI', 10, 2, 0],
  [0x58, 'PC', 2, 0, 1],
  [0x59, 'MSIZE', 2, 0, 1],
  [0x5a, 'GAS', 2, 0, 1],
  [0x5b, 'JUMPDEST', 1, 0, 0],
  [0x5c, 'TLOAD', 100, 1, 1],
  [0x5d, 'TSTORE', 100, 2, 0],
  [0x5e, 'MCOPY', 3, 3, 0],
  [0x5f, 'PUSH0', 2, 0, 1],
  [0xf0, 'CREATE', 32_000, 3, 1],
  [0xf1, 'CALL', 0, 7, 1],
  [0xf2, 'CALLCODE', 0, 7, 1],
  [0xf3, 'RETURN', 0, 2, 0],
  [0xf4, 'DELEGATECALL', 0, 6, 1],
  [0xf5, 'CREATE2', 32_000, 4, 1],
  [0xfa, 'STATICCALL', 0, 6, 1],
  [0xfd, 'REVERT', 0, 2, 0],
  [0xfe, 'INVALID', 0, 0, 0],
  [0xff, 'SELFDESTRUCT', 5000, 1, 0],
];

function build(): readonly (Opcode | undefined)[] {
  const table = new Array<Opcode | undefined>(256).fill(undefined);
  const put = (code: number, name: string, gas: number, pops: number, pushes: number): void => {
    const halts = HALTING.has(name);
    table[code] = { name, gas, pops, pushes, halts, ends: halts || ENDING.has(name) };
  };
  for (const row of ROWS) put(...row);
  for (let n = 1; n <= 32; n++) put(OP.PUSH0 + n, `PUSH${n}`, 3, 0, 1);
  for (let n = 1; n <= 16; n++) {
    put(OP.DUP1 + n - 1, `DUP${n}`, 3, n, n + 1);
    put(OP.SWAP1 + n - 1, `SWAP${n}`, 3, n + 1, n + 1);
  }
  for (let n = 0; n <= 4; n++) put(OP.LOG0 + n, `LOG${n}`, 375 * (n + 1), n + 2, 0);
  return table;
}

/** The instruction of each byte; undefined: there is none, and the frame halts. */
export const OPCODES: readonly (Opcode | undefined)[] = build();

/** Bytes of an instruction with what it pushes: 1 to 33. */
export function opcodeSize(op: number): number {
  return op >= OP.PUSH1 && op <= OP.PUSH32 ? op - OP.PUSH0 + 1 : 1;
}
