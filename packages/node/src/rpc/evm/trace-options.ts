import { CallTracer, type ObservedRun, StructLogger, TraceBound, type TracedWhole } from '@shardlab/shard';
import { invalidParams } from '../rpc-error.ts';

/** Instructions that a caller may ask for at most. */
const LIMIT_MAX = 10_000_000;

/** Characters of a struct logger's answer without its logs. */
const STRUCT_CHARACTERS = 80;

/** A tracer, and how its answer is put together. */
export interface Tracing {
  readonly tracer: CallTracer | StructLogger;
  /** `run`: what its code came to; undefined if none ran. */
  answer(whole: TracedWhole, run: Pick<ObservedRun, 'halt' | 'output'> | undefined): unknown;
}

/** Begins a trace. Several of one answer share a bound. */
export type StartTracing = (bound?: TraceBound) => Tracing;

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown, name: string): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw invalidParams(`${name} must be an object`);
  return value as Fields;
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== 'boolean') throw invalidParams(`"${name}" must be true or false`);
  return value;
}

function limitIn(fields: Fields): number {
  const limit = fields['limit'] ?? 0;
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 0 || limit > LIMIT_MAX) throw invalidParams(`"limit" must be a whole number up to ${LIMIT_MAX}`);
  return limit;
}

function digits(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function structLogger(fields: Fields): StartTracing {
  const options = {
    disableStack: flag(fields, 'disableStack'),
    disableStorage: flag(fields, 'disableStorage'),
    enableMemory: flag(fields, 'enableMemory'),
    enableReturnData: flag(fields, 'enableReturnData'),
    limit: limitIn(fields),
  };
  return (bound = new TraceBound()) => {
    const tracer = new StructLogger(options, bound);
    return {
      tracer,
      answer: ({ gasUsed, error }, run) => {
        const halt = run?.halt;
        const shown = run !== undefined && (halt === undefined || halt === 'revert' || halt === 'foreign-account') ? digits(run.output) : '';
        bound.took(STRUCT_CHARACTERS + shown.length);
        return { gas: gasUsed, failed: halt !== undefined || error !== undefined, returnValue: shown, structLogs: tracer.logs };
      },
    };
  };
}

/**
 * Reads the options of `debug_traceTransaction`, `debug_traceBlockByNumber` and `debug_traceCall`, with go-ethereum's names; a new tracer for each run. `timeout` and `reexec` mean nothing here.
 * Throws -32602.
 */
export function readTracing(value: unknown): StartTracing {
  const fields = fieldsOf(value, 'the options of a trace');
  const { tracer } = fields;
  const config = fieldsOf(fields['tracerConfig'], '"tracerConfig"');
  if (tracer === undefined || tracer === null) return structLogger({ ...fields, ...config });
  if (tracer !== 'callTracer') throw invalidParams('"tracer" must be callTracer, or absent for the struct logger');
  const options = { onlyTopCall: flag(config, 'onlyTopCall'), withLog: flag(config, 'withLog') };
  return (bound) => {
    const tracer = new CallTracer(options, bound);
    return { tracer, answer: (whole) => tracer.result(whole) };
  };
}
