import type { AccountReader } from '../state/shard-state.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import { type Rejection, rejection } from './admission.ts';
import { Candidates } from './candidates.ts';
import { costOf, type Pooled, SenderQueue } from './sender-queue.ts';

/** Bounds of a pool. */
export interface MempoolOptions {
  /** Transactions in all. */
  readonly capacity: number;
  /** How far above the account's nonce a transaction's may be. */
  readonly nonceAheadMax: number;
}

/** What a testbed shard wants: a few seconds of full blocks. */
export const DEFAULT_MEMPOOL: MempoolOptions = { capacity: 65_536, nonceAheadMax: 4_096 };

/** go-ethereum's price bump: a replacement pays at least 10 % more, in both caps. */
const BUMP_PERCENT = 10n;
/** One in so many places of the pool may hold a transaction behind a gap in its sender's nonces, which may never run. */
const GAPPED_SHARE = 4;
/** One in so many gas units of a block may go to transactions that were blocked before. */
const BLOCKED_SHARE = 4;

const NONE_HELD: ReadonlySet<string> = new Set();

/**
 * The bounded pool of one shard: one queue of nonces a sender, and the queues' heads by tip, then arrival. Not durable: a client resubmits until it has
 * a receipt.
 */
export class Mempool {
  private readonly options: MempoolOptions;
  private readonly accounts: AccountReader;
  private readonly bySender = new Map<string, SenderQueue>();
  private readonly byHash = new Map<string, PoolTransaction>();
  private readonly candidates = new Candidates((pooled) => this.isHead(pooled));
  /** Senders of which the next transaction is not here: what is, waits behind a gap, until something else than a transaction of theirs raises the nonce (EIP-7702). */
  private readonly stalled = new Set<string>();
  private arrivals = 0;
  private gapped = 0;
  /** Transactions that are in a block under execution. */
  private taken = new Map<string, PoolTransaction>();

  constructor(options: MempoolOptions, accounts: AccountReader) {
    this.options = options;
    this.accounts = accounts;
  }

  get size(): number {
    return this.byHash.size;
  }

  get capacity(): number {
    return this.options.capacity;
  }

  /** Whether there is a transaction that the next block can take, and no reason is known why it would not. */
  get ready(): boolean {
    return this.candidates.ready;
  }

  /** The base fee (wei per gas) of the next block: transactions whose cap is below it wait until it falls. */
  setBaseFee(baseFeePerGas: bigint): void {
    this.candidates.setBaseFee(baseFeePerGas);
  }

  /** What blocked transactions may have ended: they count as {@link ready} until they have been tried once more. */
  retryBlocked(): void {
    this.candidates.retryBlocked();
  }

  private isHead({ tx }: Pooled): boolean {
    const queue = this.bySender.get(tx.senderKey);
    return queue !== undefined && queue.next === tx.nonce && queue.get(tx.nonce)?.tx === tx;
  }

  get(hashKey: string): PoolTransaction | undefined {
    return this.byHash.get(hashKey);
  }

  /** The sender's next nonce with what is pooled for it, without gaps. */
  pendingNonce(senderKey: string): number {
    const nonce = this.accounts.account(senderKey)?.nonce ?? 0;
    return this.bySender.get(senderKey)?.endOfRun(nonce) ?? nonce;
  }

  /** Takes a transaction whose sender is known and lives here. `undefined` = it is in. */
  add(tx: PoolTransaction): Rejection | undefined {
    if (this.byHash.has(tx.hashKey)) return rejection('already-known', 'already known');
    const account = this.accounts.account(tx.senderKey);
    const nonce = account?.nonce ?? 0;
    const { nonceAheadMax } = this.options;
    if (tx.nonce < nonce) return rejection('nonce-too-low', `nonce too low: next nonce ${nonce}, tx nonce ${tx.nonce}`);
    if (tx.nonce > nonce + nonceAheadMax) {
      return rejection('nonce-too-high', `nonce too high: next nonce ${nonce}, tx nonce ${tx.nonce}, at most ${nonceAheadMax} ahead`);
    }
    const { baseFeePerGas } = this.candidates;
    if (tx.maxFeePerGas < baseFeePerGas) {
      return rejection('underpriced', `transaction underpriced: max fee per gas ${tx.maxFeePerGas}, base fee ${baseFeePerGas}`);
    }
    const queue = this.bySender.get(tx.senderKey);
    const old = queue?.get(tx.nonce);
    const others = (queue?.cost ?? 0n) - (old === undefined ? 0n : costOf(old.tx));
    const balance = account?.balance ?? 0n;
    if (balance < others + costOf(tx)) {
      return rejection('insufficient-funds', `insufficient funds for gas * price + value: balance ${balance}, queued cost ${others}, tx cost ${costOf(tx)}`);
    }
    return old === undefined ? this.insert(tx, queue ?? new SenderQueue(nonce)) : this.replace(queue!, old, tx);
  }

  private insert(tx: PoolTransaction, queue: SenderQueue): Rejection | undefined {
    const { capacity } = this.options;
    if (this.byHash.size >= capacity) return rejection('pool-full', 'txpool is full');
    if (tx.nonce > queue.end && this.gapped >= Math.floor(capacity / GAPPED_SHARE)) {
      return rejection('pool-full', 'txpool is full: too many transactions wait behind a nonce gap');
    }
    this.bySender.set(tx.senderKey, queue);
    const pooled: Pooled = { tx, arrival: this.arrivals++, where: undefined };
    this.changing(queue, () => queue.put(pooled));
    this.byHash.set(tx.hashKey, tx);
    if (tx.nonce === queue.next) this.candidates.place(pooled);
    if (queue.get(queue.next) === undefined) this.stalled.add(tx.senderKey);
    else this.stalled.delete(tx.senderKey);
    return undefined;
  }

  private replace(queue: SenderQueue, old: Pooled, tx: PoolTransaction): Rejection | undefined {
    const enough = (now: bigint, before: bigint): boolean => now * 100n >= before * (100n + BUMP_PERCENT);
    const better = enough(tx.maxFeePerGas, old.tx.maxFeePerGas) && enough(tx.maxPriorityFeePerGas, old.tx.maxPriorityFeePerGas);
    if (!better || this.taken.has(old.tx.hashKey)) return rejection('replacement-underpriced', 'replacement transaction underpriced');
    this.byHash.delete(old.tx.hashKey);
    this.byHash.set(tx.hashKey, tx);
    const pooled: Pooled = { tx, arrival: old.arrival, where: undefined };
    queue.put(pooled);
    if (tx.nonce === queue.next) this.candidates.place(pooled);
    this.candidates.compact(this.bySender.size);
    return undefined;
  }

  /** Runs a change of a queue and keeps the number of gapped transactions true. */
  private changing(queue: SenderQueue, change: () => void): void {
    this.gapped -= queue.gapped;
    change();
    this.gapped += queue.gapped;
  }

  /**
   * Takes transactions for a block, best first and each sender's in order of nonce, until their intrinsic gas reaches `gasMax`, or `countMax` or `bytesMax` is reached. They
   * stay in the pool until {@link settle} says what became of them. Those that were blocked before get a share of the block, in turn, and what is left
   * over: a shard that does not answer must not keep others' transactions out.
   */
  take(gasMax: number, countMax: number, bytesMax = Number.POSITIVE_INFINITY): PoolTransaction[] {
    const chosen: PoolTransaction[] = [];
    let gas = 0;
    let bytes = 0;
    const choose = ({ tx }: Pooled): void => {
      chosen.push(tx);
      this.taken.set(tx.hashKey, tx);
      gas += tx.intrinsicGas;
      bytes += tx.raw.length;
      this.bySender.get(tx.senderKey)!.next++;
    };
    const blocked = this.candidates.takeBlocked();
    let at = 0;
    // What follows a blocked transaction waits with it, whether it runs this time or not.
    const chooseBlocked = (gasLimit: number, countLimit: number): void => {
      while (at < blocked.length && gas < gasLimit && chosen.length < countLimit && bytes < bytesMax) choose(blocked[at++]!);
    };
    chooseBlocked(gasMax / BLOCKED_SHARE, Math.ceil(countMax / BLOCKED_SHARE));
    while (gas < gasMax && chosen.length < countMax && bytes < bytesMax) {
      const head = this.candidates.pop();
      if (head === undefined) break;
      choose(head);
      const queue = this.bySender.get(head.tx.senderKey)!;
      const following = queue.get(queue.next);
      if (following !== undefined) this.candidates.place(following);
    }
    chooseBlocked(gasMax, countMax);
    this.candidates.putBackBlocked(blocked.slice(at));
    return chosen;
  }

  /**
   * After a block: `included` and `dropped` leave the pool, everything else that was taken is a candidate again. `blocked` are those of it that wait for a
   * lock or for a budget of their pair of shards: they do not count as {@link ready}.
   */
  settle(
    included: readonly PoolTransaction[],
    dropped: readonly PoolTransaction[],
    later: readonly PoolTransaction[],
    blocked: readonly PoolTransaction[] = [],
  ): void {
    const senders = new Set(this.stalled);
    for (const tx of this.taken.values()) senders.add(tx.senderKey);
    this.taken = new Map();
    for (const list of [included, dropped, later, blocked]) for (const tx of list) senders.add(tx.senderKey);
    for (const tx of included) this.remove(tx);
    for (const tx of dropped) this.remove(tx);
    const held = new Set(blocked.map((tx) => tx.hashKey));
    for (const sender of senders) this.rewind(sender, held);
    this.candidates.compact(this.bySender.size);
  }

  /**
   * Takes back what {@link settle} had included in a block that was not decided after all; the state is that from before it, or of another block. What another block
   * holds, or does not fit any more, stays out.
   */
  reinstate(transactions: readonly PoolTransaction[]): void {
    // The state is an older one now: the queues' beginnings must follow before anything is added in front of them.
    for (const sender of new Set(transactions.map((tx) => tx.senderKey))) this.rewind(sender, NONE_HELD);
    for (const tx of transactions) this.add(tx);
  }

  /** Raw bytes of transactions that could run now, oldest senders first, up to `bytesMax` in all. */
  sample(bytesMax: number): Uint8Array[] {
    const raws: Uint8Array[] = [];
    let bytes = 0;
    for (const queue of this.bySender.values()) {
      for (let nonce = queue.next; bytes < bytesMax; nonce++) {
        const pooled = queue.get(nonce);
        if (pooled === undefined) break;
        raws.push(pooled.tx.raw);
        bytes += pooled.tx.raw.length;
      }
      if (bytes >= bytesMax) break;
    }
    return raws;
  }

  private remove(tx: PoolTransaction): void {
    const queue = this.bySender.get(tx.senderKey);
    if (queue?.get(tx.nonce)?.tx !== tx) return;
    this.changing(queue, () => queue.remove(tx.nonce));
    this.byHash.delete(tx.hashKey);
  }

  /** Sets a sender's queue to its account's nonce: what is below it can never run, what is at it is the head. */
  private rewind(senderKey: string, held: ReadonlySet<string>): void {
    const queue = this.bySender.get(senderKey);
    if (queue === undefined) return;
    const nonce = this.accounts.account(senderKey)?.nonce ?? 0;
    this.changing(queue, () => {
      for (const { tx } of queue.rewind(nonce)) this.byHash.delete(tx.hashKey);
    });
    const head = queue.get(nonce);
    if (head === undefined && queue.size > 0) this.stalled.add(senderKey);
    else this.stalled.delete(senderKey);
    if (head !== undefined && held.has(head.tx.hashKey)) this.candidates.block(head);
    else if (head !== undefined) this.candidates.place(head);
    else if (queue.size === 0) this.bySender.delete(senderKey);
  }
}
