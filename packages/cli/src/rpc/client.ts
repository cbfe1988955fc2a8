import { setTimeout as sleep } from 'node:timers/promises';
import { ShardlabError } from '@shardlab/crosslink';
import { type HttpAnswer, type HttpTransport, KeepAliveTransport } from './http.ts';

/** Which view of a node is asked: the network's (`/`), or one shard's chain. */
export type RpcPath = '/' | `/shard/${number}`;

/** One call of a JSON-RPC batch. */
export interface RpcCall {
  readonly method: string;
  readonly params: readonly unknown[];
}

/** A JSON-RPC error, or the result. */
export type RpcOutcome = { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: RpcError };

/** The node understood the call and refused it; `rpcCode` is JSON-RPC's number. */
export class RpcError extends ShardlabError {
  readonly rpcCode: number;

  constructor(method: string, rpcCode: number, message: string) {
    super('rpc/error', `${method}: ${message}`, { method, rpcCode });
    this.rpcCode = rpcCode;
  }
}

/** JSON-RPC's code for a home shard that cannot be reached right now. */
export const RPC_UNAVAILABLE = -32002;

/** How a call may differ from the client's defaults. */
export interface CallOptions {
  readonly timeoutMs?: number;
  /** Tries in all; 1 = no retry. */
  readonly attempts?: number;
  readonly signal?: AbortSignal;
}

/** Settings of {@link RpcClient}. */
export interface RpcClientOptions {
  /** Base URL of a node, for example `http://127.0.0.1:8545`. */
  readonly url: string;
  /** Base URLs of other nodes of the same network: taken in turn when one does not answer. */
  readonly others?: readonly string[];
  /** For one try; default 10,000. */
  readonly timeoutMs?: number;
  /** Tries of a call that found no node or got no answer in time; default 3, and with others up to 5, so that a few dead ones are passed over. */
  readonly attempts?: number;
}

/** Checks a node's URL and cuts trailing slashes. Throws `rpc/url`. */
export function checkRpcUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new ShardlabError('rpc/url', `not the URL of a node: ${text} (it looks like http://127.0.0.1:8545)`, { url: text });
  }
  return text.replace(/\/+$/, '');
}

/** Tries of a call that has other nodes to turn to. */
const ATTEMPTS_AMONG_OTHERS = 5;

/** A small JSON-RPC 2.0 client over HTTP POST: timeouts, bounded retries, and errors of one line. */
export class RpcClient {
  private readonly urls: readonly string[];
  private at = 0;
  private readonly timeoutMs: number;
  private readonly attempts: number;
  private readonly http: HttpTransport;
  private nextId = 1;

  constructor(options: RpcClientOptions, modules: { readonly http?: HttpTransport } = {}) {
    this.urls = [options.url, ...(options.others ?? [])].map(checkRpcUrl);
    this.timeoutMs = options.timeoutMs ?? 10_000;
    this.attempts = options.attempts ?? Math.min(ATTEMPTS_AMONG_OTHERS, 2 + this.urls.length);
    this.http = modules.http ?? new KeepAliveTransport();
  }

  /** Base URL of the node that is asked now. */
  get url(): string {
    return this.urls[this.at]!;
  }

  /** Calls one method. Rejects with {@link RpcError}, or `rpc/unreachable`, `rpc/timeout`, `rpc/bad-answer`. */
  async call(path: RpcPath, method: string, params: readonly unknown[], options: CallOptions = {}): Promise<unknown> {
    const [outcome] = await this.send(path, [{ method, params }], false, options);
    if (outcome!.ok) return outcome!.result;
    throw outcome!.error;
  }

  /** Calls several methods in one request; the outcomes are in the order of the calls. */
  async batch(path: RpcPath, calls: readonly RpcCall[], options: CallOptions = {}): Promise<RpcOutcome[]> {
    return calls.length === 0 ? [] : this.send(path, calls, true, options);
  }

  /** Closes idle connections. */
  close(): void {
    this.http.close();
  }

  private async send(path: RpcPath, calls: readonly RpcCall[], asBatch: boolean, options: CallOptions): Promise<RpcOutcome[]> {
    const firstId = this.nextId;
    this.nextId += calls.length;
    const requests = calls.map((call, index) => ({ jsonrpc: '2.0', id: firstId + index, method: call.method, params: call.params }));
    const body = Buffer.from(JSON.stringify(asBatch ? requests : requests[0]));
    const answer = await this.post(path, body, options);
    return outcomes(this.url, answer, calls, firstId);
  }

  private async post(path: RpcPath, body: Uint8Array, options: CallOptions): Promise<HttpAnswer> {
    const attempts = options.attempts ?? this.attempts;
    const timeoutMs = options.timeoutMs ?? this.timeoutMs;
    for (let attempt = 1; ; attempt++) {
      const { url } = this;
      try {
        const post = { url: url + path, contentType: 'application/json', body, timeoutMs };
        return await this.http.post(options.signal === undefined ? post : { ...post, signal: options.signal });
      } catch (error) {
        const transient = error instanceof ShardlabError && (error.code === 'rpc/unreachable' || error.code === 'rpc/timeout');
        // Calls run side by side: the first one that fails moves on, for all of them.
        if (transient && url === this.url) this.at = (this.at + 1) % this.urls.length;
        if (!transient || attempt >= attempts) throw error;
        await sleep(this.urls.length === 1 ? 100 * 2 ** attempt : 100);
      }
    }
  }
}

function outcomes(url: string, answer: HttpAnswer, calls: readonly RpcCall[], firstId: number): RpcOutcome[] {
  const bad = (what: string): ShardlabError => new ShardlabError('rpc/bad-answer', `${url} does not answer as a Shardlab node: ${what}`, { url });
  let parsed: unknown;
  try {
    parsed = JSON.parse(answer.body.toString('utf8'));
  } catch {
    throw bad(`HTTP status ${answer.status}, no JSON`);
  }
  const list = (Array.isArray(parsed) ? parsed : [parsed]) as { id?: unknown; result?: unknown; error?: { code?: unknown; message?: unknown } }[];
  const found = new Map(list.map((item) => [item?.id, item]));
  return calls.map((call, index) => {
    // A node that refuses the whole batch answers once, without an id.
    const item = found.get(firstId + index) ?? (list.length === 1 && list[0]?.error !== undefined ? list[0] : undefined);
    if (item === undefined) throw bad(`${call.method} was not answered`);
    if (item.error !== undefined) {
      const code = typeof item.error.code === 'number' ? item.error.code : 0;
      return { ok: false, error: new RpcError(call.method, code, typeof item.error.message === 'string' ? item.error.message : 'an error without a message') };
    }
    if (item.result === undefined) throw bad(`${call.method} was answered without a result`);
    return { ok: true, result: item.result };
  });
}
