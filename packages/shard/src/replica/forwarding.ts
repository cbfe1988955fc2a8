import { encodeForward, FORWARD_BYTES_MAX, type ShardId, TOPICS } from '@shardlab/crosslink';
import type { Mempool } from '../mempool/mempool.ts';
import type { StepContext } from '../step-context.ts';

/** Transactions in one message to the committee. */
const FORWARD_ITEMS_MAX = 4_096;
/** Bytes of waiting transactions that are said again when nothing moves. */
const AGAIN_BYTES = 16 * 1024;

/**
 * Hands admitted transactions to the rest of the committee, so that whoever proposes has them. Each message costs all others a job of sender recovery and more: the
 * first is sent at once, and what follows within an interval goes in one.
 */
export class Forwarding {
  private readonly topic: string;
  private readonly intervalMs: number;
  private readonly step: StepContext;
  private readonly mempool: Mempool;
  private waiting: Uint8Array[] = [];
  private bytes = 0;
  private sentMs = Number.NEGATIVE_INFINITY;
  private armed = false;
  /** Messages so far: what is said again must differ from what was said before, or gossip would take it for a duplicate. */
  private messages = 0;

  /** `intervalMs`: between two messages, unless one is full. */
  constructor(options: { readonly shard: ShardId; readonly intervalMs: number }, modules: { readonly step: StepContext; readonly mempool: Mempool }) {
    this.topic = TOPICS.transactions(options.shard);
    this.intervalMs = options.intervalMs;
    this.step = modules.step;
    this.mempool = modules.mempool;
  }

  /** New ones, in order of nonces. */
  add(raws: readonly Uint8Array[]): void {
    for (const raw of raws) {
      this.waiting.push(raw);
      this.bytes += raw.length;
      if (this.bytes >= FORWARD_BYTES_MAX || this.waiting.length === FORWARD_ITEMS_MAX) this.send();
    }
    if (this.waiting.length === 0 || this.armed) return;
    const { nowMs } = this.step;
    const delayMs = this.sentMs + this.intervalMs - nowMs;
    // A clock that jumped back delays nothing.
    if (delayMs <= 0 || delayMs > this.intervalMs) this.send();
    else {
      this.armed = true;
      this.step.push({ kind: 'set-timer', timer: 'forward', delayMs });
    }
  }

  /** The timer `forward` has fired. */
  timer(): void {
    this.armed = false;
    this.send();
  }

  /** Nothing moves: the proposer may not have what waits here. */
  again(): void {
    this.send();
    this.waiting.push(...this.mempool.sample(AGAIN_BYTES));
    this.send();
  }

  private send(): void {
    if (this.waiting.length === 0) return;
    this.step.push({ kind: 'publish', topic: this.topic, data: encodeForward(this.waiting, this.messages++) });
    this.waiting = [];
    this.bytes = 0;
    this.sentMs = this.step.nowMs;
  }
}
