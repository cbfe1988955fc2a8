import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { checkRpcUrl, RpcClient } from '../../src/rpc/client.ts';
import { findEndpoints, ShardEndpoints } from '../../src/rpc/endpoints.ts';
import { KeepAliveTransport } from '../../src/rpc/http.ts';
import { networkStatus, receiptFate, transactionFate } from '../../src/rpc/methods.ts';

describe('RpcClient', () => {
  let server: Server;
  let url: string;
  let handler: (body: string, path: string) => string | undefined;
  let requests = 0;
  const http = new KeepAliveTransport();

  before(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => (body += part));
      request.on('end', () => {
        requests += 1;
        const answer = handler(body, request.url!);
        if (answer === undefined) request.socket.destroy();
        else response.end(answer);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    http.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const echo = (body: string): string => {
    const parsed = JSON.parse(body) as { id: number; params: unknown } | { id: number; params: unknown }[];
    const one = ({ id, params }: { id: number; params: unknown }): object => ({ jsonrpc: '2.0', id, result: params });
    // Batches may be answered in any order.
    return JSON.stringify(Array.isArray(parsed) ? parsed.map(one).reverse() : one(parsed));
  };

  test('calls, batches in order, and paths', async () => {
    let seen = '';
    handler = (body, path) => ((seen = path), echo(body));
    const client = new RpcClient({ url: `${url}/` }, { http });
    assert.deepEqual(await client.call('/shard/3', 'x', [1, 'a']), [1, 'a']);
    assert.equal(seen, '/shard/3');
    const outcomes = await client.batch('/', [{ method: 'x', params: [1] }, { method: 'y', params: [2] }]);
    assert.deepEqual(outcomes, [{ ok: true, result: [1] }, { ok: true, result: [2] }]);
    assert.deepEqual(await client.batch('/', []), []);
  });

  test("a node's error keeps its code, and is not tried again", async () => {
    requests = 0;
    handler = (body) => JSON.stringify({ jsonrpc: '2.0', id: (JSON.parse(body) as { id: number }).id, error: { code: -32601, message: 'no such method' } });
    await assert.rejects(new RpcClient({ url }, { http }).call('/', 'nope', []), { code: 'rpc/error', rpcCode: -32601, message: 'nope: no such method' });
    assert.equal(requests, 1);
  });

  test('a broken connection is tried again, a bounded number of times', async () => {
    requests = 0;
    handler = (body) => (requests < 3 ? undefined : echo(body));
    assert.deepEqual(await new RpcClient({ url, attempts: 3 }, { http: new KeepAliveTransport() }).call('/', 'x', [7]), [7]);
    handler = () => undefined;
    await assert.rejects(new RpcClient({ url, attempts: 2 }, { http }).call('/', 'x', []), { code: 'rpc/unreachable', message: /^no node answers at http.*: connection reset$/ });
  });

  test('nobody there, too slow, cancelled, no JSON, no answer: each one clear line', async () => {
    await assert.rejects(new RpcClient({ url: 'http://127.0.0.1:1', attempts: 1 }).call('/', 'x', []), { code: 'rpc/unreachable', message: 'no node answers at http://127.0.0.1:1/: connection refused' });
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const slow = new RpcClient({ url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`, timeoutMs: 30, attempts: 1 }, { http });
    await assert.rejects(slow.call('/', 'x', []), { code: 'rpc/timeout', message: /within 30 ms/ });
    await assert.rejects(slow.call('/', 'x', [], { signal: AbortSignal.abort(), timeoutMs: 5000 }), { code: 'rpc/cancelled' });
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
    handler = () => '<html>';
    await assert.rejects(new RpcClient({ url }, { http }).call('/', 'x', []), { code: 'rpc/bad-answer', message: /does not answer as a Shardlab node: HTTP status 200, no JSON/ });
    handler = () => '{"jsonrpc":"2.0","id":-1,"result":1}';
    await assert.rejects(new RpcClient({ url }, { http }).call('/', 'x', []), { code: 'rpc/bad-answer', message: /x was not answered/ });
  });

  test('URLs are checked', () => {
    assert.equal(checkRpcUrl('http://h:1/'), 'http://h:1');
    for (const bad of ['', 'localhost:8545', 'ftp://x', 'http://']) assert.throws(() => checkRpcUrl(bad), { code: 'rpc/url' });
  });

  test('status: what is missing is named; a URL of another network is not taken for a shard', async () => {
    const genuine = {
      genesisHash: '0x01',
      chainId: 1,
      shards: 1,
      validators: 1,
      parameters: { baseFeePerGas: '7' },
      workload: { seed: 3, accounts: 9 },
      beacon: { height: 1, epoch: 0 },
      nodes: [{ id: 'shard-0', role: 'shard', shard: 0, healthy: true, rpcUrl: url }],
    };
    let genesisHash = '0x01';
    let node = { id: 'shard-0', role: 'shard' };
    let broken: object = {};
    handler = (body) => JSON.stringify({ jsonrpc: '2.0', id: (JSON.parse(body) as { id: number }).id, result: { ...genuine, ...node, genesisHash, ...broken } });
    const client = new RpcClient({ url }, { http });
    const status = await networkStatus(client);
    assert.deepEqual([status.baseFeePerGas, status.workload], [7n, { seed: 3, accounts: 9, trace: undefined }]);
    const direct = (await findEndpoints(client, status, http))[0]!;
    assert.notEqual(direct.current, client);
    node = { id: 'shard-0.1', role: 'shard' };
    assert.equal((await findEndpoints(client, status, http))[0]!.current, client, 'another node of the shard than the one that should be there');
    node = { id: 'shard-0', role: 'shard' };
    genesisHash = '0x02';
    assert.equal((await findEndpoints(client, status, http))[0]!.current, client);
    broken = { shards: 'four' };
    await assert.rejects(networkStatus(client), { code: 'rpc/bad-answer', message: /no number "shards"/ });
  });

  test('endpoints move on once for each failure, and around', () => {
    const [a, b] = [new RpcClient({ url: 'http://a' }), new RpcClient({ url: 'http://b' })];
    const ways = new ShardEndpoints([a, b]);
    ways.failed(a);
    ways.failed(a);
    assert.equal(ways.current, b);
    ways.failed(b);
    assert.equal(ways.current, a);
  });

  test('endpoints: lanes begin at different validators; a stale one is left for another validator, never for the forwarder', () => {
    const [a, b, c, forwarder] = ['a', 'b', 'c', 'f'].map((host) => new RpcClient({ url: `http://${host}` })) as [RpcClient, RpcClient, RpcClient, RpcClient];
    const ways = new ShardEndpoints([a, b, c, forwarder], { direct: 3, live: 2 });
    const lanes = ways.lanes();
    assert.deepEqual(lanes.map((lane) => lane.current), [a, b]);
    lanes[1]!.failed(b);
    assert.deepEqual([lanes[1]!.current, lanes[0]!.current], [c, a]);
    for (const next of [b, c, a]) {
      ways.stale(ways.current);
      assert.equal(ways.current, next);
    }
    ways.stale(b);
    assert.equal(ways.current, a, 'not about the one in use');
    for (const client of [a, b, c]) ways.failed(client);
    assert.equal(ways.current, forwarder);
    const alone = new ShardEndpoints([a, forwarder], { direct: 1, live: 1 });
    alone.stale(a);
    assert.equal(alone.current, a);
    assert.equal(new ShardEndpoints([forwarder]).lanes().length, 1);
  });

  test('a client with other nodes goes on with them, and stays there', async () => {
    requests = 0;
    handler = (body) => echo(body);
    const client = new RpcClient({ url: 'http://127.0.0.1:1', others: ['http://127.0.0.1:2', url] }, { http });
    assert.deepEqual(await client.call('/', 'x', [7]), [7]);
    assert.equal(client.url, url);
    assert.deepEqual(await client.call('/', 'x', [8]), [8]);
    assert.equal(requests, 2);
    await assert.rejects(new RpcClient({ url: 'http://127.0.0.1:1', others: ['http://127.0.0.1:2'] }, { http }).call('/', 'x', []), { code: 'rpc/unreachable' });
  });

  test('fates: the last phase tells the time, unknown ones are unknown', () => {
    const phases = [{ phase: 'prepared', timeMs: 5 }, { phase: 'acked', timeMs: 9, wallMs: 11 }];
    assert.deepEqual(transactionFate({ outcome: 'aborted', reason: 'busy', phases }), { outcome: 'aborted', reason: 'busy', endMs: 11 });
    assert.equal(transactionFate(null).outcome, 'unknown');
    assert.deepEqual(receiptFate({ status: '0x0' }), { outcome: 'committed', reason: 'reverted', endMs: undefined });
    assert.equal(receiptFate(null).outcome, 'unknown');
    assert.throws(() => transactionFate({ outcome: 'lost', phases: [] }), { code: 'rpc/bad-answer' });
  });
});
