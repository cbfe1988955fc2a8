import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, bytesKey, encodeHeader, type InboxSegment, outRoot, pairRoot, Prng, receiptRoot, type ShardId, toHex, txRoot } from '@shardlab/crosslink';
import fc from 'fast-check';
import { InvalidBlockError } from '../../src/execution/block-executor.ts';
import type { ExecutedBlock } from '../../src/execution/types.ts';
import type { PoolTransaction } from '../../src/transaction/types.ts';
import { testCrypto } from '../support/crypto.ts';
import { BALANCE, GENESIS_MS, testGenesis } from '../support/genesis.ts';
import { HandShard, segmentsOf } from '../support/hand-shard.ts';
import { poolTransfer, testAddress } from '../support/transactions.ts';

const crypto = testCrypto();
const ACCOUNTS = 14;

interface Scenario {
  readonly seed: number;
  readonly shards: number;
  readonly blocks: number;
  readonly openPreparesMax: number;
  readonly deadlineMs: number;
}

const scenarios: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  shards: fc.integer({ min: 1, max: 3 }),
  blocks: fc.integer({ min: 5, max: 40 }),
  openPreparesMax: fc.constantFrom(1, 2, 64),
  deadlineMs: fc.constantFrom(150, 100_000),
});

/** Executors of a few shards, whose messages a test hands over when it likes: every block is checked as it is made. */
class HandNetwork {
  readonly shards: HandShard[];
  /** The same chains, executed a second time from the blocks' contents. */
  readonly followers: HandShard[];
  readonly outcomes = new Map<string, string>();
  readonly addresses: Address[];
  readonly supply: bigint;
  private readonly prng: Prng;
  private readonly waiting = new Map<string, InboxSegment[]>();
  private readonly nonces = new Map<string, number>();
  private nowMs = GENESIS_MS;

  constructor(scenario: Scenario) {
    const { shards, openPreparesMax, deadlineMs } = scenario;
    const { genesis, addresses } = testGenesis(crypto, { shards, accounts: ACCOUNTS, parameters: { openPreparesMax, deadlineMs } });
    // Some that nobody has funded.
    this.addresses = [...addresses, ...Array.from({ length: 6 }, (_, index) => testAddress(crypto, 1_000 + index))];
    this.supply = BALANCE * BigInt(ACCOUNTS);
    this.prng = new Prng(scenario.seed);
    const make = (): HandShard[] => Array.from({ length: shards }, (_, shard) => new HandShard(crypto, genesis, shard as ShardId));
    this.shards = make();
    this.followers = make();
  }

  /** Random transfers of accounts that live on `shard`; some with a wrong nonce or more value than there is. */
  private transactions(shard: HandShard): PoolTransaction[] {
    const { prng } = this;
    const own = this.addresses.slice(0, ACCOUNTS).filter((address) => shard.table.shardOf(address) === shard.shard);
    if (own.length === 0) return [];
    return Array.from({ length: prng.below(6) }, () => {
      const from = own[prng.below(own.length)]!;
      const to = this.addresses[prng.below(this.addresses.length)]!;
      const nonce = Math.max(this.nonces.get(bytesKey(from)) ?? 0, shard.nonce(from));
      const odd = prng.below(12);
      const value = odd === 0 ? BALANCE : BigInt(prng.below(3) * prng.below(1_000_000));
      const wrong = odd === 1 ? 1 : 0;
      if (wrong === 0) this.nonces.set(bytesKey(from), nonce + 1);
      return poolTransfer(crypto, { from, to, nonce: nonce + wrong, value, gasLimit: 21_000 + prng.below(30_000) });
    });
  }

  private key(source: ShardId, destination: ShardId): string {
    return `${source}>${destination}`;
  }

  /** Takes some or all of what waits for a shard, each source's from the front. */
  private inbox(shard: ShardId, all: boolean): InboxSegment[] {
    const taken: InboxSegment[] = [];
    for (let source = 0; source < this.shards.length; source++) {
      const queue = this.waiting.get(this.key(source as ShardId, shard)) ?? [];
      taken.push(...queue.splice(0, all ? queue.length : this.prng.below(queue.length + 1)));
    }
    return taken;
  }

  /** One block of one shard. */
  produce(at: number, options: { transactions: boolean; all: boolean }): ExecutedBlock {
    const shard = this.shards[at]!;
    this.nowMs += 1 + this.prng.below(60);
    const transactions = options.transactions ? this.transactions(shard) : [];
    // The pool would offer what was left over again; here its sender just takes the nonce anew.
    const inbox = this.inbox(shard.shard, options.all);
    const proposal = shard.proposal(transactions, this.nowMs, inbox);
    let block = shard.execute(proposal);
    if (this.prng.below(3) === 0) block = this.again(shard, block, () => shard.execute(proposal));
    for (const { transaction } of block.leftovers) this.nonces.delete(bytesKey(transaction.sender));
    shard.store(block);
    for (let other = 0; other < this.shards.length; other++) {
      const key = this.key(shard.shard, other as ShardId);
      this.waiting.set(key, [...(this.waiting.get(key) ?? []), ...segmentsOf(block, other as ShardId)]);
    }
    this.follow(at, block, inbox);
    this.check(shard, block);
    return block;
  }

  /** Undoing a block and making it again gives the same bytes, and the undone state is the old one. */
  private again(shard: HandShard, first: ExecutedBlock, execute: () => ExecutedBlock): ExecutedBlock {
    shard.executor.revert(first);
    assert.deepEqual(shard.state.trie.root(), shard.executor.head.header.stateRoot, 'an undone block leaves the root of its parent');
    assert.deepEqual(shard.modelRoot(), shard.executor.head.header.stateRoot);
    const second = execute();
    assert.equal(toHex(encodeHeader(second.header)), toHex(encodeHeader(first.header)));
    for (const part of ['receipts', 'events', 'outgoing', 'settled', 'leftovers'] as const) assert.deepEqual(second[part], first[part]);
    assert.deepEqual(second.delta, first.delta);
    return second;
  }

  /** The follower refuses a block with a transaction that does not fit, untouched, and then computes the same header from the true one. */
  private follow(at: number, block: ExecutedBlock, inbox: readonly InboxSegment[]): void {
    const follower = this.followers[at]!;
    const { timestampMs } = block.header;
    const from = this.addresses[0]!;
    const bad = poolTransfer(crypto, { from, to: from, nonce: 1_000_000 });
    const before = { root: follower.state.trie.root(), counts: { ...follower.protocol.counts(), ignoredMessages: 0 }, head: follower.executor.head };
    assert.throws(
      () => follower.execute(follower.proposal([...block.transactions, bad], timestampMs, inbox, 'verify')),
      (error) => error instanceof InvalidBlockError && error.code === 'block/invalid-transaction',
    );
    assert.deepEqual(follower.state.trie.root(), before.root);
    assert.deepEqual({ ...follower.protocol.counts(), ignoredMessages: 0 }, before.counts);
    assert.equal(follower.executor.head, before.head);
    const verified = follower.execute(follower.proposal(block.transactions, timestampMs, inbox, 'verify'));
    assert.equal(toHex(encodeHeader(verified.header)), toHex(encodeHeader(block.header)));
    follower.store(verified);
  }

  private check(shard: HandShard, block: ExecutedBlock): void {
    const { header, body, receipts, outgoing } = block;
    const balances = this.addresses.reduce((sum, address) => sum + shard.balance(address), 0n);
    assert.equal(header.totals.balances, balances, 'totals are the sums of the state');
    assert.equal(header.totals.escrow, shard.escrow());
    assert.deepEqual(header.stateRoot, shard.modelRoot());
    assert.deepEqual(header.receiptRoot, receiptRoot(crypto, receipts));
    assert.deepEqual(header.outRoot, outRoot(crypto, outgoing));
    assert.deepEqual(header.pairRoot, pairRoot(crypto, body.pairs));
    assert.deepEqual(header.txRoot, txRoot(crypto, body.inbox, block.transactions.map((tx) => tx.hash)));
    let gas = 0;
    for (const receipt of receipts) {
      gas += receipt.gasUsed;
      assert.equal(receipt.cumulativeGasUsed, gas);
      const key = toHex(receipt.txHash);
      assert.ok(!this.outcomes.has(key), 'a transaction is listed once');
      this.outcomes.set(key, `${receipt.crossShard ? 'cross' : 'local'}/${receipt.reason}`);
    }
    const ends = block.events.filter(({ phase, peer }) => phase === 'acked' || (phase === 'applied' && peer === shard.shard)).length;
    assert.equal(ends, receipts.length, 'each receipt has its end event');
    this.checkSupply();
  }

  /** R15: over every consistent cut, and every moment of executors in one process is one. */
  private checkSupply(): void {
    let sum = 0n;
    for (const { executor } of this.shards) {
      const { header, pairs } = executor.head;
      sum += header.totals.balances + header.totals.escrow + header.totals.burned;
      for (const pair of pairs) sum += pair.sentValue - pair.receivedValue;
    }
    assert.equal(sum, this.supply);
  }

  /** Whether something is open anywhere. */
  open(): boolean {
    const waiting = [...this.waiting.values()].some((queue) => queue.length > 0);
    return waiting || this.shards.some(({ protocol }) => protocol.counts().coordinating + protocol.counts().participating > 0);
  }
}

const seen = new Map<string, number>();

test('random local and cross-shard transfers keep the books on every block, undone and verified blocks included', () => {
  fc.assert(
    fc.property(scenarios, (scenario) => {
      const network = new HandNetwork(scenario);
      const prng = new Prng(scenario.seed ^ 0x5bd1);
      for (let block = 0; block < scenario.blocks; block++) network.produce(prng.below(scenario.shards), { transactions: true, all: prng.below(2) === 0 });
      for (let round = 0; network.open(); round++) {
        assert.ok(round < 200, 'everything ends');
        for (let at = 0; at < scenario.shards; at++) network.produce(at, { transactions: false, all: true });
      }
      for (const { executor, protocol } of network.shards) {
        assert.equal(executor.head.header.totals.escrow, 0n, 'no escrow at rest');
        assert.equal(protocol.counts().locksHeld, 0, 'no lock at rest');
      }
      for (const outcome of network.outcomes.values()) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }),
    { numRuns: 40, seed: 1702 },
  );
});

test('those scenarios met commits, aborts by deadline and local transfers', () => {
  assert.ok((seen.get('local/none') ?? 0) > 100, JSON.stringify([...seen]));
  assert.ok((seen.get('cross/none') ?? 0) > 100, JSON.stringify([...seen]));
  assert.ok((seen.get('cross/deadline') ?? 0) > 10, JSON.stringify([...seen]));
});
