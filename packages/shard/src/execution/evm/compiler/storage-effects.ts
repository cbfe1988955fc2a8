/** SLOAD and SSTORE. A trace remembers the slots that it has touched: their numbers, that they are warm, and what they hold. */
import { OUT_OF_GAS, STATIC_VIOLATION } from '../interpreter/outcome.ts';
import { arrayText, type Builder } from './builder.ts';
import type { Effect } from './effect.ts';
import { takeGas } from './gas-charge.ts';
import type { KnownSlot, TraceState } from './state.ts';
import { placeIndex, type Value } from './value.ts';

/** Slots that a trace remembers. */
const SLOTS_MAX = 64;

/** Emits the end of a frame that may not write. */
export function demandWritable(builder: Builder, state: TraceState): void {
  if (!state.writable) builder.emitter.statement(`if(f.isStatic)return ${STATIC_VIOLATION};`);
  state.writable = true;
}

function slotOf(builder: Builder, state: TraceState, key: Value): KnownSlot {
  const known = state.slots.find((slot) => builder.same(slot.key, key));
  if (known !== undefined) return known;
  const place = builder.placed(key);
  const name = builder.emitter.read(`slotOf(m,f,${arrayText(place)},${placeIndex(place, 0)})`);
  const slot: KnownSlot = { key, name, warm: false, value: undefined };
  if (state.slots.length < SLOTS_MAX) state.slots.push(slot);
  return slot;
}

/** SLOAD. */
export const loadStorage: Effect = (builder, state) => {
  const slot = slotOf(builder, state, state.pop());
  if (!slot.warm) {
    builder.emitter.statement(`g-=coldGas(m,${slot.name});`);
    state.unchecked = true;
    slot.warm = true;
  }
  if (slot.value === undefined) {
    // What a frame without gas would have read is not read: which slots a transaction reads must not depend on what is compiled (R16: they are locked).
    takeGas(builder, state);
    slot.value = builder.result((at) => `load(m,${slot.name},${at});`);
  }
  state.push(slot.value);
  return true;
};

/** SSTORE. */
export const storeStorage: Effect = (builder, state) => {
  const slot = slotOf(builder, state, state.pop());
  const value = state.pop();
  const place = builder.placed(value);
  takeGas(builder, state);
  demandWritable(builder, state);
  builder.emitter.statement(`if((g=store(m,f,g,${slot.name},${arrayText(place)},${placeIndex(place, 0)}))<0)return ${OUT_OF_GAS};`);
  // Another key that is not known may be the same one.
  for (const other of state.slots) {
    if (other.key.constant === undefined || slot.key.constant === undefined) other.value = undefined;
  }
  slot.warm = true;
  slot.value = value;
  return true;
};
