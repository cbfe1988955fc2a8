import { deepEqual, equal, notEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Address, bytesKey, decodeStub, type ShardId, toHex } from '@shardlab/crosslink';
import { type AbiValue, encodeArguments, encodeCall } from '../packages/cli/src/workload/contracts/abi.ts';
import { contractArtifact } from '../packages/cli/src/workload/contracts/artifacts.ts';
import { createExecutionCrypto } from '../packages/node/src/crypto/create-evm-crypto.ts';
import { createAddress } from '../packages/shard/src/execution/evm/creations.ts';
import type { PoolTransaction } from '../packages/shard/src/transaction/types.ts';
import { byHome, testGenesis } from '../packages/shard/test/support/genesis.ts';
import { HandNetwork } from '../packages/shard/test/support/hand-network.ts';
import { poolCall, poolTransfer } from '../packages/shard/test/support/transactions.ts';

const SUPPLY = 10n ** 24n;
const TOKEN = contractArtifact('Token');
const INITCODE = Uint8Array.from([...TOKEN.initcode, ...encodeArguments(['string', 'string', 'uint256'], ['Token', 'TKN', SUPPLY])]);

describe('contracts across shards', async () => {
  const crypto = await createExecutionCrypto();

  /** Three shards, and a token of shard 0 whose address R8 gives to `keeper`. */
  function network(keeper: number): { net: HandNetwork; homes: Address[][]; owner: Address; token: Address; creation: PoolTransaction } {
    const { genesis, table, addresses } = testGenesis(crypto, { shards: 3, accounts: 60 });
    const homes = byHome(table, addresses);
    const owner = homes[0]!.find((address) => table.shardOf(createAddress(crypto, address, 0n)) === keeper)!;
    const creation = poolCall(crypto, { from: owner, to: undefined, nonce: 0, data: INITCODE });
    return { net: new HandNetwork(crypto, genesis), homes, owner, token: createAddress(crypto, owner, 0n), creation };
  }
  const call = (from: Address, to: Address, nonce: number, signature: string, ...values: AbiValue[]): PoolTransaction =>
    poolCall(crypto, { from, to, nonce, data: encodeCall(TOKEN, signature, values) });

  function balanceOf(net: HandNetwork, token: Address, holder: Address): bigint {
    const slot = crypto.keccak256(Uint8Array.from([...new Uint8Array(12), ...holder, ...new Uint8Array(32)]));
    const out = new Uint8Array(32);
    net.shards[0]!.state.storage(bytesKey(token), slot, out);
    return BigInt(toHex(out));
  }

  test('a creation whose address another shard would have: that one keeps a stub, prefunded value moves, and the receipt names the contract', () => {
    const { net, homes, owner, token, creation } = network(2);
    net.settle(poolTransfer(crypto, { from: homes[1]![0]!, to: token, nonce: 0, value: 77n }));
    equal(net.shards[2]!.balance(token), 77n);
    net.settle(creation);
    const receipt = net.receipt(creation);
    deepEqual([receipt.status, receipt.crossShard, toHex(receipt.contractAddress!)], [1, true, toHex(token)]);
    equal(receipt.logs.length, 1);
    equal(decodeStub(net.shards[2]!.state.record('stub', token)!), 0);
    deepEqual([net.shards[0]!.balance(token), net.shards[2]!.balance(token)], [77n, 0n]);
    equal(balanceOf(net, token, owner), SUPPLY);
    notEqual(net.shards[0]!.state.code(bytesKey(token)).length, 0);
  });

  for (const keeper of [0, 2]) {
    test(`a call from another shard, of a contract whose address is ${keeper === 0 ? 'its shard\'s' : 'another\'s, through its stub'}`, () => {
      const { net, homes, owner, token, creation } = network(keeper);
      const [caller] = homes[1] as [Address];
      net.settle(creation);
      net.settle(call(owner, token, 1, 'transfer(address,uint256)', caller, 100n));
      const transfer = call(caller, token, 0, 'transfer(address,uint256)', owner, 30n);
      net.settle(transfer);
      const receipt = net.receipt(transfer);
      deepEqual([receipt.status, receipt.crossShard, receipt.logs.length], [1, true, 1]);
      equal(balanceOf(net, token, caller), 70n);
      const wrong = call(caller, token, 1, 'transfer(address,uint256)', owner, 71n);
      net.settle(wrong);
      deepEqual([net.receipt(wrong).status, net.receipt(wrong).reason, net.receipt(wrong).logs.length], [0, 'reverted', 0]);
      equal(balanceOf(net, token, caller), 70n);
    });
  }

  test('calls of several shards for one balance, in one round with local ones: each happens once, and the sum stays', () => {
    const { net, homes, owner, token, creation } = network(0);
    net.settle(creation);
    const callers = [...homes[1]!.slice(0, 4), ...homes[2]!.slice(0, 4)];
    net.settle(...callers.map((caller, index) => call(owner, token, 1 + index, 'transfer(address,uint256)', caller, 10n)));
    net.settle(...callers.map((caller) => call(caller, token, 0, 'transfer(address,uint256)', owner, 3n)), poolTransfer(crypto, { from: owner, to: callers[0]!, nonce: 9, value: 5n }));
    const [sum] = [callers.reduce((total, caller) => total + balanceOf(net, token, caller), balanceOf(net, token, owner))];
    equal(sum, SUPPLY);
    const committed = callers.filter((caller) => balanceOf(net, token, caller) === 7n).length;
    equal(balanceOf(net, token, owner), SUPPLY - 80n + 3n * BigInt(committed));
    equal(committed, 8, 'a conflict is tried again');
    equal(net.shards[0]!.shard, 0 as ShardId);
  });

  test('an atomic batch over three shards: all or nothing', () => {
    const { net, homes, owner, token, creation } = network(0);
    net.settle(creation);
    const [a] = homes[1] as [Address];
    const [b] = homes[2] as [Address];
    net.settle(call(owner, token, 1, 'transfer(address,uint256)', a, 50n));
    const batchOf = (nonce: number, amount: bigint): PoolTransaction => {
      const calls = [
        { to: token, value: 0n, gasLimit: 100_000, data: encodeCall(TOKEN, 'transfer(address,uint256)', [owner, amount]) },
        { to: b, value: 9n, gasLimit: 0, data: new Uint8Array(0) },
        { to: homes[1]![1]!, value: 4n, gasLimit: 0, data: new Uint8Array(0) },
      ];
      const tx = poolCall(crypto, { from: a, to: undefined, nonce, value: 13n, gasLimit: 300_000 });
      return { ...tx, type: 0x70, calls, intrinsicGas: 30_000 };
    };
    const before = [net.shards[2]!.balance(b), net.shards[1]!.balance(homes[1]![1]!)];
    const good = batchOf(0, 20n);
    net.settle(good);
    deepEqual([net.receipt(good).status, net.receipt(good).logs.length, balanceOf(net, token, a)], [1, 1, 30n]);
    deepEqual([net.shards[2]!.balance(b), net.shards[1]!.balance(homes[1]![1]!)], [before[0]! + 9n, before[1]! + 4n]);
    const bad = batchOf(1, 31n);
    net.settle(bad);
    deepEqual([net.receipt(bad).status, net.receipt(bad).reason, balanceOf(net, token, a)], [0, 'reverted', 30n]);
    deepEqual([net.shards[2]!.balance(b), net.shards[1]!.balance(homes[1]![1]!)], [before[0]! + 9n, before[1]! + 4n]);
  });

  test('an atomic batch within one shard is a local transaction: all or nothing, and its nonce and gas are paid either way', () => {
    const { net, homes, owner, token, creation } = network(0);
    net.settle(creation);
    const [friend] = homes[0]!.filter((address) => address !== owner) as [Address];
    const batchOf = (nonce: number, amounts: readonly bigint[]): PoolTransaction => {
      const calls = amounts.map((amount) => ({ to: token, value: 0n, gasLimit: 100_000, data: encodeCall(TOKEN, 'transfer(address,uint256)', [friend, amount]) }));
      calls.push({ to: friend, value: 5n, gasLimit: 0, data: new Uint8Array(0) });
      return { ...poolCall(crypto, { from: owner, to: undefined, nonce, value: 5n, gasLimit: 400_000 }), type: 0x70, calls, intrinsicGas: 30_000 };
    };
    const before = net.shards[0]!.balance(friend);
    const good = batchOf(1, [3n, 4n]);
    net.settle(good);
    deepEqual([net.receipt(good).status, net.receipt(good).crossShard, net.receipt(good).logs.length], [1, false, 2]);
    deepEqual([balanceOf(net, token, friend), net.shards[0]!.balance(friend)], [7n, before + 5n]);
    const bad = batchOf(2, [3n, SUPPLY]);
    net.settle(bad);
    deepEqual([net.receipt(bad).status, net.receipt(bad).reason, net.receipt(bad).logs.length], [0, 'reverted', 0]);
    deepEqual([balanceOf(net, token, friend), net.shards[0]!.balance(friend), net.shards[0]!.nonce(owner)], [7n, before + 5n, 3]);
  });
});
