/** Blocks that are executed once more, and what their traces tell on each side of a cross-shard transaction. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, bytesKey, concatBytes, type Genesis, Prng, type ShardId, toHex, type TxHash } from '@shardlab/crosslink';
import { recoverAuthority } from '../../src/execution/evm/authorizations.ts';
import { createAddress } from '../../src/execution/evm/creations.ts';
import { CallTracer } from '../../src/execution/evm/trace/call-tracer.ts';
import { StructLogger } from '../../src/execution/evm/trace/struct-logger.ts';
import { TraceBound } from '../../src/execution/evm/trace/trace-bound.ts';
import type { PoolTransaction } from '../../src/transaction/types.ts';
import { testCrypto } from '../support/crypto.ts';
import { byHome, testGenesis } from '../support/genesis.ts';
import { HandNetwork } from '../support/hand-network.ts';
import { CHAIN_ID } from '../support/transactions.ts';
import { Account, COUNTER, FACTORY, FORWARDER, initcodeOf, Past, REVERTER } from './replay-support.ts';

const base = testCrypto();
/** Whoever signed follows from what was signed, and with what. */
const crypto: typeof base = {
  ...base,
  recoverPublicKey: (hash, signature, _recoveryId, output) => {
    output.fill(4);
    output.set(base.sha256(concatBytes(hash, signature)), 1);
    return true;
  },
};
const CALLS = { onlyTopCall: false, withLog: true };
const STEPS = { disableStack: true, disableStorage: false, enableMemory: false, enableReturnData: false, limit: 0 };

interface Lab {
  readonly network: HandNetwork;
  readonly past: Past;
  /** Accounts of each shard. */
  readonly accounts: readonly (readonly Account[])[];
  /** Contracts on shard 1, each made by an account of its own. */
  readonly counter: Address;
  readonly reverter: Address;
  readonly factory: Address;
  readonly forwarder: Address;
}

/** Three shards; contracts on shard 1, wherever the rule would have them: some have stubs. */
function lab(forks: Genesis['forks'] = 'cancun'): Lab {
  const { genesis: plain, table, addresses } = testGenesis(crypto, { shards: 3, accounts: 40 });
  const genesis = { ...plain, forks };
  const network = new HandNetwork(crypto, genesis);
  const accounts = byHome(table, addresses).map((each) => each.map((address) => new Account(crypto, address)));
  const makers = accounts[1]!.splice(0, 4);
  network.settle(...[COUNTER, REVERTER, FACTORY, FORWARDER].map((code, index) => makers[index]!.call(undefined, initcodeOf(code))));
  const [counter, reverter, factory, forwarder] = makers.map(({ address }) => createAddress(crypto, address, 0n));
  return { network, past: new Past(crypto, genesis, network), accounts, counter: counter!, reverter: reverter!, factory: factory!, forwarder: forwarder! };
}

const HERE = 0 as ShardId;
const THERE = 1 as ShardId;

/** The only part of a transaction that a shard has seen. */
function onlyPart(past: Past, shard: ShardId, tx: PoolTransaction, tracer: CallTracer | StructLogger): ReturnType<Past['seen']>[number]['part'] {
  const seen = past.seen(shard, tx, () => tracer);
  assert.equal(seen.length, 1);
  return seen[0]!.part;
}

/** The frame of a trace whose outermost call is all there is. */
function treeOf(tracer: CallTracer): ReturnType<CallTracer['result']> {
  const nobody = new Uint8Array(20) as Address;
  return tracer.result({ type: 'CALL', from: nobody, to: nobody, value: 0n, input: new Uint8Array(0), gas: 1, gasUsed: 1, error: undefined });
}

test('every block of a busy network is executed again as it was', () => {
  const { network, past, accounts, counter, reverter, factory, forwarder } = lab();
  const prng = new Prng(11);
  const all = accounts.flat();
  const targets = [counter, counter, reverter, factory, forwarder, ...all.slice(0, 4).map(({ address }) => address)];
  for (let round = 0; round < 12; round++) {
    const busy = new Set<Account>();
    const txs: PoolTransaction[] = [];
    for (let n = 0; n < 10; n++) {
      const from = all[prng.below(all.length)]!;
      // A shard's own transactions would wait for the locks of each other's stubs.
      const local = accounts[1]!.includes(from);
      if (busy.has(from) || (local && accounts[1]!.some((account) => busy.has(account)))) continue;
      busy.add(from);
      const pick = (): Address => targets[prng.below(targets.length)]!;
      const to = pick();
      const data = to === factory ? initcodeOf(COUNTER) : to === forwarder ? new Uint8Array([...new Uint8Array(12), ...pick()]) : new Uint8Array(prng.below(3));
      const value = BigInt(prng.below(5));
      const kind = prng.below(5);
      txs.push(kind === 0 ? from.batch({ to }, { to: pick(), value }, { to: counter }) : kind === 1 ? from.call(undefined, initcodeOf(COUNTER)) : from.call(to, data, value));
    }
    network.settle(...txs);
  }
  const kinds = new Set<string>();
  for (const { shard } of network.shards) {
    for (const block of past.blocks(shard)) {
      for (const { part } of past.replay(block, () => undefined).values()) if (part !== undefined) kinds.add(`${part.operation.kind} ${part.outcome.kind}`);
      // With every run followed the block is the same.
      past.replay(block, () => new CallTracer(CALLS));
    }
  }
  const reasons = new Set(network.blocks.flatMap(({ events }) => events.map(({ reason }) => reason)));
  for (const reason of ['moved', 'needs', 'conflict', 'reverted'] as const) assert.ok(reasons.has(reason), reason);
  for (const kind of ['transfer yes', 'call yes', 'call no', 'create yes', 'call needs']) assert.ok(kinds.has(kind), `${kind} among ${[...kinds].join(', ')}`);
});

test('on another past not the same block comes of it, and no trace', () => {
  const { network, past, accounts, counter } = lab();
  network.settle(accounts[1]![0]!.call(counter), accounts[0]![0]!.call(counter, Uint8Array.of(1)));
  const blocks = past.blocks(THERE);
  const called = blocks.find(({ events, receipts }) => receipts.length > 0 && events.length > 0 && receipts[0]!.logs.length > 0)!;
  past.replay(called);
  assert.throws(() => past.replay(called, () => undefined, called.header.height), { code: 'trace/differs' });
  assert.throws(() => past.replay({ ...called, hash: crypto.sha256(called.hash) }), { code: 'trace/differs' });
  const small = new TraceBound({ charactersMax: 1 << 20, stepsMax: 3 });
  assert.throws(() => past.replay(called, () => new StructLogger(STEPS, small)), { code: 'trace/too-long' });
});

test('a call of another shard is traced where it runs, and not where it is sent from', () => {
  const { network, past, accounts, counter, reverter } = lab();
  const [caller, unlucky] = [accounts[0]![0]!, accounts[0]![1]!];
  const tx = caller.call(counter, Uint8Array.of(7), 0n);
  const bad = unlucky.call(reverter, Uint8Array.of(8), 3n);
  network.settle(tx, bad);
  assert.deepEqual([network.receipt(tx).status, network.receipt(bad).status], [1, 0]);
  assert.deepEqual(past.seen(HERE, tx, () => assert.fail('nothing runs here')), []);

  const calls = new CallTracer(CALLS);
  const { run, part } = onlyPart(past, THERE, tx, calls);
  assert.deepEqual([run?.halt, part?.operation.kind, part?.outcome.kind], [undefined, 'call', 'yes']);
  const tree = treeOf(calls);
  assert.deepEqual([tree.type, tree.from, tree.to, tree.input, tree.error], ['CALL', toHex(caller.address), toHex(counter), '0x07', undefined]);
  assert.deepEqual(tree.logs, [{ address: toHex(counter), topics: [], data: '0x', position: '0x0' }]);
  const steps = new StructLogger(STEPS);
  onlyPart(past, THERE, tx, steps);
  assert.deepEqual(steps.logs.map(({ op }) => op), ['PUSH0', 'SLOAD', 'PUSH1', 'ADD', 'PUSH0', 'SSTORE', 'PUSH0', 'PUSH0', 'LOG0', 'STOP']);
  assert.equal(steps.logs.at(-1)!.gas, tx.gasLimit - tx.intrinsicGas - steps.logs.reduce((sum, { gasCost }) => sum + gasCost, 0));

  const failed = new CallTracer(CALLS);
  const refused = onlyPart(past, THERE, bad, failed);
  assert.deepEqual([refused.run?.halt, refused.part?.outcome.kind], ['revert', 'no']);
  assert.deepEqual([treeOf(failed).error, treeOf(failed).value], ['execution reverted', '0x3']);
  assert.equal(refused.run?.gasUsed, network.receipt(bad).gasUsed - bad.intrinsicGas);
});

test('an atomic batch is traced on each of its shards, call by call', () => {
  const { network, past, accounts, counter, forwarder } = lab();
  const [sender, maker] = [accounts[0]![0]!, accounts[0]![1]!];
  const own = createAddress(crypto, maker.address, 0n);
  network.settle(maker.call(undefined, initcodeOf(COUNTER)));
  const tx = sender.batch({ to: counter }, { to: own }, { to: forwarder, value: 5n, data: new Uint8Array([...new Uint8Array(12), ...accounts[2]![0]!.address]) });
  network.settle(tx);
  assert.equal(network.receipt(tx).status, 1);
  const [home, away] = [new CallTracer(CALLS), new CallTracer(CALLS)];
  const parts = [onlyPart(past, HERE, tx, home), onlyPart(past, THERE, tx, away)];
  const whole = { type: 'BATCH' as const, from: sender.address, to: undefined, value: 5n, input: new Uint8Array(0), gas: tx.gasLimit, gasUsed: 1, error: undefined };
  assert.deepEqual([home, away].map((tracer) => tracer.result(whole).calls?.map(({ to, value }) => [to, value])), [[[toHex(own), '0x0']], [[toHex(counter), '0x0'], [toHex(forwarder), '0x5']]]);
  const used = parts.reduce((sum, { run }) => sum + run!.gasUsed, tx.intrinsicGas);
  assert.equal(used, network.receipt(tx).gasUsed);
  // A whole that failed has emitted nothing.
  assert.equal(away.result({ ...whole, error: 'reverted' }).calls?.some(({ logs }) => logs !== undefined), false);

  // All calls at home: a transaction like any other.
  const local = sender.batch({ to: own }, { to: own });
  network.settle(local);
  const logger = new StructLogger(STEPS);
  const seen = onlyPart(past, HERE, local, logger);
  assert.deepEqual([seen.part, seen.run?.gasUsed], [undefined, network.receipt(local).gasUsed]);
  assert.equal(logger.logs.filter(({ op }) => op === 'SSTORE').length, 2);
});

test('a contract whose stub another shard keeps is traced as what it became', () => {
  const { network, past, accounts, factory } = lab();
  const txs = accounts[1]!.slice(0, 6).map((account) => account.call(factory, initcodeOf(COUNTER)));
  for (const tx of txs) network.settle(tx);
  const before = past.blocks(THERE).flatMap((block) => [...past.replay(block, () => new CallTracer(CALLS)).values()]);
  for (const tx of txs) {
    assert.equal(network.receipt(tx).status, 1);
    const runs = before.filter(({ txHash }) => bytesKey(txHash) === tx.hashKey);
    assert.deepEqual([...new Set(runs.map(({ run }) => run?.halt))], [undefined]);
    assert.equal(runs.some(({ part }) => part !== undefined), network.receipt(tx).crossShard);
  }
  assert.ok(txs.some((tx) => network.receipt(tx).crossShard));
});

/** An authorization of an account that lives on `shard`, and that account. */
function authorization(network: HandNetwork, shard: ShardId, address: Address): { readonly authority: Address; readonly signed: Parameters<Account['setCode']>[1][number] } {
  for (let r = 1n; r < 100n; r++) {
    const signed = { chainId: BigInt(CHAIN_ID), address, nonce: 0n, yParity: 0, r, s: 1n };
    const authority = recoverAuthority(signed, signed, crypto);
    if (authority !== undefined && network.shardOf(authority).shard === shard) return { authority, signed };
  }
  throw new Error('no such account');
}

test('a set-code transaction and the code that it sets are traced', () => {
  const { network, past, accounts, counter } = lab('prague');
  const [sender, caller] = [accounts[1]![0]!, accounts[1]![1]!];
  const { authority, signed } = authorization(network, THERE, counter);
  const tx = sender.setCode(authority, [signed]);
  network.settle(tx);
  assert.equal(network.receipt(tx).status, 1);
  const calls = new CallTracer(CALLS);
  const { run } = onlyPart(past, THERE, tx, calls);
  assert.equal(run?.gasUsed, network.receipt(tx).gasUsed);
  assert.deepEqual([treeOf(calls).to, treeOf(calls).logs?.[0]?.address], [toHex(authority), toHex(authority)]);
  // The delegation is found in the state before the block.
  const second = caller.call(authority);
  network.settle(second);
  const steps = new StructLogger(STEPS);
  onlyPart(past, THERE, second, steps);
  assert.equal(steps.logs.find(({ op }) => op === 'SSTORE')?.storage?.['0'.repeat(64)], `${'0'.repeat(63)}2`);
  // Sent to another shard: the authorization counts at home, and the call is traced there.
  const own = authorization(network, HERE, counter);
  const away = accounts[0]![0]!.setCode(counter, [own.signed]);
  network.settle(away);
  assert.equal(network.shards[0]!.state.code(bytesKey(own.authority)).length, 23);
  assert.equal(onlyPart(past, THERE, away, new CallTracer(CALLS)).part?.outcome.kind, 'yes');
  for (const { shard } of network.shards) for (const block of past.blocks(shard)) past.replay(block);
});

test('what is asked for is what is followed', () => {
  const { network, past, accounts, counter } = lab();
  const txs = accounts[1]!.slice(0, 3).map((account) => account.call(counter));
  network.settle(...txs);
  const block = past.blocks(THERE).find(({ transactions }) => transactions.length === 3)!;
  const asked: string[] = [];
  const seen = past.replay(block, (hash: TxHash) => {
    asked.push(toHex(hash));
    return toHex(hash) === toHex(txs[1]!.hash) ? new CallTracer(CALLS) : undefined;
  });
  assert.deepEqual(asked, txs.map(({ hash }) => toHex(hash)));
  assert.deepEqual([...seen.keys()], [txs[1]!.hashKey]);
});
