/** Contracts over RPC: calls, estimates, reasons, state of older blocks, access lists; with OpenZeppelin's ERC-20 in real blocks. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Address, decodeHeader, fromHex, toHex, verifyStateProof } from '@shardlab/crosslink';
import { accountsOf, addressOf, CRYPTO } from './chain-store-support.ts';
import { deployerOn, deployToken, errorData, firstContractOf, panicData, revertingCode, signed, SUPPLY, tokenCall, tokenInitcode, TRANSFER, word } from './rpc-contracts-support.ts';
import { TestNetwork } from './rpc-support.ts';

type Json = Record<string, unknown>;

const NOBODY = `0x${'ab'.repeat(20)}`;

async function network(t: TestContext): Promise<TestNetwork> {
  const net = await new TestNetwork().start();
  t.after(() => net.stop());
  return net;
}

function quantity(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** Reads a balance of a token. */
async function balanceOf(net: TestNetwork, token: Address, account: Address, view: 'network' | number = 'network', ...block: unknown[]): Promise<bigint> {
  const call = { to: toHex(token), data: toHex(tokenCall('balanceOf(address)', account)) };
  return BigInt((await net.result(net.node(1), view, 'eth_call', call, ...block)) as string);
}

/** The error of a call of code that stands nowhere. */
async function failure(net: TestNetwork, code: Uint8Array, call: Json = {}): Promise<{ code: number; message: string; data?: unknown } | undefined> {
  const overrides = { [NOBODY]: { code: toHex(code) } };
  return (await net.call(net.node(0), 'network', 'eth_call', { to: NOBODY, ...call }, 'latest', overrides)).error;
}

test('a token is deployed: receipt, code, storage and calls, on every view and node', async (t) => {
  const net = await network(t);
  const { owner, token, hash } = await deployToken(net);
  await net.crosslink();
  for (const node of net.nodes) {
    const receipt = (await net.result(node, 'network', 'eth_getTransactionReceipt', hash)) as Json;
    assert.equal(receipt['status'], '0x1');
    assert.equal(receipt['to'], null);
    assert.equal(receipt['contractAddress'], toHex(token));
    const [log] = receipt['logs'] as Json[];
    assert.deepEqual(log?.['topics'], [TRANSFER, toHex(word(0n)), toHex(word(addressOf(owner)))]);
    assert.equal(log?.['data'], toHex(word(SUPPLY)));
    assert.deepEqual([log?.['blockHash'], log?.['blockNumber'], log?.['transactionIndex'], log?.['logIndex']], [receipt['blockHash'], '0x1', '0x0', '0x0']);
    assert.notEqual(BigInt(receipt['logsBloom'] as string), 0n);
    const code = (await net.result(node, 'network', 'eth_getCode', toHex(token), 'latest')) as string;
    assert.ok(code.length > 2_000);
    assert.equal(await net.result(node, 'network', 'eth_getCode', toHex(token), 'earliest'), '0x');
    // OpenZeppelin's total supply is its third slot.
    assert.equal(await net.result(node, 'network', 'eth_getStorageAt', toHex(token), '0x2', 'latest'), toHex(word(SUPPLY)));
    assert.equal(await net.result(node, 'network', 'eth_getStorageAt', toHex(token), toHex(word(2n)), 'earliest'), toHex(word(0n)));
  }
  const block = (await net.result(net.node(0), 0, 'eth_getBlockByNumber', '0x1')) as Json;
  assert.notEqual(BigInt(block['logsBloom'] as string), 0n);
  assert.equal(await balanceOf(net, token, addressOf(owner)), SUPPLY);
  assert.equal(await balanceOf(net, token, addressOf(owner), 0), SUPPLY);
});

test('a call sees the final state: not what is executed and not stored, and any of the last heights', async (t) => {
  const net = await network(t);
  const { owner, token } = await deployToken(net);
  const [to] = accountsOf(net.genesis, 1, 1).map(addressOf) as [Address];
  for (let nonce = 1; nonce <= 3; nonce++) {
    await net.result(net.node(0), 'network', 'eth_sendRawTransaction', signed(owner, nonce, token, tokenCall('transfer(address,uint256)', to, 100n)));
    await net.block(0);
    if (nonce === 2) await net.crosslink();
  }
  assert.equal(await balanceOf(net, token, to), 300n);
  // A block that nobody has agreed on yet.
  await net.shards[0]!.next([fromHex(signed(owner, 4, token, tokenCall('transfer(address,uint256)', to, 1_000n)))]);
  assert.equal(await balanceOf(net, token, to), 300n);
  for (const [height, balance] of [[4, 300n], [3, 200n], [2, 100n], [1, 0n]] as const) {
    assert.equal(await balanceOf(net, token, to, 0, quantity(height)), balance, `height ${height}`);
    const { hash } = (await net.result(net.node(0), 0, 'eth_getBlockByNumber', quantity(height))) as Json;
    assert.equal(await balanceOf(net, token, to, 0, { blockHash: hash }), balance, `hash of height ${height}`);
  }
  const before = await net.call(net.node(0), 0, 'eth_call', { to: toHex(token), data: toHex(tokenCall('balanceOf(address)', to)) }, 'earliest');
  assert.equal(before.result, '0x', 'there was no contract');
  for (const tag of ['latest', 'safe', 'finalized', 'pending']) assert.equal(await balanceOf(net, token, to, 'network', tag), 300n);
  // The beacon's first block has the shard's first three.
  assert.equal(await balanceOf(net, token, to, 'network', '0x1'), 300n, 'the head of the network is the latest state');
  await net.crosslink();
  assert.equal(await balanceOf(net, token, to, 'network', '0x1'), 200n);
  const { hash } = (await net.result(net.node(0), 'network', 'eth_getBlockByNumber', '0x1')) as Json;
  assert.equal(await balanceOf(net, token, to, 'network', { blockHash: hash }), 200n);
  const missing = await net.call(net.node(0), 'network', 'eth_call', { to: toHex(token) }, '0x99');
  assert.match(missing.error?.message ?? '', /above the head/);
});

test('failures, as wallets expect them', async (t) => {
  const net = await network(t);
  const { token } = await deployToken(net);
  const reason = await failure(net, revertingCode(errorData('not today')));
  assert.deepEqual(reason, { code: 3, message: 'execution reverted: not today', data: toHex(errorData('not today')) });
  const panic = await failure(net, revertingCode(panicData(0x11n)));
  assert.deepEqual(panic, { code: 3, message: 'execution reverted: arithmetic underflow or overflow', data: toHex(panicData(0x11n)) });
  const odd = await failure(net, revertingCode(panicData(0x99n)));
  assert.equal(odd?.message, 'execution reverted: unknown panic code: 0x99');
  const custom = await failure(net, revertingCode(fromHex('0x01020304')));
  assert.deepEqual(custom, { code: 3, message: 'execution reverted', data: '0x01020304' });
  assert.deepEqual(await failure(net, revertingCode(new Uint8Array(0))), { code: 3, message: 'execution reverted', data: '0x' });
  assert.deepEqual(await failure(net, Uint8Array.of(0xfe)), { code: -32_000, message: 'invalid opcode' });
  assert.deepEqual(await failure(net, fromHex('0x5b5f56'), { gas: '0x186a0' }), { code: -32_000, message: 'out of gas' });
  assert.match((await failure(net, Uint8Array.of(0), { gas: '0x5207' }))?.message ?? '', /intrinsic gas too low: have 20999, want 21000/);
  const poor = { from: `0x${'00'.repeat(19)}ff`, to: toHex(token), value: '0x1' };
  assert.match((await net.call(net.node(0), 0, 'eth_call', { ...poor, from: toHex(addressOf(accountsOf(net.genesis, 0, 1)[0]!)), value: '0xffffffffffffffffffffffff' })).error?.message ?? '', /insufficient funds for transfer/);
  assert.match((await net.call(net.node(0), 0, 'eth_call', { ...poor, gasPrice: '0x1', value: '0x0' })).error?.message ?? '', /max fee per gas less than block base fee/);
  assert.match((await net.call(net.node(0), 0, 'eth_call', { ...poor, gasPrice: '0xffffffffff', value: '0x0' })).error?.message ?? '', /insufficient funds for gas \* price \+ value: address 0x/);
  const much = await failure(net, Uint8Array.of(0), { gas: '0x2faf081' });
  assert.equal(much?.code, -32_602);
  assert.match(much?.message ?? '', /at most 50000000/);

  // OpenZeppelin's custom error: ERC20InsufficientBalance(address,uint256,uint256).
  const call = { from: NOBODY, to: toHex(token), data: toHex(tokenCall('transfer(address,uint256)', fromHex(NOBODY), 1n)) };
  for (const method of ['eth_call', 'eth_estimateGas']) {
    const { error } = await net.call(net.node(1), 'network', method, call, 'latest');
    assert.equal(error?.code, 3, method);
    assert.ok(((error as { data?: string }).data ?? '').startsWith('0xe450d38c'), method);
  }
});

test('state overrides: balance, code, and slots, all or some', async (t) => {
  const net = await network(t);
  const { owner, token } = await deployToken(net);
  const supply = { to: toHex(token), data: toHex(tokenCall('totalSupply()')) };
  const seen = async (overrides: unknown): Promise<bigint> => BigInt((await net.result(net.node(1), 'network', 'eth_call', supply, 'latest', overrides)) as string);
  const slot = toHex(word(2n));
  assert.equal(await seen({ [toHex(token)]: { stateDiff: { [slot]: toHex(word(5n)) } } }), 5n);
  assert.equal(await seen({ [toHex(token)]: { state: {} } }), 0n);
  assert.equal(await seen({ [toHex(token)]: { balance: '0x1', nonce: '0x9' } }), SUPPLY);
  assert.equal(await seen({}), SUPPLY, 'nothing of it stays');
  // SELFBALANCE, returned.
  const code = '0x475f5260205ff3';
  const rich = { [NOBODY]: { code, balance: '0x1234' } };
  assert.equal(BigInt((await net.result(net.node(0), 'network', 'eth_call', { to: NOBODY }, 'latest', rich)) as string), 0x1234n);
  const bad = [{ [NOBODY]: { state: {}, stateDiff: {} } }, { [NOBODY]: { kode: '0x' } }, { me: {} }, [], { [NOBODY]: { stateDiff: { '0x1': '0x2' } } }];
  for (const overrides of bad) assert.equal((await net.call(net.node(0), 0, 'eth_call', { to: toHex(token), from: toHex(addressOf(owner)) }, 'latest', overrides)).error?.code, -32_602);
});

test('an estimate is a limit that suffices, and hardly more', async (t) => {
  const net = await network(t);
  const { owner, token } = await deployToken(net);
  const from = toHex(addressOf(owner));
  const data = tokenCall('transfer(address,uint256)', fromHex(NOBODY), 7n);
  const estimate = Number(await net.result(net.node(1), 'network', 'eth_estimateGas', { from, to: toHex(token), data: toHex(data) }));
  await net.result(net.node(0), 'network', 'eth_sendRawTransaction', signed(owner, 1, token, data, estimate));
  await net.block(0);
  const [used] = (await net.result(net.node(0), 0, 'eth_getBlockReceipts', 'latest')) as Json[];
  assert.equal(used?.['status'], '0x1');
  assert.ok(estimate < 1.02 * Number(used['gasUsed']), `${estimate} of ${Number(used['gasUsed'])}`);

  const creation = Number(await net.result(net.node(0), 'network', 'eth_estimateGas', { from, data: toHex(tokenInitcode()) }));
  assert.ok(creation > 500_000 && creation < 2_000_000, `${creation}`);
  assert.equal(await net.result(net.node(0), 'network', 'eth_estimateGas', { from, to: NOBODY, value: '0x1' }), '0x5208');

  const { error } = await net.call(net.node(0), 'network', 'eth_estimateGas', { from, to: NOBODY, data: '0x', gas: '0xc350' }, 'latest', { [NOBODY]: { code: '0x5b5f56' } });
  assert.match(error?.message ?? '', /gas required exceeds allowance \(50000\)/);
  const needed = async (code: string): Promise<number> => Number(await net.result(net.node(0), 'network', 'eth_estimateGas', { from, to: NOBODY }, 'latest', { [NOBODY]: { code } }));
  // It ends well if GAS > 200,000: what it uses is far from enough.
  const greedy = await needed('0x62030d405a11600a57fe5b00');
  assert.ok(greedy > 221_000 && greedy < 226_000, `${greedy}`);
  // It calls itself once, and the callee must have more than 100,000, which is what the caller has but for a 64th (EIP-150).
  const nested = await needed('0x366013575f5f60015f5f305af1601157fe5b005b620186a05a11601e57fe5b00');
  assert.ok(nested > 122_500 && nested < 128_000, `${nested}`);
});

test('access lists: what a call touches, and what it costs with that', async (t) => {
  const net = await network(t);
  const { owner, token } = await deployToken(net);
  const call = { from: toHex(addressOf(owner)), to: toHex(token), data: toHex(tokenCall('transfer(address,uint256)', fromHex(NOBODY), 7n)) };
  const { accessList, gasUsed, error } = (await net.result(net.node(1), 'network', 'eth_createAccessList', call)) as { accessList: { address: string; storageKeys: string[] }[]; gasUsed: string; error?: string };
  assert.equal(error, undefined);
  assert.deepEqual(accessList.map(({ address, storageKeys }) => [address, storageKeys.length]), [[toHex(token), 2]]);
  const plain = Number(await net.result(net.node(1), 'network', 'eth_estimateGas', call));
  // 2,400 and 2 x 1,900 more at first, 2 x 2,000 less when the slots are met.
  assert.equal(Number(gasUsed), plain + 2_400 + 2 * 1_900 - 2 * 2_000);
  const failing = (await net.result(net.node(1), 'network', 'eth_createAccessList', { ...call, from: NOBODY })) as Json;
  assert.equal(failing['error'], 'execution reverted');
});

test('BLOCKHASH and the other words of the block, and what a creation returns', async (t) => {
  const net = await network(t);
  const { token } = await deployToken(net);
  for (let block = 0; block < 3; block++) await net.block(0);
  const head = (await net.result(net.node(0), 0, 'eth_getBlockByNumber', 'latest')) as Json;
  const run = async (code: string, ...block: unknown[]): Promise<string> => {
    const at = block.length === 0 ? ['latest'] : block;
    return (await net.result(net.node(0), 0, 'eth_call', { to: toHex(token), data: '0x' }, ...at, { [toHex(token)]: { code: `0x${code}5f5260205ff3` } })) as string;
  };
  assert.equal(BigInt(await run('43')), BigInt(head['number'] as string), 'NUMBER');
  assert.equal(BigInt(await run('42')), BigInt(head['timestamp'] as string), 'TIMESTAMP');
  assert.equal(await run('44'), head['mixHash'], 'PREVRANDAO');
  assert.equal(BigInt(await run('46')), 1337n, 'CHAINID');
  assert.equal(BigInt(await run('48')), 0n, 'BASEFEE of a free call');
  const second = (await net.result(net.node(0), 0, 'eth_getBlockByNumber', '0x2')) as Json;
  assert.equal(await run('600240'), second['hash'], 'BLOCKHASH of 2');
  assert.equal(BigInt(await run('600240', '0x2')), 0n, 'BLOCKHASH of itself');
  assert.equal(await run('600140', '0x2'), ((await net.result(net.node(0), 0, 'eth_getBlockByNumber', '0x1')) as Json)['hash']);
  // A creation's call answers the code that it would leave.
  assert.equal(await net.result(net.node(0), 0, 'eth_call', { data: '0x60425f5360015ff3' }, 'latest'), '0x42');
});

test('a contract that lives elsewhere than its address says is found there; callers come from any shard', async (t) => {
  const net = await network(t);
  const owner = deployerOn(net.genesis, 0, 1);
  const token = firstContractOf(owner);
  await net.result(net.node(0), 'network', 'eth_sendRawTransaction', signed(owner, 0, undefined, tokenInitcode()));
  for (let round = 0; round < 6; round++) await net.round();
  await net.crosslink();
  const call = { to: toHex(token), data: toHex(tokenCall('totalSupply()')) };
  for (const node of net.nodes) {
    // Twice: the second time the way is known.
    for (let time = 0; time < 2; time++) assert.equal(BigInt((await net.result(node, 'network', 'eth_call', call)) as string), SUPPLY);
    assert.ok(((await net.result(node, 'network', 'eth_getCode', toHex(token))) as string).length > 2_000);
    assert.equal(await net.result(node, 'network', 'eth_getStorageAt', toHex(token), '0x2'), toHex(word(SUPPLY)));
    assert.equal(await net.result(node, 'network', 'eth_getTransactionCount', toHex(token)), '0x1');
    assert.equal(await net.result(node, 'network', 'eth_getBalance', toHex(token)), '0x0');
  }
  for (const [method, ...params] of [['eth_call', call], ['eth_getBalance', toHex(token)], ['eth_getCode', toHex(token)], ['eth_getStorageAt', toHex(token), '0x2'], ['eth_estimateGas', call]] as const) {
    const { error } = await net.call(net.node(1), 1, method, ...params);
    assert.deepEqual(error, { code: -32_010, message: `the contract ${toHex(token)} lives on shard 0: ask there, or on /`, data: { shard: 0 } }, method);
  }
  // A caller of the other shard: his own shard knows what he has.
  const [far] = accountsOf(net.genesis, 1, 1).map((account) => toHex(addressOf(account)));
  const approve = { from: far, to: toHex(token), data: toHex(tokenCall('approve(address,uint256)', fromHex(NOBODY), 1n)) };
  const near = { ...approve, from: toHex(addressOf(owner)) };
  assert.equal(await net.result(net.node(1), 'network', 'eth_estimateGas', approve), await net.result(net.node(1), 'network', 'eth_estimateGas', near));
  const { error } = await net.call(net.node(1), 'network', 'eth_estimateGas', { from: far, to: toHex(addressOf(owner)), value: '0xffffffffffffffffffffffff' });
  assert.match(error?.message ?? '', /insufficient funds for transfer/);
  const foreign = await net.call(net.node(1), 1, 'eth_call', { to: toHex(addressOf(owner)), data: '0x01' });
  assert.deepEqual([foreign.error?.code, /lives on shard 0/.test(foreign.error?.message ?? '')], [3, true], 'code of one shard cannot use an account of another');
});

test('calls that are none get -32602 and one line', async (t) => {
  const net = await network(t);
  const bad: [unknown[], RegExp][] = [
    [['call'], /parameter 1 must be a call/],
    [[{ to: '0x1' }], /"to" must be an address/],
    [[{ from: 7 }], /"from" must be an address/],
    [[{ value: '12' }], /"value" must be wei/],
    [[{ data: '0x1' }], /"data" must be data/],
    [[{ data: '0x01', input: '0x02' }], /both set, and differ/],
    [[{ gasPrice: '0x1', maxFeePerGas: '0x1' }], /exclude each other/],
    [[{ maxFeePerGas: '0x1', maxPriorityFeePerGas: '0x2' }], /is below/],
    [[{ accessList: [{}] }], /accessList/],
    [[{ accessList: [{ address: NOBODY, storageKeys: ['0x1'] }] }], /32 bytes/],
    [[{ blobVersionedHashes: [] }], /no blobs/],
    [[{ authorizationList: [] }], /state overrides/],
    [[{ gas: '0xffffffffffff' }], /at most 50000000/],
    [[{}, 'soon'], /must be a block/],
    [[{}, { blockHash: '0x1' }], /block hash/],
    [[{}, 'latest', 'x'], /state overrides must be an object/],
    [[{}, 'latest', {}, { number: '0x1' }], /block overrides/],
    [[{}, 'latest', {}, {}, {}], /too many parameters/],
  ];
  for (const view of ['network', 0] as const) {
    for (const [params, words] of bad) {
      const { error } = await net.call(net.node(0), view, 'eth_call', ...params);
      assert.equal(error?.code, -32_602, JSON.stringify(params));
      assert.match(error.message, words);
    }
    for (const slot of [7, '2', `0x${'1'.repeat(65)}`]) assert.match((await net.call(net.node(0), view, 'eth_getStorageAt', NOBODY, slot)).error?.message ?? '', /storage slot/);
    assert.match((await net.call(net.node(0), view, 'eth_getBalance', NOBODY, { blockHash: `0x${'11'.repeat(32)}` })).error?.message ?? '', /block not found/);
  }
});

test('proofs of slots hold against the header that comes with them', async (t) => {
  const net = await network(t);
  const { token } = await deployToken(net);
  const proof = (await net.result(net.node(1), 'network', 'shard_getProof', toHex(token), 'latest', ['0x2', '0x99'])) as { header: string; slots: { slot: string; key: string; value: string | null; proof: string }[] };
  const { stateRoot } = decodeHeader(fromHex(proof.header));
  assert.deepEqual(proof.slots.map(({ slot, value }) => [slot, value]), [['0x2', toHex(word(SUPPLY))], ['0x99', null]]);
  for (const { key, value, proof: branch } of proof.slots) {
    const verified = verifyStateProof(CRYPTO, stateRoot, fromHex(key), fromHex(branch));
    assert.deepEqual([verified.ok, verified.ok && verified.value !== undefined ? toHex(verified.value) : null], [true, value]);
  }
  for (const slots of ['0x2', [2], Array.from({ length: 65 }, () => '0x1')]) assert.equal((await net.call(net.node(0), 0, 'shard_getProof', toHex(token), 'latest', slots)).error?.code, -32_602);
  assert.equal((await net.call(net.node(0), 'network', 'eth_getProof', toHex(token), [], 'latest')).error?.code, -32_004);
});
