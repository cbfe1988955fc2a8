import { Agent as HttpAgent, type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { ShardlabError } from '@shardlab/crosslink';

/** Largest answer that is read, in bytes: four times the largest page that a node sends. */
export const ANSWER_BYTES_MAX = 32 * 1024 * 1024;
/** Open connections to one node. */
const CONNECTIONS_MAX = 64;

/** A whole HTTP answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** One POST: where to, what, and how long it may take in all, in milliseconds. */
export interface HttpPost {
  readonly url: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What the load engine and the RPC client need of HTTP. */
export interface HttpTransport {
  /** Rejects with `rpc/unreachable`, `rpc/timeout`, `rpc/oversized` or `rpc/cancelled`; any status is an answer. */
  post(post: HttpPost): Promise<HttpAnswer>;
  /** Closes idle connections. */
  close(): void;
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'unknown host',
  EHOSTUNREACH: 'host unreachable',
  EPIPE: 'connection closed',
};

function unreachable(url: string, cause: Error & { readonly code?: string }): ShardlabError {
  const reason = WORDS[cause.code ?? ''] ?? cause.code ?? cause.message;
  return new ShardlabError('rpc/unreachable', `no node answers at ${url}: ${reason}`, { url, reason }, { cause });
}

/**
 * HTTP/1.1 POST with connections kept alive. `node:http` rather than `fetch`: a batch costs half the CPU time, and a connection that the node
 * closed while idle can be told from one that it closed while answering.
 */
export class KeepAliveTransport implements HttpTransport {
  private readonly http = new HttpAgent({ keepAlive: true, maxSockets: CONNECTIONS_MAX, keepAliveMsecs: 1000, scheduling: 'lifo' });
  private readonly https = new HttpsAgent({ keepAlive: true, maxSockets: CONNECTIONS_MAX });

  async post(post: HttpPost): Promise<HttpAnswer> {
    // A node closes idle connections; a request that met such a one never reached it. All that is posted here may be sent twice.
    try {
      return await this.attempt(post);
    } catch (error) {
      if (error instanceof ShardlabError && error.data['idleConnection'] === true) return this.attempt(post);
      throw error;
    }
  }

  close(): void {
    this.http.destroy();
    this.https.destroy();
  }

  private attempt(post: HttpPost): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const secure = post.url.startsWith('https:');
      const options: RequestOptions = {
        method: 'POST',
        agent: secure ? this.https : this.http,
        headers: { 'content-type': post.contentType, 'content-length': post.body.length },
      };
      const started = (secure ? httpsRequest : httpRequest)(post.url, options, (response) => collect(post.url, response, settle));
      const timer = setTimeout(() => {
        started.destroy(new ShardlabError('rpc/timeout', `no answer from ${post.url} within ${post.timeoutMs} ms`, { url: post.url }));
      }, post.timeoutMs);
      const cancel = (): void => {
        started.destroy(new ShardlabError('rpc/cancelled', 'cancelled', { url: post.url }));
      };
      function settle(result: HttpAnswer | Error): void {
        clearTimeout(timer);
        post.signal?.removeEventListener('abort', cancel);
        if (!(result instanceof Error)) return resolve(result);
        if (result instanceof ShardlabError) return reject(result);
        const idleConnection = started.reusedSocket && (result as NodeJS.ErrnoException).code === 'ECONNRESET';
        const wrapped = unreachable(post.url, result);
        reject(idleConnection ? new ShardlabError(wrapped.code, wrapped.message, { ...wrapped.data, idleConnection }, { cause: result }) : wrapped);
      }
      started.on('error', settle);
      post.signal?.addEventListener('abort', cancel, { once: true });
      if (post.signal?.aborted === true) cancel();
      started.end(post.body);
    });
  }
}

function collect(url: string, response: IncomingMessage, settle: (result: HttpAnswer | Error) => void): void {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  response.on('data', (part: Buffer) => {
    sizeBytes += part.length;
    if (sizeBytes > ANSWER_BYTES_MAX) {
      response.destroy(new ShardlabError('rpc/oversized', `the answer of ${url} is larger than ${ANSWER_BYTES_MAX} bytes`, { url }));
      return;
    }
    parts.push(part);
  });
  response.on('error', settle);
  response.on('end', () => settle({ status: response.statusCode ?? 0, body: parts.length === 1 ? parts[0]! : Buffer.concat(parts) }));
}
