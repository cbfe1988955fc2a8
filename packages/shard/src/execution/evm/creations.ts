/** CREATE and CREATE2: addresses, checks before the initcode runs, and the code that it leaves. */
import { address, type Address, type Hasher } from '@shardlab/crosslink';
import { moveValue } from './calls.ts';
import { Code } from './code.ts';
import { ADDRESS_BELOW, CALLER_BELOW, type Frame, FRAME_WORDS, VALUE_BELOW } from './frame.ts';
import { CODE_BYTES_MAX, DEPTH_MAX, GAS_CODE_BYTE, GAS_INITCODE_WORD, GAS_KECCAK_WORD, INITCODE_BYTES_MAX, wordCount } from './gas.ts';
import { charge, type Instruction } from './interpreter/instruction.ts';
import type { Machine } from './interpreter/machine.ts';
import {
  CALL_DEPTH,
  CALLED,
  CODE_TOO_LONG,
  CREATE_COLLISION,
  DONE,
  haltOf,
  INITCODE_TOO_LONG,
  INSUFFICIENT_BALANCE,
  INVALID_CODE,
  NEXT,
  NONCE_OVERFLOW,
  OUT_OF_GAS,
  type Outcome,
  STATIC_VIOLATION,
} from './interpreter/outcome.ts';
import { expandMemory } from './memory.ts';
import { OP } from './opcodes.ts';
import type { AccountId } from './types.ts';
import { fromBigint, LIMBS, setSmall, toBigint, toBytes, toIndex } from './words/basic.ts';

/** EIP-2681. */
const NONCE_MAX = 0xffff_ffff_ffff_ffffn;
/** Codes that begin with this byte are reserved (EIP-3541). */
const RESERVED_FIRST_BYTE = 0xef;

type Keccak = Pick<Hasher, 'keccak256'>;

/** The address of what `creator` makes with CREATE or a transaction: the last 20 bytes of keccak-256(rlp([creator, nonce])). */
export function createAddress(crypto: Keccak, creator: Address, nonce: bigint): Address {
  const digits: number[] = [];
  for (let rest = nonce; rest > 0n; rest >>= 8n) digits.unshift(Number(rest & 0xffn));
  const item = digits.length === 1 && digits[0]! < 0x80 ? digits : [0x80 + digits.length, ...digits];
  const encoded = Uint8Array.from([0xc0 + 21 + item.length, 0x80 + 20, ...creator, ...item]);
  return address(crypto.keccak256(encoded).slice(12));
}

/** The address of what `creator` makes with CREATE2 (EIP-1014); `salt` has 32 bytes. */
export function create2Address(crypto: Keccak, creator: Address, salt: Uint8Array, initcode: Uint8Array): Address {
  const encoded = new Uint8Array(1 + 20 + 32 + 32);
  encoded[0] = 0xff;
  encoded.set(creator, 1);
  encoded.set(salt, 21);
  encoded.set(crypto.keccak256(initcode), 53);
  return address(crypto.keccak256(encoded).slice(12));
}

/** A creation that may begin. */
export interface Creation {
  readonly creator: AccountId;
  readonly to: AccountId;
  readonly wei: bigint;
  readonly initcode: Uint8Array;
  /** Gas for the initcode and the code that it leaves. */
  readonly gas: number;
}

/** Takes the address; false: a contract cannot be made there (EIP-684, EIP-7610), and the gas is gone. The address is warm from here on, in any case. */
export function claim(machine: Machine, to: AccountId): boolean {
  machine.world.warmAccount(to);
  return !machine.world.hasCodeOrNonceOrStorage(to);
}

/** Makes the account and opens the frame of its initcode, whose stack begins above limb `stackAt`, and its memory at `memoryAt` of the arena. */
export function openCreation(machine: Machine, creation: Creation, depth: number, stackAt: number, memoryAt: number): Frame {
  const { world } = machine;
  const snapshot = world.snapshot();
  world.markCreated(creation.to);
  world.setNonce(creation.to, 1n);
  moveValue(machine, creation.creator, creation.to, creation.wei);
  const frame = machine.open(depth, stackAt + FRAME_WORDS * LIMBS, memoryAt);
  world.addressInto(creation.to, machine.stack, frame.base - ADDRESS_BELOW);
  world.addressInto(creation.creator, machine.stack, frame.base - CALLER_BELOW);
  fromBigint(machine.stack, frame.base - VALUE_BELOW, creation.wei);
  frame.code = new Code(creation.initcode, undefined);
  frame.account = creation.to;
  frame.isStatic = false;
  frame.isCreation = true;
  frame.gas = creation.gas;
  frame.gasStart = creation.gas;
  frame.inputAt = memoryAt;
  frame.inputLength = 0;
  frame.outputLength = 0;
  frame.snapshot = snapshot;
  machine.outputLength = 0;
  return frame;
}

/** Stores the code that the initcode returned, for its price; what ends the frame instead if it may not be. */
export function deposit(machine: Machine, frame: Frame): Outcome {
  const length = machine.outputLength;
  if (length > 0 && machine.output[0] === RESERVED_FIRST_BYTE) return INVALID_CODE;
  if (length > CODE_BYTES_MAX) return CODE_TOO_LONG;
  if (!charge(frame, GAS_CODE_BYTE * length)) return OUT_OF_GAS;
  machine.world.setCode(frame.account, machine.takeOutput());
  return DONE;
}

function answerZero(machine: Machine, frame: Frame): Outcome {
  machine.outputLength = 0;
  setSmall(machine.stack, frame.sp, 0);
  frame.sp += LIMBS;
  return NEXT;
}

function refusal(machine: Machine, frame: Frame, wei: bigint): Outcome {
  if (frame.depth === DEPTH_MAX) return CALL_DEPTH;
  if (wei !== 0n && machine.world.balance(frame.account) < wei) return INSUFFICIENT_BALANCE;
  return machine.world.nonce(frame.account) === NONCE_MAX ? NONCE_OVERFLOW : NEXT;
}

/** EIP-150: a creation gets all gas but a 64th. */
function takeGas(machine: Machine, frame: Frame): number {
  if (machine.gasAbove !== undefined) return machine.gasAbove.giveCreation(frame);
  const gas = frame.gas - Math.floor(frame.gas / 64);
  frame.gas -= gas;
  return gas;
}

function traceEnter(machine: Machine, frame: Frame, kind: 'CREATE' | 'CREATE2', to: Address | undefined, creation: Omit<Creation, 'to'>): void {
  const { tracer, world } = machine;
  tracer?.enter?.({
    kind,
    from: world.address(creation.creator),
    to,
    value: creation.wei,
    gas: creation.gas,
    input: creation.initcode,
    depth: frame.depth + 1,
  });
}

function traceFailure(machine: Machine, outcome: Outcome, gasUsed: number): void {
  machine.tracer?.exit?.({ halt: haltOf(outcome), gasUsed, output: new Uint8Array(0) });
}

function createInstruction(kind: 'CREATE' | 'CREATE2'): Instruction {
  return (machine, frame) => {
    const { stack, world } = machine;
    const top = frame.sp - LIMBS;
    const saltAt = top - 3 * LIMBS;
    frame.sp = kind === 'CREATE' ? top - 2 * LIMBS : saltAt;
    if (frame.isStatic) return STATIC_VIOLATION;
    const offset = toIndex(stack, top - LIMBS);
    const length = toIndex(stack, top - 2 * LIMBS);
    if (!expandMemory(machine, frame, offset, length)) return OUT_OF_GAS;
    if (length > INITCODE_BYTES_MAX) return INITCODE_TOO_LONG;
    const perWord = kind === 'CREATE' ? GAS_INITCODE_WORD : GAS_INITCODE_WORD + GAS_KECCAK_WORD;
    if (!charge(frame, perWord * wordCount(length))) return OUT_OF_GAS;
    const wei = toBigint(stack, top);
    const from = length === 0 ? 0 : frame.memoryAt + offset;
    const initcode = machine.memory.slice(from, from + length);
    const refused = refusal(machine, frame, wei);
    if (refused !== NEXT) {
      traceEnter(machine, frame, kind, undefined, { creator: frame.account, wei, initcode, gas: frame.gas - Math.floor(frame.gas / 64) });
      traceFailure(machine, refused, 0);
      return answerZero(machine, frame);
    }
    const gas = takeGas(machine, frame);
    const started = { creator: frame.account, wei, initcode, gas };
    const nonce = world.nonce(frame.account);
    world.setNonce(frame.account, nonce + 1n);
    const creator = world.address(frame.account);
    const salt = new Uint8Array(32);
    if (kind === 'CREATE2') toBytes(stack, saltAt, salt, 0);
    const to = kind === 'CREATE' ? createAddress(machine.crypto, creator, nonce) : create2Address(machine.crypto, creator, salt, initcode);
    const account = world.accountOf(to);
    traceEnter(machine, frame, kind, to, started);
    if (!claim(machine, account)) {
      traceFailure(machine, CREATE_COLLISION, gas);
      return answerZero(machine, frame);
    }
    openCreation(machine, { ...started, to: account }, frame.depth + 1, frame.sp, frame.memoryAt + frame.memorySize);
    machine.gasAbove?.begin(frame.depth + 1);
    return CALLED;
  };
}

/** CREATE and CREATE2. */
export const CREATIONS: readonly (readonly [number, Instruction])[] = [
  [OP.CREATE, createInstruction('CREATE')],
  [OP.CREATE2, createInstruction('CREATE2')],
];
