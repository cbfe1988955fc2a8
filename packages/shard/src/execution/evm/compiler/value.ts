import { InvariantError } from '@shardlab/crosslink';
import { LIMBS, TWO_32 } from '../words/basic.ts';
import type { Emitter, Limb } from './emitter.ts';

/** Where a word lies at run time: in the stack (`S`), among temporaries (`T`) or in the environment (`E`), from limb `base + offset` on. */
export interface Place {
  readonly array: 'S' | 'T' | 'E';
  /** A variable: `b`, the stack's height when the trace began; `B`, the base of the frame's stack; nothing for the other arrays. */
  readonly base: 'b' | 'B' | '';
  readonly offset: number;
}

/** The index expression of limb `index` of the word that lies there. */
export function placeIndex(place: Place, index: number): string {
  const offset = place.offset + index;
  if (place.base === '') return String(offset);
  if (offset === 0) return place.base;
  return offset < 0 ? `${place.base}-${-offset}` : `${place.base}+${offset}`;
}

/** What is known of a 256-bit word while compiling. Immutable apart from the limbs, which are loaded when they are first asked for. */
export interface Value {
  /** The word itself, if it is known. */
  readonly constant: bigint | undefined;
  /** Name of a JavaScript boolean, or `!` and its name: the word is 1 or 0. */
  readonly boolean: string | undefined;
  /** Name of a JavaScript number, an integer of 0 to 2^bits - 1. */
  readonly number: string | undefined;
  /** Where the word can be loaded from. */
  readonly place: Place | undefined;
  /** The word is below 2^bits. */
  readonly bits: number;
  readonly limbs: (Limb | undefined)[];
}

/** Offsets, lengths and counters are small integers, also their sums: below 2^30, where memory ends. */
export const EXTENT_BITS = 30;

const NO_LIMBS = (): (Limb | undefined)[] => new Array<Limb | undefined>(LIMBS).fill(undefined);

/** Length of a bigint in bits. */
export function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

/** A known word. */
export function constantValue(value: bigint): Value {
  const limbs = Array.from({ length: LIMBS }, (_, i) => Number(BigInt.asIntN(32, value >> BigInt(32 * i))));
  return { constant: value, boolean: undefined, number: undefined, place: undefined, bits: bitLength(value), limbs };
}

/** 1 or 0, by the JavaScript boolean of that name. */
export function booleanValue(name: string): Value {
  return { constant: undefined, boolean: name, number: undefined, place: undefined, bits: 1, limbs: NO_LIMBS() };
}

/** The JavaScript number of that name, an integer of 0 to 2^bits - 1; bits is at most 53. */
export function numberValue(name: string, bits: number): Value {
  return { constant: undefined, boolean: undefined, number: name, place: undefined, bits, limbs: NO_LIMBS() };
}

/** A word that lies somewhere, and is below 2^bits. */
export function placedValue(place: Place, bits = 256): Value {
  return { constant: undefined, boolean: undefined, number: undefined, place, bits, limbs: NO_LIMBS() };
}

/**
 * A word that lies somewhere, and is also in the JavaScript variable of that name: an integer of 0 to 2^bits - 1, if what is counted on holds. `counted` is told when something
 * follows from that: with large words in its place even code that never names the variable would be wrong (its upper limbs are taken for zeros).
 */
export function placedNumber(place: Place, name: string, bits: number, counted: () => void): Value {
  return {
    constant: undefined,
    boolean: undefined,
    number: name,
    place,
    get bits() {
      counted();
      return bits;
    },
    limbs: NO_LIMBS(),
  };
}

/** A word made of limbs; a constant, if they all are. `bitsMax`: it is known to be below 2^bitsMax. */
export function limbsValue(limbs: readonly Limb[], bitsMax = 256): Value {
  let top = LIMBS;
  while (top > 0 && limbs[top - 1] === 0) top--;
  const highest = limbs[top - 1];
  const bits = top === 0 ? 0 : 32 * top - (typeof highest === 'number' ? Math.clz32(highest) : 0);
  if (limbs.every((limb) => typeof limb === 'number')) {
    return constantValue(limbs.reduceRight((sum: bigint, limb) => (sum << 32n) | BigInt(Number(limb) >>> 0), 0n));
  }
  return { constant: undefined, boolean: undefined, number: undefined, place: undefined, bits: Math.min(bits, bitsMax), limbs: [...limbs] };
}

function makeLimb(emitter: Emitter, value: Value, index: number): Limb {
  if (32 * index >= value.bits) return 0;
  if (value.boolean !== undefined) return emitter.define(`(${value.boolean}?1:0)`);
  if (value.number !== undefined) {
    if (index === 1) return emitter.define(`${value.number}/${TWO_32}|0`);
    return value.bits <= 31 ? value.number : emitter.define(`${value.number}|0`);
  }
  if (value.place === undefined) throw new InvariantError('a word that is nowhere');
  const load = `${value.place.array}[${placeIndex(value.place, index)}]`;
  // Environment and frame words stay as they are; the others may be overwritten later.
  if (value.place.array === 'E') return emitter.define(`${load}|0`);
  return value.place.base === 'B' ? emitter.define(load) : emitter.read(load);
}

/** Limb `index` of the word, least significant first. A load is emitted where it is first asked for, and known to the end of that scope. */
export function limbOf(emitter: Emitter, value: Value, index: number): Limb {
  const known = value.limbs[index];
  if (known !== undefined) return known;
  const limb = makeLimb(emitter, value, index);
  value.limbs[index] = limb;
  emitter.atScopeEnd(() => {
    value.limbs[index] = undefined;
  });
  return limb;
}

/** All limbs of the word. */
export function limbsOfValue(emitter: Emitter, value: Value): Limb[] {
  return Array.from({ length: LIMBS }, (_, i) => limbOf(emitter, value, i));
}

/** The word as an expression for a JavaScript number; undefined if it may be 2^53 or more. */
export function numberOf(emitter: Emitter, value: Value): string | undefined {
  if (value.bits > 53) return undefined;
  if (value.constant !== undefined) return value.constant.toString();
  if (value.number !== undefined) return value.number;
  const low = limbOf(emitter, value, 0);
  if (value.bits <= 31) return String(low);
  if (value.bits <= 32) return emitter.define(`${low}>>>0`);
  return emitter.define(`(${low}>>>0)+(${limbOf(emitter, value, 1)}>>>0)*${TWO_32}`);
}

/** A JavaScript condition that holds if the word is not 0. */
export function truthOf(emitter: Emitter, value: Value): string {
  if (value.constant !== undefined) return value.constant === 0n ? 'false' : 'true';
  if (value.boolean !== undefined) return value.boolean;
  if (value.number !== undefined) return emitter.define(`${value.number}!==0`);
  return emitter.define(`(${limbsOfValue(emitter, value).filter((limb) => limb !== 0).join('|') || '0'})!==0`);
}

/** The contrary of a condition that is a name, or `!` and a name. */
export function negated(condition: string): string {
  return condition.startsWith('!') ? condition.slice(1) : `!${condition}`;
}
