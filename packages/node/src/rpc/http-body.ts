import type { IncomingMessage, ServerResponse } from 'node:http';

/** Largest body of a request, in bytes. */
export const BODY_BYTES_MAX = 1 << 20;

/** What all requests' bodies may take together. */
export interface BodyBudget {
  /** Asks for so many bytes more; false = there is no room now. */
  take(sizeBytes: number): boolean;
}

/** What reading a body came to: the bytes, which are the receiver's own, or why there are none. */
export type BodyRead = { readonly body: Uint8Array } | { readonly failed: 'too-large' | 'busy' | 'gone' };

/** Reads a body of at most {@link BODY_BYTES_MAX} bytes. */
export function readBody(request: IncomingMessage, budget: BodyBudget): Promise<BodyRead> {
  return new Promise((resolve) => {
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > BODY_BYTES_MAX) {
      resolve({ failed: 'too-large' });
      return;
    }
    const parts: Buffer[] = [];
    let sizeBytes = 0;
    request.on('data', (part: Buffer) => {
      sizeBytes += part.length;
      const failed = sizeBytes > BODY_BYTES_MAX ? 'too-large' : budget.take(part.length) ? undefined : 'busy';
      if (failed !== undefined) {
        request.removeAllListeners('data');
        request.pause();
        resolve({ failed });
        return;
      }
      parts.push(part);
    });
    request.on('error', () => resolve({ failed: 'gone' }));
    request.on('close', () => resolve({ failed: 'gone' }));
    request.on('end', () => {
      const whole = new Uint8Array(sizeBytes);
      let at = 0;
      for (const part of parts) {
        whole.set(part, at);
        at += part.length;
      }
      resolve({ body: whole });
    });
  });
}

/** Answers, unless the caller went away. */
export function respond(response: ServerResponse, status: number, contentType: string, text: string, headers: Readonly<Record<string, string>> = {}): void {
  if (response.destroyed || response.headersSent) return;
  const body = Buffer.from(text, 'utf8');
  response.writeHead(status, { 'content-type': contentType, 'content-length': body.length, ...headers });
  response.end(body);
}

/** Whether a host name or address is this machine's own. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/**
 * The CORS headers for a caller's `Origin`. Web pages of this machine (a wallet or an explorer in development) may read answers; pages from elsewhere may not,
 * or any site that one visits could drive a local node. Wallet extensions need no header: browsers let them read what they have permission for.
 */
export function corsHeaders(origin: string | undefined): Readonly<Record<string, string>> {
  if (origin === undefined || !URL.canParse(origin) || !isLoopback(new URL(origin).hostname)) return { vary: 'origin' };
  return {
    vary: 'origin',
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'POST, GET, OPTIONS',
    'access-control-allow-headers': 'content-type',
    'access-control-max-age': '600',
  };
}
