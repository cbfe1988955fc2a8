import { type Address, toHex } from '@shardlab/crosslink';
import { haltWords } from '../simulate/halt-words.ts';
import { toWei } from '../simulate/hex-words.ts';
import { revertReason } from '../simulate/revert-reason.ts';
import { OP } from '../opcodes.ts';
import type { TraceCall, TraceResult, Tracer, TraceStep } from '../tracer.ts';
import { TraceBound } from './trace-bound.ts';

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

/** What was traced, as a whole. */
export interface TracedWhole {
  /** BATCH: an atomic batch, of which each call here is a frame of its own. */
  readonly type: 'CALL' | 'CREATE' | 'BATCH';
  readonly from: Address;
  readonly to: Address | undefined;
  /** Wei. */
  readonly value: bigint;
  readonly input: Uint8Array;
  /** Gas limit, and gas used. */
  readonly gas: number;
  readonly gasUsed: number;
  /** Why it failed as a whole, if the calls do not tell. */
  readonly error: string | undefined;
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
  /** Calls that nobody made but the transaction: one, but of an atomic batch. */
  private readonly tops: CallFrame[] = [];
  private emitting: TracedLog | undefined;

  /** Several tracers of one answer share a `bound`. */
  constructor(options: CallTracerOptions, bound: TraceBound = new TraceBound()) {
    this.options = options;
    this.bound = bound;
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
    if (caller === undefined) this.tops.push(frame);
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

  /**
   * The tree, with what the transaction as a whole was given and used. Where that is not one call, the calls stand in a frame for `whole`; so it is if no code ran.
   */
  result(whole: TracedWhole): CallFrame {
    const { type, from, to, value, input, error } = whole;
    const used = { gas: quantity(whole.gas), gasUsed: quantity(whole.gasUsed) };
    const { tops } = this;
    const [top] = tops;
    const failure = error === undefined ? {} : { error };
    if (error !== undefined) for (const call of tops) clearLogs(call);
    if (top !== undefined && tops.length === 1 && type !== 'BATCH') return { ...top, ...used, ...(top.error === undefined ? failure : {}) };
    this.bound.took(FRAME_CHARACTERS + 2 * input.length);
    const target = to === undefined ? {} : { to: toHex(to) };
    const calls = tops.length === 0 ? {} : { calls: tops };
    return { type, from: toHex(from), ...target, value: quantity(value), ...used, input: toHex(input), ...failure, ...calls };
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
