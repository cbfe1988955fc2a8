import assert from 'node:assert/strict';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '@shardlab/crosslink';
import { JsonRpcProvider, parseEther, Wallet } from 'ethers';
import { createPublicClient, createWalletClient, defineChain, http } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { NodeMetrics } from '../../src/observability/metrics.ts';
import { RpcServer } from '../../src/rpc/rpc-server.ts';
import { RpcService } from '../../src/rpc/rpc-service.ts';
import { accountsOf, addressOf, secretOf } from '../unit/chain-store-support.ts';
import { type TestNode, TestNetwork } from '../unit/rpc-support.ts';

interface Served {
  readonly net: TestNetwork;
  readonly node: TestNode;
  readonly server: RpcServer;
  readonly url: string;
}

async function serve(t: TestContext): Promise<Served> {
  const net = await new TestNetwork().start();
  const node = net.node(0);
  const metrics = new NodeMetrics({ node: 'shard-0', shard: 0 });
  metrics.bind({ status: () => node.handle.status(), counters: () => ({ refused: new Map([['batch-known', 4]]), rejected: new Map([['underpriced', 2]]), admitted: 9, transactions: 5 }) });
  metrics.network.count('shardlab_network_dials_total', { outcome: 'ok' });
  metrics.network.set('shardlab_network_nodes', {}, 3);
  metrics.storage.synced(2, 500, 0.004);
  metrics.recoveryDone(64, 0.01);
  const service = new RpcService(node.handle, { metrics: metrics.rpc });
  const server = new RpcServer({ host: '127.0.0.1', port: 0 }, { service, metrics });
  const url = await server.start();
  t.after(async () => {
    await server.stop();
    metrics.close();
    net.stop();
  });
  return { net, node, server, url };
}

const JSON_HEADERS = { 'content-type': 'application/json' };
const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}';

test('paths, methods, content types, health and metrics', async (t) => {
  const { url, node } = await serve(t);
  const post = (path: string, body: string, headers: Record<string, string> = JSON_HEADERS): Promise<Response> => fetch(url + path, { method: 'POST', body, headers });
  for (const path of ['/', '/shard/0', '/shard/1', '/shard/1/']) {
    const response = await post(path, CALL);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.deepEqual(await response.json(), { jsonrpc: '2.0', id: 1, result: '0x539' });
  }
  assert.equal((await post('/', CALL, { 'content-type': 'Application/JSON; charset=utf-8' })).status, 200);
  assert.equal((await post('/', '{"jsonrpc":"2.0","method":"eth_chainId"}')).status, 204);
  const submitted = await fetch(`${url}/shard/1/submit`, { method: 'POST', body: new Uint8Array(4), headers: { 'content-type': 'application/octet-stream' } });
  assert.deepEqual([submitted.status, await submitted.json()], [200, { accepted: 0, rejected: [] }]);
  const wrong: [status: number, path: string, init: RequestInit][] = [
    [404, '/nowhere', { method: 'POST', body: CALL, headers: JSON_HEADERS }],
    [404, '/shard/2', { method: 'POST', body: CALL, headers: JSON_HEADERS }],
    [404, '/shard/01', { method: 'POST', body: CALL, headers: JSON_HEADERS }],
    [404, '/shard/-1/submit', { method: 'POST' }],
    [405, '/', {}],
    [405, '/healthz', { method: 'POST' }],
    [415, '/', { method: 'POST', body: CALL, headers: { 'content-type': 'text/plain' } }],
    [415, '/shard/0/submit', { method: 'POST', body: CALL, headers: JSON_HEADERS }],
    [413, '/', { method: 'POST', body: ' '.repeat((1 << 20) + 1), headers: JSON_HEADERS }],
  ];
  for (const [status, path, init] of wrong) {
    const response = await fetch(url + path, init);
    assert.equal(response.status, status, `${init.method} ${path}`);
    const { error } = (await response.json()) as { error: { code: number; message: string } };
    assert.ok(error.code < 0 && error.message.length > 5 && !error.message.includes('\n'));
  }
  const who = { id: 'shard-0', genesisHash: toHex(node.handle.genesisHash), connected: ['beacon', 'shard-1'] };
  const health = await fetch(`${url}/healthz`);
  assert.deepEqual([health.status, await health.json()], [200, { ...who, healthy: true, height: 0 }]);
  (node.handle as { status: unknown }).status = () => ({ ...node.handle, id: 'shard-0', healthy: false, reason: 'no peers', height: 3 });
  const sick = await fetch(`${url}/healthz`);
  assert.deepEqual([sick.status, await sick.json()], [503, { ...who, healthy: false, height: 3, reason: 'no peers' }]);
});

test('metrics have the documented names, labels and units', async (t) => {
  const { url, net } = await serve(t);
  await net.block(0);
  await fetch(url, { method: 'POST', body: CALL, headers: JSON_HEADERS });
  await fetch(url, { method: 'POST', body: '{"jsonrpc":"2.0","id":1,"method":"evil_name"}', headers: JSON_HEADERS });
  await fetch(`${url}/shard/1`, { method: 'POST', body: CALL, headers: JSON_HEADERS });
  for (let twice = 0; twice < 2; twice++) {
    const response = await fetch(`${url}/metrics`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
    const text = await response.text();
    const labels = 'node="shard-0",shard="0"';
    for (const line of [
      `shardlab_chain_height_blocks{${labels}} 1`,
      `shardlab_chain_blocks_total{${labels}} 1`,
      `shardlab_chain_transactions_total{${labels}} 5`,
      `shardlab_receipts_batches_total{path="gossip",${labels}} 3`,
      `shardlab_receipts_batches_total{path="pull",${labels}} 1`,
      `shardlab_peers_refused_messages_total{reason="batch-known",${labels}} 4`,
      `shardlab_mempool_rejected_transactions_total{code="underpriced",${labels}} 2`,
      `shardlab_mempool_admitted_transactions_total{${labels}} 9`,
      `shardlab_rpc_requests_total{method="eth_chainId",outcome="ok",${labels}} 1`,
      `shardlab_rpc_requests_total{method="unknown",outcome="-32601",${labels}} 1`,
      `shardlab_rpc_requests_total{method="forwarded",outcome="ok",${labels}} 1`,
      `shardlab_storage_commits_total{${labels}} 2`,
      `shardlab_recovery_transactions_total{${labels}} 64`,
      `shardlab_network_dials_total{outcome="ok",${labels}} 1`,
      `shardlab_network_nodes{${labels}} 3`,
    ]) {
      assert.ok(text.includes(`${line}\n`), line);
    }
    assert.match(text, /process_resident_memory_bytes/);
    assert.doesNotMatch(text, /evil_name/);
  }
});

test('pages of this machine may read, others may not; foreign host names are refused', async (t) => {
  const { url } = await serve(t);
  const allowed = async (origin: string): Promise<string | null> =>
    (await fetch(url, { method: 'POST', body: CALL, headers: { ...JSON_HEADERS, origin } })).headers.get('access-control-allow-origin');
  assert.equal(await allowed('http://localhost:3000'), 'http://localhost:3000');
  assert.equal(await allowed('http://127.0.0.1:8080'), 'http://127.0.0.1:8080');
  assert.equal(await allowed('https://evil.example'), null);
  assert.equal(await allowed('http://localhost.evil.example'), null);
  assert.equal(await allowed('null'), null);
  const preflight = await fetch(url, { method: 'OPTIONS', headers: { origin: 'http://localhost:3000' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'content-type');
  assert.equal((await fetch(url, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } })).headers.get('access-control-allow-methods'), null);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const call: ClientRequest = httpRequest(url, { method: 'POST', headers: { ...JSON_HEADERS, host: 'evil.example' } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    call.on('error', reject);
    call.end(CALL);
  });
  assert.equal(status, 403);
});

test('a body without an announced length is cut, garbage is refused, and the node goes on', async (t) => {
  const { url } = await serve(t);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const call = httpRequest(url, { method: 'POST', headers: { ...JSON_HEADERS, 'transfer-encoding': 'chunked' } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    call.on('error', reject);
    for (let part = 0; part < 20; part++) call.write(' '.repeat(100_000));
    call.end();
  });
  assert.equal(status, 413);
  const { port } = new URL(url);
  const said = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write('\u0000\u0001garbage\r\n\r\n'));
    let text = '';
    socket.on('data', (part) => (text += part.toString('latin1')));
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
  assert.match(said, /^HTTP\/1\.1 400/);
  assert.equal((await fetch(url, { method: 'POST', body: CALL, headers: JSON_HEADERS })).status, 200);
});

test('a port that is taken is named; a stop lets long polls go', async (t) => {
  const { url, server, node } = await serve(t);
  const port = Number(new URL(url).port);
  const second = new RpcServer({ host: '127.0.0.1', port }, { service: new RpcService(node.handle), metrics: { scrape: async () => ({ contentType: '', text: '' }) } });
  await assert.rejects(second.start(), { code: 'rpc/port-taken', message: `port ${port} on 127.0.0.1 is taken: stop what uses it, or choose another` });
  const poll = fetch(`${url}/shard/0`, { method: 'POST', headers: JSON_HEADERS, body: '{"jsonrpc":"2.0","id":1,"method":"shard_getBlockEvents","params":[9,30000]}' });
  // The poll has arrived when its timer stands.
  while (node.clock.pending === 0) await sleep(1);
  await server.stop();
  assert.deepEqual(((await (await poll).json()) as { result: unknown }).result, { latest: 0, blocks: [] });
  await assert.rejects(fetch(url, { method: 'POST', body: CALL, headers: JSON_HEADERS }));
});

/** Makes blocks until `work` is done. */
async function whileBlocks<T>(net: TestNetwork, work: Promise<T>): Promise<T> {
  const state = { done: false };
  const finished = work.finally(() => (state.done = true));
  finished.catch(() => undefined);
  for (let round = 0; !state.done; round++) {
    assert.ok(round < 2000, 'the wallet gets what it waits for');
    await net.round();
    await net.crosslink();
    await sleep(5);
  }
  return finished;
}

test('viem sends within and across shards, and sees receipts with two confirmations', async (t) => {
  const { url, net } = await serve(t);
  const chain = defineChain({ id: 1337, name: 'shardlab', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [url] } } });
  const options = { chain, transport: http(url, { retryCount: 0 }), pollingInterval: 10 };
  const client = createPublicClient(options);
  const [a, b] = accountsOf(net.genesis, 0, 2) as [number, number];
  const [c] = accountsOf(net.genesis, 1, 1) as [number];
  await net.crosslink();
  for (const [from, to] of [[a, b], [a, c], [c, b]] as const) {
    const wallet = createWalletClient({ ...options, account: privateKeyToAccount(toHex(secretOf(from)) as `0x${string}`) });
    const address = toHex(addressOf(to)) as `0x${string}`;
    const before = await client.getBalance({ address });
    const hash = await wallet.sendTransaction({ to: address, value: 12_345n });
    const receipt = await whileBlocks(net, client.waitForTransactionReceipt({ hash, confirmations: 2 }));
    assert.equal(receipt.status, 'success');
    assert.ok((await client.getBlockNumber({ cacheTime: 0 })) >= receipt.blockNumber + 1n);
    assert.equal(await client.getBalance({ address }), before + 12_345n);
    const block = await client.getBlock({ blockNumber: receipt.blockNumber, includeTransactions: true });
    assert.equal(block.hash, receipt.blockHash);
    assert.equal(block.transactions[receipt.transactionIndex]?.hash, hash);
    const transaction = await client.getTransaction({ hash });
    assert.equal(transaction.value, 12_345n);
    assert.equal(transaction.typeHex, '0x2');
    assert.equal((await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] })).reward?.length, 2);
  }
});

test('ethers sends within and across shards, and sees receipts with two confirmations', async (t) => {
  const { url, net } = await serve(t);
  const provider = new JsonRpcProvider(url, 1337, { staticNetwork: true, pollingInterval: 10, cacheTimeout: -1 });
  t.after(() => provider.destroy());
  const [a, b] = accountsOf(net.genesis, 1, 2) as [number, number];
  const [c] = accountsOf(net.genesis, 0, 1) as [number];
  await net.crosslink();
  for (const [from, to] of [[a, b], [a, c]] as const) {
    const wallet = new Wallet(toHex(secretOf(from)), provider);
    const address = toHex(addressOf(to));
    const before = await provider.getBalance(address);
    const sent = await wallet.sendTransaction({ to: address, value: parseEther('0.5') });
    const receipt = await whileBlocks(net, sent.wait(2));
    assert.equal(receipt?.status, 1);
    assert.equal(await provider.getBalance(address), before + parseEther('0.5'));
    const block = await provider.getBlock(receipt!.blockNumber, true);
    assert.equal(block?.hash, receipt?.blockHash);
    assert.equal(block?.prefetchedTransactions[receipt!.index]?.hash, sent.hash);
    assert.equal(await provider.getTransactionCount(wallet.address), sent.nonce + 1);
  }
});
