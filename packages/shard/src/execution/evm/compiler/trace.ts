/**
 * Turns the code from one segment on into the text of a JavaScript function: it follows the flow symbolically, through jumps whose target is known and along the side of
 * each branch that is taken more often, and leaves the rest to exits. Words stay in variables on the way, so that PUSH, DUP, SWAP and POP come to nothing and the
 * return addresses of internal functions are known.
 */
import type { Code } from '../code.ts';
import { GAS_EXP_BYTE, STACK_WORDS_MAX } from '../gas.ts';
import { DONE, FALLBACK, INVALID_JUMP, INVALID_OPCODE, MISSED, NEXT, resumeOutcome } from '../interpreter/outcome.ts';
import { OP, OPCODES, opcodeSize } from '../opcodes.ts';
import { LIMBS } from '../words/basic.ts';
import { PURE } from './arithmetic.ts';
import { Builder } from './builder.ts';
import { EFFECTS } from './effects.ts';
import { describeExit, type Exit } from './exits.ts';
import { takeGas } from './gas-charge.ts';
import { stackPlace, TraceState } from './state.ts';
import { TEMPORARIES_MAX } from './temporaries.ts';
import {
  bitLength,
  constantValue,
  EXTENT_BITS,
  limbsOfValue,
  negated,
  numberValue,
  placedNumber,
  placedValue,
  placeIndex,
  truthOf,
  type Value,
} from './value.ts';

/**
 * Characters, dead ones too, after which a trace takes up no further segment. Measured with a Uniswap V2 router: traces ten times as long run no faster, and V8
 * takes several times as long to get to optimised code.
 */
const SIZE_MAX = 12_000;
/** A trace goes through the same segment at most so often on one path: internal functions are taken in where they are called, loops are not unrolled for long. */
const VISITS_MAX = 6;
/** A side of a branch that was entered less than once for so many entries of the trace's first segment is left with little text, others with little work. */
const COLD_RATIO = 64;
/** A word below this is taken for an offset, a counter or an address in the code, and counted on to stay below 2^30. */
const SMALL_END = 1n << 24n;
/** Longest segment that is compiled, in instructions; each needs four temporaries at most. */
const SEGMENT_INSTRUCTIONS_MAX = 512;

/** The word `below` words below the top of the stack, as it is when the trace is made; undefined if the stack is not that high. */
export type Peek = (below: number) => bigint | undefined;

/** A trace before it is a function. */
export interface Trace {
  /** Body of a function of (m, f). */
  readonly body: string;
  readonly exits: readonly Exit[];
  /** Characters that were emitted, the dead ones too. */
  readonly size: number;
}

/** How the walk goes on behind an instruction: to a position in the code, or nowhere. */
const NOWHERE = -1;

/** Makes one trace. */
export class TraceWalk {
  private readonly code: Code;
  private readonly head: number;
  private readonly peek: Peek;
  private readonly builder = new Builder();
  private readonly exits: Exit[] = [];
  /** Words that the whole trace needs on the stack, and by which it grows it, at most. */
  private need = 0;
  private growth = 0;
  private loops = false;
  private readonly counts: boolean;

  /** Words at the start whose smallness something follows from. */
  private readonly counted = new Set<string>();

  /** `head` is a segment of `code`. `counts`: the trace may count on words that are small now being small later. */
  constructor(code: Code, head: number, peek: Peek, counts: boolean) {
    this.code = code;
    this.head = head;
    this.peek = peek;
    this.counts = counts;
  }

  /** The trace; undefined if its first segment alone is too large. */
  make(): Trace | undefined {
    if (!this.hasRoom(this.head)) return undefined;
    const state = new TraceState(this.builder, (position) => this.entryValue(position));
    state.counts = this.counts;
    const start = this.code.segments.start[this.head]!;
    this.walk(state, start);
    const text = this.builder.emitter.text();
    const checks = this.entryChecks(text, start);
    const registers = 'let b=f.sp,g=f.gas,V=m.view,z=f.memorySize,o=0;';
    const constants = 'const S=m.signed,W=m.stack,E=m.environment,B=f.base,q=f.memoryAt,il=f.inputLength,ia=f.inputAt;';
    const body = this.loops ? `L:for(;;){${checks}\n${text}\n}` : `${checks}\n${text}`;
    return { body: `${constants}${registers}${body}`, exits: this.exits, size: this.builder.emitter.size };
  }

  /** What the stack holds at a position below the start: a variable, if the word is small now and may be counted on. */
  private entryValue(position: number): Value {
    const place = stackPlace(position);
    const word = this.counts ? this.peek(-position - 1) : undefined;
    const name = `e${-position}`;
    return word === undefined || word >= SMALL_END ? placedValue(place) : placedNumber(place, name, EXTENT_BITS, () => this.counted.add(name));
  }

  /** Emits the checks before a trace: whether the stack has room and depth, and the words that it counts on are small. */
  private entryChecks(text: string, start: number): string {
    const back = (outcome: number): string => `{f.sp=b;f.gas=g;f.pc=${start};return ${outcome};}`;
    const room = `if(b-B<${LIMBS * this.need}||b-B>${LIMBS * (STACK_WORDS_MAX - this.growth)})${back(FALLBACK)}`;
    const names = new Set([...this.counted, ...[...text.matchAll(/\be\d+\b/g)].map(([name]) => name)]);
    const tests: string[] = [];
    const variables: string[] = [];
    for (const name of names) {
      const place = stackPlace(-Number(name.slice(1)));
      const limbs = Array.from({ length: LIMBS }, (_, i) => `S[${placeIndex(place, i)}]`);
      variables.push(`${name}=${limbs[0]!}`);
      tests.push(`${name}>>>${EXTENT_BITS}`, ...limbs.slice(1));
    }
    return tests.length === 0 ? room : `${room}const ${variables.join(',')};if((${tests.join('|')})!==0)${back(MISSED)}`;
  }

  /** Emits what happens from `position` on, until everything has left the trace. */
  private walk(state: TraceState, position: number): void {
    let at = position;
    while (at !== NOWHERE) {
      const segment = this.code.segments.enter(at);
      const visits = state.visits.get(segment) ?? 0;
      if (segment === this.head && visits > 0) return this.loop(state);
      if (visits >= VISITS_MAX || !this.hasRoom(segment)) return this.leaveHot(state, at);
      state.visits.set(segment, visits + 1);
      at = this.segment(state, segment);
    }
  }

  private hasRoom(segment: number): boolean {
    const count = this.code.segments.count[segment]!;
    const temporaries = this.builder.temporaries + 4 * count;
    return this.builder.emitter.size < SIZE_MAX && count <= SEGMENT_INSTRUCTIONS_MAX && temporaries <= TEMPORARIES_MAX;
  }

  /** Emits one segment; returns where the walk goes on. */
  private segment(state: TraceState, segment: number): number {
    const { segments } = this.code;
    state.gas += segments.gas[segment]!;
    this.need = Math.max(this.need, segments.need[segment]! - state.height);
    this.growth = Math.max(this.growth, segments.growth[segment]! + state.height);
    let at = segments.start[segment]!;
    for (let left = segments.count[segment]!; left > 0; left--) {
      const op = this.code.padded[at]!;
      const next = at + opcodeSize(op);
      if (op === OP.JUMP) return this.jump(state);
      if (op === OP.JUMPI) return this.branch(state, next);
      const [here, rest] = [at, left];
      state.resume = (condition) => this.leaveToInterpreter(state, condition, here, rest);
      if (this.instruction(state, op, at)) return NOWHERE;
      at = next;
    }
    return at;
  }

  /** Emits one instruction that is no jump; true if the trace ends with it. */
  private instruction(state: TraceState, op: number, at: number): boolean {
    const opcode = OPCODES[op];
    if (opcode === undefined || op === OP.INVALID) {
      takeGas(this.builder, state);
      this.builder.emitter.statement(`return ${INVALID_OPCODE};`);
      return true;
    }
    if (op === OP.STOP) {
      takeGas(this.builder, state);
      this.builder.emitter.statement(`f.gas=g;m.outputLength=0;return ${DONE};`);
      return true;
    }
    if (this.moves(state, op, at)) return false;
    const pure = PURE.get(op);
    if (pure !== undefined) {
      this.pure(state, op, opcode.pops, pure);
      return false;
    }
    const effect = EFFECTS.get(op);
    if (effect?.(this.builder, state) === true) return opcode.halts;
    return this.interpreted(state, op, at + opcodeSize(op));
  }

  /** Instructions that only move words around, or know their result. */
  private moves(state: TraceState, op: number, at: number): boolean {
    const { bytes } = this.code;
    if (op >= OP.PUSH0 && op <= OP.PUSH32) state.push(constantValue(this.pushed(at, op - OP.PUSH0)));
    else if (op >= OP.DUP1 && op < OP.SWAP1) state.push(state.peek(op - OP.DUP1));
    else if (op >= OP.SWAP1 && op < OP.LOG0) state.swap(op - OP.SWAP1 + 1);
    else if (op === 0x50) state.pop();
    else if (op === OP.PC) state.push(constantValue(BigInt(at)));
    else if (op === 0x38) state.push(constantValue(BigInt(bytes.length)));
    else if (op === OP.GAS) {
      takeGas(this.builder, state);
      state.push(numberValue(this.builder.emitter.read('g'), 53));
    } else return op === OP.JUMPDEST;
    return true;
  }

  private pushed(at: number, length: number): bigint {
    let value = 0n;
    for (let i = 1; i <= length; i++) value = (value << 8n) | BigInt(this.code.padded[at + i]!);
    return value;
  }

  private pure(state: TraceState, op: number, pops: number, emit: NonNullable<ReturnType<typeof PURE.get>>): void {
    const operands = Array.from({ length: pops }, () => state.pop());
    if (op === 0x0a) this.chargePower(state, operands[1]!);
    state.push(emit(this.builder, operands[0]!, operands[1] ?? operands[0]!, operands[2] ?? operands[0]!));
  }

  private chargePower(state: TraceState, exponent: Value): void {
    if (exponent.constant !== undefined) {
      state.gas += GAS_EXP_BYTE * Math.ceil(bitLength(exponent.constant) / 8);
      return;
    }
    const place = this.builder.inTemporary(exponent);
    this.builder.emitter.statement(`g-=${GAS_EXP_BYTE}*exponentBytes(U,${place.offset});`);
    state.unchecked = true;
  }

  /** Emits a call of the interpreter's instruction, with everything in its place; true if the trace ends with it. */
  private interpreted(state: TraceState, op: number, next: number): boolean {
    const { emitter } = this.builder;
    const { pops, pushes, ends, halts } = OPCODES[op]!;
    takeGas(this.builder, state);
    const range = this.writtenRange(state, op);
    if (halts) {
      state.peek(pops - 1);
      state.materialise(state.height - pops);
    } else state.beginCall(pops, pushes);
    emitter.statement(`f.gas=g;f.sp=b+${LIMBS * state.height};f.pc=${next};`);
    const mayCall = ends && (op >= OP.CREATE || halts);
    if (mayCall) {
      emitter.statement(`return I[${op}](m,f);`);
      return true;
    }
    emitter.statement(`if((o=I[${op}](m,f))!==0)return o;g=f.gas;V=m.view;z=f.memorySize;`);
    state.endCall(pops, pushes);
    if (range?.offset !== undefined && range.length !== undefined) state.clobber(range.offset, range.length);
    else if (range !== undefined) state.clobber();
    return false;
  }

  /** What an instruction that is left to the interpreter writes to memory; a range without numbers may be anywhere. */
  private writtenRange(state: TraceState, op: number): { offset: number | undefined; length: number | undefined } | undefined {
    const isCopy = op === 0x37 || op === 0x39 || op === 0x3e || op === 0x5e;
    if (!isCopy && op !== 0x3c && op !== 0x51 && op !== 0x52 && op !== 0x53) return undefined;
    const known = (index: number): number | undefined => {
      const { constant } = state.peek(index);
      return constant !== undefined && constant < 1n << 30n ? Number(constant) : undefined;
    };
    if (isCopy) return { offset: known(0), length: known(2) };
    return op === 0x3c ? { offset: known(1), length: known(3) } : { offset: undefined, length: undefined };
  }

  private jump(state: TraceState): number {
    const to = state.pop();
    if (to.constant === undefined) return this.jumpAnywhere(state, to);
    const target = to.constant < 1n << 31n ? Number(to.constant) : NOWHERE;
    if (this.code.isJumpDestination(target)) return target;
    takeGas(this.builder, state);
    this.builder.emitter.statement(`return ${INVALID_JUMP};`);
    return NOWHERE;
  }

  /** A jump to where a word from before the trace says: the trace goes on where the word points now, and leaves if it is another later. */
  private jumpAnywhere(state: TraceState, to: Value): number {
    const { emitter } = this.builder;
    const limbs = limbsOfValue(emitter, to);
    const high = limbs.slice(1).filter((limb) => limb !== 0);
    const target = high.length === 0 ? String(limbs[0]!) : emitter.define(`(${high.join('|')})===0?${limbs[0]!}:-1`);
    const guess = this.guess(to);
    if (guess === undefined) this.leaveCold(state, target, true);
    else emitter.scope(`if(${target}!==${guess}){`, () => this.leaveCold(state.fork(), target, true), '}');
    return guess ?? NOWHERE;
  }

  private guess(to: Value): number | undefined {
    const { place } = to;
    if (place?.array !== 'S' || place.base !== 'b' || place.offset >= 0) return undefined;
    const word = this.peek(-place.offset / LIMBS - 1);
    if (word === undefined || word >= 1n << 31n) return undefined;
    return this.code.isJumpDestination(Number(word)) ? Number(word) : undefined;
  }

  private branch(state: TraceState, next: number): number {
    const { emitter } = this.builder;
    if (state.peek(0).constant === undefined) {
      // Compilers do not make computed branches: the interpreter's instruction decides, and the trace ends.
      this.interpreted(state, OP.JUMPI, next);
      emitter.statement('f.gas=g;return 0;');
      return NOWHERE;
    }
    const to = state.pop().constant!;
    const condition = state.pop();
    const target = to < 1n << 31n ? Number(to) : NOWHERE;
    if (condition.constant === 0n) return next;
    const truth = truthOf(emitter, condition);
    if (state.holds(truth) === false) return next;
    const certain = condition.constant !== undefined || state.holds(truth) === true;
    if (!this.code.isJumpDestination(target)) {
      takeGas(this.builder, state);
      emitter.statement(`if(${truth})return ${INVALID_JUMP};`);
      return next;
    }
    if (certain) return target;
    const [taken, passed] = [this.heat(target), this.heat(next)];
    const floor = this.heat(this.code.segments.start[this.head]!) / COLD_RATIO;
    if (passed < floor && taken > passed) {
      emitter.scope(`if(${negated(truth)}){`, () => this.leaveCold(state.fork(), next, false), '}');
      state.learn(truth, true);
      return target;
    }
    const side = state.fork();
    side.learn(truth, true);
    emitter.scope(`if(${truth}){`, () => (taken < floor ? this.leaveCold(side, target, false) : this.leaveHot(side, target)), '}');
    state.learn(truth, false);
    return next;
  }

  private heat(position: number): number {
    return this.code.segments.entered[this.code.segments.enter(position)]!;
  }

  /** Back to the first segment: the stack is brought up to date, and the function begins again. */
  private loop(state: TraceState): void {
    takeGas(this.builder, state);
    state.materialise();
    const { height } = state;
    this.builder.emitter.statement(`${height === 0 ? '' : `b+=${LIMBS * height};`}continue L;`);
    this.loops = true;
  }

  /** Leaves the trace where it usually ends. */
  private leaveHot(state: TraceState, to: number): void {
    takeGas(this.builder, state);
    state.materialise();
    this.builder.emitter.statement(`f.gas=g;f.sp=b+${LIMBS * state.height};f.pc=${to};return 0;`);
  }

  /** Leaves the trace inside of a segment, under a condition: the interpreter runs the `left` instructions from `at` on. */
  private leaveToInterpreter(state: TraceState, condition: string, at: number, left: number): void {
    const side = state.fork();
    this.builder.emitter.scope(`if(${condition}){`, () => this.leaveCold(side, at, false, resumeOutcome(left)), '}');
  }

  /** Leaves the trace where that is rare, with little text. `to` is a position, or the name of a variable with a computed one. */
  private leaveCold(state: TraceState, to: number | string, isJump: boolean, outcome = NEXT): void {
    takeGas(this.builder, state);
    const handed = new Map<string, number>();
    const exit = describeExit(this.builder, state, handed);
    this.exits.push(exit);
    this.builder.emitter.statement(`return leave(m,f,g,b,X[${this.exits.length - 1}],${to},${isJump ? INVALID_JUMP : outcome},[${[...handed.keys()].join(',')}]);`);
  }
}
