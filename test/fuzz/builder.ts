import type { Prng } from '@shardlab/crosslink';
import { OPCODES } from '../../packages/shard/src/execution/evm/opcodes.ts';
import type { Item, Program } from './case.ts';

/** What a program may refer to. */
export interface World {
  /** Contracts of the case, as numbers. */
  readonly contracts: readonly bigint[];
  /** Those that are mostly called. Never the caller of a caller: where everything calls everything, each case ends without gas. */
  readonly callees: readonly bigint[];
  /** Accounts without code, and addresses where nothing is. */
  readonly others: readonly bigint[];
  readonly precompileMax: number;
}

/** Opcodes that generators name. */
export const OPS = {
  STOP: 0x00,
  ADD: 0x01,
  SUB: 0x03,
  AND: 0x16,
  XOR: 0x18,
  SHR: 0x1c,
  ISZERO: 0x15,
  KECCAK256: 0x20,
  ADDRESS: 0x30,
  BALANCE: 0x31,
  ORIGIN: 0x32,
  CALLER: 0x33,
  CALLDATALOAD: 0x35,
  CALLDATASIZE: 0x36,
  CALLDATACOPY: 0x37,
  CODESIZE: 0x38,
  CODECOPY: 0x39,
  EXTCODESIZE: 0x3b,
  EXTCODECOPY: 0x3c,
  RETURNDATASIZE: 0x3d,
  RETURNDATACOPY: 0x3e,
  EXTCODEHASH: 0x3f,
  BLOCKHASH: 0x40,
  COINBASE: 0x41,
  NUMBER: 0x43,
  BLOBHASH: 0x49,
  POP: 0x50,
  MLOAD: 0x51,
  MSTORE: 0x52,
  MSTORE8: 0x53,
  SLOAD: 0x54,
  SSTORE: 0x55,
  JUMP: 0x56,
  JUMPI: 0x57,
  PC: 0x58,
  MSIZE: 0x59,
  GAS: 0x5a,
  TLOAD: 0x5c,
  TSTORE: 0x5d,
  MCOPY: 0x5e,
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

/** ADDRESS to PREVRANDAO and so on: instructions that only put a word onto the stack. */
const ENVIRONMENT = [0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4a, 0x58, 0x59, 0x5a];
const WORD = 1n << 256n;
const MEMORY_SMALL = 256;
/** What DUP reaches. */
const REACH = 16;

/** Writes a program piece by piece and knows, while it does, how high the stack is. */
export class ProgramBuilder {
  readonly prng: Prng;
  readonly world: World;
  private readonly items: Item[] = [];
  private readonly data: (Program | Uint8Array)[] = [];
  /** Words on the stack here, at least. */
  height = 0;
  /** Words at the bottom that statements must leave alone: a loop's counter, a return address. */
  floor = 0;
  private labels = 0;

  constructor(prng: Prng, world: World) {
    this.prng = prng;
    this.world = world;
  }

  /** The program so far. */
  finish(): Program {
    return { items: this.items, data: this.data };
  }

  /** True once in `n`. */
  oneIn(n: number): boolean {
    return this.prng.below(n) === 0;
  }

  /** One of `list`. */
  pick<T>(list: readonly T[]): T {
    return list[this.prng.below(list.length)]!;
  }

  /** One of `list`, each as often as its weight says. */
  weighted<T>(list: readonly (readonly [number, T])[]): T {
    let at = this.prng.below(list.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, value] of list) {
      if (at < weight) return value;
      at -= weight;
    }
    return list[0]![1];
  }

  /** Words above the floor. */
  get free(): number {
    return this.height - this.floor;
  }

  /** An instruction without immediate bytes. */
  op(op: number): void {
    this.items.push({ kind: 'op', op });
    const opcode = OPCODES[op];
    if (opcode !== undefined) this.height = Math.max(this.floor, this.height + opcode.pushes - opcode.pops);
  }

  /** PUSH of a value, usually as short as it can be. */
  push(value: bigint): void {
    const bytes = value === 0n ? 0 : Math.ceil(value.toString(16).length / 2);
    const size = this.oneIn(8) ? Math.min(32, bytes + this.prng.below(4)) : bytes;
    this.items.push({ kind: 'push', size, value });
    this.height++;
  }

  /** Bytes as they are. Their effect on the stack is `growth`. */
  raw(bytes: Uint8Array, growth: number): void {
    this.items.push({ kind: 'raw', bytes });
    this.height += growth;
  }

  /** A new name for a place in the code. */
  newLabel(): number {
    return this.labels++;
  }

  /** A JUMPDEST. */
  label(id: number): void {
    this.items.push({ kind: 'label', id });
  }

  /** The position of a label, `plus` bytes later. */
  pushLabel(id: number, plus = 0): void {
    this.items.push({ kind: 'push-label', id, plus });
    this.height++;
  }

  /** Adds data behind the code; gives its index. */
  addData(data: Program | Uint8Array): number {
    this.data.push(data);
    return this.data.length - 1;
  }

  /** CODECOPY of `data[index]` to memory at `to`. */
  copyData(index: number, to: number): void {
    this.pushSize(index);
    this.items.push({ kind: 'push-offset', index });
    this.height++;
    this.push(BigInt(to));
    this.op(OPS.CODECOPY);
  }

  /** The length of `data[index]`. */
  pushSize(index: number): void {
    this.items.push({ kind: 'push-size', index });
    this.height++;
  }

  /** A word with some meaning to arithmetic: boundaries, powers of two, addresses, noise. */
  constant(): bigint {
    const { prng } = this;
    const kind = prng.below(10);
    if (kind < 4) return BigInt(prng.below(kind === 0 ? 3 : 260));
    if (kind === 4) return WORD - 1n - BigInt(prng.below(3));
    if (kind === 5) return (1n << BigInt(prng.below(256))) + BigInt(prng.below(3)) - 1n;
    if (kind === 6) return WORD - (1n << BigInt(prng.below(256)));
    if (kind === 7) return this.pick([...this.world.contracts, ...this.world.others]);
    let value = 0n;
    for (const byte of prng.bytes(1 + prng.below(32))) value = (value << 8n) | BigInt(byte);
    return value;
  }

  /** Puts any word onto the stack: one that is there, a constant, something of the environment, of call data, memory or storage. */
  operand(): void {
    const { prng } = this;
    const kind = prng.below(24);
    if (kind < 8 && this.height > 0) this.op(OPS.DUP1 + prng.below(Math.min(REACH, this.height)));
    else if (kind < 13) this.push(this.constant());
    else if (kind < 16) this.op(this.pick(ENVIRONMENT));
    else if (kind < 20) this.callData();
    else if (kind < 22) this.narrowed();
    else {
      this.push(BigInt(prng.below(8)) * (this.oneIn(2) ? 32n : 1n));
      this.op(this.pick([OPS.MLOAD, OPS.SLOAD, OPS.TLOAD]));
    }
  }

  /** A word of call data: nothing that a compiler could know. */
  private callData(): void {
    this.push(BigInt(this.prng.below(6)) * (this.oneIn(8) ? 7n : 32n));
    this.op(OPS.CALLDATALOAD);
  }

  /** A word of call data of which only some bits can be set: masks and shifts, as compilers put them around addresses and small integers. */
  private narrowed(): void {
    this.callData();
    const bits = BigInt(this.pick([1, 8, 16, 31, 32, 33, 52, 53, 54, 64, 128, 160, 224, 255]));
    if (this.oneIn(2)) {
      this.push((1n << bits) - 1n);
      this.op(OPS.AND);
    } else {
      this.push(256n - bits);
      this.op(OPS.SHR);
    }
  }

  /** `count` operands; some of them may be what is on the stack already. */
  operands(count: number): void {
    const taken = this.oneIn(3) ? Math.min(count, this.free) : 0;
    for (let i = taken; i < count; i++) this.operand();
  }

  /** A place in memory: near, now and then far, rarely absurd. Absurd ones end the frame, so more of them would hide what comes later. */
  memoryOffset(): void {
    const kind = this.prng.below(600);
    if (kind < 500) this.push(BigInt(this.prng.below(MEMORY_SMALL)));
    else if (kind < 550) {
      this.callData();
      this.push(0xffn);
      this.op(OPS.AND);
    } else if (kind < 580) this.push(BigInt(this.prng.below(4_000)));
    else if (kind < 583) this.push(BigInt(this.prng.below(200_000)));
    else if (kind < 585) this.push(1n << BigInt(16 + this.prng.below(240)));
    else if (kind < 597) this.op(OPS.MSIZE);
    else this.operand();
  }

  /** A length: short, often nothing, rarely absurd. */
  memoryLength(): void {
    const kind = this.prng.below(600);
    if (kind < 80) this.push(0n);
    else if (kind < 540) this.push(BigInt(this.prng.below(100)));
    else if (kind < 580) this.push(BigInt(this.prng.below(1_200)));
    else if (kind < 583) this.push(1n << BigInt(16 + this.prng.below(240)));
    else if (kind < 597) this.op(OPS.CALLDATASIZE);
    else this.operand();
  }

  /** An account: a contract of the case, mostly. */
  account(): void {
    const kind = this.prng.below(48);
    if (kind < 28 && this.world.callees.length > 0) this.push(this.pick(this.world.callees));
    else if (kind < 36) this.push(this.pick(this.world.others));
    else if (kind < 40) this.push(BigInt(1 + this.prng.below(this.world.precompileMax + 2)));
    else if (kind < 43) this.op(this.pick([OPS.ADDRESS, OPS.CALLER, OPS.ORIGIN, OPS.COINBASE]));
    else if (kind < 45) this.push(this.pick(this.world.contracts));
    // Only the low 160 bits of an address count.
    else if (kind === 45) this.push(this.pick(this.world.contracts) | (BigInt(1 + this.prng.below(0xffff)) << 160n));
    else this.operand();
  }
}
