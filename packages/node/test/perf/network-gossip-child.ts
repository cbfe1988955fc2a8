/** The other process of the gossip benchmark: counts what arrives, by gossip and by a plain TCP socket, and reports every {@link REPORT_EVERY}. */
import { createServer } from 'node:net';

import { ACCEPT } from '@shardlab/crosslink';

import { shard, startNode, stopAll } from '../e2e/network-kit.ts';

/** Messages between two reports. */
const REPORT_EVERY = 16;

const node = await startNode(shard(0), { bootstrap: [process.argv[2]!] });
let gossiped = 0;
node.network.subscribe('bench', (_data, _from, verdict) => {
  verdict(ACCEPT);
  if (++gossiped % REPORT_EVERY === 0) process.send?.({ gossiped });
});
node.network.serve((body, _from, reply) => reply(body));

let socketBytes = 0;
const server = createServer((socket) => {
  socket.on('data', (chunk) => process.send?.({ socketBytes: (socketBytes += chunk.length) }));
  socket.on('error', () => {});
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }));
process.on('disconnect', () => {
  server.close();
  void stopAll();
});
