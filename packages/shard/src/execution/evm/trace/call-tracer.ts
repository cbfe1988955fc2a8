import { toHex } from '@shardlab/crosslink';
import { haltWords } from '../simulate/halt-words.ts';
import { toWei } from '../simulate/hex-words.ts';
import { revertReason } from '../simulate/revert-reason.ts';
import { OP } from '../opcodes.ts';
import type { TraceCall, TraceResult, Tracer, TraceStep } from '../tracer.ts';
import { DEFAULT_TRACE_LIMITS, TraceBound, type TraceLimits } from './trace-bound.ts';

/** What the tracer writes down, by the names of go-ethereum's `callTracer`. */
export interface CallTracerOptions {
  readonly onlyTopCall: boolean;
  readonly withLog: boolean;
}

/** An event that a call emitted, as JSON. */
export interface TracedLog {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
  /** Calls that its frame had made before it. */
  readonly position: string;
}

/** One call, as JSON: go-ethereum's `callFrame`, equivalent. Quantities and data in hex. */
export interface CallFrame {
  readonly type: string;
  readonly from: string;
  to?: string;
  readonly value?: string;
  gas: string;
  gasUsed: string;
  readonly input: string;
  output?: string;
  error?: string;
  revertReason?: string;
  calls?: CallFrame[];
  logs?: TracedLog[];
}

/** Characters of a frame, and of a log, without their data. */
const FRAME_CHARACTERS = 240;
const LOG_CHARACTERS = 160;
const TOPICS_MAX = 4;

function quantity(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function frameOf(call: TraceCall): CallFrame {
  const { kind, from, to, value, gas, input } = call;
  return {
    type: kind,
    from: toHex(from),
    ...(to === undefined ? {} : { to: toHex(to) }),
    ...(kind === 'STATICCALL' ? {} : { value: quantity(value) }),
    gas: quantity(gas),
    gasUsed: '0x0',
    input: toHex(input),
  };
}

function clearLogs(frame: CallFrame): void {
  delete frame.logs;
  for (const call of frame.calls ?? []) clearLogs(call);
}

/** Writes down the tree of calls, as go-ethereum's `callTracer`. Throws `trace/too-large` and `trace/too-long` out of the run. */
export class CallTracer implements Tracer {
  private readonly options: CallTracerOptions;
  private readonly bound: TraceBound;
  /** Open calls, outermost first; undefined: one that is not written down. */
  private readonly open: (CallFrame | undefined)[] = [];
  private top: CallFrame | undefined;
  private emitting: TracedLog | undefined;

  constructor(options: CallTracerOptions, limits: TraceLimits = DEFAULT_TRACE_LIMITS) {
    this.options = options;
    this.bound = new TraceBound(limits);
  }

  step(step: TraceStep): void {
    this.bound.stepped();
    this.emitting = undefined;
    const topics = step.op - OP.LOG0;
    if (!this.options.withLog || topics < 0 || topics > TOPICS_MAX || step.stackHeight < topics + 2) return;
    this.emitting = this.logOf(step, topics);
  }

  stepped(): void {
    const { emitting } = this;
    if (emitting === undefined) return;
    this.emitting = undefined;
    const frame = this.open.at(-1);
    if (frame !== undefined) (frame.logs ??= []).push(emitting);
  }

  enter(call: TraceCall): void {
    if (this.options.onlyTopCall && this.open.length > 0) {
      this.open.push(undefined);
      return;
    }
    this.bound.took(FRAME_CHARACTERS + 2 * call.input.length);
    const frame = frameOf(call);
    const caller = this.open.at(-1);
    if (caller === undefined) this.top = frame;
    else (caller.calls ??= []).push(frame);
    this.open.push(frame);
  }

  exit({ halt, gasUsed, output }: TraceResult): void {
    const frame = this.open.pop();
    if (frame === undefined) return;
    this.bound.took(2 * output.length);
    frame.gasUsed = quantity(gasUsed);
    if (output.length > 0 && (halt === undefined || halt === 'revert' || halt === 'foreign-account')) frame.output = toHex(output);
    if (halt === undefined) return;
    frame.error = haltWords(halt);
    const reason = revertReason(output);
    if (reason !== undefined) frame.revertReason = reason;
    // Nothing was made there.
    if (frame.type.startsWith('CREATE')) delete frame.to;
    clearLogs(frame);
  }

  /** The tree, with what the transaction as a whole was given and used. undefined: nothing ran. */
  result(gas: number, gasUsed: number): CallFrame | undefined {
    return this.top === undefined ? undefined : { ...this.top, gas: quantity(gas), gasUsed: quantity(gasUsed) };
  }

  private logOf(step: TraceStep, topics: number): TracedLog | undefined {
    const words = Array.from({ length: topics }, (_, index) => toHex(step.stackWord(index + 2)));
    const length = toWei(step.stackWord(1));
    // What cannot be paid for is not emitted either.
    if (length > BigInt(step.gas)) return undefined;
    const offset = toWei(step.stackWord(0));
    const data = new Uint8Array(Number(length));
    if (length > 0n && offset <= BigInt(Number.MAX_SAFE_INTEGER)) data.set(step.memory().subarray(Number(offset), Number(offset + length)));
    this.bound.took(LOG_CHARACTERS + WORD_CHARACTERS * topics + 2 * data.length);
    const position = quantity(this.open.at(-1)?.calls?.length ?? 0);
    return { address: toHex(step.address), topics: words, data: toHex(data), position };
  }
}

const WORD_CHARACTERS = 69;
