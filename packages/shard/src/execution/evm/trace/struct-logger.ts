import { toHex } from '@shardlab/crosslink';
import { haltWords } from '../simulate/halt-words.ts';
import { toWei } from '../simulate/hex-words.ts';
import type { TraceCall, TraceResult, Tracer, TraceStep } from '../tracer.ts';
import { TraceBound } from './trace-bound.ts';

/** What the logger writes down, by the names of go-ethereum's `debug_traceTransaction`. */
export interface StructLoggerOptions {
  readonly disableStack: boolean;
  readonly disableStorage: boolean;
  readonly enableMemory: boolean;
  readonly enableReturnData: boolean;
  /** Instructions that are written down; 0: all. */
  readonly limit: number;
}

/** One instruction, as JSON: go-ethereum's `StructLogRes`, equivalent. */
export interface StructLog {
  readonly pc: number;
  readonly op: string;
  /** Left before it. */
  readonly gas: number;
  gasCost: number;
  readonly depth: number;
  error?: string;
  /** Hex quantities, bottom first. */
  readonly stack?: readonly string[];
  /** 64 hex digits a word. */
  readonly memory?: readonly string[];
  readonly returnData?: string;
  /** What the contract's slots have been found or set to so far; at SLOAD and SSTORE. 64 hex digits each. */
  storage?: Readonly<Record<string, string>>;
  readonly refund?: number;
}

/** Characters of one entry without its lists. */
const ENTRY_CHARACTERS = 90;
const WORD_CHARACTERS = 67;

/** Hex digits without 0x. */
function digits(bytes: Uint8Array): string {
  return toHex(bytes).slice(2);
}

function memoryWords(memory: Uint8Array): string[] {
  const out: string[] = [];
  for (let at = 0; at < memory.length; at += 32) out.push(digits(memory.subarray(at, at + 32)));
  return out;
}

/** Writes down every instruction, as go-ethereum's struct logger. Throws `trace/too-large` and `trace/too-long` out of the run. */
export class StructLogger implements Tracer {
  /** In the order in which they ran. */
  readonly logs: StructLog[] = [];
  private readonly options: StructLoggerOptions;
  private readonly bound: TraceBound;
  private readonly storage = new Map<string, Record<string, string>>();
  /** The instruction that runs, and the machine at it. */
  private open: { readonly log: StructLog | undefined; readonly step: TraceStep; readonly slot: string | undefined } | undefined;

  /** Several loggers of one answer share a `bound`. */
  constructor(options: StructLoggerOptions, bound: TraceBound = new TraceBound()) {
    this.options = options;
    this.bound = bound;
  }

  step(step: TraceStep): void {
    this.bound.stepped();
    const { limit, disableStack, disableStorage, enableMemory, enableReturnData } = this.options;
    if (limit !== 0 && this.logs.length >= limit) {
      this.open = undefined;
      return;
    }
    const stack = disableStack ? undefined : this.stack(step);
    const memory = enableMemory ? memoryWords(step.memory()) : undefined;
    const returned = enableReturnData ? step.returnData() : undefined;
    this.bound.took(ENTRY_CHARACTERS + (memory?.length ?? 0) * WORD_CHARACTERS + 2 * (returned?.length ?? 0));
    const log: StructLog = {
      pc: step.pc,
      op: step.name,
      gas: step.gas,
      gasCost: 0,
      depth: step.depth,
      ...(stack === undefined ? {} : { stack }),
      ...(memory === undefined ? {} : { memory }),
      ...(returned === undefined || returned.length === 0 ? {} : { returnData: toHex(returned) }),
      ...(step.refund === 0 ? {} : { refund: step.refund }),
    };
    this.logs.push(log);
    this.open = { log, step, slot: disableStorage ? undefined : this.slotOf(step, log) };
  }

  stepped(gasCost: number): void {
    const { open } = this;
    if (open?.log === undefined) return;
    open.log.gasCost = gasCost;
    // The word that was loaded lies on the stack now.
    if (open.slot !== undefined && open.log.op === 'SLOAD') open.log.storage = this.storageWith(open.step, open.slot, digits(open.step.stackWord(0)));
    this.open = undefined;
  }

  enter(_call: TraceCall): void {
    this.open = undefined;
  }

  exit({ halt }: TraceResult): void {
    const { open } = this;
    this.open = undefined;
    // A revert is an instruction that does what it should; others could not be carried out.
    if (open?.log !== undefined && halt !== undefined && halt !== 'revert') open.log.error = haltWords(halt);
  }

  private stack(step: TraceStep): string[] {
    const out: string[] = [];
    let characters = 0;
    for (let index = step.stackHeight - 1; index >= 0; index--) {
      const word = `0x${toWei(step.stackWord(index)).toString(16)}`;
      characters += word.length + 3;
      out.push(word);
    }
    this.bound.took(characters);
    return out;
  }

  /** The slot that an SLOAD or SSTORE is about. A store's value is known before it runs. */
  private slotOf(step: TraceStep, log: StructLog): string | undefined {
    if (log.op === 'SLOAD' && step.stackHeight >= 1) return digits(step.stackWord(0));
    if (log.op !== 'SSTORE' || step.stackHeight < 2) return undefined;
    const slot = digits(step.stackWord(0));
    log.storage = this.storageWith(step, slot, digits(step.stackWord(1)));
    return slot;
  }

  private storageWith(step: TraceStep, slot: string, value: string): Record<string, string> {
    const account = toHex(step.address);
    const storage = { ...this.storage.get(account), [slot]: value };
    this.storage.set(account, storage);
    this.bound.took(Object.keys(storage).length * 2 * WORD_CHARACTERS);
    return storage;
  }
}
