/** Events over RPC: filters by address, topic and block, on a shard and on the network as one chain. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Address, fromHex, LOGS_BLOOM_BYTES, toHex } from '@shardlab/crosslink';
import { bloomMayMatch, logMatcher, readLogQuery } from '../../src/rpc/log-filter.ts';
import { Params } from '../../src/rpc/params.ts';
import { accountsOf, addressOf, CRYPTO } from './chain-store-support.ts';
import { deployerOn, deployToken, firstContractOf, signed, tokenCall, tokenInitcode, TRANSFER, word } from './rpc-contracts-support.ts';
import { TestNetwork } from './rpc-support.ts';

type Json = Record<string, unknown>;

/** A token on each of two shards, and transfers in several blocks of both: 2 crosslinked beacon blocks, 2 more shard blocks each. */
async function traded(t: TestContext): Promise<{ net: TestNetwork; tokens: Address[]; owners: number[]; to: Address }> {
  const net = await new TestNetwork().start();
  t.after(() => net.stop());
  const { owner, token } = await deployToken(net);
  const second = deployerOn(net.genesis, 1, 1);
  await net.result(net.node(1), 1, 'eth_sendRawTransaction', signed(second, 0, undefined, tokenInitcode()));
  await net.block(1);
  const owners = [owner, second];
  const tokens = [token, firstContractOf(second)];
  const [to] = accountsOf(net.genesis, 0, 2).filter((account) => account !== owner).map(addressOf) as [Address];
  let nonce = 1;
  for (const link of [true, true, false]) {
    for (let block = 0; block < 2; block++) {
      for (let each = 0; each < 2; each++, nonce++) {
        for (const shard of [0, 1]) {
          const data = tokenCall('transfer(address,uint256)', to, BigInt(nonce));
          await net.result(net.node(shard), shard, 'eth_sendRawTransaction', signed(owners[shard]!, nonce, tokens[shard], data));
        }
      }
      await net.block(0);
      await net.block(1);
    }
    if (link) await net.crosslink();
  }
  return { net, tokens, owners, to };
}

function amounts(logs: unknown): bigint[] {
  return (logs as Json[]).map((log) => BigInt(log['data'] as string));
}

test('events of one shard: by address, topics, blocks and hash', async (t) => {
  const { net, tokens, owners, to } = await traded(t);
  const logs = (filter: Json): Promise<unknown> => net.result(net.node(1), 0, 'eth_getLogs', filter);
  const all = { fromBlock: 'earliest', toBlock: 'latest' };
  const address = toHex(tokens[0]!);
  assert.equal(((await logs({ ...all, address })) as Json[]).length, 13, 'the first issue, and 12 transfers');
  assert.deepEqual(amounts(await logs({ ...all, address, topics: [TRANSFER, toHex(word(addressOf(owners[0]!)))] })), [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n, 11n, 12n]);
  assert.equal(((await logs({ ...all, topics: [[TRANSFER, toHex(word(1n))], null, [toHex(word(to)), toHex(word(0n))]] })) as Json[]).length, 12);
  assert.deepEqual(await logs({ ...all, topics: [null, null, null, null] }), [], 'a position that is named must be there');
  assert.deepEqual(await logs({ ...all, address: toHex(tokens[1]!) }), [], 'that one is on the other shard');
  assert.equal(((await logs({ ...all, address: [toHex(tokens[1]!), address] })) as Json[]).length, 13);
  assert.deepEqual(amounts(await logs({})), [11n, 12n], 'the latest block');
  const third = (await logs({ fromBlock: '0x3', toBlock: '0x3' })) as Json[];
  assert.deepEqual(amounts(third), [3n, 4n]);
  assert.deepEqual(third.map((log) => [log['logIndex'], log['transactionIndex'], log['blockNumber'], log['removed']]), [['0x0', '0x0', '0x3', false], ['0x1', '0x1', '0x3', false]]);
  const { hash } = (await net.result(net.node(0), 0, 'eth_getBlockByNumber', '0x3')) as Json;
  assert.deepEqual(await logs({ blockHash: hash }), third);
  assert.deepEqual(await logs({ fromBlock: '0x50', toBlock: '0x60' }), [], 'above the head there is nothing');
  const { receipts } = { receipts: (await net.result(net.node(0), 0, 'eth_getBlockReceipts', '0x3')) as Json[] };
  assert.deepEqual(receipts.flatMap((receipt) => receipt['logs'] as Json[]), third);
});

test('events of the network: places in its blocks, the same from every node, as in receipts', async (t) => {
  const { net, tokens } = await traded(t);
  const everything = (node = net.node(0)): Promise<unknown> => net.result(node, 'network', 'eth_getLogs', { fromBlock: '0x0', toBlock: 'latest' });
  const all = (await everything()) as Json[];
  for (const node of net.nodes) assert.deepEqual(await everything(node), all);
  // What is not crosslinked yet does not show.
  assert.equal(all.length, 2 * (1 + 8));
  for (const height of [1, 2]) {
    const here = all.filter((log) => Number(log['blockNumber']) === height);
    assert.deepEqual(here.map((log) => Number(log['logIndex'])), Array.from({ length: here.length }, (_, index) => index), 'one count for all shards of a block');
    const block = (await net.result(net.node(0), 'network', 'eth_getBlockByNumber', `0x${height}`)) as { hash: string; transactions: string[]; logsBloom: string };
    for (const log of here) {
      assert.equal(log['blockHash'], block.hash);
      assert.equal(block.transactions[Number(log['transactionIndex'])], log['transactionHash']);
      const receipt = (await net.result(net.beaconNode, 'network', 'eth_getTransactionReceipt', log['transactionHash'])) as { logs: Json[] };
      assert.ok(receipt.logs.some((each) => JSON.stringify(each) === JSON.stringify(log)), 'as in the receipt');
      const filter = { addresses: [fromHex(log['address'] as string) as Address], topics: [] };
      assert.ok(bloomMayMatch(CRYPTO, fromHex(block.logsBloom), filter));
    }
    assert.deepEqual(await net.result(net.node(1), 'network', 'eth_getLogs', { blockHash: block.hash }), here);
  }
  const second = { fromBlock: '0x2', toBlock: '0x2', address: toHex(tokens[1]!) };
  const found = (await net.result(net.node(0), 'network', 'eth_getLogs', second)) as Json[];
  assert.deepEqual(amounts(found), [5n, 6n, 7n, 8n]);
  assert.deepEqual(found.map((log) => log['shard']), [1, 1, 1, 1]);
  net.node(1).down = true;
  const { error } = await net.call(net.node(0), 'network', 'eth_getLogs', second);
  assert.equal(error?.code, -32_002, 'no list that leaves out what could not be looked at');
  assert.deepEqual(amounts(await net.result(net.node(0), 'network', 'eth_getLogs', { ...second, address: toHex(tokens[0]!) })), [5n, 6n, 7n, 8n], 'who has none is not asked');
});

test('filters that are none, and ranges that are too long', async (t) => {
  const net = await new TestNetwork().start();
  t.after(() => net.stop());
  await net.block(0);
  await net.crosslink();
  const hash = `0x${'11'.repeat(32)}`;
  const bad: Json[] = [
    { address: '0x12' },
    { address: Array.from({ length: 257 }, () => `0x${'12'.repeat(20)}`) },
    { topics: 'x' },
    { topics: ['0x12'] },
    { topics: [null, null, null, null, null] },
    { topics: [[['0x']]] },
    { fromBlock: 'soon' },
    { fromBlock: '0x5', toBlock: '0x4' },
    { blockHash: hash, fromBlock: '0x1' },
    { blockHash: '0x12' },
  ];
  for (const view of ['network', 0] as const) {
    for (const filter of bad) assert.equal((await net.call(net.node(0), view, 'eth_getLogs', filter)).error?.code, -32_602, `${view} ${JSON.stringify(filter)}`);
    assert.match((await net.call(net.node(0), view, 'eth_getLogs', { blockHash: hash })).error?.message ?? '', /unknown block/);
    assert.equal((await net.call(net.node(0), view, 'eth_getLogs', 'all')).error?.code, -32_602);
  }
});

test('a bloom filter lets through what it may hold, and a matcher what is wanted', () => {
  const query = (filter: Json): ReturnType<typeof readLogQuery> => readLogQuery(new Params([filter]), 0);
  const wanted = query({ address: `0x${'12'.repeat(20)}`, topics: [null, [`0x${'34'.repeat(32)}`, null]] });
  const log = { address: fromHex(`0x${'12'.repeat(20)}`) as Address, topics: [word(1n), word(2n)], data: new Uint8Array(0) };
  assert.equal(logMatcher(wanted)(log), true, 'null among alternatives lets everything pass');
  assert.equal(logMatcher(wanted)({ ...log, topics: [word(1n)] }), false);
  assert.equal(logMatcher(query({ address: [] }))(log), true, 'no address is any');
  assert.equal(bloomMayMatch(CRYPTO, new Uint8Array(LOGS_BLOOM_BYTES), query({})), false, 'an empty filter: no logs at all');
  assert.equal(bloomMayMatch(CRYPTO, new Uint8Array(LOGS_BLOOM_BYTES).fill(255), wanted), true);
});
