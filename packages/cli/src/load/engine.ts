import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ShardEndpoints } from '../rpc/endpoints.ts';
import type { HttpTransport } from '../rpc/http.ts';
import type { SignedLoad } from '../workload/signed-load.ts';
import { LoadBook, type LoadTotals } from './book.ts';
import { Lookups } from './lookups.ts';
import { Pacer } from './pacer.ts';
import { ShardPoller } from './poller.ts';
import { type Refusal, ShardSubmitter, type SubmitterEvents } from './submitter.ts';
import { OutcomeTracker } from './tracker.ts';

/** How often what is due is sent. Shorter ticks cost CPU time in small batches; latency counts from the intended time either way. */
const TICK_MS = 20;
/** How often stale transactions and single lookups are looked at. */
const SWEEP_MS = 250;
/** How long the last look at the chain may take. */
const LAST_LOOK_MS = 10_000;
/** How long participants' blocks of transactions that have ended are waited for, so that every phase stands in the report. */
const LAST_PHASES_MS = 1000;
/** Code of transactions whose sender has an earlier one rejected: their nonce can never come up. */
const BLOCKED = 'predecessor-rejected';
/** Refusals that pass: the transaction is tried again until the run's drain time is over. */
const TRANSIENT = new Set(['pool-full', 'nonce-too-high', 'unavailable', 'busy']);

/** How a run is driven. */
export interface EngineOptions {
  readonly ratePerSecond: number;
  /** Transactions of one sender on their way into a block at once. */
  readonly outstandingPerSender: number;
  /** A transaction that a node took this long ago goes again, if blocks since then hold later ones and not this one: see {@link Pacer.rewindStale}. */
  readonly resubmitAfterMs: number;
  /** How long after the last intended time ends are waited for. */
  readonly drainTimeoutMs: number;
  /** First block of each shard that may hold transactions of this run. */
  readonly fromHeights: readonly number[];
  /** Aborted: no more transactions are offered, and what is open ends as pending. */
  readonly signal?: AbortSignal;
}

/** What the engine works with. */
export interface EngineModules {
  readonly http: HttpTransport;
  /** One for each shard. */
  readonly endpoints: readonly ShardEndpoints[];
  /** Wall time in milliseconds, with fractions. */
  readonly nowMs: () => number;
  /** Called at every sweep. */
  readonly onProgress?: (progress: EngineProgress) => void;
}

/** How a run stands. */
export interface EngineProgress extends LoadTotals {
  readonly planned: number;
  readonly elapsedMs: number;
  /** Shards that do not answer now, and why. */
  readonly problems: ReadonlyMap<number, string>;
}

/** A finished run. */
export interface EngineResult {
  readonly book: LoadBook;
  /** Largest delay of a tick, in milliseconds: above a few block intervals, the generator itself was the bottleneck. */
  readonly lagMaxMs: number;
  /** Transactions that were sent again. */
  readonly resubmitted: number;
  /** Processor seconds of this process during the run. */
  readonly cpuSeconds: number;
  readonly elapsedMs: number;
}

/**
 * The open loop: transaction i is due at start + i / rate, whatever the network does. Every tick sends what is due, one request for each validator; one
 * long poll for each shard brings the ends. Nothing is forgotten: each transaction offered ends as committed, aborted, rejected or pending.
 */
export class LoadEngine {
  private readonly load: SignedLoad;
  private readonly options: EngineOptions;
  private readonly modules: EngineModules;
  private readonly book: LoadBook;
  private readonly pacer: Pacer;
  /** By shard: one for each validator that takes transactions; a sender's go by one of them, in order. */
  private readonly submitters: readonly (readonly ShardSubmitter[])[];
  private readonly pollers: readonly ShardPoller[];
  private readonly lookups: Lookups;
  private readonly blocked: Uint8Array;
  private readonly stopping = new AbortController();
  private failure: Error | undefined;
  private resubmitted = 0;
  private rewinding = false;
  /** Submitters whose transactions are sent again in this sweep. */
  private readonly stale = new Set<ShardSubmitter>();

  constructor(load: SignedLoad, options: EngineOptions, modules: EngineModules) {
    this.load = load;
    this.options = options;
    this.modules = modules;
    // A poll and a batch of each shard listen to it: Node would take that for a leak.
    setMaxListeners(0, this.stopping.signal);
    const startMs = modules.nowMs() + 2 * TICK_MS;
    this.book = new LoadBook(load, { startMs, ratePerSecond: options.ratePerSecond });
    this.blocked = new Uint8Array(load.senders);
    this.pacer = new Pacer(load, { window: options.outstandingPerSender }, (index) => this.release(index));
    const events = (shard: number): SubmitterEvents => ({
      back: () => this.shardIsBack(shard),
      wantsSending: (index) => this.pacer.wantsSending(index),
      accepted: (index) => this.accepted(index),
      refused: (refusal) => this.refused(refusal),
      failed: (error) => this.fail(error),
    });
    this.submitters = modules.endpoints.map((endpoints, shard) => {
      const lanes = endpoints.lanes();
      return lanes.map((lane) => new ShardSubmitter({ shard, validators: lanes.length, load }, { endpoints: lane, http: modules.http, events: events(shard) }));
    });
    const tracker = new OutcomeTracker(this.book, this.pacer);
    this.pollers = modules.endpoints.map((endpoints, shard) => {
      const block = (block: Parameters<OutcomeTracker['block']>[1]): void => tracker.block(shard, block, modules.nowMs());
      const poll = { block, back: () => this.shardIsBack(shard) };
      return new ShardPoller({ shard, fromHeight: options.fromHeights[shard]! }, { endpoints, events: poll });
    });
    this.lookups = new Lookups(load, {
      endpoints: modules.endpoints,
      events: {
        isOpen: (index) => !this.book.isSettled(index),
        ended: (index, fate) => this.settle(index, fate.outcome === 'committed' ? 'committed' : 'aborted', fate.reason ?? '', fate.endMs),
        stranger: (index) => this.reject(index, 'nonce-too-low'),
      },
    });
  }

  /** Runs to the end. Rejects when a node refuses batches for good (`load/refused`); a node that is down is waited for. */
  async run(): Promise<EngineResult> {
    const { signal } = this.stopping;
    const cpu = process.cpuUsage();
    const polls = this.pollers.map((poller) => poller.run(signal).catch((error: unknown) => this.fail(error as Error)));
    let lagMaxMs = 0;
    try {
      lagMaxMs = await this.loop(signal);
      await this.lastLook();
      const giveUpMs = this.modules.nowMs() + LAST_PHASES_MS;
      while (this.failure === undefined && this.book.lacksPhases() && this.modules.nowMs() < giveUpMs) await sleep(TICK_MS);
    } finally {
      this.stopping.abort();
      await Promise.all(polls);
    }
    if (this.failure !== undefined) throw this.failure;
    this.book.check();
    const used = process.cpuUsage(cpu);
    const elapsedMs = this.modules.nowMs() - this.book.startMs;
    return { book: this.book, lagMaxMs, resubmitted: this.resubmitted, cpuSeconds: (used.user + used.system) / 1e6, elapsedMs };
  }

  private async loop(signal: AbortSignal): Promise<number> {
    const { nowMs } = this.modules;
    const { count } = this.load;
    const giveUpMs = this.book.startMs + this.book.intendedMs(count - 1) + this.options.drainTimeoutMs;
    let lagMaxMs = 0;
    let tickMs = nowMs();
    let sweepMs = tickMs;
    for (;;) {
      const now = nowMs();
      lagMaxMs = Math.max(lagMaxMs, now - tickMs);
      if (this.options.signal?.aborted === true || this.failure !== undefined || now > giveUpMs) break;
      while (this.book.offeredCount < count && this.book.startMs + this.book.intendedMs(this.book.offeredCount) <= now) this.offer();
      for (const lanes of this.submitters) for (const submitter of lanes) submitter.pump(now, signal);
      if (now >= sweepMs) {
        sweepMs = now + SWEEP_MS;
        this.sweep(now, signal);
      }
      if (this.book.offeredCount === count && this.book.totals().pending === 0) break;
      tickMs = Math.max(tickMs + TICK_MS, now);
      await sleep(Math.max(0, tickMs - nowMs()));
    }
    this.modules.onProgress?.(this.progress(nowMs()));
    return lagMaxMs;
  }

  private offer(): void {
    const index = this.book.offer();
    if (this.blocked[this.load.sender[index]!] === 1) this.settle(index, 'rejected', BLOCKED);
    else this.pacer.due(index);
  }

  private sweep(now: number, signal: AbortSignal): void {
    this.rewinding = true;
    this.resubmitted += this.pacer.rewindStale(now, this.options.resubmitAfterMs);
    this.rewinding = false;
    for (const submitter of this.stale) submitter.turn();
    this.stale.clear();
    this.lookups.pump(now, signal);
    this.modules.onProgress?.(this.progress(now));
  }

  /** Single questions for what is open, so that `pending` means that the chain does not know an end either. */
  private async lastLook(): Promise<void> {
    const open: number[] = [];
    for (let index = 0; index < this.book.offeredCount; index++) {
      if (!this.book.isSettled(index) && this.pacer.isOnItsWay(index)) open.push(index);
    }
    if (open.length > 0) await this.lookups.sweep(open, AbortSignal.timeout(LAST_LOOK_MS));
  }

  private release(index: number): void {
    const lanes = this.submitters[this.load.fromShard[index]!]!;
    // Divided first: accounts may be dealt out to the shards in turn.
    const submitter = lanes[Math.floor(this.load.sender[index]! / this.submitters.length) % lanes.length]!;
    if (this.rewinding) {
      submitter.enqueueAgain(index);
      this.stale.add(submitter);
    } else submitter.enqueue(index);
  }

  private shardIsBack(shard: number): void {
    for (const submitter of this.submitters[shard]!) submitter.hurry();
    this.rewinding = true;
    this.resubmitted += this.pacer.rewindShard(shard);
    this.rewinding = false;
    // They go to who answers now: nobody is suspected of having forgotten them.
    this.stale.clear();
  }

  private accepted(index: number): void {
    const now = this.modules.nowMs();
    this.book.accepted(index, now);
    this.pacer.accepted(index, now);
  }

  /** Judges a refusal; true = try it again. */
  private refused({ index, code }: Refusal): boolean {
    if (this.book.isSettled(index)) return false;
    if (code === 'already-known') this.accepted(index);
    else if (code === 'nonce-too-low') {
      // Its nonce is used: by itself, as a rule, in a block from before a crash or one that the poll is about to bring.
      this.accepted(index);
      this.lookups.want(index, this.modules.nowMs());
    } else if (TRANSIENT.has(code)) return true;
    else this.reject(index, code);
    return false;
  }

  private reject(index: number, code: string): void {
    this.settle(index, 'rejected', code);
    this.blocked[this.load.sender[index]!] = 1;
    this.pacer.successors(index, (later) => {
      if (later < this.book.offeredCount) this.settle(later, 'rejected', BLOCKED);
    });
  }

  private settle(index: number, outcome: 'committed' | 'aborted' | 'rejected', reason: string, endMs?: number): void {
    if (this.book.settle(index, outcome, reason, endMs ?? this.modules.nowMs())) this.pacer.ended(index);
  }

  private fail(error: Error): void {
    this.failure ??= error;
  }

  private progress(now: number): EngineProgress {
    const problems = new Map<number, string>();
    this.pollers.forEach((poller, shard) => {
      const problem = poller.problem ?? this.submitters[shard]!.find((submitter) => submitter.problem !== undefined)?.problem;
      if (problem !== undefined) problems.set(shard, problem);
    });
    return { ...this.book.totals(), planned: this.load.count, elapsedMs: Math.max(0, now - this.book.startMs), problems };
  }
}
