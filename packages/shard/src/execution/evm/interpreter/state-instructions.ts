import { InvariantError } from '@shardlab/crosslink';
import { ADDRESS_BELOW, CALLER_BELOW, type Frame, VALUE_BELOW } from '../frame.ts';
import {
  GAS_COLD_ACCOUNT,
  GAS_COLD_SLOT,
  GAS_COPY_WORD,
  GAS_NEW_ACCOUNT,
  GAS_SLOT_RESET,
  GAS_SLOT_SET,
  GAS_STIPEND,
  GAS_WARM,
  REFUND_SLOT_CLEAR,
  wordCount,
} from '../gas.ts';
import { copyToMemory, expandMemory } from '../memory.ts';
import type { AccountId, SlotId, Words } from '../types.ts';
import { copyWord, fromBytes, setSmall, toIndex, toNumber } from '../words/basic.ts';
import { foreignAccount } from './foreign.ts';
import { charge, type Instruction } from './instruction.ts';
import { ENVIRONMENT, type Machine } from './machine.ts';
import { DONE, NEXT, OUT_OF_GAS, type Outcome, STATIC_VIOLATION } from './outcome.ts';

/** BLOCKHASH reaches this many blocks back. */
const BLOCK_HASHES = 256;
const HOME = -1;

function environment(at: number): Instruction {
  return (machine, frame) => {
    copyWord(machine.stack, frame.sp, machine.environment, at);
    frame.sp += 8;
    return NEXT;
  };
}

function frameWord(below: number): Instruction {
  return (machine, frame) => {
    copyWord(machine.stack, frame.sp, machine.stack, frame.base - below);
    frame.sp += 8;
    return NEXT;
  };
}

/** Charges for what the static price of an instruction that reads an account leaves out: the first touch. */
function chargeCold(machine: Machine, frame: Frame, account: AccountId): boolean {
  return !machine.world.warmAccount(account) || charge(frame, GAS_COLD_ACCOUNT - GAS_WARM);
}

/** An instruction that replaces the address on top of the stack by something about that account. */
function accountWord(write: (machine: Machine, account: AccountId, at: number) => void): Instruction {
  return (machine, frame) => {
    const top = frame.sp - 8;
    const account = machine.world.accountAt(machine.stack, top);
    if (!chargeCold(machine, frame, account)) return OUT_OF_GAS;
    if (machine.world.homeOf(account) !== HOME) return foreignAccount(machine, account);
    write(machine, account, top);
    return NEXT;
  };
}

const balance = accountWord((machine, account, at) => machine.world.balanceInto(account, machine.stack, at));
const codeSizeOf = accountWord((machine, account, at) =>
  setSmall(machine.stack, at, machine.world.code(account).bytes.length),
);
const codeHashOf = accountWord((machine, account, at) => {
  if (machine.world.isEmpty(account)) setSmall(machine.stack, at, 0);
  else fromBytes(machine.stack, at, machine.world.codeHash(account), 0, 32);
});

const codeCopyOf: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 24;
  const to = toIndex(machine.stack, top - 8);
  const from = toIndex(machine.stack, top - 16);
  const length = toIndex(machine.stack, top - 24);
  if (!charge(frame, GAS_COPY_WORD * wordCount(length))) return OUT_OF_GAS;
  if (!expandMemory(machine, frame, to, length)) return OUT_OF_GAS;
  const account = machine.world.accountAt(machine.stack, top);
  if (!chargeCold(machine, frame, account)) return OUT_OF_GAS;
  if (machine.world.homeOf(account) !== HOME) return foreignAccount(machine, account);
  const code = machine.world.code(account).bytes;
  copyToMemory(machine, frame.memoryAt + to, code, 0, code.length, from, length);
  return NEXT;
};

const selfBalance: Instruction = (machine, frame) => {
  machine.world.balanceInto(frame.account, machine.stack, frame.sp);
  frame.sp += 8;
  return NEXT;
};

const blockHash: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  const number = toNumber(machine.stack, top);
  setSmall(machine.stack, top, 0);
  const { block } = machine;
  if (block === undefined) throw new InvariantError('code runs outside of a transaction');
  const back = Number(block.number) - number;
  const hash = back >= 1 && back <= BLOCK_HASHES ? block.blockHash(BigInt(number)) : undefined;
  if (hash !== undefined) fromBytes(machine.stack, top, hash, 0, 32);
  return NEXT;
};

const blobHash: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  const hash = machine.transaction?.blobHashes[toIndex(machine.stack, top)];
  setSmall(machine.stack, top, 0);
  if (hash !== undefined) fromBytes(machine.stack, top, hash, 0, 32);
  return NEXT;
};

const loadStorage: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  const slot = machine.world.slotAt(frame.account, machine.stack, top);
  if (machine.world.warmSlot(slot) && !charge(frame, GAS_COLD_SLOT - GAS_WARM)) return OUT_OF_GAS;
  machine.world.loadSlot(slot, machine.stack, top);
  return NEXT;
};

/** Bits of {@link EvmWorld.storeStatus}. */
const NEW_IS_CURRENT = 1;
const ORIGINAL_IS_CURRENT = 2;
const ORIGINAL_IS_ZERO = 4;
const CURRENT_IS_ZERO = 8;
const NEW_IS_ZERO = 16;
const ORIGINAL_IS_NEW = 32;

/** Gas of a write without the first touch (EIP-2200 with the prices of EIP-2929). */
function storeGas(status: number): number {
  if ((status & NEW_IS_CURRENT) !== 0 || (status & ORIGINAL_IS_CURRENT) === 0) return GAS_WARM;
  return (status & ORIGINAL_IS_ZERO) !== 0 ? GAS_SLOT_SET : GAS_SLOT_RESET;
}

/** What a write adds to the refund counter (EIP-2200, EIP-3529); may be negative. */
function storeRefund(status: number): number {
  if ((status & NEW_IS_CURRENT) !== 0) return 0;
  const originalIsZero = (status & ORIGINAL_IS_ZERO) !== 0;
  const cleared = !originalIsZero && (status & NEW_IS_ZERO) !== 0 ? REFUND_SLOT_CLEAR : 0;
  if ((status & ORIGINAL_IS_CURRENT) !== 0) return cleared;
  const restored = !originalIsZero && (status & CURRENT_IS_ZERO) !== 0 ? -REFUND_SLOT_CLEAR : 0;
  if ((status & ORIGINAL_IS_NEW) === 0) return cleared + restored;
  return cleared + restored + (originalIsZero ? GAS_SLOT_SET : GAS_SLOT_RESET) - GAS_WARM;
}

/** SSTORE in a frame that may write: charges, keeps the refund counter, and writes. */
export function chargeStore(machine: Machine, frame: Frame, slot: SlotId, value: Words, valueAt: number): Outcome {
  if (frame.gas <= GAS_STIPEND) return OUT_OF_GAS;
  const { world } = machine;
  const cold = world.warmSlot(slot) ? GAS_COLD_SLOT : 0;
  const status = world.storeStatus(slot, value, valueAt);
  if (!charge(frame, cold + storeGas(status))) return OUT_OF_GAS;
  const refund = storeRefund(status);
  if (refund !== 0) world.addRefund(refund);
  if ((status & NEW_IS_CURRENT) === 0) world.storeSlot(slot, value, valueAt);
  return NEXT;
}

const storeStorage: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 8;
  if (frame.isStatic) return STATIC_VIOLATION;
  return chargeStore(machine, frame, machine.world.slotAt(frame.account, machine.stack, top), machine.stack, top - 8);
};

const loadTransient: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  machine.world.loadTransient(frame.account, machine.stack, top, machine.stack, top);
  return NEXT;
};

const storeTransient: Instruction = (machine, frame) => {
  const top = frame.sp - 8;
  frame.sp = top - 8;
  if (frame.isStatic) return STATIC_VIOLATION;
  machine.world.storeTransient(frame.account, machine.stack, top, machine.stack, top - 8);
  return NEXT;
};

function traceSelfDestruct(machine: Machine, frame: Frame, to: AccountId, wei: bigint): void {
  const { tracer, world } = machine;
  if (tracer === undefined) return;
  const [from, beneficiary, input] = [world.address(frame.account), world.address(to), new Uint8Array(0)];
  tracer.enter?.({ kind: 'SELFDESTRUCT', from, to: beneficiary, value: wei, gas: 0, input, depth: frame.depth + 1 });
  tracer.exit?.({ halt: undefined, gasUsed: 0, output: input });
}

/** SELFDESTRUCT: moves the balance; deletes only what was made in this transaction (EIP-6780). To another shard it travels as a credit (R12). */
const selfDestruct: Instruction = (machine, frame): Outcome => {
  const top = frame.sp - 8;
  frame.sp = top;
  if (frame.isStatic) return STATIC_VIOLATION;
  const { world } = machine;
  const to = world.accountAt(machine.stack, top);
  const foreign = world.homeOf(to) !== HOME;
  const wei = world.balance(frame.account);
  let gas = world.warmAccount(to) ? GAS_COLD_ACCOUNT : 0;
  if (wei !== 0n && !foreign && world.isEmpty(to)) gas += GAS_NEW_ACCOUNT;
  if (!charge(frame, gas)) return OUT_OF_GAS;
  traceSelfDestruct(machine, frame, to, wei);
  const created = world.wasCreated(frame.account);
  if (to !== frame.account || created) world.subBalance(frame.account, wei);
  if (foreign) {
    if (wei !== 0n) world.credit(to, wei);
  } else if (to !== frame.account) world.addBalance(to, wei);
  if (created) world.selfDestruct(frame.account);
  machine.outputLength = 0;
  return DONE;
};

/** Instructions that read or write accounts, storage and the environment. */
export const STATE: readonly (readonly [number, Instruction])[] = [
  [0x30, frameWord(ADDRESS_BELOW)],
  [0x31, balance],
  [0x32, environment(ENVIRONMENT.ORIGIN)],
  [0x33, frameWord(CALLER_BELOW)],
  [0x34, frameWord(VALUE_BELOW)],
  [0x3a, environment(ENVIRONMENT.GASPRICE)],
  [0x3b, codeSizeOf],
  [0x3c, codeCopyOf],
  [0x3f, codeHashOf],
  [0x40, blockHash],
  [0x41, environment(ENVIRONMENT.COINBASE)],
  [0x42, environment(ENVIRONMENT.TIMESTAMP)],
  [0x43, environment(ENVIRONMENT.NUMBER)],
  [0x44, environment(ENVIRONMENT.PREVRANDAO)],
  [0x45, environment(ENVIRONMENT.GASLIMIT)],
  [0x46, environment(ENVIRONMENT.CHAINID)],
  [0x47, selfBalance],
  [0x48, environment(ENVIRONMENT.BASEFEE)],
  [0x49, blobHash],
  [0x4a, environment(ENVIRONMENT.BLOBBASEFEE)],
  [0x54, loadStorage],
  [0x55, storeStorage],
  [0x5c, loadTransient],
  [0x5d, storeTransient],
  [0xff, selfDestruct],
];
