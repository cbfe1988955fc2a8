/** Statements that compute, and read and write memory, storage and the environment. Each leaves the stack no lower than the builder's floor. */
import type { ProgramBuilder } from './builder.ts';
import { OPS } from './builder.ts';

const UNARY = [0x15, 0x19];
const BINARY = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1a, 0x1b, 0x1c, 0x1d];
const TERNARY = [0x08, 0x09];
const SWAPS = 16;
/** Slots that programs fight for. */
const SLOTS = 6;

/** One or several arithmetic instructions. */
export function compute(b: ProgramBuilder): void {
  for (let i = b.prng.below(5); i >= 0; i--) {
    const kind = b.prng.below(12);
    const [count, op] = kind < 2 ? [1, b.pick(UNARY)] : kind < 11 ? [2, b.pick(BINARY)] : [3, b.pick(TERNARY)];
    b.operands(count);
    b.op(op);
  }
}

/** POP, DUP and SWAP; now and then as deep as they reach. */
export function juggle(b: ProgramBuilder): void {
  if (b.oneIn(4)) for (let i = b.prng.below(SWAPS + 1); i >= 0; i--) b.operand();
  for (let i = b.prng.below(4); i >= 0; i--) {
    const kind = b.prng.below(3);
    if (kind === 0 && b.free > 1) b.op(OPS.POP);
    else if (kind === 1 && b.free > 1) b.op(OPS.SWAP1 + b.prng.below(Math.min(SWAPS, b.free - 1)));
    else b.operand();
  }
}

/** MSTORE, MSTORE8 or MLOAD. */
export function memory(b: ProgramBuilder): void {
  const op = b.pick([OPS.MSTORE, OPS.MSTORE, OPS.MSTORE8, OPS.MLOAD]);
  if (op !== OPS.MLOAD) b.operands(1);
  b.memoryOffset();
  b.op(op);
}

/** One of the instructions that copy into memory. RETURNDATACOPY beyond the data halts: mostly it stays within. */
export function copy(b: ProgramBuilder): void {
  const op = b.pick([OPS.CALLDATACOPY, OPS.CODECOPY, OPS.EXTCODECOPY, OPS.RETURNDATACOPY, OPS.MCOPY, OPS.MCOPY]);
  if (op === OPS.RETURNDATACOPY && !b.oneIn(6)) {
    b.op(OPS.RETURNDATASIZE);
    b.push(0n);
  } else {
    b.memoryLength();
    b.memoryOffset();
  }
  b.memoryOffset();
  if (op === OPS.EXTCODECOPY) b.account();
  b.op(op);
}

/** KECCAK256 of some memory: often 64 bytes, as mappings do. */
export function hash(b: ProgramBuilder): void {
  if (b.oneIn(2)) {
    b.operand();
    b.push(0n);
    b.op(OPS.MSTORE);
    b.push(64n);
    b.push(0n);
  } else {
    b.memoryLength();
    b.memoryOffset();
  }
  b.op(OPS.KECCAK256);
}

function slot(b: ProgramBuilder): void {
  if (b.oneIn(8)) b.operand();
  else b.push(BigInt(b.prng.below(SLOTS)));
}

/** Persistent and transient storage. Values are often 0, or what other programs write too, because gas and refunds depend on it. */
export function storage(b: ProgramBuilder): void {
  const op = b.pick([OPS.SLOAD, OPS.SSTORE, OPS.SSTORE, OPS.SSTORE, OPS.TLOAD, OPS.TSTORE]);
  if (op === OPS.SSTORE || op === OPS.TSTORE) {
    if (b.oneIn(3)) b.operand();
    else b.push(BigInt(b.prng.below(3)));
  }
  slot(b);
  b.op(op);
}

/** What is known of another account. */
export function inspect(b: ProgramBuilder): void {
  b.account();
  b.op(b.pick([OPS.BALANCE, OPS.EXTCODESIZE, OPS.EXTCODEHASH]));
}

/** BLOCKHASH around the window of 256 blocks, BLOBHASH around the number of blobs. */
export function chain(b: ProgramBuilder): void {
  if (b.oneIn(2)) {
    b.push(BigInt(b.prng.below(4)));
    b.op(OPS.BLOBHASH);
    return;
  }
  b.push(BigInt(b.pick([0, 1, 2, 100, 255, 256, 257, 300])));
  b.op(OPS.NUMBER);
  b.op(OPS.SUB);
  b.op(OPS.BLOCKHASH);
}

/** LOG0 to LOG4. */
export function log(b: ProgramBuilder): void {
  const topics = b.prng.below(5);
  b.operands(topics);
  b.memoryLength();
  b.memoryOffset();
  b.op(OPS.LOG0 + topics);
}

/** Something that a compiler would not write: most often the frame halts here. */
export function abuse(b: ProgramBuilder): void {
  const kind = b.prng.below(7);
  const [height, floor] = [b.height, b.floor];
  if (kind === 0) b.op(b.prng.below(256));
  else if (kind === 1) b.op(OPS.INVALID);
  else if (kind === 2) for (let i = 0; i <= height; i++) b.raw(Uint8Array.of(OPS.POP), 0);
  else if (kind === 3) {
    b.operand();
    b.op(b.pick([OPS.JUMP, OPS.JUMPI]));
  } else if (kind === 4) nearOverflow(b);
  else if (kind === 5) jumpIntoPush(b);
  else endlessPush(b);
  b.height = Math.max(height, floor);
}

/** About as many DUP1 as the stack has room for, and as many POP. */
function nearOverflow(b: ProgramBuilder): void {
  b.operand();
  const count = 1_024 - b.height - 4 + b.prng.below(8);
  b.raw(new Uint8Array(count).fill(OPS.DUP1), 0);
  b.raw(new Uint8Array(count).fill(OPS.POP), 0);
}

/** A JUMPDEST byte within a PUSH is no place to jump to. */
function jumpIntoPush(b: ProgramBuilder): void {
  const id = b.newLabel();
  b.pushLabel(id, 2);
  b.op(OPS.JUMP);
  b.label(id);
  b.raw(Uint8Array.of(0x61, 0x5b, 0x5b), 0);
}

/** A loop that leaves a word at each turn. */
function endlessPush(b: ProgramBuilder): void {
  const id = b.newLabel();
  b.label(id);
  b.operand();
  b.pushLabel(id);
  b.op(OPS.JUMP);
}
