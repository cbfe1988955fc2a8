import { LIMBS } from '../words/basic.ts';
import type { Builder } from './builder.ts';
import { type Place, placedValue, type Value } from './value.ts';

/** Where the word at stack position `position` lies; positions count from the height at which the trace began, and may be negative. */
export function stackPlace(position: number): Place {
  return { array: 'S', base: 'b', offset: LIMBS * position };
}

/** A storage slot that the trace has touched. */
export interface KnownSlot {
  readonly key: Value;
  /** Name of the variable with its number. */
  readonly name: string;
  /** It is certainly warm (EIP-2929). */
  warm: boolean;
  /** What it holds, if that is known. */
  value: Value | undefined;
}

/** A hash of bytes of the memory that have not changed since. */
interface KnownHash {
  readonly offset: number;
  readonly length: number;
  readonly value: Value;
}

/**
 * What is known at one point of a trace: the words on the stack, which of them memory holds already, words that stand in the frame's memory, and gas that has been
 * used but not taken yet. Forked where the flow divides.
 */
export class TraceState {
  private readonly builder: Builder;
  /** Words at positions `bottom` to `top` - 1. */
  private readonly values: Value[] = [];
  private bottom = 0;
  /** What the stack in memory holds, by position, where it is not what it was at the start. */
  private readonly stored = new Map<number, Value>();
  /** Values that are loaded from a position when they are first used. */
  private readonly resident = new Map<number, Value>();
  /** Words that were written to, or read from, the memory at known offsets. */
  readonly memory = new Map<number, Value>();
  /** Variables with a length that the memory has at least. */
  ends: Set<string> = new Set();
  hashes: KnownHash[] = [];
  slots: KnownSlot[] = [];
  /** The memory has at least this many bytes. */
  memorySize = 0;
  /** Static gas of the segments that were entered since gas was last taken. */
  gas = 0;
  /** Whether gas was taken since it was last compared with 0. */
  unchecked = false;
  /** Whether it is known that the frame may write. */
  writable = false;
  /** Conditions whose outcome is known: branches went that way. */
  private readonly facts = new Map<string, boolean>();
  /** Whether the trace may count on words being small where they have been. */
  counts = false;
  /** Emits an exit to the interpreter at the present instruction, under a condition. The stack must be as before the instruction. */
  resume: (condition: string) => void = () => undefined;
  /** How often each segment was entered on the way here. */
  readonly visits = new Map<number, number>();

  /** What the stack holds at the start, by position below 0. */
  private readonly entry: (position: number) => Value;

  constructor(builder: Builder, entry: (position: number) => Value) {
    this.builder = builder;
    this.entry = entry;
  }

  /** A state that goes its own way from here. */
  fork(): TraceState {
    const state = new TraceState(this.builder, this.entry);
    state.values.push(...this.values);
    state.bottom = this.bottom;
    for (const [position, value] of this.stored) state.stored.set(position, value);
    for (const [position, value] of this.resident) state.resident.set(position, value);
    for (const [offset, value] of this.memory) state.memory.set(offset, value);
    for (const [segment, count] of this.visits) state.visits.set(segment, count);
    state.ends = new Set(this.ends);
    state.hashes = [...this.hashes];
    state.slots = this.slots.map((slot) => ({ ...slot }));
    for (const [name, holds] of this.facts) state.facts.set(name, holds);
    state.memorySize = this.memorySize;
    state.gas = this.gas;
    state.unchecked = this.unchecked;
    state.writable = this.writable;
    state.counts = this.counts;
    return state;
  }

  /** Height of the stack, relative to the start. */
  get height(): number {
    return this.bottom + this.values.length;
  }

  /** Notes that a condition (a name, or `!` and a name) holds or does not. */
  learn(condition: string, holds: boolean): void {
    if (condition.startsWith('!')) this.facts.set(condition.slice(1), !holds);
    else this.facts.set(condition, holds);
  }

  /** Whether a condition holds; undefined if that is not known. */
  holds(condition: string): boolean | undefined {
    if (!condition.startsWith('!')) return this.facts.get(condition);
    const contrary = this.facts.get(condition.slice(1));
    return contrary === undefined ? undefined : !contrary;
  }

  push(value: Value): void {
    this.values.push(value);
  }

  pop(): Value {
    this.reach(1);
    return this.values.pop()!;
  }

  /** The word `index` from the top. */
  peek(index: number): Value {
    this.reach(index + 1);
    return this.values[this.values.length - 1 - index]!;
  }

  /** Exchanges the top with the word `index` from it. */
  swap(index: number): void {
    this.reach(index + 1);
    const top = this.values.length - 1;
    const value = this.values[top]!;
    this.values[top] = this.values[top - index]!;
    this.values[top - index] = value;
  }

  /** Makes the top `count` words known: those from before the start lie where they lay. */
  private reach(count: number): void {
    while (this.values.length < count) {
      this.bottom--;
      this.values.unshift(this.residentAt(this.bottom));
    }
  }

  private residentAt(position: number): Value {
    const known = this.resident.get(position);
    if (known !== undefined) return known;
    const value = this.entry(position);
    this.resident.set(position, value);
    return value;
  }

  /** The words that memory does not hold yet, from position `from` up. */
  pending(from = -Infinity): { readonly position: number; readonly value: Value }[] {
    const found: { position: number; value: Value }[] = [];
    for (const [i, value] of this.values.entries()) {
      const position = this.bottom + i;
      if (position < from) continue;
      const held = this.stored.get(position) ?? (position < 0 ? this.resident.get(position) : undefined);
      if (held !== value) found.push({ position, value });
    }
    return found;
  }

  /** Emits the stores that bring the stack in memory up to date, from position `from` up. */
  materialise(from = -Infinity): void {
    const writes = this.pending(from);
    // Loads come first: a word may be read from where another one is written.
    for (const { position } of writes) this.evict(position);
    for (const { position, value } of writes) {
      this.builder.store(value, stackPlace(position));
      this.stored.set(position, value);
    }
  }

  /** Loads what is still to be read from a position that is about to be overwritten. */
  private evict(position: number): void {
    const value = this.resident.get(position);
    if (value === undefined) return;
    this.builder.displace(value);
    this.resident.delete(position);
  }

  /** Prepares for an instruction that takes `pops` words from the stack in memory and leaves `pushes` there: everything is in place. */
  beginCall(pops: number, pushes: number): void {
    if (pops > 0) this.peek(pops - 1);
    this.materialise();
    const from = this.height - pops;
    for (let i = 0; i < Math.max(pops, pushes); i++) this.evict(from + i);
  }

  /** Takes the operands away and puts the result, which lies on the stack in memory, in their place. */
  endCall(pops: number, pushes: number): void {
    for (let i = 0; i < pops; i++) {
      this.values.pop();
      this.stored.delete(this.height);
    }
    for (let i = 0; i < pushes; i++) {
      const position = this.height;
      const value = placedValue(stackPlace(position));
      this.resident.set(position, value);
      this.stored.set(position, value);
      this.values.push(value);
    }
  }

  /** Forgets words and hashes of memory that the bytes from `offset` on overlap; all of them, if the range is not known. */
  clobber(offset = 0, length = Infinity): void {
    for (const known of this.memory.keys()) {
      if (known < offset + length && offset < known + 32) this.memory.delete(known);
    }
    this.hashes = this.hashes.filter((hash) => hash.offset >= offset + length || offset >= hash.offset + hash.length);
  }
}
