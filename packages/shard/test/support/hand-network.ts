import assert from 'node:assert/strict';
import { type Address, type Crypto, type Genesis, type InboxSegment, type ShardId, toHex } from '@shardlab/crosslink';
import type { ExecutionCrypto } from '../../src/execution/block-executor.ts';
import type { ExecutedBlock } from '../../src/execution/types.ts';
import type { PoolTransaction } from '../../src/transaction/types.ts';
import { HandShard, segmentsOf } from './hand-shard.ts';

/** Rounds after which a transaction must have ended: all phases of all attempts, with their pauses. */
const ROUNDS_MAX = 200;

/** Several shards driven in rounds: in each, every shard makes a block of what the others sent in the round before, and of given transactions. */
export class HandNetwork {
  readonly shards: readonly HandShard[];
  readonly blocks: ExecutedBlock[] = [];
  private last: ExecutedBlock[] = [];
  private timestampMs: number;
  private readonly supply: bigint;

  constructor(crypto: Crypto & ExecutionCrypto, genesis: Genesis) {
    this.shards = Array.from({ length: genesis.shards }, (_, shard) => new HandShard(crypto, genesis, shard as ShardId));
    this.timestampMs = genesis.timestampMs;
    this.supply = genesis.allocation.reduce((sum, { balance }) => sum + balance, 0n);
  }

  shardOf(address: Address): HandShard {
    return this.shards[this.shards[0]!.table.shardOf(address)]!;
  }

  /** One round; `transactions` by shard. Every leftover is a failure of the test. */
  round(transactions: ReadonlyMap<ShardId, readonly PoolTransaction[]> = new Map()): ExecutedBlock[] {
    this.timestampMs += 1_000;
    const inboxOf = (shard: ShardId): InboxSegment[] => this.last.flatMap((block) => segmentsOf(block, shard));
    const made = this.shards.map((shard) => {
      const block = shard.execute(shard.proposal(transactions.get(shard.shard) ?? [], this.timestampMs, inboxOf(shard.shard)));
      assert.deepEqual(block.leftovers.map(({ why }) => why), []);
      shard.store(block);
      assert.equal(toHex(shard.modelRoot()), toHex(block.header.stateRoot), 'the database makes the same root');
      assert.equal(shard.escrow(), block.header.totals.escrow, 'escrow is what the records hold');
      return block;
    });
    this.blocks.push(...made);
    this.last = made;
    return made;
  }

  /** Sends transactions, and makes rounds until nothing is under way any more. */
  settle(...transactions: readonly PoolTransaction[]): void {
    const byShard = new Map<ShardId, PoolTransaction[]>();
    for (const tx of transactions) {
      const { shard } = this.shardOf(tx.sender);
      byShard.set(shard, [...(byShard.get(shard) ?? []), tx]);
    }
    this.round(byShard);
    for (let rounds = 0; this.busy(); rounds++) {
      assert.ok(rounds < ROUNDS_MAX, 'something never ends');
      this.round();
    }
    const sum = this.shards.reduce((total, { executor }) => total + executor.head.header.totals.balances + executor.head.header.totals.burned, 0n);
    assert.equal(sum, this.supply, 'balances and what was burned are the supply');
    for (const shard of this.shards) assert.equal(shard.protocol.counts().locksHeld, 0, 'nothing is locked at rest');
  }

  private busy(): boolean {
    return this.last.some((block) => block.outgoing.length > 0) || this.shards.some(({ protocol }) => protocol.counts().coordinating + protocol.counts().participating > 0);
  }

  /** The receipt of a transaction that has ended. */
  receipt(tx: PoolTransaction): ExecutedBlock['receipts'][number] {
    for (const block of this.blocks) for (const receipt of block.receipts) if (toHex(receipt.txHash) === toHex(tx.hash)) return receipt;
    throw new Error('the transaction has no receipt');
  }
}
