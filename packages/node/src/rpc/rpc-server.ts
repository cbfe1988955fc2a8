import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ShardlabError, type ShardId } from '@shardlab/crosslink';
import { BODY_BYTES_MAX, type BodyRead, corsHeaders, isLoopback, readBody, respond } from './http-body.ts';
import { errorText } from './json-rpc.ts';
import { RPC_CODES, RpcError } from './rpc-error.ts';
import type { RpcService } from './rpc-service.ts';

/** Where a server listens. */
export interface RpcServerOptions {
  /** An address or name; `127.0.0.1` keeps it on this machine. */
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
}

/** What a server serves. */
export interface RpcServerModules {
  readonly service: RpcService;
  readonly metrics: { scrape(): Promise<{ readonly contentType: string; readonly text: string }> };
  /** Told of failures that are the node's own. */
  readonly onInternalError?: (where: string, error: unknown) => void;
}

const CONNECTIONS_MAX = 1_024;
/** Requests that are worked on at a time. */
const REQUESTS_MAX = 512;
/** Bytes of bodies that are held at a time. */
const BODIES_BYTES_MAX = 64 << 20;
/** From a connection's start, or an answer's end, to the end of the next request's headers and body. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How long an idle connection is kept. */
const KEEP_ALIVE_MS = 15_000;
/** A connection on which nothing moves: longer than the longest poll. */
const IDLE_TIMEOUT_MS = 65_000;
/** Bytes of a refused body that are read and dropped. */
const DRAIN_BYTES_MAX = 16 << 20;
/** How long running requests may go on when the server stops. */
const GRACE_MS = 2_000;

/** What a path means. */
type Target = { readonly submit: false; readonly view: 'network' | ShardId } | { readonly submit: true; readonly shard: ShardId };

const JSON_TYPE = 'application/json';
const BINARY_TYPE = 'application/octet-stream';

/**
 * HTTP of one node: `POST /` and `POST /shard/I` (JSON-RPC 2.0), `POST /shard/I/submit`, `GET /healthz`, `GET /metrics`. Bounded in connections, requests, bytes
 * and time. JSON-RPC must be sent as `application/json`: a web page can not do that without the preflight that {@link corsHeaders} answers.
 */
export class RpcServer {
  private readonly options: RpcServerOptions;
  private readonly modules: RpcServerModules;
  private readonly server: Server;
  private working = 0;
  private bodyBytes = 0;
  private stopping = false;

  constructor(options: RpcServerOptions, modules: RpcServerModules) {
    this.options = options;
    this.modules = modules;
    const timeouts = { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS };
    this.server = createServer({ ...timeouts, connectionsCheckingInterval: 5_000 }, (request, response) => this.serve(request, response));
    this.server.maxConnections = CONNECTIONS_MAX;
    this.server.timeout = IDLE_TIMEOUT_MS;
  }

  /** Listens; resolves with the URL. Rejects with `rpc/port-taken` or `rpc/listen`. */
  async start(): Promise<string> {
    const { host, port } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(host, port, cause)));
      this.server.listen(port, host, resolve);
    });
    this.server.on('error', (error) => this.modules.onInternalError?.('rpc-server', error));
    return this.url;
  }

  /** The URL that this machine reaches it under. */
  get url(): string {
    const { port } = this.server.address() as AddressInfo;
    const { host } = this.options;
    const everywhere = host === '0.0.0.0' || host === '::';
    const name = everywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
    return `http://${name}:${port}`;
  }

  /** Takes no more requests, lets long polls go, gives the rest a moment, then closes every connection. */
  async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    this.modules.service.close();
    if (!this.server.listening) return;
    const closed = new Promise<void>((resolve) => void this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    const timer = setTimeout(() => this.server.closeAllConnections(), GRACE_MS);
    await closed;
    clearTimeout(timer);
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    const cors = corsHeaders(request.headers.origin);
    if (this.stopping) response.setHeader('connection', 'close');
    if (this.stopping || this.working >= REQUESTS_MAX) {
      refuse(request, response, 503, new RpcError(RPC_CODES.limit, this.stopping ? 'this node is stopping' : 'this node is busy: try again'), cors);
      return;
    }
    this.working++;
    this.route(request, response, cors)
      .catch((error: unknown) => {
        this.modules.onInternalError?.(request.url ?? '', error);
        respond(response, 500, JSON_TYPE, errorText(null, new RpcError(RPC_CODES.internal, 'internal error')), cors);
      })
      .finally(() => {
        this.working--;
      });
  }

  private async route(request: IncomingMessage, response: ServerResponse, cors: Readonly<Record<string, string>>): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0]!;
    const { method } = request;
    if (!this.hostAllowed(request)) return refuse(request, response, 403, new RpcError(RPC_CODES.invalidRequest, 'this node answers to localhost and addresses only, not to other host names'), cors);
    if (method === 'OPTIONS') return respond(response, 204, JSON_TYPE, '', cors);
    if (path === '/healthz' || path === '/metrics') return this.look(path, request, response, cors);
    const target = this.target(path);
    if (target === undefined) return refuse(request, response, 404, new RpcError(RPC_CODES.invalidRequest, this.noSuchPath()), cors);
    if (method !== 'POST') return refuse(request, response, 405, new RpcError(RPC_CODES.invalidRequest, 'POST JSON-RPC 2.0 here'), { ...cors, allow: 'POST, OPTIONS' });
    const wanted = target.submit ? BINARY_TYPE : JSON_TYPE;
    if (mediaType(request) !== wanted) return refuse(request, response, 415, new RpcError(RPC_CODES.invalidRequest, `the content type must be ${wanted}`), cors);
    let taken = 0;
    const take = (sizeBytes: number): boolean => {
      if (this.bodyBytes + sizeBytes > BODIES_BYTES_MAX) return false;
      this.bodyBytes += sizeBytes;
      taken += sizeBytes;
      return true;
    };
    try {
      await this.serveBody(target, await readBody(request, { take }), request, response, cors);
    } finally {
      this.bodyBytes -= taken;
    }
  }

  private async serveBody(target: Target, read: BodyRead, request: IncomingMessage, response: ServerResponse, cors: Readonly<Record<string, string>>): Promise<void> {
    if ('failed' in read) {
      if (read.failed === 'gone') return;
      const tooLarge = read.failed === 'too-large';
      const message = tooLarge ? `the body has more than ${BODY_BYTES_MAX} bytes` : 'this node is busy: try again';
      return refuse(request, response, tooLarge ? 413 : 503, new RpcError(RPC_CODES.limit, message), cors);
    }
    const { status, text } = await this.answer(target, read.body);
    // It may have begun to stop meanwhile: then this connection must not be kept.
    if (this.stopping) response.setHeader('connection', 'close');
    respond(response, status, JSON_TYPE, text, cors);
  }

  private async answer(target: Target, body: Uint8Array): Promise<{ readonly status: number; readonly text: string }> {
    const { service } = this.modules;
    if (target.submit) return service.submit(target.shard, body);
    const text = await service.answer(target.view, body);
    return text === undefined ? { status: 204, text: '' } : { status: 200, text };
  }

  /** Against DNS rebinding: a page's own host name that resolves to this machine must not reach a node that serves this machine alone. */
  private hostAllowed(request: IncomingMessage): boolean {
    if (!isLoopback(this.options.host)) return true;
    const host = (request.headers.host ?? 'localhost').replace(/:\d+$/, '');
    return isLoopback(host);
  }

  private async look(path: string, request: IncomingMessage, response: ServerResponse, cors: Readonly<Record<string, string>>): Promise<void> {
    if (request.method !== 'GET') return refuse(request, response, 405, new RpcError(RPC_CODES.invalidRequest, 'GET this'), { ...cors, allow: 'GET, OPTIONS' });
    if (path === '/healthz') {
      const { status, text } = this.modules.service.health();
      return respond(response, status, JSON_TYPE, text, cors);
    }
    const { contentType, text } = await this.modules.metrics.scrape();
    respond(response, 200, contentType, text, cors);
  }

  private target(path: string): Target | undefined {
    if (path === '/') return { submit: false, view: 'network' };
    const found = /^\/shard\/(0|[1-9]\d{0,2})(\/submit)?\/?$/.exec(path);
    const shard = Number(found?.[1]);
    if (found === null || !this.modules.service.hasShard(shard)) return undefined;
    return found[2] === undefined ? { submit: false, view: shard } : { submit: true, shard };
  }

  private noSuchPath(): string {
    return 'no such path: POST / or /shard/I or /shard/I/submit with a shard of this network, or GET /healthz or /metrics';
  }
}

function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

/**
 * Answers an error, and reads what is left of the body, up to a bound: a caller that is still sending would else meet a closed connection instead of the
 * answer.
 */
function refuse(request: IncomingMessage, response: ServerResponse, status: number, error: RpcError, headers: Readonly<Record<string, string>>): void {
  respond(response, status, JSON_TYPE, errorText(null, error), headers);
  let sizeBytes = 0;
  request.on('data', (part: Buffer) => {
    sizeBytes += part.length;
    if (sizeBytes > DRAIN_BYTES_MAX) request.destroy();
  });
  request.resume();
}

function listenError(host: string, port: number, cause: NodeJS.ErrnoException): ShardlabError {
  if (cause.code === 'EADDRINUSE') {
    return new ShardlabError('rpc/port-taken', `port ${port} on ${host} is taken: stop what uses it, or choose another`, { host, port }, { cause });
  }
  return new ShardlabError('rpc/listen', `cannot listen on ${host} port ${port}: ${cause.code ?? cause.message}`, { host, port }, { cause });
}
