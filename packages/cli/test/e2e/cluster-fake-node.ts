/**
 * A process that keeps the contract between node and cluster, and nothing else: `--config FILE`, ready.json, /healthz, SIGTERM, and as much JSON-RPC as the
 * commands under test ask for. What shall go wrong is told by environment variables that name a node:
 * FAKE_FAILS (cannot start), FAKE_CRASHES (ends without a word), FAKE_STUBBORN (ignores SIGTERM), FAKE_UNHEALTHY (healthz 503 for ever),
 * FAKE_ALONE (connected to nobody).
 */
import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import process from 'node:process';
import type { NodeConfig } from '../../src/cluster/node-config.ts';

const config = JSON.parse(readFileSync(process.argv[process.argv.indexOf('--config') + 1]!, 'utf8')) as NodeConfig;
const genesis = JSON.parse(readFileSync(config.genesisFile, 'utf8')) as { shards: number; validators: { shards: string[][] }; chainId: number; workload: object; parameters: object };
const is = (variable: string): boolean => process.env[variable] === config.id;
const readyFile = join(config.directory, 'ready.json');

function log(level: number, event: string, fields: object = {}): void {
  const line = JSON.stringify({ level, time: Date.now(), node: config.id, shard: config.shard, event, ...fields });
  if (config.logFile !== null) appendFileSync(config.logFile, `${line}\n`);
}

function die(line: string): never {
  process.stderr.write(`${line}\n`);
  process.exit(2);
}

interface Listening {
  on(event: 'error', listener: (error: Error) => void): unknown;
  listen(port: number, host: string, done: () => void): unknown;
  address(): ReturnType<Server['address']>;
}

function listen(server: Listening, port: number): Promise<number> {
  return new Promise((resolve) => {
    server.on('error', (error) => die(`cannot listen: ${error.message}`));
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

interface Peer {
  id: string;
  pid: number | null;
  role: string;
  shard: number | null;
  rpcUrl: string;
}

/** The fake nodes know each other by the cluster file, which the real ones never read. */
function peers(): Peer[] {
  return (JSON.parse(readFileSync(join(dirname(config.genesisFile), 'cluster.json'), 'utf8')) as { nodes: Peer[] }).nodes;
}

function running(pid: number | null): boolean {
  try {
    return pid !== null && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function status(): object {
  const cluster = JSON.parse(readFileSync(join(dirname(config.genesisFile), 'cluster.json'), 'utf8')) as { genesisHash: string };
  const nodes = peers().map(({ id, role, shard, rpcUrl }) => ({
    ...{ id, role, shard, rpcUrl, height: 7, blockHash: `0x${'11'.repeat(32)}`, stateRoot: `0x${'22'.repeat(32)}`, timestampMs: 1, epoch: 0, peers: genesis.shards },
    ...{ healthy: true, pid: 1, mempool: { pending: 3, capacity: 9 }, outbox: { messages: 2 }, receiptBatches: { gossip: 5, pull: 1 } },
  }));
  const { shards, chainId, workload, parameters } = genesis;
  return { genesisHash: cluster.genesisHash, chainId, shards, validators: genesis.validators.shards[0]!.length, parameters, workload, beacon: { height: 42, epoch: 0 }, nodes };
}

let sent: string | undefined;

function answer(method: string, params: readonly unknown[]): unknown {
  switch (method) {
    case 'shard_status':
      return status();
    case 'eth_getTransactionCount':
      return '0x0';
    case 'eth_gasPrice':
      return '0x3b9aca00';
    case 'eth_estimateGas':
      return '0x5208';
    case 'eth_sendRawTransaction':
      sent = String(params[0]);
      return `0x${'33'.repeat(32)}`;
    case 'eth_getTransactionReceipt':
      return sent === undefined ? null : { status: '0x1' };
    case 'shard_getCrossShardTransaction':
      return String(params[0]).endsWith('00')
        ? null
        : {
            ...{ hash: params[0], id: null, kind: 'crossShard', outcome: 'committed', coordinator: 0, participants: [1], attempt: 1 },
            phases: [
              { phase: 'prepared', shard: 0, height: 5, timeMs: 1_000 },
              { phase: 'voted', shard: 1, height: 6, timeMs: 1_250 },
              { phase: 'decided', shard: 0, height: 6, timeMs: 1_500 },
              { phase: 'applied', shard: 1, height: 8, timeMs: 1_750 },
              { phase: 'acked', shard: 0, height: 8, timeMs: 2_000 },
            ],
          };
    default:
      throw new Error(`the method ${method} does not exist`);
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

if (is('FAKE_CRASHES')) process.exit(7);
if (is('FAKE_FAILS')) die('the database is damaged: key 17 has a wrong checksum');
rmSync(readyFile, { force: true });

const http = createServer((request, response) => {
  if (request.url === '/healthz') {
    // Connected to whoever runs; one that is cut off has nobody.
    const connected = is('FAKE_ALONE') ? [] : peers().flatMap((node) => (node.id !== config.id && running(node.pid) ? [node.id] : []));
    response.writeHead(is('FAKE_UNHEALTHY') ? 503 : 200, { 'content-type': 'application/json' }).end(JSON.stringify({ connected }));
    return;
  }
  void bodyOf(request).then((text) => {
    const call = JSON.parse(text) as { id: number; method: string; params: unknown[] };
    let outcome: object;
    try {
      outcome = { result: answer(call.method, call.params) };
    } catch (error) {
      outcome = { error: { code: -32601, message: (error as Error).message } };
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: call.id, ...outcome }));
  });
});
const rpcPort = await listen(http, config.rpc.port);
const p2pPort = await listen(createTcpServer(), Number(/\/tcp\/(\d+)/.exec(config.listen[0]!)![1]));

process.on('SIGTERM', () => {
  if (is('FAKE_STUBBORN')) return;
  log(30, 'node-stopped');
  rmSync(readyFile, { force: true });
  process.exit(0);
});
log(20, 'debug-only', { tx: `0x${'ab'.repeat(32)}` });
log(30, 'node-started', { rpcPort, bootstrap: config.bootstrap.length });
const ready = { pid: process.pid, rpcUrl: `http://127.0.0.1:${rpcPort}`, p2p: [`/ip4/127.0.0.1/tcp/${p2pPort}/p2p/Qm${config.id}`], startedMs: Date.now() };
writeFileSync(`${readyFile}.tmp`, JSON.stringify(ready));
renameSync(`${readyFile}.tmp`, readyFile);
