import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOfSecretKey, signTransaction } from '@shardlab/shard';
import {
  BEACON,
  decodeBeaconBlock,
  decodeBlock,
  decodeBlockEvents,
  decodeAll,
  equalBytes,
  fromHex,
  parseGenesis,
  genesisHash,
  readCertificate,
  readHeader,
  toHex,
  verifyStateProof,
} from '@shardlab/crosslink';
import { accountsOf, addressOf, CHAIN_ID, CRYPTO, secretOf, transfer } from './chain-store-support.ts';
import { TestNetwork } from './rpc-support.ts';

type Json = Record<string, unknown>;
const ETHER = 10n ** 18n;

async function network(): Promise<TestNetwork> {
  return new TestNetwork().start();
}

const hex = (bytes: Uint8Array): string => toHex(bytes);

test('an idle network answers with genesis: block 0, balances, constants', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const node = net.node(0);
  const account = hex(addressOf(0));
  assert.equal(await net.result(node, 'network', 'eth_chainId'), '0x539');
  assert.equal(await net.result(node, 'network', 'net_version'), '1337');
  assert.equal(await net.result(node, 'network', 'web3_clientVersion'), 'Shardlab/v0.1.0/test');
  assert.equal(await net.result(node, 'network', 'net_peerCount'), '0x2');
  assert.equal(await net.result(node, 'network', 'net_listening'), true);
  assert.equal(await net.result(node, 'network', 'eth_syncing'), false);
  assert.deepEqual(await net.result(node, 'network', 'eth_accounts'), []);
  assert.equal(await net.result(node, 'network', 'eth_getCode', account, 'latest'), '0x');
  assert.equal(await net.result(node, 'network', 'eth_blockNumber'), '0x0');
  assert.equal(await net.result(node, 'network', 'eth_getBalance', account, 'latest'), `0x${(100n * ETHER).toString(16)}`);
  assert.equal(await net.result(node, 'network', 'eth_getTransactionCount', account), '0x0');
  assert.equal(await net.result(node, 'network', 'eth_getBalance', hex(addressOf(500))), '0x0', 'an account that was never used');
  assert.equal(await net.result(node, 'network', 'eth_maxPriorityFeePerGas'), '0x3b9aca00');
  assert.equal(await net.result(node, 'network', 'eth_gasPrice'), `0x${(3n * 10n ** 9n).toString(16)}`);
  const block = (await net.result(node, 'network', 'eth_getBlockByNumber', 'latest', false)) as Json;
  assert.equal(block['number'], '0x0');
  assert.equal(block['baseFeePerGas'], '0x3b9aca00');
  assert.deepEqual(block['transactions'], []);
  assert.equal(await net.result(node, 'network', 'eth_getBlockByNumber', '0x1', false), null);
  assert.deepEqual(await net.result(node, 'network', 'eth_getBlockByHash', `0x${'00'.repeat(32)}`, true), block);
});

test('transactions within a shard and across: pending, listed, crosslinked; on every view and node', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const [a, b] = accountsOf(net.genesis, 0, 2) as [number, number];
  const [c] = accountsOf(net.genesis, 1, 1) as [number];
  const here = net.node(0);
  const there = net.node(1);
  const local = (await net.result(there, 'network', 'eth_sendRawTransaction', hex(transfer(a, addressOf(b), 0)))) as string;
  const across = (await net.result(here, 'network', 'eth_sendRawTransaction', hex(transfer(b, addressOf(c), 0, 5n)))) as string;
  assert.equal(net.node(0).pool?.size, 2, 'both went to the home shard of their senders');
  for (const node of net.nodes) {
    const pending = (await net.result(node, 'network', 'eth_getTransactionByHash', local)) as Json;
    assert.equal(pending['blockNumber'], null);
    assert.equal(pending['from'], hex(addressOf(a)));
    assert.equal(await net.result(node, 'network', 'eth_getTransactionReceipt', local), null);
    assert.equal(await net.result(node, 'network', 'eth_getTransactionCount', hex(addressOf(a)), 'pending'), '0x1');
    assert.equal(await net.result(node, 'network', 'eth_getTransactionCount', hex(addressOf(a)), 'latest'), '0x0');
    assert.equal(((await net.result(node, 'network', 'shard_getCrossShardTransaction', across)) as Json)['outcome'], 'pending');
  }

  await net.round();
  const receipt = (await net.result(there, 0, 'eth_getTransactionReceipt', local)) as Json;
  assert.equal(receipt['blockNumber'], '0x1');
  assert.equal(receipt['status'], '0x1');
  assert.equal(receipt['reason'], null);
  assert.equal(await net.result(there, 'network', 'eth_getTransactionReceipt', local), null, 'not crosslinked yet');
  assert.equal(((await net.result(there, 'network', 'eth_getTransactionByHash', local)) as Json)['blockNumber'], null);
  const open = (await net.result(there, 'network', 'eth_getTransactionByHash', across)) as Json;
  assert.equal(open['blockNumber'], null, 'prepared, not settled');
  assert.equal(open['from'], hex(addressOf(b)));
  const trace = (await net.result(there, 'network', 'shard_getCrossShardTransaction', across)) as Json;
  assert.equal(trace['kind'], 'crossShard');
  assert.deepEqual((trace['phases'] as Json[]).map((phase) => [phase['phase'], phase['shard'], phase['height']]), [['prepared', 0, 1]]);
  assert.deepEqual(trace['participants'], [1]);

  await net.round();
  await net.round();
  await net.round();
  await net.round();
  // This node has not followed the beacon yet, the others have.
  await net.crosslink([there, net.beaconNode]);
  assert.equal(await net.result(here, 'network', 'eth_getTransactionReceipt', across), null);
  assert.equal(await net.result(here, 'network', 'eth_blockNumber'), '0x0');
  await net.follow(here, 1);
  const views = await Promise.all(net.nodes.map((node) => net.result(node, 'network', 'eth_getTransactionReceipt', across)));
  for (const view of views) assert.deepEqual(view, views[0]);
  const settled = views[0] as Json;
  assert.equal(settled['blockNumber'], '0x1');
  assert.equal(settled['crossShard'], true);
  assert.equal(settled['status'], '0x1');
  assert.equal(settled['shard'], 0);
  assert.equal(settled['shardHeight'], '0x5');
  assert.equal(settled['transactionIndex'], '0x1');
  const ended = (await net.result(net.beaconNode, 'network', 'shard_getCrossShardTransaction', across)) as Json;
  assert.equal(ended['outcome'], 'committed');
  const phases = ended['phases'] as Json[];
  assert.deepEqual(phases.map((phase) => phase['phase']), ['prepared', 'voted', 'decided', 'applied', 'acked']);
  assert.deepEqual(phases.map((phase) => phase['shard']), [0, 1, 0, 1, 0]);
  assert.deepEqual(phases.map((phase) => 'wallMs' in phase), [true, false, true, false, true]);
  const intra = (await net.result(there, 'network', 'shard_getCrossShardTransaction', local)) as Json;
  assert.equal(intra['kind'], 'intraShard');
  assert.equal(intra['outcome'], 'committed');
  const reason = await net.result(here, 'network', 'eth_getBalance', hex(addressOf(c)));
  assert.equal(reason, `0x${(100n * ETHER + 5n).toString(16)}`);

  const block = (await net.result(here, 'network', 'eth_getBlockByNumber', '0x1', false)) as Json;
  assert.deepEqual(block['transactions'], [local, across]);
  assert.deepEqual(await net.result(there, 'network', 'eth_getBlockByHash', block['hash'], false), block);
  const whole = (await net.result(net.beaconNode, 'network', 'eth_getBlockByNumber', 'finalized', true)) as Json;
  const transactions = whole['transactions'] as Json[];
  assert.deepEqual(transactions.map((each) => [each['hash'], each['transactionIndex'], each['blockHash'], each['blockNumber']]), [
    [local, '0x0', block['hash'], '0x1'],
    [across, '0x1', block['hash'], '0x1'],
  ]);
  assert.deepEqual(transactions[1], await net.result(here, 'network', 'eth_getTransactionByHash', across));
  const shardBlock = (await net.result(there, 0, 'eth_getBlockByNumber', 'latest', true)) as Json;
  assert.equal(shardBlock['number'], '0x5');
  assert.deepEqual((shardBlock['transactions'] as Json[]).map((each) => each['hash']), [across]);
  assert.equal(await net.result(here, 0, 'eth_getBlockByHash', block['hash'], false), null, 'a beacon hash is none of the shard');
  for (const each of [block, shardBlock]) {
    const fields = ['hash', 'parentHash', 'sha3Uncles', 'miner', 'stateRoot', 'transactionsRoot', 'receiptsRoot', 'logsBloom', 'difficulty', 'totalDifficulty'];
    fields.push('extraData', 'size', 'gasLimit', 'gasUsed', 'timestamp', 'transactions', 'uncles', 'mixHash', 'nonce', 'baseFeePerGas', 'shard', 'shardHeight', 'timestampMs');
    for (const field of fields) assert.ok(field in each, field);
  }
});

test('positions in a network block count all shards in order, over many blocks', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const from = [accountsOf(net.genesis, 0, 3), accountsOf(net.genesis, 1, 3)];
  const sent: string[] = [];
  const nonces = new Map<number, number>();
  for (let round = 0; round < 9; round++) {
    for (const shard of [0, 1]) {
      for (let count = (round * 7 + shard * 3) % 4; count > 0; count--) {
        const sender = from[shard]![count % 3]!;
        const nonce = nonces.get(sender) ?? 0;
        nonces.set(sender, nonce + 1);
        const to = from[(round + count) % 2]![0]!;
        sent.push((await net.result(net.node(1), 'network', 'eth_sendRawTransaction', hex(transfer(sender, addressOf(to), nonce)))) as string);
      }
    }
    await net.round();
    if (round % 3 === 2) await net.crosslink();
  }
  for (let more = 0; more < 4; more++) await net.round();
  await net.crosslink();
  const blocks = (await Promise.all(
    [1, 2, 3, 4].map((height) => net.result(net.beaconNode, 'network', 'eth_getBlockByNumber', `0x${height}`, false)),
  )) as Json[];
  assert.deepEqual(blocks.flatMap((block) => block['transactions'] as string[]).sort(), [...sent].sort(), 'every transaction is in one block');
  for (const hash of sent) {
    const receipt = (await net.result(net.node(0), 'network', 'eth_getTransactionReceipt', hash)) as Json;
    const block = blocks[Number(receipt['blockNumber']) - 1]!;
    assert.equal((block['transactions'] as string[])[Number(receipt['transactionIndex'])], hash);
    assert.equal(receipt['blockHash'], block['hash']);
  }
});

test('fees: history, price, and the highest of all shards on the network view', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const [a, b] = accountsOf(net.genesis, 0, 2) as [number, number];
  await net.result(net.node(0), 0, 'eth_sendRawTransaction', hex(transfer(a, addressOf(b), 0)));
  for (let round = 0; round < 4; round++) await net.block(0);
  await net.block(1);
  await net.crosslink();
  const history = (await net.result(net.node(0), 0, 'eth_feeHistory', '0x3', 'latest', [0, 50, 100])) as Json;
  assert.equal(history['oldestBlock'], '0x2');
  assert.equal((history['baseFeePerGas'] as string[]).length, 4);
  assert.deepEqual(history['reward'], [['0x0', '0x0', '0x0'], ['0x0', '0x0', '0x0'], ['0x0', '0x0', '0x0']]);
  const first = (await net.result(net.node(0), 0, 'eth_feeHistory', 1, '0x1', [25])) as Json;
  assert.deepEqual(first['reward'], [['0x3b9aca00']], 'the tip that was paid');
  assert.deepEqual(first['gasUsedRatio'], [21_000 / 120_000_000]);
  // Shard 0's base fee fell three times, shard 1's not: a transaction may go to either.
  const block = (await net.result(net.node(0), 'network', 'eth_getBlockByNumber', 'latest', false)) as Json;
  assert.equal(block['baseFeePerGas'], '0x3b9aca00');
  const seen = (await net.result(net.node(1), 'network', 'eth_feeHistory', 5, 'latest', [10])) as Json;
  assert.equal(seen['oldestBlock'], '0x0');
  assert.deepEqual((seen['baseFeePerGas'] as string[]).slice(0, 2), ['0x3b9aca00', '0x3b9aca00']);
  assert.equal((seen['reward'] as string[][]).length, 2);
  for (const view of ['network', 0] as const) {
    const { error } = await net.call(net.node(0), view, 'eth_feeHistory', 1, '0x99', []);
    assert.match(error?.message ?? '', /beyond head block/);
  }
});

test('estimates where no code runs are the intrinsic gas', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const to = hex(addressOf(3));
  const estimate = (call: Json): Promise<unknown> => net.result(net.node(0), 'network', 'eth_estimateGas', call, 'latest');
  assert.equal(await estimate({ to, value: '0x1' }), '0x5208');
  assert.equal(await estimate({ to, data: '0x00ff' }), `0x${(21_000 + 4 + 16).toString(16)}`);
  assert.equal(await estimate({ to, accessList: [{ address: to, storageKeys: [`0x${'00'.repeat(32)}`] }] }), `0x${(21_000 + 2400 + 1900).toString(16)}`);
  assert.equal(await estimate({ data: '0x00' }), `0x${(53_000 + 4 + 2).toString(16)}`, 'a creation of nothing');
});

test('state of older heights: within the undo records, else an error that says so', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const [a, b] = accountsOf(net.genesis, 0, 2) as [number, number];
  const node = net.node(1);
  await net.crosslink();
  await net.result(node, 'network', 'eth_sendRawTransaction', hex(transfer(a, addressOf(b), 0)));
  await net.round();
  await net.crosslink();
  const count = (view: 'network' | number, tag: unknown): Promise<unknown> => net.result(node, view, 'eth_getTransactionCount', hex(addressOf(a)), tag);
  assert.equal(await count('network', 'latest'), '0x1');
  assert.equal(await count('network', '0x2'), '0x1');
  assert.equal(await count('network', '0x1'), '0x0');
  assert.equal(await count('network', 'earliest'), '0x0');
  assert.equal(await count(0, '0x0'), '0x0');
  assert.equal(await count(0, { blockNumber: '0x1' }), '0x1');
  assert.match((await net.call(node, 0, 'eth_getBalance', hex(addressOf(a)), '0x5')).error?.message ?? '', /missing historical state/);
  assert.match((await net.call(node, 'network', 'eth_getBalance', hex(addressOf(a)), '0x9')).error?.message ?? '', /above the head/);
});

test('proofs hold against the header that comes with them, whichever node is asked', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const account = addressOf(accountsOf(net.genesis, 0, 1)[0]!);
  assert.match((await net.call(net.node(1), 'network', 'shard_getProof', hex(account))).error?.message ?? '', /no final block/);
  await net.round();
  await net.crosslink();
  for (const address of [account, addressOf(9999)]) {
    const proof = (await net.result(net.beaconNode, 'network', 'shard_getProof', hex(address))) as Json;
    const header = decodeAll(fromHex(proof['header'] as string), readHeader);
    const verified = verifyStateProof(CRYPTO, header.stateRoot, fromHex(proof['key'] as string), fromHex(proof['proof'] as string));
    assert.ok(verified.ok);
    assert.equal(verified.value === undefined ? null : hex(verified.value), proof['value']);
    assert.equal(proof['balance'], equalBytes(address, account) ? (100n * ETHER).toString() : '0');
    assert.equal(proof['height'], 1);
    assert.equal(decodeAll(fromHex(proof['certificate'] as string), readCertificate).signatures.length, 1);
  }
});

test('what audits and load tools read: genesis, allocation, assignment, blocks, events, pins, status', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const [a, b] = accountsOf(net.genesis, 0, 2) as [number, number];
  await net.result(net.node(0), 0, 'eth_sendRawTransaction', hex(transfer(a, addressOf(b), 0)));
  await net.round();
  await net.round();
  await net.crosslink();
  const node = net.node(1);
  const about = (await net.result(node, 'network', 'shard_getGenesis')) as Json;
  const allocation = [
    ...((await net.result(node, 'network', 'shard_getAllocation', 0, 20)) as unknown[]),
    ...((await net.result(node, 0, 'shard_getAllocation', 20, 10_000)) as unknown[]),
  ];
  assert.equal(about['allocationCount'], 24);
  assert.deepEqual(genesisHash(CRYPTO, parseGenesis(JSON.stringify({ ...about, allocation }))), genesisHash(CRYPTO, net.genesis));
  const assignment = (await net.result(node, 'network', 'shard_getAssignment', hex(addressOf(a)))) as Json;
  assert.equal(assignment['shard'], 0);
  assert.equal(assignment['certificateHash'], hex(net.epoch!.hash));
  assert.ok(!('shard' in ((await net.result(node, 'network', 'shard_getAssignment')) as Json)));

  const { latest, blocks } = (await net.result(node, 0, 'shard_getBlocks', 1, 10)) as { latest: number; blocks: string[] };
  assert.equal(latest, 2);
  assert.deepEqual(blocks.map((block) => decodeBlock(fromHex(block)).header.height), [1, 2]);
  const beaconBlocks = (await net.result(node, 'network', 'shard_getBeaconBlocks', 1, 10)) as { latest: number; blocks: string[] };
  assert.deepEqual(decodeBeaconBlock(fromHex(beaconBlocks.blocks[0]!)).crosslinks.length, 4);
  assert.deepEqual(await net.result(node, 'network', 'shard_getBeaconBlocks', 2, 10), { latest: 1, blocks: [] });

  const events = (await net.result(node, 0, 'shard_getBlockEvents', 1, 0)) as { latest: number; blocks: Json[] };
  assert.deepEqual(events.blocks.map((block) => [block['height'], decodeBlockEvents(fromHex(block['events'] as string)).map((event) => event.phase)]), [
    [1, ['applied']],
    [2, []],
  ]);
  assert.equal(typeof events.blocks[0]!['wallMs'], 'number');

  const pin = (await net.result(node, 0, 'shard_pinState', 1)) as Json;
  assert.equal(pin['stateRoot'], hex(net.shards[0]!.blocks[0]!.header.stateRoot));
  const page = (await net.result(node, 0, 'shard_readState', pin['pin'], null, 100_000)) as Json;
  assert.equal(page['next'], null);
  assert.ok((page['entries'] as string).length > 100);
  assert.equal(await net.result(node, 0, 'shard_unpinState', pin['pin']), true);
  assert.match((await net.call(node, 0, 'shard_readState', pin['pin'], null, 1000)).error?.message ?? '', /no pin/);
  assert.match((await net.call(node, 0, 'shard_pinState', 99)).error?.message ?? '', /above the head/);

  net.node(0).down = true;
  const status = (await net.result(node, 'network', 'shard_status')) as { nodes: Json[] } & Json;
  assert.deepEqual(status.nodes.map((each) => [each['id'], each['healthy']]), [['beacon', true], ['shard-0', false], ['shard-1', true]]);
  assert.match(status.nodes[1]!['reason'] as string, /shard-0 cannot be reached/);
  assert.deepEqual(status['beacon'], { height: 1, epoch: 0 });
  assert.equal((status['parameters'] as Json)['baseFeePerGas'], '1000000000');
  assert.equal(((await net.result(node, 1, 'shard_status')) as Json)['id'], 'shard-1');
});

test('long polls wait for a block, for their time, or for the node to stop', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const node = net.node(0);
  const poll = (from: number, waitMs: number): Promise<unknown> => net.result(node, 0, 'shard_getBlockEvents', from, waitMs);
  const first = poll(1, 10_000);
  const second = poll(2, 10_000);
  await net.block(0);
  assert.equal(((await first) as { blocks: unknown[] }).blocks.length, 1);
  node.clock.advance(10_000);
  assert.deepEqual(await second, { latest: 1, blocks: [] });
  assert.equal(node.clock.pending, 0);
  const many = Array.from({ length: 256 }, () => poll(5, 30_000));
  assert.equal((await net.call(node, 0, 'shard_getBlockEvents', 5, 30_000)).error?.code, -32005);
  node.service.close();
  for (const answer of await Promise.all(many)) assert.deepEqual(answer, { latest: 1, blocks: [] });
  assert.equal(node.clock.pending, 0);
});

test('an unreachable shard is said to be so; nobody is asked in circles', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  await net.round();
  await net.crosslink();
  const [c] = accountsOf(net.genesis, 1, 1) as [number];
  net.node(1).down = true;
  const node = net.node(0);
  for (const [view, method, ...params] of [
    ['network', 'eth_getBalance', hex(addressOf(c))],
    ['network', 'eth_sendRawTransaction', hex(transfer(c, addressOf(c), 0))],
    ['network', 'eth_getTransactionReceipt', `0x${'ab'.repeat(32)}`],
    [1, 'eth_blockNumber'],
  ] as [('network' | number), string, ...string[]][]) {
    const { error } = await net.call(node, view, method, ...params);
    assert.equal(error?.code, -32002, method);
    assert.match(error.message, /shard 1 cannot be reached/);
  }
  const batch = JSON.parse((await node.service.answer(1 as never, new TextEncoder().encode('[{"jsonrpc":"2.0","id":"a","method":"eth_chainId"},{"jsonrpc":"2.0","id":2,"method":"x"}]')))!) as Json[];
  assert.deepEqual(batch.map((each) => [each['id'], (each['error'] as Json)['code']]), [['a', -32002], [2, -32002]]);
  net.node(1).down = false;
  net.asked.length = 0;
  assert.equal(await net.result(net.beaconNode, 1, 'eth_blockNumber'), '0x1');
  assert.deepEqual(net.asked, ['shard-1 rpc']);
  // What another node passes on is answered from the own chain, even if it names the network's methods.
  const json = new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"method":"shard_getBeaconBlocks","params":[1,1]}');
  const items = await new Promise<readonly Uint8Array[] | undefined>((resolve) => net.node(1).service.answerWire({ kind: 'rpc', json }, resolve));
  assert.match(new TextDecoder().decode(items![0]), /-32601/);
});

test('refusals of a submitted transaction come with the customary words', async (t) => {
  const net = await network();
  t.after(() => net.stop());
  const [a, b] = accountsOf(net.genesis, 0, 2) as [number, number];
  const good = transfer(a, addressOf(b), 0);
  const broken = good.slice();
  broken[broken.length - 1] = broken.at(-1)! ^ 1;
  const legacy = { type: 0 as const, nonce: 0, gasPrice: 10n ** 10n, gasLimit: 21_000, to: addressOf(b), value: 1n, data: new Uint8Array(0) };
  const sign = (chainId: number | undefined): Uint8Array => signTransaction({ ...legacy, chainId }, secretOf(a), CRYPTO).raw;
  assert.match((await net.result(net.node(1), 'network', 'eth_sendRawTransaction', hex(good))) as string, /^0x[0-9a-f]{64}$/);
  const cases: [string, RegExp][] = [
    [hex(good), /already known/],
    [hex(transfer(a, addressOf(b), 1, 10n ** 30n)), /insufficient funds for gas \* price \+ value/],
    [hex(sign(99)), /invalid chain id for signer/],
    [hex(sign(undefined)), /replay-protected/],
    ['0x03c0', /type not supported/],
    ['0x02c0', /malformed transaction/],
    ['0x', /malformed transaction/],
  ];
  for (const [raw, words] of cases) {
    for (const node of [net.node(0), net.node(1)]) {
      const { error } = await net.call(node, 'network', 'eth_sendRawTransaction', raw);
      assert.equal(error?.code, -32000, raw);
      assert.match(error.message, words);
    }
  }
  await net.round();
  assert.match((await net.call(net.node(0), 0, 'eth_sendRawTransaction', hex(good))).error?.message ?? '', /nonce too low/);
  net.node(0).pool!.busy = true;
  assert.equal((await net.call(net.node(0), 0, 'eth_sendRawTransaction', hex(transfer(a, addressOf(b), 1)))).error?.code, -32005);
  assert.ok(addressOfSecretKey(secretOf(a), CRYPTO).length === 20 && CHAIN_ID === 1337 && BEACON === 0xffff);
});
