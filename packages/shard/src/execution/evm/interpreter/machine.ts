import { InvariantError } from '@shardlab/crosslink';
import { Frame, FRAME_WORDS } from '../frame.ts';
import type { GasAbove } from '../gas-above.ts';
import { STACK_WORDS_MAX } from '../gas.ts';
import type { Tracer } from '../tracer.ts';
import type { BlockEnvironment, EvmCrypto, EvmFork, Precompiles, TransactionEnvironment } from '../types.ts';
import { fromBigint, fromBytes, LIMBS } from '../words/basic.ts';
import type { EvmWorld } from '../world.ts';
import { KeccakMemo } from './keccak-memo.ts';
import { LogBytes } from './log-bytes.ts';
import { PendingCall } from './pending-call.ts';

/** Limbs that a frame's stack may take, and a few for the words below the next frame. */
const FRAME_LIMBS = (STACK_WORDS_MAX + 2 * FRAME_WORDS) * LIMBS;
const STACK_LIMBS_START = 8 * FRAME_LIMBS;
const MEMORY_BYTES_START = 256 * 1024;
const OUTPUT_BYTES_START = 4096;
/**
 * All open frames together have less memory than this, in bytes. 1 GiB in 1,025 frames costs over 2.2 billion gas, far above any block; beyond it a frame is out
 * of gas, on every node alike.
 */
const MEMORY_BYTES_MAX = 2 ** 30;

/** Arenas above these sizes are not kept for the next transaction. */
const STACK_LIMBS_KEPT = 4 * 1024 * 1024;
const MEMORY_BYTES_KEPT = 16 * 1024 * 1024;

/** Places in {@link Machine.environment}: words that are the same for a whole transaction. */
export const ENVIRONMENT = {
  ORIGIN: 0,
  GASPRICE: 8,
  COINBASE: 16,
  TIMESTAMP: 24,
  NUMBER: 32,
  PREVRANDAO: 40,
  GASLIMIT: 48,
  CHAINID: 56,
  BASEFEE: 64,
  BLOBBASEFEE: 72,
} as const;

/** Everything that the instructions of a transaction share: arenas of words and bytes, frames, environment, world. One per {@link Evm}. */
export class Machine {
  readonly crypto: EvmCrypto;
  readonly fork: EvmFork;
  readonly precompiles: Precompiles;
  readonly memo: KeccakMemo;
  readonly logBytes = new LogBytes();
  world: EvmWorld;
  block: BlockEnvironment | undefined;
  transaction: TransactionEnvironment | undefined;
  tracer: Tracer | undefined;
  /** Only for a transaction whose gas no number holds; without compiled code. */
  gasAbove: GasAbove | undefined;
  /** Stacks of all open frames, one behind the other. */
  stack: Uint32Array = new Uint32Array(STACK_LIMBS_START);
  /** The same limbs as `stack`, signed: what compiled code works on. */
  signed: Int32Array = new Int32Array(this.stack.buffer);
  /** Memories of all open frames, one behind the other, behind the transaction's data. */
  memory: Uint8Array = new Uint8Array(MEMORY_BYTES_START);
  /** The same bytes as `memory`. */
  view: DataView = new DataView(this.memory.buffer);
  /** What the last call of the running frame returned: `outputLength` bytes. */
  output: Uint8Array = new Uint8Array(OUTPUT_BYTES_START);
  outputLength = 0;
  readonly environment: Uint32Array = new Uint32Array(80);
  /** The call instruction that runs. */
  readonly pending = new PendingCall();
  /** Frames by depth; made when they are first needed. */
  readonly frames: Frame[] = [new Frame(0)];

  constructor(
    options: { readonly fork: EvmFork; readonly memoEntriesLog2: number },
    modules: { readonly crypto: EvmCrypto; readonly world: EvmWorld },
  ) {
    this.fork = options.fork;
    this.crypto = modules.crypto;
    this.world = modules.world;
    this.precompiles = modules.crypto.precompiles(options.fork);
    this.memo = new KeccakMemo((data) => modules.crypto.keccak256(data), options.memoEntriesLog2);
  }

  /** Sets what ORIGIN to BLOBBASEFEE answer. */
  begin(block: BlockEnvironment, transaction: TransactionEnvironment): void {
    this.shrink();
    const words = this.environment;
    if (this.block !== block) {
      this.block = block;
      fromBytes(words, ENVIRONMENT.COINBASE, block.coinbase, 0, 20);
      fromBytes(words, ENVIRONMENT.PREVRANDAO, block.prevRandao, 0, 32);
      fromBigint(words, ENVIRONMENT.TIMESTAMP, block.timestamp);
      fromBigint(words, ENVIRONMENT.NUMBER, block.number);
      fromBigint(words, ENVIRONMENT.GASLIMIT, block.gasLimit);
      fromBigint(words, ENVIRONMENT.CHAINID, block.chainId);
      fromBigint(words, ENVIRONMENT.BASEFEE, block.baseFeePerGas);
      fromBigint(words, ENVIRONMENT.BLOBBASEFEE, block.blobBaseFee);
    }
    this.transaction = transaction;
    fromBytes(words, ENVIRONMENT.ORIGIN, transaction.origin, 0, 20);
    fromBigint(words, ENVIRONMENT.GASPRICE, transaction.gasPrice);
  }

  /** The frame of that depth, with an empty stack at `base` and empty memory at `memoryAt`. */
  open(depth: number, base: number, memoryAt: number): Frame {
    let frame = this.frames[depth];
    if (frame === undefined) {
      frame = new Frame(depth);
      this.frames[depth] = frame;
    }
    this.reserveStack(base + FRAME_LIMBS);
    frame.base = base;
    frame.sp = base;
    frame.pc = 0;
    frame.memoryAt = memoryAt;
    frame.memorySize = 0;
    return frame;
  }

  /** The frame of a depth that is open. */
  frameAt(depth: number): Frame {
    const frame = this.frames[depth];
    if (frame === undefined) throw new InvariantError('no frame of this depth', { depth });
    return frame;
  }

  private reserveStack(limbs: number): void {
    if (limbs <= this.stack.length) return;
    const grown = new Uint32Array(2 * limbs);
    grown.set(this.stack);
    this.stack = grown;
    this.signed = new Int32Array(grown.buffer);
  }

  /** Gives back what an unusual transaction has made the arenas grow to. No frame is open. */
  private shrink(): void {
    if (this.stack.length > STACK_LIMBS_KEPT) {
      this.stack = new Uint32Array(STACK_LIMBS_START);
      this.signed = new Int32Array(this.stack.buffer);
    }
    if (this.memory.length > MEMORY_BYTES_KEPT) {
      this.memory = new Uint8Array(MEMORY_BYTES_START);
      this.view = new DataView(this.memory.buffer);
    }
    if (this.output.length > MEMORY_BYTES_KEPT) this.output = new Uint8Array(OUTPUT_BYTES_START);
  }

  /** Makes room for `bytes` bytes of memory in all; false if that is beyond the bound. */
  reserveMemory(bytes: number): boolean {
    // The bound first: what an arena has grown to in earlier transactions must not matter.
    if (bytes >= MEMORY_BYTES_MAX) return false;
    if (bytes <= this.memory.length) return true;
    const grown = new Uint8Array(Math.min(2 * bytes, MEMORY_BYTES_MAX));
    grown.set(this.memory);
    this.memory = grown;
    this.view = new DataView(grown.buffer);
    return true;
  }

  /** Takes `length` bytes as the output of a frame. */
  setOutput(from: Uint8Array, at: number, length: number): void {
    if (length > this.output.length) this.output = new Uint8Array(2 * length);
    this.outputLength = length;
    const output = this.output;
    if (length > 64) output.set(from.subarray(at, at + length));
    else for (let i = 0; i < length; i++) output[i] = from[at + i]!;
  }

  /** A copy of the output. */
  takeOutput(): Uint8Array {
    return this.output.slice(0, this.outputLength);
  }
}
