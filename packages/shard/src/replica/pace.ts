import type { CrossShardProtocol, GenesisParameters } from '@shardlab/crosslink';
import type { Agreement } from '../consensus/agreement.ts';
import type { Inbox } from '../exchange/inbox.ts';
import type { Mempool } from '../mempool/mempool.ts';
import { committeeIntervalMs, proposalDelayMs } from '../production/schedule.ts';
import type { StepContext } from '../step-context.ts';
import type { Parent } from './speculation.ts';

/** What the pace of blocks depends on. */
export interface PaceModules {
  readonly step: StepContext;
  readonly mempool: Mempool;
  readonly inbox: Inbox;
  readonly protocol: CrossShardProtocol;
  readonly agreement: Agreement;
}

/** When a shard's next block is due (R5), and the timer `propose` until then. */
export class Pace {
  private readonly parameters: GenesisParameters;
  private readonly committee: boolean;
  private readonly modules: PaceModules;
  /** When the timer is set for. */
  private atMs: number | undefined;

  /** `committee`: there is something to agree on for each block. */
  constructor(options: { readonly parameters: GenesisParameters; readonly committee: boolean }, modules: PaceModules) {
    this.parameters = options.parameters;
    this.committee = options.committee;
    this.modules = modules;
  }

  /** Between two blocks, while there is work. */
  private get intervalMs(): number {
    const { blockIntervalMs } = this.parameters;
    return this.committee ? committeeIntervalMs(blockIntervalMs, this.modules.agreement.blockMs) : blockIntervalMs;
  }

  /** How long until the block after `parent` may be proposed, in milliseconds. */
  delayMs(parent: Parent): number {
    const { mempool, inbox, protocol, step } = this.modules;
    const { timestampMs } = parent.header;
    const schedule = { blockIntervalMs: this.intervalMs, heartbeatMs: this.parameters.heartbeatMs };
    const delay = (hasWork: boolean, dueMs?: number): number => proposalDelayMs(schedule, timestampMs, step.nowMs, hasWork, dueMs);
    if (mempool.ready || inbox.ready(parent.pairs)) return delay(true);
    const due = protocol.nextDue();
    // A transaction that waits for its retry is pending work: its backoff counts blocks.
    return delay(due.height !== undefined, due.timestampMs);
  }

  /** Whether the timer is set for the moment from which on the block after this one may be due: nothing can make it due earlier. */
  armedFor(head: Parent['header']): boolean {
    const { atMs } = this;
    return atMs !== undefined && atMs > this.modules.step.nowMs && atMs <= head.timestampMs + this.intervalMs;
  }

  /** Sets the timer, unless it fires before. */
  arm(delayMs: number): void {
    const { step } = this.modules;
    const atMs = step.nowMs + delayMs;
    if (this.atMs !== undefined && this.atMs > step.nowMs && this.atMs <= atMs) return;
    this.atMs = atMs;
    step.push({ kind: 'set-timer', timer: 'propose', delayMs });
  }

  /** The timer has fired. */
  fired(): void {
    this.atMs = undefined;
  }
}
