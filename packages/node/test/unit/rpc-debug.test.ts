/** Traces over RPC: with go-ethereum's names, of transactions in the middle of blocks, and bounded. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Address, fromHex, toHex } from '@shardlab/crosslink';
import { CallTracer, StructLogger, TraceBound } from '@shardlab/shard';
import { accountsOf, addressOf, transfer } from './chain-store-support.ts';
import { deployToken, errorData, revertingCode, signed, tokenCall, TRANSFER, word } from './rpc-contracts-support.ts';
import { TestNetwork } from './rpc-support.ts';

type Json = Record<string, unknown>;

interface Struct {
  readonly gas: number;
  readonly failed: boolean;
  readonly returnValue: string;
  readonly structLogs: readonly { pc: number; op: string; gas: number; gasCost: number; depth: number; stack?: string[]; memory?: string[]; storage?: Record<string, string>; error?: string }[];
}

async function network(t: TestContext): Promise<TestNetwork> {
  const net = await new TestNetwork().start();
  t.after(() => net.stop());
  return net;
}

/** A block with a token transfer behind two transactions on which it depends. */
async function dependentBlock(net: TestNetwork): Promise<{ owner: number; token: Address; hashes: string[]; middle: Address }> {
  const { owner, token } = await deployToken(net);
  const other = accountsOf(net.genesis, 0, 20).find((account) => account !== owner && account > owner)!;
  const give = tokenCall('transfer(address,uint256)', addressOf(other), 50n);
  const on = tokenCall('transfer(address,uint256)', addressOf(owner), 20n);
  const raws = [signed(owner, 1, token, give), toHex(transfer(owner, addressOf(other), 2, 5n)), signed(other, 0, token, on), signed(owner, 3, token, tokenCall('transfer(address,uint256)', fromHex(`0x${'00'.repeat(20)}`), 1n))];
  const hashes: string[] = [];
  for (const raw of raws) hashes.push((await net.result(net.node(0), 0, 'eth_sendRawTransaction', raw)) as string);
  // In this order: who depends on whom matters.
  const record = await net.shards[0]!.next(raws.map((raw) => fromHex(raw)));
  await net.put(net.node(0), record);
  return { owner, token, hashes, middle: addressOf(other) };
}

test('struct logs of a transaction whose funds came in the same block', async (t) => {
  const net = await network(t);
  const { hashes, token } = await dependentBlock(net);
  const receipt = (await net.result(net.node(0), 0, 'eth_getTransactionReceipt', hashes[2])) as Json;
  assert.equal(receipt['status'], '0x1');
  const trace = (await net.result(net.node(1), 'network', 'debug_traceTransaction', hashes[2])) as Struct;
  assert.deepEqual([trace.gas, trace.failed, BigInt(`0x${trace.returnValue}`)], [Number(receipt['gasUsed']), false, 1n]);
  const { structLogs } = trace;
  assert.deepEqual(Object.keys(structLogs[0]!), ['pc', 'op', 'gas', 'gasCost', 'depth', 'stack']);
  assert.deepEqual([structLogs[0]!.pc, structLogs[0]!.op, structLogs[0]!.depth, structLogs[0]!.stack], [0, 'PUSH1', 1, []]);
  structLogs.forEach((log, index) => {
    const next = structLogs[index + 1];
    if (next !== undefined) assert.equal(log.gas - log.gasCost, next.gas, `${log.op} at ${log.pc}`);
  });
  assert.equal(structLogs.at(-1)?.op, 'RETURN');
  const loads = structLogs.filter(({ op }) => op === 'SLOAD' || op === 'SSTORE');
  assert.ok(loads.length >= 4 && loads.every(({ storage }) => Object.keys(storage ?? {}).length > 0));
  assert.ok(Object.values(loads[0]!.storage!).includes(word(50n).reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), '')), 'what the first transaction gave');
  const bare = (await net.result(net.node(0), 0, 'debug_traceTransaction', hashes[2], { disableStack: true, disableStorage: true, enableMemory: true, limit: 12 })) as Struct;
  assert.equal(bare.structLogs.length, 12);
  assert.ok(bare.structLogs.every(({ stack, storage }) => stack === undefined && storage === undefined));
  assert.match(bare.structLogs.at(-1)?.memory?.[0] ?? '', /^[0-9a-f]{64}$/);
  assert.equal(bare.gas, trace.gas);
  const plain = (await net.result(net.node(0), 0, 'debug_traceTransaction', hashes[1])) as Struct;
  assert.deepEqual(plain, { gas: 21_000, failed: false, returnValue: '', structLogs: [] });
  assert.equal(toHex(token).length, 42);
});

test('the tree of calls, with logs and reasons', async (t) => {
  const net = await network(t);
  const { hashes, token, middle, owner } = await dependentBlock(net);
  const calls = (await net.result(net.node(1), 'network', 'debug_traceTransaction', hashes[2], { tracer: 'callTracer', tracerConfig: { withLog: true } })) as Json;
  assert.deepEqual([calls['type'], calls['from'], calls['to'], calls['value'], calls['error']], ['CALL', toHex(middle), toHex(token), '0x0', undefined]);
  const receipt = (await net.result(net.node(0), 0, 'eth_getTransactionReceipt', hashes[2])) as Json;
  assert.deepEqual([calls['gas'], calls['gasUsed']], ['0x1e8480', receipt['gasUsed']]);
  assert.deepEqual(calls['logs'], [{ address: toHex(token), topics: [TRANSFER, toHex(word(middle)), toHex(word(addressOf(owner)))], data: toHex(word(20n)), position: '0x0' }]);
  // OpenZeppelin refuses the zero address: ERC20InvalidReceiver(address).
  const failed = (await net.result(net.node(0), 0, 'debug_traceTransaction', hashes[3], { tracer: 'callTracer', tracerConfig: { withLog: true } })) as Json;
  assert.deepEqual([failed['error'], failed['output'], failed['logs']], ['execution reverted', `0xec442f05${'00'.repeat(32)}`, undefined]);
  const creation = (await net.result(net.node(0), 0, 'eth_getBlockByNumber', '0x1')) as { transactions: string[] };
  const made = (await net.result(net.node(0), 0, 'debug_traceTransaction', creation.transactions[0], { tracer: 'callTracer' })) as Json;
  assert.deepEqual([made['type'], made['to'], made['output']], ['CREATE', toHex(token), await net.result(net.node(0), 0, 'eth_getCode', toHex(token))]);
});

test('a call is traced without being made: what it calls, and why that reverts', async (t) => {
  const net = await network(t);
  const { token } = await deployToken(net);
  const outer = `0x${'0e'.repeat(20)}`;
  const inner = `0x${'1e'.repeat(20)}`;
  // Calls `inner` with all gas, and ends well.
  const code = `0x5f5f5f5f5f73${inner.slice(2)}5af15000`;
  const stateOverrides = { [outer]: { code }, [inner]: { code: toHex(revertingCode(errorData('no'))) } };
  const trace = (await net.result(net.node(0), 0, 'debug_traceCall', { to: outer }, 'latest', { tracer: 'callTracer', stateOverrides })) as { calls: Json[]; error?: string };
  assert.equal(trace.error, undefined);
  assert.deepEqual(trace.calls.map(({ type, from, to, error, revertReason }) => [type, from, to, error, revertReason]), [['CALL', outer, inner, 'execution reverted', 'no']]);
  const top = (await net.result(net.node(0), 0, 'debug_traceCall', { to: outer }, 'latest', { tracer: 'callTracer', tracerConfig: { onlyTopCall: true }, stateOverrides })) as Json;
  assert.equal(top['calls'], undefined);
  const steps = (await net.result(net.node(1), 0, 'debug_traceCall', { to: outer }, 'latest', { stateOverrides })) as Struct;
  assert.deepEqual([...new Set(steps.structLogs.map(({ depth }) => depth))], [1, 2]);
  const broken = (await net.result(net.node(0), 0, 'debug_traceCall', { to: outer }, 'latest', { stateOverrides: { [outer]: { code: '0x01' } } })) as Struct;
  assert.deepEqual([broken.failed, broken.structLogs.at(-1)?.error], [true, 'stack underflow']);
  const onNetwork = (await net.result(net.node(1), 'network', 'debug_traceCall', { to: toHex(token), data: toHex(tokenCall('totalSupply()')) }, 'latest', {})) as Struct;
  assert.equal(onNetwork.failed, false);
});

test('traces are bounded, and bad options get an answer', async (t) => {
  const net = await network(t);
  const { token, hash } = await deployToken(net);
  const looping = { [toHex(token)]: { code: '0x5b5f50600056' } };
  for (const options of [{}, { tracer: 'callTracer' }]) {
    const { error } = await net.call(net.node(0), 0, 'debug_traceCall', { to: toHex(token) }, 'latest', { ...options, stateOverrides: looping });
    assert.equal(error?.code, -32_005, error?.message);
  }
  // The next run knows nothing of the one that was broken off.
  const supply = { to: toHex(token), data: toHex(tokenCall('totalSupply()')) };
  assert.notEqual(BigInt((await net.result(net.node(0), 0, 'eth_call', supply)) as string), 0n);
  for (const options of [{ tracer: 'prestateTracer' }, { limit: -1 }, { enableMemory: 'yes' }, { tracer: 'callTracer', tracerConfig: { withLog: 1 } }, 'all']) {
    assert.equal((await net.call(net.node(0), 0, 'debug_traceTransaction', hash, options)).error?.code, -32_602, JSON.stringify(options));
  }
  for (const view of ['network', 0] as const) assert.match((await net.call(net.node(0), view, 'debug_traceTransaction', `0x${'77'.repeat(32)}`)).error?.message ?? '', /transaction not found/);
  assert.throws(() => new CallTracer({ onlyTopCall: false, withLog: false }, new TraceBound({ charactersMax: 10, stepsMax: 10 })).enter({ kind: 'CALL', from: token, to: token, value: 0n, gas: 1, input: new Uint8Array(9), depth: 0 }), { code: 'trace/too-large' });
  assert.equal(new StructLogger({ disableStack: false, disableStorage: false, enableMemory: false, enableReturnData: false, limit: 0 }).logs.length, 0);
});
