/** An HTTP proxy in front of a node, for tests that need a node which lies. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** One JSON-RPC call with the node's answer. */
export interface ProxiedCall {
  readonly method: string;
  readonly params: readonly unknown[];
  readonly path: string;
  /** As the node gave it. */
  readonly result: unknown;
}

/** Gives back what the client shall see instead of `call.result`. */
export type Falsify = (call: ProxiedCall) => unknown;

interface Rpc {
  readonly id: unknown;
  readonly method?: string;
  readonly params?: readonly unknown[];
  result?: unknown;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Starts a proxy to `target` until the end of the test; its URL. `own` are URLs that its answers replace by its own, so that a client stays with it. */
export async function startProxy(t: TestContext, target: string, own: readonly string[], falsify: Falsify): Promise<string> {
  let url = '';
  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const path = request.url ?? '/';
    const sent = request.method === 'POST' ? { body, headers: { 'content-type': request.headers['content-type'] ?? 'application/json' } } : {};
    const answer = await fetch(new URL(path, target), { method: request.method ?? 'GET', ...sent });
    let text = await answer.text();
    if (request.headers['content-type']?.startsWith('application/json') === true) text = rewrite(JSON.parse(body.toString('utf8')), text, path);
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json' }).end(text);
  };
  const rewrite = (asked: unknown, text: string, path: string): string => {
    const answers = JSON.parse(own.reduce((all, real) => all.replaceAll(real, url), text)) as Rpc | Rpc[];
    const calls = new Map([asked].flat().map((call) => [(call as Rpc).id, call as Rpc]));
    for (const item of [answers].flat()) {
      const call = calls.get(item.id);
      if (call?.method !== undefined && item.result !== undefined) item.result = falsify({ method: call.method, params: call.params ?? [], path, result: item.result });
    }
    return JSON.stringify(answers);
  };
  const server = createServer((request, response) => {
    forward(request, response).catch((error: unknown) => response.writeHead(502).end(String(error)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return url;
}
