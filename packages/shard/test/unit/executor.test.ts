import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, AssignmentTable, decodeMessage, encodeHeader, type Hash32, type Height, type InboxSegment, type ShardId, toHex, ZERO_HASH } from '@shardlab/crosslink';
import { InvalidBlockError } from '../../src/execution/block-executor.ts';
import type { BlockProposal } from '../../src/execution/types.ts';
import { testCrypto } from '../support/crypto.ts';
import { BALANCE, byHome, GENESIS_MS, testGenesis } from '../support/genesis.ts';
import { HandShard, segmentsOf } from '../support/hand-shard.ts';
import { poolTransfer, testAddress } from '../support/transactions.ts';

const crypto = testCrypto();
const PRICE = 10n ** 9n + 1n;

function pair(parameters: Parameters<typeof testGenesis>[1]['parameters'] = {}): { a: HandShard; b: HandShard; here: Address[]; there: Address[]; genesis: ReturnType<typeof testGenesis>['genesis'] } {
  const { genesis, table, addresses } = testGenesis(crypto, { shards: 2, accounts: 12, parameters });
  const [here, there] = byHome(table, addresses) as [Address[], Address[]];
  return { a: new HandShard(crypto, genesis, 0 as ShardId), b: new HandShard(crypto, genesis, 1 as ShardId), here, there, genesis };
}

function refused(run: () => unknown, code: string, message: RegExp): void {
  assert.throws(run, (error) => error instanceof InvalidBlockError && error.code === code && message.test(error.message));
}

test('a local transfer moves the value, burns the fee and is listed', () => {
  const { a, here } = pair();
  const [from, to] = here as [Address, Address];
  const tx = poolTransfer(crypto, { from, to, nonce: 0, value: 5n, gasLimit: 50_000 });
  const block = a.execute(a.proposal([tx], GENESIS_MS + 1));
  assert.equal(a.balance(from), BALANCE - 5n - 21_000n * PRICE);
  assert.equal(a.balance(to), BALANCE + 5n);
  assert.equal(a.nonce(from), 1);
  assert.equal(block.header.totals.burned, 21_000n * PRICE);
  assert.equal(block.header.gasUsed, 21_000);
  assert.equal(block.header.totals.transactions, 1);
  const [receipt] = block.receipts;
  assert.equal(receipt?.effectiveGasPrice, PRICE);
  assert.deepEqual([receipt?.status, receipt?.crossShard, receipt?.bodyHeight, receipt?.bodyIndex], [1, false, 1, 0]);
  assert.deepEqual(block.events, [{ phase: 'applied', outcome: 'commit', peer: 0, txHash: tx.hash, reason: 'none' }]);
});

test('to oneself, of nothing, to a stranger of this shard: each leaves the state that its words say', () => {
  const { a, here } = pair();
  const from = here[0]!;
  const stranger = Array.from({ length: 50 }, (_, index) => testAddress(crypto, 500 + index)).find((address) => a.table.shardOf(address) === 0)!;
  const own = poolTransfer(crypto, { from, to: from, nonce: 0, value: 7n });
  const empty = poolTransfer(crypto, { from, to: stranger, nonce: 1, value: 0n });
  const count = a.state.accountCount;
  const block = a.execute(a.proposal([own, empty], GENESIS_MS + 1));
  assert.equal(block.leftovers.length, 0);
  assert.equal(a.balance(from), BALANCE - 2n * 21_000n * PRICE);
  assert.equal(a.state.accountCount, count, 'an account that holds nothing is none');
  a.store(block);
  assert.deepEqual(a.modelRoot(), block.header.stateRoot);
  const stems = a.state.trie.size().stems;
  a.execute(a.proposal([], GENESIS_MS + 2));
  assert.equal(a.state.trie.size().stems, stems + 1, 'one more block whose hash BLOCKHASH tells, and nothing else');
});

test('a sender without an account may send what costs nothing', () => {
  const { genesis, table } = testGenesis(crypto, { shards: 1, parameters: { baseFeePerGas: 0n } });
  const shard = new HandShard(crypto, genesis, table.shardOf(testAddress(crypto, 0)));
  const from = testAddress(crypto, 900);
  const tx = poolTransfer(crypto, { from, to: from, nonce: 0, value: 0n, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n });
  const block = shard.execute(shard.proposal([tx], GENESIS_MS + 1));
  assert.equal(block.receipts.length, 1);
  assert.equal(shard.nonce(from), 1);
});

test('what does not fit is left over with its reason, and nothing of it happens', () => {
  const { a, here, there } = pair({ blockGasLimit: 42_000, openPreparesMax: 1 });
  const [p, q, r, s] = here as [Address, Address, Address, Address];
  const build = (options: Partial<Parameters<typeof poolTransfer>[1]> & { from: Address }): ReturnType<typeof poolTransfer> => poolTransfer(crypto, { to: q, nonce: 0, ...options });
  const late = build({ from: p, nonce: 1 });
  const poor = build({ from: p, value: BALANCE });
  const cheap = build({ from: p, maxFeePerGas: 1n, maxPriorityFeePerGas: 1n });
  const crossing = [build({ from: r, to: there[0]! }), build({ from: s, to: there[0]! })];
  const local = build({ from: p, value: 9n });
  const tooMuch = build({ from: q, to: p });
  const block = a.execute(a.proposal([late, poor, cheap, ...crossing, local, tooMuch], GENESIS_MS + 1));
  assert.deepEqual(
    block.leftovers.map(({ why }) => why),
    ['later', 'insufficient-funds', 'later', 'blocked', 'later'],
  );
  assert.deepEqual(block.transactions, [crossing[0], local]);
  const after = a.execute(a.proposal([build({ from: p })], GENESIS_MS + 2));
  assert.deepEqual(after.leftovers.map(({ why }) => why), ['nonce-too-low']);
});

test('a cross-shard transfer: escrow, value on its way, credit, fee burned at the end', () => {
  const { a, b, here, there } = pair();
  const [from, to] = [here[0]!, there[0]!];
  const tx = poolTransfer(crypto, { from, to, nonce: 0, value: 1_000n, gasLimit: 30_000 });
  const begun = a.execute(a.proposal([tx], GENESIS_MS + 1));
  assert.equal(begun.receipts.length, 0);
  assert.equal(begun.header.totals.escrow, 1_000n + 30_000n * PRICE);
  assert.equal(a.nonce(from), 1, 'the nonce is taken at Prepare');
  const voted = b.execute(b.proposal([], GENESIS_MS + 2, segmentsOf(begun, b.shard)));
  assert.equal(b.balance(to), BALANCE);
  const decided = a.execute(a.proposal([], GENESIS_MS + 3, segmentsOf(voted, a.shard)));
  assert.equal(decided.body.pairs[0]?.sentValue, 1_000n);
  assert.equal(decided.header.totals.escrow, 30_000n * PRICE);
  const applied = b.execute(b.proposal([], GENESIS_MS + 4, segmentsOf(decided, b.shard)));
  assert.equal(b.balance(to), BALANCE + 1_000n);
  const settled = a.execute(a.proposal([], GENESIS_MS + 5, segmentsOf(applied, a.shard)));
  const [receipt] = settled.receipts;
  assert.deepEqual([receipt?.crossShard, receipt?.status, receipt?.gasUsed, receipt?.bodyHeight], [true, 1, 21_000, 1]);
  assert.equal(settled.settled.length, 1);
  assert.equal(a.balance(from), BALANCE - 1_000n - 21_000n * PRICE);
  assert.deepEqual([...a.state.protocolRecords(), ...b.state.protocolRecords()], []);
});

test('a proposal that does not follow on the head is refused in both modes before anything is executed', () => {
  const { a, b, here, there } = pair();
  const begun = b.execute(b.proposal([0, 1].map((nonce) => poolTransfer(crypto, { from: there[0]!, to: here[0]!, nonce })), GENESIS_MS + 1));
  const [segment] = segmentsOf(begun, a.shard) as [InboxSegment];
  const base = a.proposal([], GENESIS_MS + 5, [segment]);
  const split = segment.messages.map((message, index) => ({ ...segment, firstSequence: segment.firstSequence + index, messages: [message] }));
  const root = a.state.trie.root();
  const thirsty = poolTransfer(crypto, { from: here[0]!, to: here[1]!, nonce: 0, gasLimit: 10 ** 12 });
  const foreign = { ...poolTransfer(crypto, { from: here[0]!, to: here[1]!, nonce: 0 }), chainId: 1 };
  const wrong: [string, Partial<BlockProposal>, RegExp][] = [
    ['height', { height: 2 as Height }, /height 2/],
    ['time', { timestampMs: GENESIS_MS }, /time/],
    ['fraction', { timestampMs: GENESIS_MS + 0.5 }, /time/],
    ['epoch', { epoch: -1 }, /epoch/],
    ['gas', { transactions: [thirsty] }, /gas limit/],
    ['chain', { transactions: [foreign] }, /chain id/],
    ['gap', { inbox: [split[1]!] }, /sequence 2/],
    ['twice', { inbox: [split[0]!, split[0]!] }, /sequence 1/],
    ['order', { inbox: [{ ...segment, source: 7 as ShardId }, segment] }, /shard 7|order/],
    ['own', { inbox: [{ ...segment, source: 0 as ShardId }] }, /shard 0/],
    ['empty', { inbox: [{ ...segment, messages: [] }] }, /empty/],
  ];
  for (const mode of ['build', 'verify'] as const) {
    for (const [name, change, message] of wrong) {
      refused(() => a.execute({ ...base, mode, ...change }), 'block/invalid-proposal', message);
      assert.deepEqual(a.state.trie.root(), root, name);
      assert.equal(a.executor.head.header.height, 0);
    }
  }
  assert.equal(a.execute(base).body.pairs[0]?.consumedSequence, 2);
});

test('messages that mean nothing are consumed, and stop nothing', () => {
  const { a } = pair();
  const segment: InboxSegment = { source: 1 as ShardId, sourceHeight: 1 as Height, sourceHash: ZERO_HASH, sourceTimestampMs: 1, firstSequence: 1, messages: [new Uint8Array([9, 9]), new Uint8Array(0)] };
  assert.throws(() => decodeMessage(segment.messages[0]!));
  const block = a.execute(a.proposal([], GENESIS_MS + 1, [segment]));
  assert.equal(block.body.pairs[0]?.consumedSequence, 2);
  assert.equal(block.outgoing.length, 0);
});

test('only the last block can be taken back, and only once', () => {
  const { a, here } = pair();
  const first = a.execute(a.proposal([poolTransfer(crypto, { from: here[0]!, to: here[1]!, nonce: 0 })], GENESIS_MS + 1));
  const second = a.execute(a.proposal([], GENESIS_MS + 2));
  const code = { code: 'block/revert' };
  assert.throws(() => a.executor.revert(first), code);
  a.executor.revert(second);
  assert.throws(() => a.executor.revert(second), code);
  assert.equal(toHex(encodeHeader(a.execute(a.proposal([], GENESIS_MS + 2)).header)), toHex(encodeHeader(second.header)));
  const third = a.execute(a.proposal([], GENESIS_MS + 3));
  const genesisHash = first.header.parentHash as Hash32;
  const table = new AssignmentTable(crypto, { shards: 2, overrides: [] });
  const again = a.executor.executeOn(genesisHash, { ...a.proposal([], GENESIS_MS + 9), height: 1 as Height }, table);
  assert.deepEqual([again.header.height, again.header.parentHash], [1, genesisHash]);
  assert.throws(() => a.executor.revert(third), code);
  assert.throws(() => a.executor.executeOn(second.hash, a.proposal([], GENESIS_MS + 9), table), code);
});

test('a restart in the middle of cross-shard work goes on to the same blocks', () => {
  const { a, b, here, there, genesis } = pair();
  const tx = poolTransfer(crypto, { from: here[0]!, to: there[0]!, nonce: 0, value: 3n });
  const begun = a.execute(a.proposal([tx], GENESIS_MS + 1));
  a.store(begun);
  const voted = b.execute(b.proposal([], GENESIS_MS + 2, segmentsOf(begun, b.shard)));
  const again = HandShard.restore(crypto, genesis, a);
  assert.deepEqual(again.state.trie.root(), a.state.trie.root());
  assert.deepEqual(again.protocol.counts(), a.protocol.counts());
  const next = (shard: HandShard): string => toHex(encodeHeader(shard.execute(shard.proposal([], GENESIS_MS + 3, segmentsOf(voted, shard.shard))).header));
  assert.equal(next(again), next(a));
});
