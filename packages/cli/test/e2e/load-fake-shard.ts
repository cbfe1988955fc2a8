import { createHash } from 'node:crypto';
import { type BlockEvent, bytesKey, encodeBlockEvents, type ShardId, toHex, type TxHash } from '@shardlab/crosslink';

/** What the fake understands of a transaction. */
export interface FakeTransaction {
  readonly sender: string;
  readonly nonce: number;
  readonly toShard: number;
}

/** Reads a raw transaction. */
export type FakeDecoder = (raw: Uint8Array) => FakeTransaction;

interface Pooled extends FakeTransaction {
  readonly hash: TxHash;
  readonly key: string;
}

interface FakeBlock {
  readonly timestampMs: number;
  readonly events: Uint8Array;
}

const NO_HASH = new Uint8Array(0);

/**
 * One shard that executes in the least way that a load generator can tell from a real one: nonces in order, blocks with events, a pool that a crash
 * empties, blocks and nonces that it does not.
 */
export class FakeShard {
  readonly shard: number;
  /** Block 0 is genesis. */
  readonly blocks: FakeBlock[] = [{ timestampMs: 0, events: NO_HASH }];
  readonly nonces = new Map<string, number>();
  /** Fate of every included transaction, by hash key: how often it was executed matters to tests. */
  readonly fates = new Map<string, { outcome: 'pending' | 'committed' | 'aborted'; executions: number; crossShard: boolean }>();
  readonly pool = new Map<string, Pooled>();
  poolMax = 100_000;
  blockMax = 100_000;
  /** Transactions refused for good, by code. */
  refuse: (transaction: FakeTransaction) => string | undefined = () => undefined;
  /** Whether a cross-shard transaction aborts. */
  aborts: (transaction: FakeTransaction) => boolean = () => false;
  /** Blocks whose events are never told. */
  hidesBlock: (height: number) => boolean = () => false;
  private readonly decode: FakeDecoder;
  private readonly peer: (shard: number) => FakeShard;
  private inbox: { readonly at: number; readonly event: BlockEvent; readonly key: string }[] = [];

  constructor(shard: number, decode: FakeDecoder, peer: (shard: number) => FakeShard) {
    this.shard = shard;
    this.decode = decode;
    this.peer = peer;
  }

  /** Takes a raw transaction into the pool; a code of refusal otherwise. */
  submit(raw: Uint8Array): string | undefined {
    const transaction = this.decode(raw);
    const hash = (this.hashOf(raw) ?? NO_HASH) as TxHash;
    const key = bytesKey(hash);
    if (this.pool.has(key)) return 'already-known';
    if (transaction.nonce < (this.nonces.get(transaction.sender) ?? 0)) return 'nonce-too-low';
    if (transaction.nonce > (this.nonces.get(transaction.sender) ?? 0) + 256) return 'nonce-too-high';
    const refused = this.refuse(transaction);
    if (refused !== undefined) return refused;
    if (this.pool.size >= this.poolMax) return 'pool-full';
    this.pool.set(key, { ...transaction, hash, key });
    return undefined;
  }

  /** Hash of a raw transaction; SHA-256 unless the test signs for real. */
  hashOf: (raw: Uint8Array) => Uint8Array | undefined = (raw) => createHash('sha256').update(raw).digest();

  /** Makes one block of what the pool and the inbox allow. */
  produce(nowMs: number): void {
    const height = this.blocks.length;
    const events: BlockEvent[] = [];
    const due = this.inbox.filter((entry) => entry.at <= height);
    this.inbox = this.inbox.filter((entry) => entry.at > height);
    for (const { event, key } of due) {
      events.push(event);
      if (event.phase === 'acked') this.fates.get(key)!.outcome = event.outcome === 'commit' ? 'committed' : 'aborted';
    }
    let taken = 0;
    for (const transaction of [...this.pool.values()].sort((a, b) => a.nonce - b.nonce)) {
      if (taken >= this.blockMax || transaction.nonce !== (this.nonces.get(transaction.sender) ?? 0)) continue;
      this.nonces.set(transaction.sender, transaction.nonce + 1);
      this.pool.delete(transaction.key);
      this.execute(transaction, height, events);
      taken += 1;
    }
    // What waits for later blocks must not wait for other transactions.
    if (events.length === 0 && this.inbox.length === 0) return;
    this.blocks.push({ timestampMs: nowMs, events: this.hidesBlock(height) ? NO_HASH : encodeBlockEvents(events) });
  }

  /** Whether anything is left to do. */
  get busy(): boolean {
    return this.pool.size > 0 || this.inbox.length > 0;
  }

  /** Forgets what a process keeps in memory only. */
  crash(): void {
    this.pool.clear();
  }

  private execute(transaction: Pooled, height: number, events: BlockEvent[]): void {
    const { hash: txHash, key, toShard } = transaction;
    const crossShard = toShard !== this.shard;
    const before = this.fates.get(key)?.executions ?? 0;
    this.fates.set(key, { outcome: crossShard ? 'pending' : 'committed', executions: before + 1, crossShard });
    const own = this.shard as ShardId;
    if (!crossShard) {
      events.push({ phase: 'applied', outcome: 'commit', peer: own, txHash, reason: 'none' });
      return;
    }
    const aborted = this.aborts(transaction);
    const fate = { outcome: aborted ? 'abort' : 'commit', reason: aborted ? 'conflict' : 'none', txHash } as const;
    const other = this.peer(toShard);
    events.push({ phase: 'prepared', outcome: 'none', peer: toShard as ShardId, txHash, reason: 'none' });
    other.receive(1, { phase: 'voted', ...fate, peer: own }, key);
    this.receive(height + 1 - this.blocks.length, { phase: 'decided', ...fate, peer: toShard as ShardId }, key);
    other.receive(2, { phase: 'applied', ...fate, peer: own }, key);
    this.receive(height + 2 - this.blocks.length, { phase: 'acked', ...fate, peer: toShard as ShardId }, key);
  }

  private receive(afterBlocks: number, event: BlockEvent, key: string): void {
    this.inbox.push({ at: this.blocks.length + afterBlocks, event, key });
  }
}

/** A fate as `shard_getCrossShardTransaction` tells it; null if the shard has not met the transaction. */
export function fateAnswer(shard: FakeShard, hash: string): unknown {
  const fate = shard.fates.get(bytesKey(Buffer.from(hash.slice(2), 'hex')));
  // A receipt tells the fate of transactions within the shard; so both ways of asking are used.
  if (fate === undefined || !fate.crossShard) return null;
  return { hash, kind: 'crossShard', outcome: fate.outcome, phases: [{ phase: 'acked', shard: shard.shard, height: 1, timeMs: Date.now() }] };
}

/** A receipt, or null. */
export function receiptAnswer(shard: FakeShard, hash: string): unknown {
  const fate = shard.fates.get(bytesKey(Buffer.from(hash.slice(2), 'hex')));
  return fate === undefined || fate.outcome === 'pending' ? null : { transactionHash: hash, status: fate.outcome === 'committed' ? '0x1' : '0x0' };
}

/** Blocks as `shard_getBlockEvents` tells them. */
export function eventsAnswer(shard: FakeShard, fromHeight: number): unknown {
  const blocks = shard.blocks.slice(fromHeight, fromHeight + 64).map((block, at) => ({
    height: fromHeight + at,
    timestampMs: block.timestampMs,
    wallMs: block.timestampMs,
    events: toHex(block.events),
  }));
  return { latest: shard.blocks.length - 1, blocks };
}
