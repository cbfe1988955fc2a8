import type { RpcMetrics } from '../observability/metrics.ts';
import { Params } from './params.ts';
import { publicError, RPC_CODES, RpcError } from './rpc-error.ts';

/** Answers one method; a throw becomes the call's error. The result must be JSON, never undefined. */
export type RpcMethod = (params: Params) => unknown;
/** Methods by name. */
export type MethodTable = Pick<ReadonlyMap<string, RpcMethod>, 'get' | 'has'>;

/** Calls of one batch. */
export const BATCH_MAX = 100;
/** Characters of one answer in all; what a batch asks for beyond gets an error instead. */
export const ANSWER_LENGTH_MAX = 24 << 20;
/** Calls of one batch that run at a time. */
const PARALLEL = 8;

/** What {@link answerJsonRpc} works with. */
export interface JsonRpcModules {
  /** Names that metrics may use as labels; all others are `unknown`. */
  readonly known: ReadonlySet<string>;
  readonly metrics?: RpcMetrics;
  /** Told of failures that are the node's own, for its log. */
  readonly onInternalError?: (method: string, error: unknown) => void;
}

interface Call {
  /** Undefined for a notification, which is not answered. */
  readonly id: string | number | null | undefined;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** The text of an error answer. */
export function errorText(id: string | number | null, error: RpcError): string {
  const { rpcCode: code, message, rpcData: data } = error;
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } });
}

/**
 * Answers a JSON-RPC 2.0 request, alone or in a batch: the text of the answer, or undefined when there was nothing but notifications. Never rejects. Bounds:
 * {@link BATCH_MAX} calls, {@link ANSWER_LENGTH_MAX} characters; the size of `body` is for the transport to bound.
 */
export async function answerJsonRpc(body: Uint8Array, methods: MethodTable, modules: JsonRpcModules): Promise<string | undefined> {
  let request: unknown;
  try {
    request = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return errorText(null, new RpcError(RPC_CODES.parse, 'parse error: the body must be JSON in UTF-8'));
  }
  if (!Array.isArray(request)) return answerOne(request, methods, modules);
  if (request.length === 0 || request.length > BATCH_MAX) {
    return errorText(null, new RpcError(RPC_CODES.invalidRequest, `a batch has 1 to ${BATCH_MAX} calls, not ${request.length}`));
  }
  const answers = await answerBatch(request as readonly unknown[], methods, modules);
  const texts = answers.filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : `[${texts.join(',')}]`;
}

async function answerBatch(requests: readonly unknown[], methods: MethodTable, modules: JsonRpcModules): Promise<(string | undefined)[]> {
  const answers: (string | undefined)[] = new Array<string | undefined>(requests.length).fill(undefined);
  let next = 0;
  let length = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      const index = next++;
      if (index >= requests.length) return;
      const text = length > ANSWER_LENGTH_MAX ? tooLong(requests[index]) : await answerOne(requests[index], methods, modules);
      length += text?.length ?? 0;
      answers[index] = text;
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, requests.length) }, work));
  return answers;
}

function tooLong(request: unknown): string | undefined {
  const call = readCall(request);
  if (call instanceof RpcError || call.id === undefined) return undefined;
  return errorText(call.id, new RpcError(RPC_CODES.limit, 'the answers of this batch are too large together: ask for less at a time'));
}

async function answerOne(request: unknown, methods: MethodTable, modules: JsonRpcModules): Promise<string | undefined> {
  const call = readCall(request);
  if (call instanceof RpcError) return errorText(idOf(request), call);
  const startedMs = performance.now();
  let text: string | undefined;
  let outcome = 'ok';
  try {
    const result = await run(call, methods);
    text = JSON.stringify({ jsonrpc: '2.0', id: call.id ?? null, result });
  } catch (thrown) {
    const error = publicError(thrown);
    if (error.rpcCode === RPC_CODES.internal) modules.onInternalError?.(call.method, thrown);
    outcome = String(error.rpcCode);
    text = errorText(call.id ?? null, error);
  }
  const label = modules.known.has(call.method) ? call.method : 'unknown';
  modules.metrics?.called(label, outcome, (performance.now() - startedMs) / 1000);
  return call.id === undefined ? undefined : text;
}

async function run(call: Call, methods: MethodTable): Promise<unknown> {
  const method = methods.get(call.method);
  if (method === undefined) throw new RpcError(RPC_CODES.methodNotFound, `the method ${shown(call.method)} does not exist here`);
  return method(new Params(call.params));
}

/** A caller's word in an answer: short, and without what could upset a terminal. */
function shown(text: string): string {
  return text.replaceAll(/[^\w./-]/g, '?').slice(0, 64);
}

function idOf(request: unknown): string | number | null {
  if (typeof request !== 'object' || request === null) return null;
  const { id } = request as { id?: unknown };
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}

function readCall(request: unknown): Call | RpcError {
  const wrong = (what: string): RpcError => new RpcError(RPC_CODES.invalidRequest, `invalid request: ${what}`);
  if (typeof request !== 'object' || request === null || Array.isArray(request)) return wrong('a call is an object');
  const { jsonrpc, id, method, params } = request as Record<string, unknown>;
  if (jsonrpc !== '2.0') return wrong('"jsonrpc" must be "2.0"');
  if (typeof method !== 'string') return wrong('"method" must be text');
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number') return wrong('"id" must be text, a number or null');
  if (typeof params === 'object' && params !== null && !Array.isArray(params)) return wrong('"params" must be a list, by position');
  if (params !== undefined && params !== null && !Array.isArray(params)) return wrong('"params" must be a list');
  return { id: id as Call['id'], method, params: (params ?? []) as readonly unknown[] };
}
