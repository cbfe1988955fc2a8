/** What compiled traces call. */
import type { Frame } from '../frame.ts';
import { GAS_COLD_SLOT, GAS_WARM } from '../gas.ts';
import { INSTRUCTIONS } from '../interpreter/instructions.ts';
import type { Machine } from '../interpreter/machine.ts';
import { emitLog } from '../interpreter/emit-log.ts';
import { NEXT } from '../interpreter/outcome.ts';
import { chargeStore } from '../interpreter/state-instructions.ts';
import { exponentBytes } from '../interpreter/arithmetic.ts';
import { growMemory } from '../memory.ts';
import type { SlotId, Words } from '../types.ts';
import { exp, mul, signExtend } from '../words/arithmetic.ts';
import { LIMBS } from '../words/basic.ts';
import { byte, sar, shl, shr } from '../words/bits.ts';
import { addmod, div, mod, mulmod, sdiv, smod } from '../words/division.ts';
import { leave } from './exits.ts';
import { SIGNED_TEMPORARIES, TEMPORARIES } from './temporaries.ts';

/** Makes the memory `end` bytes long; returns the gas that is left, negative if it does not suffice. */
function grow(machine: Machine, frame: Frame, gas: number, end: number): number {
  frame.gas = gas;
  return growMemory(machine, frame, end) ? frame.gas : -1;
}

/** The slot of that key. */
function slotOf(machine: Machine, frame: Frame, key: Words, keyAt: number): SlotId {
  return machine.world.slotAt(frame.account, key, keyAt);
}

/** SLOAD's gas above the static price. */
function coldGas(machine: Machine, slot: SlotId): number {
  return machine.world.warmSlot(slot) ? GAS_COLD_SLOT - GAS_WARM : 0;
}

/** SLOAD into the temporaries. */
function load(machine: Machine, slot: SlotId, out: number): void {
  machine.world.loadSlot(slot, TEMPORARIES, out);
}

/** SSTORE in a frame that may write; returns the gas that is left, negative if it does not suffice. */
function store(machine: Machine, frame: Frame, gas: number, slot: SlotId, value: Words, valueAt: number): number {
  frame.gas = gas;
  return chargeStore(machine, frame, slot, value, valueAt) === NEXT ? frame.gas : -1;
}

/** LOG: the topics lie in a row among the temporaries. */
function log(machine: Machine, frame: Frame, from: number, length: number, topicCount: number, topicsAt: number): void {
  emitLog(machine, frame, { from, length }, { words: TEMPORARIES, topicsAt, step: LIMBS, count: topicCount });
}

/** Limb `index` of CALLDATALOAD where the data ends before the word does. */
function dataLimb(machine: Machine, frame: Frame, offset: number, index: number): number {
  let limb = 0;
  for (let i = 0; i < 4; i++) {
    const at = offset + 28 - 4 * index + i;
    limb = (limb << 8) | (at < frame.inputLength ? machine.memory[frame.inputAt + at]! : 0);
  }
  return limb;
}

/** Names that the text of a trace uses. */
export const RUNTIME = {
  T: SIGNED_TEMPORARIES,
  U: TEMPORARIES,
  I: INSTRUCTIONS,
  grow,
  slotOf,
  coldGas,
  load,
  store,
  log,
  dataLimb,
  leave,
  exponentBytes,
  mul,
  div,
  sdiv,
  mod,
  smod,
  addmod,
  mulmod,
  exp,
  signExtend,
  byte,
  shl,
  shr,
  sar,
} as const;
