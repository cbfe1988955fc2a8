/** Instructions that touch memory, call data and logs, and the table of all that are emitted with their operands in variables. */
import { ADDRESS_BELOW, CALLER_BELOW, VALUE_BELOW } from '../frame.ts';
import { GAS_KECCAK_WORD, GAS_LOG_BYTE, wordCount } from '../gas.ts';
import { ENVIRONMENT } from '../interpreter/machine.ts';
import { DONE, OUT_OF_GAS, REVERT } from '../interpreter/outcome.ts';
import { LIMBS } from '../words/basic.ts';
import type { Builder } from './builder.ts';
import type { Effect } from './effect.ts';
import { takeGas } from './gas-charge.ts';
import type { TraceState } from './state.ts';
import { demandWritable, loadStorage, storeStorage } from './storage-effects.ts';
import { constantValue, EXTENT_BITS, limbOf, limbsOfValue, limbsValue, numberValue, placedValue, type Value } from './value.ts';

/** Offsets from here on are out of gas: memory ends at 2^30 bytes, and the sums of an offset and a length stay small integers. */
const OFFSET_END = 2 ** EXTENT_BITS;
/** Where Solidity keeps the pointer to free memory. */
const FREE_POINTER = 0x40;

/** An offset or a length below 2^30, known or in a variable; undefined if that is not certain. */
type Extent = number | string | undefined;

function extentOf(builder: Builder, value: Value): Extent {
  if (value.constant !== undefined) return value.constant < BigInt(OFFSET_END) ? Number(value.constant) : undefined;
  if (value.bits > EXTENT_BITS) return undefined;
  return value.number ?? String(limbOf(builder.emitter, value, 0));
}

/** The offset of something that is not empty; emits the end of the frame for one that nobody can pay for. */
function offsetOf(builder: Builder, value: Value): number | string {
  const extent = extentOf(builder, value);
  if (extent !== undefined) return extent;
  const { emitter } = builder;
  if (value.constant !== undefined) {
    emitter.statement(`if(true)return ${OUT_OF_GAS};`);
    return 0;
  }
  const limbs = limbsOfValue(emitter, value);
  const high = limbs.slice(1).filter((limb) => limb !== 0);
  const tests = high.length === 0 ? [] : [`(${high.join('|')})!==0`];
  emitter.statement(`if(${[...tests, `(${limbs[0]!}>>>0)>=${OFFSET_END}`].join('||')})return ${OUT_OF_GAS};`);
  return String(limbs[0]!);
}

/** Emits what makes `length` bytes (not 0) from `offset` on part of the memory. */
function expand(builder: Builder, state: TraceState, offset: number | string, length: number | string): void {
  let end: string;
  if (typeof offset === 'number' && typeof length === 'number') {
    if (offset + length <= state.memorySize) return;
    state.memorySize = 32 * Math.ceil((offset + length) / 32);
    end = String(offset + length);
  } else {
    end = builder.emitter.define(`${offset}+${length}`);
    if (state.ends.has(end)) return;
    state.ends.add(end);
  }
  builder.emitter.statement(`if(z<${end}){if((g=grow(m,f,g,${end}))<0)return ${OUT_OF_GAS};V=m.view;z=f.memorySize;}`);
}

/** Index into the memory arena of byte `add` behind an offset. */
function arenaIndex(builder: Builder, offset: number | string, add: number): string {
  if (typeof offset === 'number') return `q+${offset + add}`;
  const start = builder.emitter.define(`q+${offset}`);
  return add === 0 ? start : `${start}+${add}`;
}

const load: Effect = (builder, state) => {
  const offset = offsetOf(builder, state.pop());
  expand(builder, state, offset, 32);
  const known = typeof offset === 'number' ? state.memory.get(offset) : undefined;
  if (known !== undefined) {
    state.push(known);
    return true;
  }
  const limbs = Array.from({ length: LIMBS }, (_, i) => builder.emitter.read(`V.getInt32(${arenaIndex(builder, offset, 28 - 4 * i)})`));
  let value = limbsValue(limbs);
  if (offset === FREE_POINTER && state.counts) {
    // What a Solidity contract keeps there is a small number; the trace is left if it is not.
    state.push(constantValue(BigInt(FREE_POINTER)));
    state.resume(`(${limbs.slice(1).join('|')}|${limbs[0]!}>>>${EXTENT_BITS})!==0`);
    state.pop();
    value = numberValue(String(limbs[0]!), EXTENT_BITS);
  }
  if (typeof offset === 'number') state.memory.set(offset, value);
  state.push(value);
  return true;
};

const store: Effect = (builder, state) => {
  const offset = offsetOf(builder, state.pop());
  const value = state.pop();
  expand(builder, state, offset, 32);
  const known = typeof offset === 'number' ? state.memory.get(offset) : undefined;
  if (known !== undefined && builder.same(known, value)) return true;
  const limbs = limbsOfValue(builder.emitter, value);
  const texts: string[] = [];
  for (let i = LIMBS - 1; i >= 0; i--) {
    const index = arenaIndex(builder, offset, 28 - 4 * i);
    // Eight zero bytes at once: 0.0 has no bit set.
    if (i > 0 && limbs[i] === 0 && limbs[i - 1] === 0) {
      texts.push(`V.setFloat64(${index},0);`);
      i--;
    } else texts.push(`V.setInt32(${index},${limbs[i]!});`);
  }
  builder.emitter.statement(texts.join(''));
  if (typeof offset === 'number') {
    state.clobber(offset, 32);
    state.memory.set(offset, value);
  } else state.clobber();
  return true;
};

const storeByte: Effect = (builder, state) => {
  const offset = offsetOf(builder, state.pop());
  const value = state.pop();
  expand(builder, state, offset, 1);
  builder.emitter.statement(`V.setUint8(${arenaIndex(builder, offset, 0)},${limbOf(builder.emitter, value, 0)});`);
  if (typeof offset === 'number') state.clobber(offset, 1);
  else state.clobber();
  return true;
};

const memorySize: Effect = (builder, state) => {
  state.push(numberValue(builder.emitter.read('z'), 31));
  return true;
};

/** A range whose length is known, or whose offset is small: only then does it not matter that an empty range may lie anywhere. */
function rangeOf(builder: Builder, state: TraceState): { readonly offset: number | string; readonly length: number | string } | undefined {
  const [at, size] = [state.peek(0), state.peek(1)];
  const length = extentOf(builder, size);
  if (length === undefined) return undefined;
  const isEmpty = length === 0;
  const offset = isEmpty ? 0 : typeof length === 'number' ? offsetOf(builder, at) : extentOf(builder, at);
  if (offset === undefined) return undefined;
  state.pop();
  state.pop();
  if (isEmpty) return { offset, length };
  if (typeof length === 'number') expand(builder, state, offset, length);
  else {
    const end = builder.emitter.define(`${offset}+${length}`);
    builder.emitter.statement(`if(${length}!==0&&z<${end}){if((g=grow(m,f,g,${end}))<0)return ${OUT_OF_GAS};V=m.view;z=f.memorySize;}`);
  }
  return { offset, length };
}

const keccak: Effect = (builder, state) => {
  const range = rangeOf(builder, state);
  if (range === undefined) return false;
  const { offset, length } = range;
  if (typeof length === 'number') state.gas += GAS_KECCAK_WORD * wordCount(length);
  else {
    builder.emitter.statement(`if((g-=${GAS_KECCAK_WORD}*(${length}+31>>>5))<0)return ${OUT_OF_GAS};`);
  }
  const from = arenaIndex(builder, offset, 0);
  const isKnownRange = typeof offset === 'number' && typeof length === 'number';
  const known = isKnownRange ? state.hashes.find((hash) => hash.offset === offset && hash.length === length) : undefined;
  const value = known?.value ?? builder.result((at) => `m.memo.hash(m.memory,V,${from},${length},U,${at});`);
  if (isKnownRange && known === undefined) state.hashes.push({ offset, length, value });
  state.push(value);
  return true;
};

function log(topics: number): Effect {
  return (builder, state) => {
    const range = rangeOf(builder, state);
    if (range === undefined) return false;
    demandWritable(builder, state);
    const { offset, length } = range;
    if (typeof length === 'number') state.gas += GAS_LOG_BYTE * length;
    else builder.emitter.statement(`g-=${GAS_LOG_BYTE}*${length};`);
    state.unchecked = true;
    takeGas(builder, state);
    const place = builder.temporary(topics);
    for (let i = 0; i < topics; i++) builder.store(state.pop(), { ...place, offset: place.offset + LIMBS * i });
    builder.emitter.statement(`log(m,f,${arenaIndex(builder, offset, 0)},${length},${topics},${place.offset});`);
    return true;
  };
}

function ending(outcome: number): Effect {
  return (builder, state) => {
    const range = rangeOf(builder, state);
    if (range === undefined) return false;
    takeGas(builder, state);
    const { offset, length } = range;
    builder.emitter.statement(`f.gas=g;m.setOutput(m.memory,${arenaIndex(builder, offset, 0)},${length});return ${outcome};`);
    return true;
  };
}

const callDataLoad: Effect = (builder, state) => {
  const { emitter } = builder;
  const at = state.peek(0);
  let offset = extentOf(builder, at);
  if (offset === undefined) {
    if (at.constant !== undefined || !state.counts) return false;
    const limbs = limbsOfValue(emitter, at);
    state.resume(`(${limbs.slice(1).join('|')}|${limbs[0]!}>>>${EXTENT_BITS})!==0`);
    offset = String(limbs[0]!);
  }
  state.pop();
  const end = typeof offset === 'number' ? String(offset + 32) : `${offset}+32`;
  const start = typeof offset === 'number' ? `ia+${offset}` : emitter.define(`ia+${offset}`);
  const inside = emitter.define(`il>=${end}`);
  state.push(
    limbsValue(
      Array.from({ length: LIMBS }, (_, i) => {
        const read = `V.getInt32(${start}+${28 - 4 * i})`;
        return emitter.define(`${inside}?${read}:dataLimb(m,f,${offset},${i})`);
      }),
    ),
  );
  return true;
};

/** A value that does not change while the frame runs, read once. */
function constantInFrame(make: (builder: Builder) => Value): Effect {
  return (builder, state) => {
    state.push(make(builder));
    return true;
  };
}

function frameWord(below: number, bits: number): Effect {
  return constantInFrame(() => placedValue({ array: 'S', base: 'B', offset: -below }, bits));
}

function environmentWord(offset: number, bits = 256): Effect {
  return constantInFrame(() => placedValue({ array: 'E', base: '', offset }, bits));
}

const ADDRESS_BITS = 160;

/** Instructions that are emitted with their operands in variables. */
export const EFFECTS: ReadonlyMap<number, Effect> = new Map<number, Effect>([
  [0x20, keccak],
  [0x30, frameWord(ADDRESS_BELOW, ADDRESS_BITS)],
  [0x32, environmentWord(ENVIRONMENT.ORIGIN, ADDRESS_BITS)],
  [0x33, frameWord(CALLER_BELOW, ADDRESS_BITS)],
  [0x34, frameWord(VALUE_BELOW, 256)],
  [0x35, callDataLoad],
  [0x36, constantInFrame((builder) => numberValue(builder.emitter.define('il'), 30))],
  [0x3a, environmentWord(ENVIRONMENT.GASPRICE)],
  [0x3d, constantInFrame((builder) => numberValue(builder.emitter.read('m.outputLength'), 30))],
  [0x41, environmentWord(ENVIRONMENT.COINBASE, ADDRESS_BITS)],
  [0x42, environmentWord(ENVIRONMENT.TIMESTAMP)],
  [0x43, environmentWord(ENVIRONMENT.NUMBER)],
  [0x44, environmentWord(ENVIRONMENT.PREVRANDAO)],
  [0x45, environmentWord(ENVIRONMENT.GASLIMIT)],
  [0x46, environmentWord(ENVIRONMENT.CHAINID)],
  [0x48, environmentWord(ENVIRONMENT.BASEFEE)],
  [0x4a, environmentWord(ENVIRONMENT.BLOBBASEFEE)],
  [0x51, load],
  [0x52, store],
  [0x53, storeByte],
  [0x54, loadStorage],
  [0x55, storeStorage],
  [0x59, memorySize],
  [0xa0, log(0)],
  [0xa1, log(1)],
  [0xa2, log(2)],
  [0xa3, log(3)],
  [0xa4, log(4)],
  [0xf3, ending(DONE)],
  [0xfd, ending(REVERT)],
]);
