/** The other process of the gossip benchmark: counts what arrives, by gossip and by a plain TCP socket, and reports. */
import { createServer } from 'node:net';

import { ACCEPT } from '@shardlab/crosslink';

import { shard, startNode, stopAll } from '../e2e/network-kit.ts';

/** Messages, or bytes, between two reports. */
const REPORT_MESSAGES = 16;
const REPORT_BYTES = 256 << 10;

const node = await startNode(shard(0), { bootstrap: [process.argv[2]!] });
let gossiped = 0;
let reported = 0;
let unreportedBytes = 0;
node.network.subscribe('bench', (data, _from, verdict) => {
  verdict(ACCEPT);
  gossiped++;
  unreportedBytes += data.length;
  if (gossiped - reported < REPORT_MESSAGES && unreportedBytes < REPORT_BYTES) return;
  reported = gossiped;
  unreportedBytes = 0;
  process.send?.({ gossiped });
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
