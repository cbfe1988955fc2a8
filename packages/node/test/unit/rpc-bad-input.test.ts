import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, type ShardId } from '@shardlab/crosslink';
import { accountsOf, addressOf, transfer } from './chain-store-support.ts';
import { TestNetwork } from './rpc-support.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const ADDRESS = `0x${'11'.repeat(20)}`;
const HASH = `0x${'22'.repeat(32)}`;

test('bad parameters get -32602 and one line that names them', async (t) => {
  const net = await new TestNetwork().start();
  t.after(() => net.stop());
  await net.round();
  await net.crosslink();
  const cases: [view: 'network' | number, method: string, ...params: unknown[]][] = [
    ['network', 'eth_getBalance'],
    ['network', 'eth_getBalance', '0x12', 'latest'],
    ['network', 'eth_getBalance', `${ADDRESS}zz`, 'latest'],
    ['network', 'eth_getBalance', ADDRESS, 'newest'],
    ['network', 'eth_getBalance', ADDRESS, '0x'],
    ['network', 'eth_getBalance', ADDRESS, -1],
    ['network', 'eth_getBalance', ADDRESS, 'latest', 'more'],
    [0, 'eth_getTransactionCount', 5],
    ['network', 'eth_getBlockByNumber', 'latest', 'yes'],
    ['network', 'eth_getBlockByHash', ADDRESS],
    [0, 'eth_getBlockByHash', null],
    ['network', 'eth_getTransactionByHash', ADDRESS],
    ['network', 'eth_getTransactionReceipt'],
    ['network', 'eth_sendRawTransaction', '0x123'],
    ['network', 'eth_sendRawTransaction', { raw: '0x' }],
    [0, 'eth_sendRawTransaction', `0x${'00'.repeat(256 * 1024 + 1)}`],
    ['network', 'eth_estimateGas', 'call'],
    ['network', 'eth_estimateGas', { to: 'me' }],
    ['network', 'eth_estimateGas', { to: ADDRESS, data: '0x1' }],
    ['network', 'eth_estimateGas', { to: ADDRESS, accessList: [{}] }],
    ['network', 'eth_feeHistory', 0, 'latest', []],
    ['network', 'eth_feeHistory', 2000, 'latest', []],
    [0, 'eth_feeHistory', 1, 'latest', [50, 10]],
    [0, 'eth_feeHistory', 1, 'latest', [101]],
    ['network', 'shard_getAllocation', 0, 10_001],
    ['network', 'shard_getAssignment', HASH],
    ['network', 'shard_getBeaconBlocks', 1, 0],
    [0, 'shard_getBlocks', 1, 257],
    [0, 'shard_getBlocks', 1.5, 1],
    [0, 'shard_getBlockEvents', 1, 30_001],
    [0, 'shard_getBlockEvents', '1', 1],
    [0, 'shard_listTransactions', 2, 1],
    [0, 'shard_pinState', 'latest'],
    [0, 'shard_readState', 7],
    [0, 'shard_readState', 'pin-1', '0x', 10],
    [0, 'shard_readState', 'pin-1', `0x${'00'.repeat(65)}`, 10],
    [0, 'shard_readState', 'pin-1', null, (1 << 20) + 1],
    ['network', 'shard_getCrossShardTransaction', 'hash'],
    ['network', 'shard_getProof', ''],
  ];
  for (const [view, method, ...params] of cases) {
    // The own node's view, and the same shard seen from another node.
    for (const node of view === 0 ? [net.node(0), net.node(1)] : [net.node(0)]) {
      const { error, result } = await net.call(node, view, method, ...params);
      assert.equal(error?.code, -32602, `${method} ${JSON.stringify(params).slice(0, 80)} -> ${JSON.stringify(result)} ${error?.message}`);
      assert.doesNotMatch(error.message, /\n|undefined|NaN|\[object/);
    }
  }
  for (const [view, method] of [
    ['network', 'eth_mine'],
    ['network', 'shard_getBlocks'],
    [0, 'shard_getBeaconBlocks'],
    ['network', 'toString'],
    [0, '__proto__'],
    ['network', `x${'\u001b[31m'.repeat(50)}`],
  ] as ['network' | number, string][]) {
    const { error } = await net.call(net.node(0), view, method);
    assert.equal(error?.code, -32601, method);
    assert.ok(error.message.length < 200 && !error.message.includes('\u001b'));
  }
});

test('bodies that are no JSON-RPC request', async (t) => {
  const net = await new TestNetwork(1, 2).start();
  t.after(() => net.stop());
  const { service } = net.node(0);
  const answer = async (body: string | Uint8Array): Promise<unknown> => {
    const text = await service.answer('network', typeof body === 'string' ? bytes(body) : body);
    return text === undefined ? undefined : JSON.parse(text);
  };
  const codeOf = async (body: string | Uint8Array): Promise<unknown> => ((await answer(body)) as { error: { code: number } }).error.code;
  for (const body of ['', '{', 'nonsense', '{"jsonrpc":"2.0"', Uint8Array.of(0xff, 0xfe), '['.repeat(100_000)]) assert.equal(await codeOf(body), -32700);
  const call = { jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] };
  for (const wrong of [
    7,
    null,
    '"eth_chainId"',
    [],
    {},
    { ...call, jsonrpc: '1.0' },
    { ...call, method: 5 },
    { ...call, params: { a: 1 } },
    { ...call, params: 'x' },
    { ...call, id: {} },
    Array.from({ length: 101 }, () => call),
  ]) {
    assert.equal(await codeOf(JSON.stringify(wrong)), -32600, JSON.stringify(wrong).slice(0, 60));
  }
  assert.deepEqual(await answer(JSON.stringify({ ...call, id: 'x' })), { jsonrpc: '2.0', id: 'x', result: '0x539' });
  assert.deepEqual(await answer(JSON.stringify({ ...call, id: null })), { jsonrpc: '2.0', id: null, result: '0x539' });
  const { id: _id, ...notification } = call;
  assert.equal(await answer(JSON.stringify(notification)), undefined);
  assert.equal(await answer(JSON.stringify([notification, notification])), undefined);
  const mixed = (await answer(JSON.stringify([call, 1, notification, { ...call, id: 9, method: 'no' }]))) as { id: unknown; error?: { code: number } }[];
  assert.deepEqual(mixed.map((each) => [each.id, each.error?.code]), [[1, undefined], [null, -32600], [9, -32601]]);
  const full = (await answer(JSON.stringify(Array.from({ length: 100 }, (_, id) => ({ ...call, id }))))) as { id: number }[];
  assert.deepEqual(full.map((each) => each.id), Array.from({ length: 100 }, (_, id) => id));
});

test('bulk submit: its answers, refusals and forwarding', async (t) => {
  const net = await new TestNetwork().start();
  t.after(() => net.stop());
  const [a, b] = accountsOf(net.genesis, 0, 2) as [number, number];
  const u32 = (value: number): Uint8Array => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  const body = (...raws: Uint8Array[]): Uint8Array => concatBytes(u32(raws.length), ...raws.flatMap((raw) => [u32(raw.length), raw]));
  const submit = async (node: number, shard: number, content: Uint8Array): Promise<[number, unknown]> => {
    const { status, text } = await net.nodes[node]!.service.submit(shard as ShardId, content);
    return [status, JSON.parse(text) as unknown];
  };
  const batch = body(transfer(a, addressOf(b), 0), transfer(a, addressOf(b), 0), Uint8Array.of(3, 0xc0), transfer(b, addressOf(a), 0));
  for (const [node, code] of [[1, undefined], [0, 'already-known'], [2, 'already-known']] as [number, string | undefined][]) {
    const [status, answer] = (await submit(node, 0, batch)) as [number, { accepted: number; rejected: { index: number; code: string; message: string }[] }];
    assert.equal(status, 200);
    assert.deepEqual(answer.rejected.map((each) => [each.index, each.code]), [
      ...(code === undefined ? [] : [[0, code]]),
      [1, 'already-known'],
      [2, 'type-3-unsupported'],
      ...(code === undefined ? [] : [[3, code]]),
    ]);
    assert.equal(answer.accepted + answer.rejected.length, 4);
  }
  assert.deepEqual(await submit(1, 0, body()), [200, { accepted: 0, rejected: [] }]);
  for (const bad of [new Uint8Array(0), u32(1), concatBytes(u32(1), u32(5), new Uint8Array(4)), concatBytes(body(), Uint8Array.of(0)), u32(2001), u32(0xffff_ffff)]) {
    for (const node of [0, 1]) {
      const [status, answer] = (await submit(node, 0, bad)) as [number, { error: { code: string } }];
      assert.deepEqual([status, answer.error.code], [400, 'malformed']);
    }
  }
  net.node(0).pool!.busy = true;
  for (const node of [0, 1]) {
    const [status, answer] = (await submit(node, 0, body(transfer(b, addressOf(a), 1)))) as [number, { error: { code: string } }];
    assert.deepEqual([status, answer.error.code], [429, 'busy']);
  }
  net.node(0).down = true;
  const [status, answer] = (await submit(1, 0, batch)) as [number, { error: { code: string } }];
  assert.deepEqual([status, answer.error.code], [503, 'unavailable']);
});
