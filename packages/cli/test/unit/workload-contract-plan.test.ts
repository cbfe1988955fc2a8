import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { shardByRule, toHex } from '@shardlab/crosslink';
import { createCrypto, type NodeCrypto } from '@shardlab/node';
import { decodeFunctionData, getContractAddress, getCreate2Address, type Hex, keccak256, parseTransaction } from 'viem';
import { addressAt, type AccountSet, deriveAccounts, homeShards } from '../../src/workload/account-set.ts';
import { createdAddress, pairAddress } from '../../src/workload/contracts/addresses.ts';
import { contractArtifact, type ContractName } from '../../src/workload/contracts/artifacts.ts';
import { generateCalls } from '../../src/workload/contracts/calls.ts';
import { planDeployment, type ShardDeployment } from '../../src/workload/contracts/deployment.ts';
import { asPlannedCalls, type Callers, planSetup } from '../../src/workload/contracts/setup.ts';
import { CALL_KINDS, MIXES, WORKLOADS } from '../../src/workload/names.ts';
import { SigningPool } from '../../src/workload/signing-pool.ts';
import { signCalls } from '../../src/workload/signed-load.ts';

const SHARDS = 3;
const ACCOUNTS = 60;

function decoded(name: ContractName, data: Uint8Array): { readonly functionName: string; readonly args: readonly unknown[] } {
  const { functionName, args }: { functionName: string; args: readonly unknown[] | undefined } = decodeFunctionData({ abi: contractArtifact(name).abi as never, data: toHex(data) as Hex });
  return { functionName, args: args ?? [] };
}

describe('contract workloads', () => {
  const pool = new SigningPool({ workers: 1 });
  let crypto: NodeCrypto;
  let accounts: AccountSet;
  let homes: Uint16Array;
  let callers: Callers;
  before(async () => {
    crypto = await createCrypto();
    accounts = await deriveAccounts({ kind: 'derived', seed: 2, count: ACCOUNTS }, pool);
    homes = homeShards(accounts, SHARDS, new Map());
    callers = { accounts: Array.from({ length: ACCOUNTS }, (_, index) => index), addressOf: (account) => addressAt(accounts, account), homeOf: (account) => homes[account]! };
  });
  after(() => pool.stop());

  function plan(workload: (typeof WORKLOADS)[number], shard: number, nonce = 0): ReturnType<typeof planDeployment> {
    const treasury = homes.lastIndexOf(shard);
    return planDeployment(workload, { shard, treasury, address: addressAt(accounts, treasury), nonce, homeOf: (address) => shardByRule(crypto, address, SHARDS) }, crypto);
  }

  test('shares are per cent', () => {
    for (const name of WORKLOADS) assert.equal(Object.values(MIXES[name].shares).reduce((sum, share) => sum + share, 0), 100, name);
  });

  test('addresses are those that viem computes, for nonces of every length', () => {
    const creator = addressAt(accounts, 0);
    for (const nonce of [0, 1, 127, 128, 255, 256, 65_535, 65_536, 20_000_000]) {
      const expected = getContractAddress({ from: toHex(creator) as Hex, nonce: BigInt(nonce) }).toLowerCase();
      assert.equal(toHex(createdAddress(crypto, creator, nonce)), expected);
    }
    const tokens = [addressAt(accounts, 3), addressAt(accounts, 4)].sort((a, b) => Buffer.compare(a, b)) as [Uint8Array, Uint8Array];
    const bytecodeHash = keccak256(toHex(contractArtifact('UniswapV2Pair').initcode) as Hex);
    const salt = keccak256(toHex(Buffer.concat(tokens)) as Hex);
    const expected = getCreate2Address({ from: toHex(creator) as Hex, salt, bytecodeHash }).toLowerCase();
    const pairHash = crypto.keccak256(contractArtifact('UniswapV2Pair').initcode);
    assert.equal(toHex(pairAddress(crypto, creator, pairHash, tokens)), expected);
    assert.equal(toHex(pairAddress(crypto, creator, pairHash, [tokens[1], tokens[0]])), expected);
  });

  test('everything of a deployment has its home on its shard, pairs too, at the nonces at which it is made', () => {
    const { deployment, calls } = plan('mixed', 1, 7);
    const creator = addressAt(accounts, deployment.treasury);
    const made = new Set(calls.flatMap((call, index) => (call.to === undefined ? [toHex(createdAddress(crypto, creator, 7 + index))] : [])));
    const direct = [...deployment.tokens, deployment.collectible!, deployment.factory!, deployment.router!, deployment.lending!];
    for (const address of direct) assert.ok(made.has(toHex(address)));
    for (const address of [...direct, ...deployment.pools.map(({ pair }) => pair)]) assert.equal(shardByRule(crypto, address, SHARDS), 1);
    assert.equal(deployment.pools.length, MIXES.mixed.pools);
    for (const { to, data } of calls) if (to !== undefined) assert.deepEqual([toHex(to), data.length], [toHex(creator), 0]);
    const { deployment: none } = plan('erc721-mint', 0);
    assert.deepEqual([none.tokens.length, none.pools.length, none.router, none.lending], [0, 0, undefined, undefined]);
  });

  test('a set-up gives every caller its tokens and approvals, and fills every pool', () => {
    const { deployment } = plan('amm-swap-many', 2);
    const calls = planSetup(deployment, callers);
    const issued = new Map<string, number>();
    let pools = 0;
    for (const { to, data, from } of calls) {
      const isRouter = toHex(to!) === toHex(deployment.router!);
      const { functionName, args } = decoded(isRouter ? 'UniswapV2Router02' : 'Token', data);
      if (functionName === 'addLiquidity') pools++;
      if (functionName === 'issue') issued.set(toHex(to!), (issued.get(toHex(to!)) ?? 0) + (args[0] as unknown[]).length);
      if (functionName !== 'approve') assert.equal(from, deployment.treasury);
    }
    assert.equal(pools, deployment.pools.length);
    assert.equal(issued.get(toHex(deployment.tokens[0]!)), ACCOUNTS);
    assert.equal([...issued.values()].reduce((sum, count) => sum + count, 0), 2 * ACCOUNTS);
    assert.equal(calls.filter(({ from }) => from === 5).length, 2);
  });

  function generate(workload: 'mixed' | 'lending', callRatio: number, count = 4_000): { readonly calls: ReturnType<typeof generateCalls>; readonly deployments: readonly ShardDeployment[] } {
    const deployments = Array.from({ length: SHARDS }, (_, shard) => plan(workload, shard).deployment);
    const options = { workload, count, transferRatio: workload === 'mixed' ? 0.2 : 0, callRatio, zipf: 0, seed: 4 };
    return { deployments, calls: generateCalls(options, { shards: SHARDS, deployments, callers, gasIntraShard: 21_000, gasCrossShard: 30_000 }) };
  }

  test('a mix has the shares and the cross-shard ratios that were asked for, and equal seeds give equal calls', () => {
    const { calls } = generate('mixed', 0.1);
    const counts = CALL_KINDS.map(() => 0);
    const crossed = [0, 0];
    for (let index = 0; index < calls.count; index++) {
      counts[calls.kinds[index]!]!++;
      if (homes[calls.from[index]!] !== calls.toShard[index]) crossed[calls.kinds[index] === 0 ? 0 : 1]!++;
    }
    CALL_KINDS.forEach((kind, index) => assert.ok(Math.abs(counts[index]! / calls.count - MIXES.mixed.shares[kind]! / 100) < 0.03, kind));
    assert.deepEqual(crossed, [Math.floor(counts[0]! * 0.2), Math.floor((calls.count - counts[0]!) * 0.1)]);
    const again = generate('mixed', 0.1).calls;
    assert.deepEqual([again.from, again.kinds, again.toShard], [calls.from, calls.kinds, calls.toShard]);
    for (const index of [0, 1, 2, 3]) assert.deepEqual(again.call(index), calls.call(index));
    assert.throws(() => generateCalls({ workload: 'erc20', count: 0, transferRatio: 0, callRatio: 0, zipf: 0, seed: 1 }, { shards: 1, deployments: [], callers, gasIntraShard: 1, gasCrossShard: 1 }), { code: 'load/options' });
  });

  test("a borrower's steps at a pool come in turn", () => {
    const { calls } = generate('lending', 0, 1_500);
    const bySender = new Map<number, string[]>();
    for (let index = 0; index < calls.count; index++) {
      const { data } = calls.call(index);
      const names = bySender.get(calls.from[index]!) ?? [];
      names.push(decoded('LendingPool', data).functionName);
      bySender.set(calls.from[index]!, names);
    }
    const cycle = ['deposit', 'borrow', 'repay', 'supply', 'redeem'];
    for (const names of bySender.values()) names.forEach((name, at) => assert.equal(name, cycle[at % cycle.length]));
  });

  test('creations and calls are signed with their data: viem reads what was planned', async () => {
    const { deployment, calls: creations } = plan('erc20', 0);
    const rows = [
      ...creations.map((call) => ({ ...call, from: deployment.treasury, toShard: 0 })),
      ...planSetup(deployment, callers),
    ];
    const terms = { chainId: 1337, maxFeePerGas: 5n, maxPriorityFeePerGas: 1n, nonces: new Float64Array(ACCOUNTS) };
    const load = await signCalls(asPlannedCalls(rows), { accounts, homes, shards: SHARDS, terms, pool });
    rows.forEach((row, index) => {
      const transaction = parseTransaction(toHex(Buffer.from(load.frame(index)).subarray(4)) as `0x02${string}`);
      assert.equal(transaction.to ?? undefined, row.to === undefined ? undefined : toHex(row.to));
      assert.equal(transaction.data ?? '0x', toHex(row.data));
      assert.deepEqual([transaction.gas, transaction.nonce ?? 0], [BigInt(row.gasLimit), index]);
    });
  });
});
