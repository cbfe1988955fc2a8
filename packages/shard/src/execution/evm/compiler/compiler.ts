import type { Code } from '../code.ts';
import type { Frame } from '../frame.ts';
import type { Machine } from '../interpreter/machine.ts';
import type { CompiledSegment, Segments } from '../segments.ts';
import { LIMBS, toBigint } from '../words/basic.ts';
import { RUNTIME } from './runtime.ts';
import { TraceWalk } from './trace.ts';

/** Traces of one code. */
const TRACES_PER_CODE_MAX = 256;
/** Characters of text that all traces together may have: V8 keeps some ten bytes for each, and a router with its pairs and tokens has a few hundred thousand. */
const TEXT_MAX = 4_000_000;
/** Misses after which a trace that counts on small words is replaced by one that does not. */
const MISSES_MAX = 50;
/** In the column of misses: the segment is not to be compiled. */
const REFUSED = 0xffff_ffff;
/**
 * What compiling one character costs, in instructions that were interpreted before: about as long as they took. So no code can make a node spend more time on
 * compiling than on running, whatever it jumps to and how often.
 */
const INSTRUCTIONS_PER_CHARACTER = 4;
/** Instructions that can be saved up for compiling. */
const CREDIT_MAX = 10_000_000;
/** What there is to begin with. */
const CREDIT_START = 1_000_000;
/** Tests that want everything compiled ask for fewer entries than this; there, compiling costs nothing. */
const RATIONED_FROM = 10;

/** Compiles segments that are entered often, and keeps what it made within bounds: the code that was compiled longest ago loses its traces first. */
export class Compiler {
  /** Entries into a segment after which it may be compiled. */
  private readonly threshold: number;
  /** Codes with traces, and the length of their text. */
  private readonly codes = new Map<Code, { traces: number; length: number }>();
  private length = 0;
  /** Instructions that were interpreted and not yet spent. */
  private credit = CREDIT_START;

  /** `threshold`: entries into a segment after which it is compiled; 0: never; below 10, for tests: whatever it costs. */
  constructor(threshold: number) {
    this.threshold = threshold === 0 ? Infinity : threshold;
  }

  /** Counts an entry into a segment that has no trace. If there have been enough, makes the trace for the frame as it stands. */
  traceOf(machine: Machine, frame: Frame, segment: number): CompiledSegment | undefined {
    const { segments } = frame.code;
    const entered = segments.entered[segment]! + 1;
    segments.entered[segment] = entered;
    this.credit += segments.count[segment]!;
    if (entered < this.threshold || this.credit < 0 || segments.missed[segment] === REFUSED) return undefined;
    return this.compile(machine, frame, segment);
  }

  private compile(machine: Machine, frame: Frame, segment: number): CompiledSegment | undefined {
    const { code, sp, base } = frame;
    const { segments } = code;
    const used = this.codes.get(code) ?? { traces: 0, length: 0 };
    const peek = (below: number): bigint | undefined => {
      const at = sp - LIMBS * (below + 1);
      return at < base ? undefined : toBigint(machine.stack, at);
    };
    const walk = used.traces < TRACES_PER_CODE_MAX ? new TraceWalk(code, segment, peek, segments.missed[segment]! < MISSES_MAX) : undefined;
    const trace = walk?.make();
    if (trace === undefined) {
      segments.missed[segment] = REFUSED;
      return undefined;
    }
    const made = instantiate(trace.body, trace.exits);
    segments.compiled[segment] = made;
    if (this.threshold >= RATIONED_FROM) this.credit = Math.min(this.credit, CREDIT_MAX) - INSTRUCTIONS_PER_CHARACTER * trace.size;
    this.codes.delete(code);
    this.codes.set(code, { traces: used.traces + 1, length: used.length + trace.body.length });
    this.length += trace.body.length;
    this.evict(code);
    return made;
  }

  /** Notes that the trace of a segment met words that it was not made for. */
  missed(segments: Segments, segment: number): void {
    const count = segments.missed[segment]! + 1;
    if (count > MISSES_MAX) return;
    segments.missed[segment] = count;
    if (count === MISSES_MAX) segments.compiled[segment] = undefined;
  }

  private evict(newest: Code): void {
    for (const [code, { length }] of this.codes) {
      if (this.length <= TEXT_MAX || code === newest) return;
      code.segments.compiled.fill(undefined);
      code.segments.entered.fill(0);
      code.segments.missed.fill(0);
      this.codes.delete(code);
      this.length -= length;
    }
  }
}

/**
 * Makes the function of a trace. Text becomes code here, and nowhere else: it consists of what the compiler emits alone (names that it numbers itself, integers,
 * operators), never of bytes of a contract.
 */
function instantiate(body: string, exits: readonly unknown[]): CompiledSegment {
  // oxlint-disable-next-line typescript/no-implied-eval -- see above: the one way to hand V8 a function made at run time
  const make = new Function('R', 'X', `"use strict";const {${Object.keys(RUNTIME).join(',')}}=R;return function(m,f){${body}}`) as (
    runtime: typeof RUNTIME,
    exits: readonly unknown[],
  ) => CompiledSegment;
  return make(RUNTIME, exits);
}
