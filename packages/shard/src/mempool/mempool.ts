import type { AccountReader } from '../state/shard-state.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import { type Rejection, rejection } from './admission.ts';
import { Heap } from './heap.ts';

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

interface Pooled {
  readonly tx: PoolTransaction;
  readonly arrival: number;
}

interface SenderQueue {
  readonly byNonce: Map<number, Pooled>;
  /** Nonce of the next transaction to be taken into a block. */
  next: number;
  /** Most wei that all of them can cost together. */
  cost: bigint;
}

function costOf(tx: PoolTransaction): bigint {
  return tx.value + BigInt(tx.gasLimit) * tx.maxFeePerGas;
}

/**
 * The bounded pool of one shard: one queue of nonces a sender, and a heap of their heads by tip, then arrival. Not durable: a client resubmits until it has
 * a receipt.
 */
export class Mempool {
  private readonly options: MempoolOptions;
  private readonly accounts: AccountReader;
  private readonly bySender = new Map<string, SenderQueue>();
  private readonly byHash = new Map<string, PoolTransaction>();
  private readonly heads = new Heap<Pooled>((a, b) =>
    a.tx.maxPriorityFeePerGas === b.tx.maxPriorityFeePerGas ? a.arrival < b.arrival : a.tx.maxPriorityFeePerGas > b.tx.maxPriorityFeePerGas,
  );
  private arrivals = 0;
  /** Transactions that are in a block under execution. */
  private taken = new Set<string>();

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

  /** Whether some transaction could be taken now. */
  get ready(): boolean {
    for (;;) {
      const head = this.heads.peek();
      if (head === undefined) return false;
      if (this.isHead(head)) return true;
      this.heads.pop();
    }
  }

  /** Whether a heap entry is still its sender's next transaction: replaced, included and overtaken ones stay in the heap until they come up. */
  private isHead(pooled: Pooled): boolean {
    const queue = this.bySender.get(pooled.tx.senderKey);
    return queue !== undefined && queue.next === pooled.tx.nonce && queue.byNonce.get(pooled.tx.nonce) === pooled;
  }

  get(hashKey: string): PoolTransaction | undefined {
    return this.byHash.get(hashKey);
  }

  /** The sender's next nonce with what is pooled for it, without gaps. */
  pendingNonce(senderKey: string): number {
    let nonce = this.accounts.account(senderKey)?.nonce ?? 0;
    const queue = this.bySender.get(senderKey);
    if (queue !== undefined) while (queue.byNonce.has(nonce)) nonce++;
    return nonce;
  }

  /** Takes a transaction whose sender is known and lives here. `undefined` = it is in. */
  add(tx: PoolTransaction, baseFeePerGas: bigint): Rejection | undefined {
    if (this.byHash.has(tx.hashKey)) return rejection('already-known', 'already known');
    const account = this.accounts.account(tx.senderKey);
    const nonce = account?.nonce ?? 0;
    if (tx.nonce < nonce) return rejection('nonce-too-low', `nonce too low: next nonce ${nonce}, tx nonce ${tx.nonce}`);
    if (tx.nonce > nonce + this.options.nonceAheadMax) {
      return rejection('nonce-too-high', `nonce too high: next nonce ${nonce}, tx nonce ${tx.nonce}, at most ${this.options.nonceAheadMax} ahead`);
    }
    if (tx.maxFeePerGas < baseFeePerGas) {
      return rejection('underpriced', `transaction underpriced: max fee per gas ${tx.maxFeePerGas}, base fee ${baseFeePerGas}`);
    }
    const queue = this.bySender.get(tx.senderKey);
    const old = queue?.byNonce.get(tx.nonce);
    const others = (queue?.cost ?? 0n) - (old === undefined ? 0n : costOf(old.tx));
    const balance = account?.balance ?? 0n;
    if (balance < others + costOf(tx)) {
      return rejection('insufficient-funds', `insufficient funds for gas * price + value: balance ${balance}, queued cost ${others}, tx cost ${costOf(tx)}`);
    }
    if (old !== undefined) return this.replace(queue!, old, tx);
    if (this.byHash.size >= this.options.capacity) return rejection('pool-full', 'txpool is full');
    this.insert(tx, nonce);
    return undefined;
  }

  private insert(tx: PoolTransaction, nonce: number): void {
    let queue = this.bySender.get(tx.senderKey);
    if (queue === undefined) this.bySender.set(tx.senderKey, (queue = { byNonce: new Map(), next: nonce, cost: 0n }));
    const pooled = { tx, arrival: this.arrivals++ };
    queue.byNonce.set(tx.nonce, pooled);
    queue.cost += costOf(tx);
    this.byHash.set(tx.hashKey, tx);
    if (tx.nonce === queue.next) this.heads.push(pooled);
  }

  private replace(queue: SenderQueue, old: Pooled, tx: PoolTransaction): Rejection | undefined {
    const enough = (now: bigint, before: bigint): boolean => now * 100n >= before * (100n + BUMP_PERCENT);
    const better = enough(tx.maxFeePerGas, old.tx.maxFeePerGas) && enough(tx.maxPriorityFeePerGas, old.tx.maxPriorityFeePerGas);
    if (!better || this.taken.has(old.tx.hashKey)) return rejection('replacement-underpriced', 'replacement transaction underpriced');
    this.byHash.delete(old.tx.hashKey);
    this.byHash.set(tx.hashKey, tx);
    queue.cost += costOf(tx) - costOf(old.tx);
    const pooled = { tx, arrival: old.arrival };
    queue.byNonce.set(tx.nonce, pooled);
    if (tx.nonce === queue.next) this.heads.push(pooled);
    return undefined;
  }

  /**
   * Takes transactions for a block, best first and each sender's in order of nonce, until their gas limits reach `gasMax` or `countMax` is reached. They stay in the pool
   * until {@link settle} says what became of them.
   */
  take(gasMax: number, countMax: number): PoolTransaction[] {
    const chosen: PoolTransaction[] = [];
    let gas = 0;
    while (chosen.length < countMax && gas < gasMax) {
      const head = this.heads.pop();
      if (head === undefined) break;
      if (!this.isHead(head)) continue;
      const queue = this.bySender.get(head.tx.senderKey)!;
      chosen.push(head.tx);
      this.taken.add(head.tx.hashKey);
      gas += head.tx.intrinsicGas;
      queue.next++;
      const following = queue.byNonce.get(queue.next);
      if (following !== undefined) this.heads.push(following);
    }
    return chosen;
  }

  /** After a block: `included` and `dropped` leave the pool, everything else that was taken is a candidate again. */
  settle(included: readonly PoolTransaction[], dropped: readonly PoolTransaction[], later: readonly PoolTransaction[]): void {
    this.taken.clear();
    const senders = new Set<string>();
    for (const tx of [...included, ...dropped]) {
      this.remove(tx);
      senders.add(tx.senderKey);
    }
    for (const tx of later) senders.add(tx.senderKey);
    for (const sender of senders) this.rewind(sender);
  }

  private remove(tx: PoolTransaction): void {
    const queue = this.bySender.get(tx.senderKey);
    if (queue?.byNonce.get(tx.nonce)?.tx !== tx) return;
    queue.byNonce.delete(tx.nonce);
    queue.cost -= costOf(tx);
    this.byHash.delete(tx.hashKey);
  }

  /** Sets a sender's queue to its account's nonce: what is below it can never run, what is at it is the head. */
  private rewind(senderKey: string): void {
    const queue = this.bySender.get(senderKey);
    if (queue === undefined) return;
    const nonce = this.accounts.account(senderKey)?.nonce ?? 0;
    for (let stale = Math.min(queue.next, nonce) - 1; queue.byNonce.has(stale); stale--) this.remove(queue.byNonce.get(stale)!.tx);
    for (let stale = queue.next; stale < nonce; stale++) {
      const pooled = queue.byNonce.get(stale);
      if (pooled !== undefined) this.remove(pooled.tx);
    }
    queue.next = nonce;
    const head = queue.byNonce.get(nonce);
    if (head !== undefined) this.heads.push(head);
    else if (queue.byNonce.size === 0) this.bySender.delete(senderKey);
  }
}
