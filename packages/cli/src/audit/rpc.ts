import { setTimeout as sleep } from 'node:timers/promises';
import { ShardlabError } from '@shardlab/crosslink';

/** Most bytes of one answer: a page of blocks is about 4 MiB of hex, but one block alone may be larger. */
const ANSWER_BYTES_MAX = 256 << 20;
const TRIES = 3;
const RETRY_DELAY_MS = 200;
/** JSON-RPC's number for a chain that this node cannot reach now (`resource unavailable`). */
const RPC_UNAVAILABLE = -32002;

/** What calls have in common. */
export interface RpcOptions {
  /** For one try of one call. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Calls one JSON-RPC method by HTTP POST, three tries when no node answers. Rejects with `audit/unreachable` (no node, no answer in time, or a node that cannot
 * reach the chain in question), `audit/rpc` (the node refuses), `audit/bad-answer`, or the signal's reason.
 */
export function callRpc(url: string, method: string, params: readonly unknown[], options: RpcOptions): Promise<unknown> {
  return withTries(() => tryCall(url, method, params, options), options);
}

/** As {@link callRpc}, one method with several lists of parameters in one request; the results in their order. Rejects if one call fails. */
export function callRpcBatch(url: string, method: string, params: readonly (readonly unknown[])[], options: RpcOptions): Promise<unknown[]> {
  return withTries(() => tryBatch(url, method, params, options), options);
}

async function withTries<T>(call: () => Promise<T>, options: RpcOptions): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      options.signal?.throwIfAborted();
      if (attempt === TRIES || !(error instanceof ShardlabError) || error.code !== 'audit/unreachable') throw error;
      await sleep(RETRY_DELAY_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

/** What a node answers to one GET, as JSON, whatever its status. One try. Rejects as {@link callRpc}. */
export async function getJson(url: string, options: RpcOptions): Promise<unknown> {
  const text = await exchange(url, {}, options);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ShardlabError('audit/bad-answer', `${url} does not answer JSON: is it a node's URL?`, { url }, { cause });
  }
}

async function tryCall(url: string, method: string, params: readonly unknown[], options: RpcOptions): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const text = await exchange(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body }, options);
  return resultIn(parsed(text, url, method), url, method);
}

async function tryBatch(url: string, method: string, params: readonly (readonly unknown[])[], options: RpcOptions): Promise<unknown[]> {
  if (params.length === 0) return [];
  const body = JSON.stringify(params.map((each, id) => ({ jsonrpc: '2.0', id, method, params: each })));
  const text = await exchange(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body }, options);
  const answers = parsed(text, url, method);
  if (!Array.isArray(answers)) {
    // A node that refuses the whole batch answers once.
    resultIn(answers, url, method);
    throw badAnswer(method, 'is not a list, as the batch was');
  }
  const byId = new Map((answers as unknown[]).map((answer) => [fieldsOf(answer, method)['id'], answer]));
  return params.map((_, id) => resultIn(byId.get(id), url, method));
}

/** One HTTP exchange; the text of the answer, bounded. */
async function exchange(url: string, request: RequestInit, options: RpcOptions): Promise<string> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
  try {
    return await boundedText(await fetch(url, { ...request, signal }), url);
  } catch (cause) {
    if (cause instanceof ShardlabError) throw cause;
    options.signal?.throwIfAborted();
    throw new ShardlabError('audit/unreachable', `no node answers at ${url}: ${reasonOf(cause, timeout)}`, { url }, { cause });
  }
}

function reasonOf(cause: unknown, timeout: AbortSignal): string {
  if (timeout.aborted) return 'no answer in time';
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : undefined;
  return code === 'ECONNREFUSED' ? 'connection refused' : (code ?? (inner instanceof Error ? inner.message : String(inner)));
}

async function boundedText(response: Response, url: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of response.body ?? []) {
    sizeBytes += part.length;
    if (sizeBytes > ANSWER_BYTES_MAX) throw new ShardlabError('audit/bad-answer', `${url} answers more than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parsed(text: string, url: string, method: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ShardlabError('audit/bad-answer', `${method}: ${url} does not answer JSON: is it a node's URL?`, { url, method }, { cause });
  }
}

function resultIn(answer: unknown, url: string, method: string): unknown {
  const { result, error } = fieldsOf(answer, method);
  if (error !== undefined && error !== null) {
    const { code, message } = fieldsOf(error, method);
    const unavailable = code === RPC_UNAVAILABLE;
    throw new ShardlabError(unavailable ? 'audit/unreachable' : 'audit/rpc', `${method} at ${url}: ${String(message)}`, { url, method, rpcCode: code });
  }
  if (result === undefined) throw badAnswer(method, 'has neither result nor error');
  return result;
}

/** An answer of another shape than the contract says. */
export function badAnswer(method: string, what: string): ShardlabError {
  return new ShardlabError('audit/bad-answer', `${method}: the node's answer ${what}`, { method });
}

/** The fields of a JSON object. Throws `audit/bad-answer`. */
export function fieldsOf(value: unknown, method: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badAnswer(method, 'is not an object');
  return value as Record<string, unknown>;
}

/** A field that is a safe integer of at least 0. Throws `audit/bad-answer`. */
export function integerOf(fields: Record<string, unknown>, name: string, method: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw badAnswer(method, `has no number "${name}"`);
  return value;
}

/** A field that is a string. Throws `audit/bad-answer`. */
export function textOf(fields: Record<string, unknown>, name: string, method: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw badAnswer(method, `has no text "${name}"`);
  return value;
}

/** `0x` hex as bytes, at native speed. Throws `audit/bad-answer`. */
export function bytesOf(value: unknown, method: string): Uint8Array {
  if (typeof value !== 'string' || !value.startsWith('0x')) throw badAnswer(method, 'has no 0x bytes where they belong');
  const bytes = Buffer.from(value.slice(2), 'hex');
  // Buffer.from stops silently at the first character that is no hex digit.
  if (bytes.length * 2 + 2 !== value.length) throw badAnswer(method, 'has bytes that are not hex');
  return bytes;
}

/** A field that is a list of `0x` byte strings. Throws `audit/bad-answer`. */
export function byteListOf(fields: Record<string, unknown>, name: string, method: string): Uint8Array[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw badAnswer(method, `has no list "${name}"`);
  return value.map((each) => bytesOf(each, method));
}
