import { deepEqual, equal, ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Address, bytesKey, logsBloom, type ShardId, toHex } from '@shardlab/crosslink';
import { type AbiValue, encodeArguments, encodeCall } from '../packages/cli/src/workload/contracts/abi.ts';
import { contractArtifact } from '../packages/cli/src/workload/contracts/artifacts.ts';
import { createExecutionCrypto } from '../packages/node/src/crypto/create-evm-crypto.ts';
import { createAddress } from '../packages/shard/src/execution/evm/creations.ts';
import { HISTORY_ADDRESS } from '../packages/shard/src/execution/evm/system-calls.ts';
import type { PoolTransaction } from '../packages/shard/src/transaction/types.ts';
import { BALANCE, byHome, GENESIS_MS, testGenesis } from '../packages/shard/test/support/genesis.ts';
import { HandShard } from '../packages/shard/test/support/hand-shard.ts';
import { poolCall, poolTransfer } from '../packages/shard/test/support/transactions.ts';

const SUPPLY = 10n ** 24n;
const TOKEN = contractArtifact('Token');
const PRICE = 10n ** 9n + 1n;

function word(value: bigint): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));
}

describe('contracts in the blocks of one shard', async () => {
  const crypto = await createExecutionCrypto();

  function shardAlone(): { shard: HandShard; addresses: Address[] } {
    const { genesis, table, addresses } = testGenesis(crypto, { shards: 1, accounts: 6 });
    return { shard: new HandShard(crypto, genesis, 0 as ShardId), addresses: byHome(table, addresses)[0]! };
  }

  const initcode = Uint8Array.from([...TOKEN.initcode, ...encodeArguments(['string', 'string', 'uint256'], ['Token', 'TKN', SUPPLY])]);
  const call = (from: Address, to: Address, nonce: number, signature: string, ...values: AbiValue[]): PoolTransaction =>
    poolCall(crypto, { from, to, nonce, data: encodeCall(TOKEN, signature, values) });

  test('a token is deployed and moves, with receipts, logs, filter and totals; a database makes the same state', () => {
    const { shard, addresses } = shardAlone();
    const [owner, friend] = addresses as [Address, Address];
    const token = createAddress(crypto, owner, 0n);
    const deployed = shard.execute(shard.proposal([poolCall(crypto, { from: owner, to: undefined, nonce: 0, data: initcode })], GENESIS_MS + 1));
    deepEqual(deployed.leftovers, []);
    const [made] = deployed.receipts;
    equal(made?.status, 1);
    equal(toHex(made.contractAddress!), toHex(token));
    shard.store(deployed);
    deepEqual(shard.modelRoot(), deployed.header.stateRoot);

    const transfer = call(owner, token, 1, 'transfer(address,uint256)', friend, 5n);
    const wrong = call(friend, token, 0, 'transfer(address,uint256)', owner, SUPPLY);
    const plain = poolTransfer(crypto, { from: owner, to: friend, nonce: 2, value: 7n });
    const block = shard.execute(shard.proposal([transfer, wrong, plain], GENESIS_MS + 2));
    deepEqual(block.receipts.map(({ status }) => status), [1, 0, 1]);
    const [first, second, third] = block.receipts;
    equal(first?.logs.length, 1);
    equal(toHex(first.logs[0]!.address), toHex(token));
    deepEqual(first.logs[0]!.data, word(5n));
    deepEqual(second?.logs, []);
    equal(third?.cumulativeGasUsed, block.header.gasUsed);
    deepEqual(block.header.logsBloom, logsBloom(crypto, first.logs));
    equal(block.header.totals.logs, deployed.header.totals.logs + 1);
    const gas = BigInt(made.gasUsed + block.header.gasUsed);
    equal(block.header.totals.burned, gas * PRICE - deployedSaving(deployed.header.baseFeePerGas, block.header.baseFeePerGas, block.header.gasUsed));
    equal(block.header.totals.balances + block.header.totals.burned, BALANCE * BigInt(addresses.length));
    shard.store(block);
    deepEqual(shard.modelRoot(), block.header.stateRoot);
    const again = HandShard.restore(crypto, shard.genesis, shard);
    equal(toHex(again.state.code(bytesKey(token))), toHex(shard.state.code(bytesKey(token))));
  });

  /** What the lower base fee of the second block saves. */
  function deployedSaving(before: bigint, after: bigint, gasUsed: number): bigint {
    return BigInt(gasUsed) * (before - after);
  }

  test('a block is taken back with its code, storage and logs, and the same block made again is the same', () => {
    const { shard, addresses } = shardAlone();
    const [owner, friend] = addresses as [Address, Address];
    const token = createAddress(crypto, owner, 0n);
    shard.execute(shard.proposal([poolCall(crypto, { from: owner, to: undefined, nonce: 0, data: initcode })], GENESIS_MS + 1));
    const root = shard.state.trie.root();
    const proposal = shard.proposal([call(owner, token, 1, 'transfer(address,uint256)', friend, 5n)], GENESIS_MS + 2);
    const block = shard.execute(proposal);
    shard.executor.revert(block);
    deepEqual(shard.state.trie.root(), root);
    deepEqual(shard.execute({ ...proposal, mode: 'verify' }).hash, block.hash);
  });

  test('a transaction whose gas limit does not fit into the rest of the block waits', () => {
    const { shard, addresses } = shardAlone();
    const [owner, friend] = addresses as [Address, Address];
    const token = createAddress(crypto, owner, 0n);
    shard.execute(shard.proposal([poolCall(crypto, { from: owner, to: undefined, nonce: 0, data: initcode })], GENESIS_MS + 1));
    const big = poolCall(crypto, { from: owner, to: token, nonce: 1, data: encodeCall(TOKEN, 'transfer(address,uint256)', [friend, 1n]), gasLimit: 29_990_000 });
    const block = shard.execute(shard.proposal([poolTransfer(crypto, { from: friend, to: owner, nonce: 0 }), big], GENESIS_MS + 2));
    deepEqual(block.leftovers.map(({ why }) => why), ['later']);
    ok(block.header.gasUsed === 21_000);
  });

  test('code sees the hashes of the blocks before; under Prague they also stand in the history contract of EIP-2935', () => {
    const { genesis, table, addresses } = testGenesis(crypto, { shards: 1, accounts: 2 });
    const prague = { ...genesis, forks: 'prague' as const };
    const shard = new HandShard(crypto, prague, 0 as ShardId);
    const [from] = byHome(table, addresses)[0]! as [Address];
    // BLOCKHASH(NUMBER - 1) to slot 0, BLOCKHASH(NUMBER) to slot 1: STOP as its code.
    const code = Uint8Array.from(Buffer.from('60014303405f554340600155', 'hex'));
    const hashes = [shard.executor.head.hash];
    for (let round = 1; round <= 3; round++) hashes.push(shard.execute(shard.proposal([], GENESIS_MS + round)).hash);
    const block = shard.execute(shard.proposal([poolCall(crypto, { from, to: undefined, nonce: 0, data: code })], GENESIS_MS + 4));
    equal(block.receipts[0]?.status, 1);
    const out = new Uint8Array(32);
    shard.state.storage(bytesKey(createAddress(crypto, from, 0n)), word(0n), out);
    deepEqual(toHex(out), toHex(hashes[3]!));
    shard.state.storage(bytesKey(createAddress(crypto, from, 0n)), word(1n), out);
    deepEqual(out, new Uint8Array(32), 'its own block has no hash yet');
    for (const height of [0, 1, 2, 3]) {
      shard.state.storage(bytesKey(HISTORY_ADDRESS), word(BigInt(height)), out);
      equal(toHex(out), toHex(hashes[height]!));
    }
  });
});
