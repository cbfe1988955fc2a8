/**
 * Gossip between two processes, through the whole host (handshake, guard, judging), beside a plain TCP socket of the same sizes in the same run: the
 * ratio says what libp2p and we cost, whatever the machine.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

import { ask, BEACON_NODE, shard, startNode, stopAll, type TestNode, until } from '../e2e/network-kit.ts';

/** Messages of one size. */
export interface GossipBench {
  readonly bench: 'gossip';
  readonly sizeBytes: number;
  readonly messages: number;
  readonly perSecond: number;
  readonly mbPerSecond: number;
  /** A plain socket, same sizes, same processes. */
  readonly socketMbPerSecond: number;
  /** mbPerSecond / socketMbPerSecond. */
  readonly ratio: number;
  /** Requests of 300 B and their answers, one after the other, per second: the same in each line. */
  readonly requestsPerSecond: number;
}

interface Report {
  readonly gossiped?: number;
  readonly socketBytes?: number;
  readonly port?: number;
}

const SIZES = [300, 4 << 10, 100 << 10, 512 << 10] as const;
/** Under way at once: less than what the host queues for a peer, so that nothing is dropped. */
const WINDOW_BYTES = 8 << 20;
const WINDOW_MESSAGES = 1_024;
/** The child's reports come in steps of at most this many. */
const REPORT_EVERY = 16;

/** Runs for about `msPerSize` for each of four sizes, and half of that for the socket. */
export async function benchGossip(msPerSize = 1_000): Promise<GossipBench[]> {
  const node = await startNode(BEACON_NODE);
  const child = fork(fileURLToPath(new URL('network-gossip-child.ts', import.meta.url)), [node.network.addresses[0]!], { stdio: 'inherit' });
  try {
    return await measure(node, child, msPerSize);
  } finally {
    child.disconnect();
    await new Promise((resolve) => child.once('exit', resolve));
    await stopAll();
  }
}

async function measure(node: TestNode, child: ChildProcess, msPerSize: number): Promise<GossipBench[]> {
  const seen = { gossiped: 0, socketBytes: 0, port: 0 };
  let wake = (): void => {};
  child.on('message', (report: Report) => {
    Object.assign(seen, report);
    wake();
  });
  const progress = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  await until('the child is connected', () => seen.port > 0 && node.network.connected().length === 1, [node]);
  let serial = 0;
  const message = (sizeBytes: number): Uint8Array => {
    const data = new Uint8Array(sizeBytes);
    new DataView(data.buffer).setUint32(0, serial++);
    return data;
  };
  await until('gossip flows', () => (node.network.publish('bench', message(300)), seen.gossiped > 0), [node]);
  const published = (): number => node.metrics.total('shardlab_network_gossip_messages_total', { family: 'bench', outcome: 'published' });
  const requestsPerSecond = await measureRequests(node, msPerSize / 2);
  const lines: GossipBench[] = [];
  for (const sizeBytes of SIZES) {
    // What is still under way belongs to the size before.
    await until('the rest arrives', () => published() - seen.gossiped < REPORT_EVERY, [node]);
    const before = seen.gossiped;
    const queued = published();
    let sent = queued;
    const start = performance.now();
    while (performance.now() - start < msPerSize) {
      while (sent - seen.gossiped < Math.min(WINDOW_MESSAGES, WINDOW_BYTES / sizeBytes)) {
        node.network.publish('bench', message(sizeBytes));
        sent++;
      }
      await progress();
    }
    const messages = seen.gossiped - before;
    const seconds = (performance.now() - start) / 1_000;
    const socketMbPerSecond = await measureSocket(seen, progress, sizeBytes, msPerSize / 2);
    const mbPerSecond = (messages * sizeBytes) / seconds / 1e6;
    lines.push({
      bench: 'gossip',
      sizeBytes,
      messages,
      perSecond: Math.round(messages / seconds),
      mbPerSecond: round(mbPerSecond),
      socketMbPerSecond: round(socketMbPerSecond),
      ratio: round(mbPerSecond / socketMbPerSecond),
      requestsPerSecond,
    });
  }
  return lines;
}

async function measureRequests(node: TestNode, ms: number): Promise<number> {
  const body = new Uint8Array(300);
  const start = performance.now();
  let count = 0;
  for (; performance.now() - start < ms; count++) await ask(node, shard(0), body);
  return Math.round(count / ((performance.now() - start) / 1_000));
}

async function measureSocket(seen: { socketBytes: number; port: number }, progress: () => Promise<void>, sizeBytes: number, ms: number): Promise<number> {
  const socket = connect(seen.port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  const before = seen.socketBytes;
  let sent = before;
  const start = performance.now();
  while (performance.now() - start < ms) {
    while (sent - seen.socketBytes < Math.min(WINDOW_BYTES, WINDOW_MESSAGES * sizeBytes)) {
      socket.write(new Uint8Array(sizeBytes));
      sent += sizeBytes;
    }
    await progress();
  }
  const mbPerSecond = (seen.socketBytes - before) / ((performance.now() - start) / 1_000) / 1e6;
  while (seen.socketBytes < sent) await progress();
  socket.destroy();
  return mbPerSecond;
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
