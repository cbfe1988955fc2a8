import type { SignedLoad } from '../workload/signed-load.ts';

const NONE = -1;
/** What nothing speaks of as forgotten goes again too, this many times later: its block may have been missed. */
const UNPROVEN_FACTOR = 4;
/** Where a transaction stands between its intended time and its end. */
const State = { future: 0, held: 1, released: 2, accepted: 3, ended: 4 } as const;

/**
 * Keeps each sender's transactions in nonce order and at most `window` of them on their way into a block. What is held back keeps its intended time, so waiting
 * counts as latency. Links are typed arrays; everything is O(1) a transaction, but going back over a sender's window after a crash.
 */
export class Pacer {
  private readonly load: SignedLoad;
  private readonly window: number;
  private readonly release: (index: number) => void;
  private readonly state: Uint8Array;
  /** Next transaction of the same sender. */
  private readonly next: Int32Array;
  /** Per sender: first transaction that has not ended, first not released, and how many are on their way. */
  private readonly firstOpen: Int32Array;
  private readonly firstHeld: Int32Array;
  private readonly outstanding: Uint16Array;
  /** When it was last given to a node, milliseconds by the caller's clock. */
  private readonly sentMs: Float64Array;
  private readonly sends: Uint8Array;
  /** Whether a block of its sender's shard holds it: no crash can take it back. */
  private readonly inBlock: Uint8Array;
  /** Per shard: what its pool took before this time should be in a block, as blocks since then show. */
  private readonly overtakenMs: Float64Array;

  /** `release` is called with each transaction that may be sent now, in nonce order for each sender. */
  constructor(load: SignedLoad, options: { readonly window: number }, release: (index: number) => void) {
    this.load = load;
    this.window = options.window;
    this.release = release;
    this.state = new Uint8Array(load.count);
    this.next = new Int32Array(load.count).fill(NONE);
    this.firstOpen = new Int32Array(load.senders).fill(NONE);
    this.outstanding = new Uint16Array(load.senders);
    this.sentMs = new Float64Array(load.count);
    this.sends = new Uint8Array(load.count);
    this.inBlock = new Uint8Array(load.count);
    this.overtakenMs = new Float64Array(load.shards).fill(Number.NEGATIVE_INFINITY);
    const last = new Int32Array(load.senders).fill(NONE);
    for (let index = 0; index < load.count; index++) {
      const sender = load.sender[index]!;
      if (last[sender] === NONE) this.firstOpen[sender] = index;
      else this.next[last[sender]!] = index;
      last[sender] = index;
    }
    this.firstHeld = this.firstOpen.slice();
  }

  /** Its intended time has come. */
  due(index: number): void {
    if (this.state[index] !== State.future) return;
    this.state[index] = State.held;
    this.advance(this.load.sender[index]!);
  }

  /** A node has it. */
  accepted(index: number, nowMs: number): void {
    if (this.state[index] !== State.released) return;
    this.state[index] = State.accepted;
    this.sentMs[index] = nowMs;
    if (this.sends[index]! < 255) this.sends[index]! += 1;
  }

  /** A final block of its sender's shard holds it: what that shard's pool took earlier had its turn (pools are first in, first out at one price). */
  included(index: number): void {
    this.overtaken(this.load.fromShard[index]!, this.sentMs[index]!);
    if (this.inBlock[index] === 1) return;
    this.inBlock[index] = 1;
    if (!this.isOnItsWay(index)) return;
    // Its nonce is used: the next may go, although other shards have yet to end this one.
    const sender = this.load.sender[index]!;
    this.outstanding[sender]! -= 1;
    this.advance(sender);
  }

  /** A final block of `shard` holds nothing of this run: its pool had nothing of it to give. */
  blockWithout(shard: number, nowMs: number): void {
    this.overtaken(shard, nowMs);
  }

  /** It has ended, whichever way: the sender's next one may go. */
  ended(index: number): void {
    const before = this.state[index]!;
    if (before === State.ended) return;
    this.state[index] = State.ended;
    const sender = this.load.sender[index]!;
    if ((before === State.released || before === State.accepted) && this.inBlock[index] === 0) this.outstanding[sender]! -= 1;
    this.advance(sender);
  }

  /** Whether it must still be sent: it has been released and has neither been taken nor ended. */
  wantsSending(index: number): boolean {
    return this.state[index] === State.released;
  }

  /** Whether it was ever handed to a node or is about to be. */
  isOnItsWay(index: number): boolean {
    return this.state[index] === State.released || this.state[index] === State.accepted;
  }

  /** Calls `visit` with each transaction of the same sender after `index`, in nonce order. */
  successors(index: number, visit: (index: number) => void): void {
    for (let at = this.next[index]!; at !== NONE; at = this.next[at]!) visit(at);
  }

  /**
   * Releases again, in nonce order, all that a node took from `sender` and that has not ended: nodes forget their pools in a crash. `fromPoolOnly`: not
   * what is known to be in a block.
   */
  rewind(sender: number, fromPoolOnly = false): number {
    let count = 0;
    for (let at = this.open(sender); at !== NONE && at !== this.firstHeld[sender]; at = this.next[at]!) {
      if (this.state[at] !== State.accepted || (fromPoolOnly && this.inBlock[at] === 1)) continue;
      this.state[at] = State.released;
      this.release(at);
      count += 1;
    }
    return count;
  }

  /** Rewinds every sender that lives on `shard`. Returns how many transactions go again. */
  rewindShard(shard: number): number {
    let count = 0;
    for (let sender = 0; sender < this.load.senders; sender++) {
      const at = this.open(sender);
      if (at !== NONE && this.load.fromShard[at] === shard) count += this.rewind(sender);
    }
    return count;
  }

  /**
   * Rewinds senders of whom the pool seems to have forgotten something: taken `afterMs` ago, in no block, while blocks hold what came later. A pool that is
   * only full is left alone. Without such a sign it takes four times as long; each repetition waits twice as long, up to eight times.
   */
  rewindStale(nowMs: number, afterMs: number): number {
    let count = 0;
    for (let sender = 0; sender < this.load.senders; sender++) {
      const oldest = this.open(sender);
      if (this.waited(oldest, nowMs, UNPROVEN_FACTOR * afterMs)) count += this.rewind(sender);
      else if (this.looksForgotten(sender, nowMs, afterMs)) count += this.rewind(sender, true);
    }
    return count;
  }

  /** Judges by the first that is in no block: what is in one may wait long for other shards. */
  private looksForgotten(sender: number, nowMs: number, afterMs: number): boolean {
    let at = this.open(sender);
    while (at !== NONE && at !== this.firstHeld[sender] && (this.inBlock[at] === 1 || this.state[at] === State.ended)) at = this.next[at]!;
    return this.waited(at, nowMs, afterMs) && this.sentMs[at]! < this.overtakenMs[this.load.fromShard[at]!]!;
  }

  private waited(index: number, nowMs: number, afterMs: number): boolean {
    if (index === NONE || this.state[index] !== State.accepted) return false;
    return nowMs - this.sentMs[index]! >= afterMs * 2 ** Math.min(3, this.sends[index]! - 1);
  }

  private overtaken(shard: number, beforeMs: number): void {
    if (beforeMs > this.overtakenMs[shard]!) this.overtakenMs[shard] = beforeMs;
  }

  private open(sender: number): number {
    let at = this.firstOpen[sender]!;
    while (at !== NONE && this.state[at] === State.ended) at = this.next[at]!;
    this.firstOpen[sender] = at;
    return at;
  }

  private advance(sender: number): void {
    let at = this.firstHeld[sender]!;
    while (at !== NONE) {
      if (this.state[at] === State.held && this.outstanding[sender]! < this.window) {
        this.state[at] = State.released;
        this.outstanding[sender]! += 1;
        this.release(at);
      } else if (this.state[at] !== State.ended) break;
      at = this.next[at]!;
    }
    this.firstHeld[sender] = at;
  }
}
