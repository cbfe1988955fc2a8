import { createServer } from 'node:net';
import { usageError } from '../output/cli-error.ts';
import { waitFor } from './wait.ts';

/** The address that everything of a local cluster listens on. */
export const LOOPBACK = '127.0.0.1';
const PORT_MAX = 65_535;

/** TCP ports of one node; 0 lets the operating system choose. */
export interface NodePorts {
  readonly rpc: number;
  readonly p2p: number;
}

/**
 * Ports of `nodes` nodes: JSON-RPC from `basePort` on, then as many for libp2p; all 0 when `basePort` is 0. Throws `cluster/port-range` when they
 * do not fit below 65,536.
 */
export function planPorts(basePort: number, nodes: number): NodePorts[] {
  if (basePort !== 0 && basePort + 2 * nodes - 1 > PORT_MAX) {
    const highest = PORT_MAX - 2 * nodes + 1;
    throw usageError('cluster/port-range', `${nodes} nodes need ${2 * nodes} ports from --base-port on: choose one up to ${highest}, or 0`);
  }
  return Array.from({ length: nodes }, (_, at) => (basePort === 0 ? { rpc: 0, p2p: 0 } : { rpc: basePort + at, p2p: basePort + nodes + at }));
}

/** Binds and lets go; the error's code when that fails. */
function probe(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: LOOPBACK, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** What to do when a port of a network that has begun is taken. */
export const PORTS_ARE_KEPT = 'a network keeps its ports: stop what uses it';
/** A process that was killed a moment ago may hold its ports for a moment more. */
export const PORT_PATIENCE_MS = 2_000;

/**
 * Throws `cluster/port-taken` unless every port of `ports` can be listened on, now or within `patienceMs`; `advice` says what to do about it. Zeros are
 * skipped.
 */
export async function assertPortsFree(ports: readonly number[], advice: string, patienceMs = 0): Promise<void> {
  for (const port of ports) {
    if (port === 0) continue;
    let failure: string | undefined;
    const free = await waitFor(async () => ((failure = await probe(port)) === undefined ? true : undefined), patienceMs);
    if (free === true) continue;
    const what = failure === 'EADDRINUSE' ? 'is taken' : `cannot be listened on (${failure ?? 'unknown error'})`;
    throw usageError('cluster/port-taken', `port ${port} ${what}: ${advice}`);
  }
}
