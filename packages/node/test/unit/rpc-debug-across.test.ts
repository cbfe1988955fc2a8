/** Traces over RPC of what crosses shards: each shard's node tells what ran on its shard. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Address, toHex } from '@shardlab/crosslink';
import { BATCH_TYPE, type BatchCall, signTransaction } from '@shardlab/shard';
import { accountsOf, addressOf, CHAIN_ID, CRYPTO, secretOf, transfer } from './chain-store-support.ts';
import { deployToken, signed, tokenCall, tokenInitcode, TRANSFER, word } from './rpc-contracts-support.ts';
import { TestNetwork } from './rpc-support.ts';

type Json = Record<string, unknown>;

interface Frame {
  readonly type: string;
  readonly from: string;
  readonly to?: string;
  readonly value: string;
  readonly gas: string;
  readonly gasUsed: string;
  readonly input: string;
  readonly error?: string;
  readonly logs?: readonly { readonly topics: readonly string[] }[];
  readonly calls?: readonly Frame[];
}

const CALLS = { tracer: 'callTracer', tracerConfig: { withLog: true } };
const PRIORITY_FEE = 1_000_000_000n;

async function network(t: TestContext): Promise<TestNetwork> {
  const net = await new TestNetwork(2, 40).start();
  t.after(() => net.stop());
  return net;
}

async function send(net: TestNetwork, shard: number, raw: string): Promise<string> {
  return (await net.result(net.node(shard), shard, 'eth_sendRawTransaction', raw)) as string;
}

async function rounds(net: TestNetwork, count = 5): Promise<void> {
  for (let n = 0; n < count; n++) await net.round();
}

function trace(net: TestNetwork, shard: number, hash: string, options: object = CALLS): Promise<Frame> {
  return net.result(net.node(shard), shard, 'debug_traceTransaction', hash, options) as Promise<Frame>;
}

function batch(from: number, nonce: number, calls: readonly BatchCall[]): string {
  const fees = { maxPriorityFeePerGas: PRIORITY_FEE, maxFeePerGas: 4n * PRIORITY_FEE };
  return toHex(signTransaction({ type: BATCH_TYPE, chainId: CHAIN_ID, nonce, ...fees, gasLimit: 1_000_000, calls }, secretOf(from), CRYPTO).raw);
}

async function receiptOf(net: TestNetwork, shard: number, hash: string): Promise<Json> {
  return (await net.result(net.node(shard), shard, 'eth_getTransactionReceipt', hash)) as Json;
}

test('a call of another shard: its steps there, where it was sent from only what it costs, on / what the coordinator has', async (t) => {
  const net = await network(t);
  const { owner, token } = await deployToken(net);
  const caller = accountsOf(net.genesis, 1, 1)[0]!;
  const fund = await send(net, 0, signed(owner, 1, token, tokenCall('transfer(address,uint256)', addressOf(caller), 100n)));
  await net.round();
  const data = tokenCall('transfer(address,uint256)', addressOf(owner), 30n);
  const good = await send(net, 1, signed(caller, 0, token, data));
  const bad = await send(net, 1, signed(caller, 1, token, tokenCall('transfer(address,uint256)', addressOf(owner), 1_000n)));
  const plain = await send(net, 1, toHex(transfer(caller, addressOf(owner), 2, 5n)));
  await rounds(net);
  assert.deepEqual(await Promise.all([good, bad, plain].map(async (hash) => (await receiptOf(net, 1, hash))['status'])), ['0x1', '0x0', '0x1']);

  const there = await trace(net, 0, good);
  assert.deepEqual([there.type, there.from, there.to, there.value, there.input, there.error], ['CALL', toHex(addressOf(caller)), toHex(token), '0x0', toHex(data), undefined]);
  assert.deepEqual(there.logs?.map(({ topics }) => topics), [[TRANSFER, toHex(word(addressOf(caller))), toHex(word(addressOf(owner)))]]);
  const home = await trace(net, 1, good);
  assert.deepEqual([home.type, home.to, home.gas, home.calls, home.logs, home.error], ['CALL', toHex(token), '0x1e8480', undefined, undefined, undefined]);
  assert.equal(Number(there.gasUsed) + Number(home.gasUsed), Number((await receiptOf(net, 1, good))['gasUsed']), 'what both shards used is what the receipt says');
  await net.crosslink();
  assert.deepEqual(await net.result(net.node(0), 'network', 'debug_traceTransaction', good, CALLS), home);

  const reverted = await trace(net, 0, bad);
  assert.deepEqual([reverted.error, reverted.logs], ['execution reverted', undefined]);
  const steps = (await net.result(net.node(0), 0, 'debug_traceTransaction', bad)) as { failed: boolean; returnValue: string; structLogs: { op: string }[] };
  // ERC20InsufficientBalance(address,uint256,uint256)
  assert.deepEqual([steps.failed, steps.returnValue.slice(0, 8), steps.structLogs.at(-1)?.op], [true, 'e450d38c', 'REVERT']);
  const intrinsicGas = Number((await receiptOf(net, 1, bad))['gasUsed']) - Number(reverted.gasUsed);
  assert.deepEqual(await net.result(net.node(1), 1, 'debug_traceTransaction', bad), { gas: intrinsicGas, failed: false, returnValue: '', structLogs: [] });

  const credit = await trace(net, 0, plain);
  assert.deepEqual([credit.type, credit.from, credit.to, credit.value, credit.gasUsed], ['CALL', toHex(addressOf(caller)), toHex(addressOf(owner)), '0x5', '0x0']);
  const { error } = await net.call(net.node(1), 1, 'debug_traceTransaction', fund);
  assert.match(error?.message ?? '', /^transaction not found/, 'the other shard had no part in it');
});

test('an atomic batch: on each shard the calls that ran there; and the blocks that it was in', async (t) => {
  const net = await network(t);
  const { owner, token } = await deployToken(net);
  const [sender, maker] = accountsOf(net.genesis, 1, 40).slice(0, 2) as [number, number];
  const creation = await send(net, 1, signed(maker, 0, undefined, tokenInitcode()));
  await net.round();
  await rounds(net);
  const made = (await receiptOf(net, 1, creation))['contractAddress'] as string;
  const here = Uint8Array.from(Buffer.from(made.slice(2), 'hex')) as Address;
  const data = tokenCall('balanceOf(address)', addressOf(owner));
  const one = { value: 0n, gasLimit: 100_000, data };
  const hash = await send(net, 1, batch(sender, 0, [{ to: token, ...one }, { to: here, ...one }, { to: token, ...one }]));
  const local = await send(net, 1, batch(sender, 1, [{ to: here, ...one }, { to: here, ...one, data: tokenCall('transfer(address,uint256)', addressOf(owner), 1n) }]));
  await rounds(net);
  const [there, home] = [await trace(net, 0, hash), await trace(net, 1, hash)];
  assert.deepEqual([there, home].map(({ type, to, calls }) => [type, to, calls?.map((call) => [call.from, call.to])]), [
    ['BATCH', undefined, [[toHex(addressOf(sender)), toHex(token)], [toHex(addressOf(sender)), toHex(token)]]],
    ['BATCH', undefined, [[toHex(addressOf(sender)), made]]],
  ]);
  assert.equal(Number(there.gasUsed) + Number(home.gasUsed), Number((await receiptOf(net, 1, hash))['gasUsed']));
  // The sender has no tokens: the second call fails, and with it the whole.
  const failed = await trace(net, 1, local);
  assert.deepEqual([failed.error, failed.calls?.map((call) => call.error), failed.gasUsed], ['execution reverted', [undefined, 'execution reverted'], (await receiptOf(net, 1, local))['gasUsed']]);

  // The block of the participant in which the batch was prepared, and the coordinator's.
  const found = async (shard: number): Promise<{ height: number; traces: { txHash: string; result: Frame }[] }[]> => {
    const head = Number(await net.result(net.node(shard), shard, 'eth_blockNumber'));
    const out: { height: number; traces: { txHash: string; result: Frame }[] }[] = [];
    for (let height = 1; height <= head; height++) {
      const traces = (await net.result(net.node(shard), shard, 'debug_traceBlockByNumber', `0x${height.toString(16)}`, CALLS)) as { txHash: string; result: Frame }[];
      if (traces.some(({ txHash }) => txHash === hash)) out.push({ height, traces });
    }
    return out;
  };
  const [participant] = await found(0);
  assert.deepEqual(participant?.traces, [{ txHash: hash, result: there }]);
  const [coordinator, ...more] = await found(1);
  assert.deepEqual([coordinator?.traces, more], [[{ txHash: hash, result: home }, { txHash: local, result: failed }], []]);
  const { hash: blockHash } = (await net.result(net.node(1), 1, 'eth_getBlockByNumber', `0x${coordinator!.height.toString(16)}`)) as { hash: string };
  assert.deepEqual(await net.result(net.node(1), 1, 'debug_traceBlockByHash', blockHash, CALLS), coordinator!.traces);
  const genesis = await net.call(net.node(1), 1, 'debug_traceBlockByNumber', '0x0');
  const future = await net.call(net.node(1), 1, 'debug_traceBlockByNumber', '0xffff');
  assert.deepEqual([genesis.error?.message, future.error?.message], ['genesis is not traceable', 'block 65535 not found']);
});

test('traces are made one after the other, and only so many wait', async (t) => {
  const net = await network(t);
  const { hash } = await deployToken(net);
  const answers = await Promise.all(Array.from({ length: 40 }, () => net.call(net.node(0), 0, 'debug_traceTransaction', hash, CALLS)));
  const refused = answers.filter(({ error }) => error !== undefined);
  assert.deepEqual(refused.map(({ error }) => error?.code), Array.from({ length: 8 }, () => -32_005));
  assert.equal((await trace(net, 0, hash)).type, 'CREATE');
});

test('a trace of what is older than the kept states is refused in one line', async (t) => {
  const net = await network(t);
  const { hash } = await deployToken(net);
  const caller = accountsOf(net.genesis, 1, 1)[0]!;
  const across = await send(net, 1, toHex(transfer(caller, addressOf(accountsOf(net.genesis, 0, 1)[0]!), 0, 5n)));
  await rounds(net);
  assert.equal((await trace(net, 0, hash)).type, 'CREATE');
  assert.equal((await trace(net, 0, across)).type, 'CALL');
  for (let n = 0; n < 256; n++) await net.block(0);
  for (const height of ['0x1', '0x2']) assert.match((await net.call(net.node(0), 0, 'debug_traceBlockByNumber', height)).error?.message ?? '', /^missing historical state/);
  assert.match((await net.call(net.node(0), 0, 'debug_traceTransaction', hash)).error?.message ?? '', /^missing historical state/);
  assert.match((await net.call(net.node(0), 0, 'debug_traceTransaction', across)).error?.message ?? '', /^transaction not found: this shard has neither taken it in nor voted on it in its latest 256 blocks$/);
});
