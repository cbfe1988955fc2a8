import { ACCEPT, DecodeError, ignore, quorumSize, reject, type ShardId, TOPICS, type Verdict } from '@shardlab/crosslink';
import type { Requests } from '../exchange/requests.ts';
import type { StepContext } from '../step-context.ts';
import { Patience } from './patience.ts';
import type { AgreedHead, Consensus, ConsensusOutput, Proposal } from './types.ts';

/** Least time that a leader gets, in milliseconds: to propose, and for two rounds of votes with room to spare. */
const TIMEOUT_MIN_MS = 1_000;
/** And in block intervals: a leader whose clock is late by one is no dead leader. */
const TIMEOUT_INTERVALS = 2;
/**
 * What was said is said again after this long without progress, at the least, in milliseconds, then after twice as long each time, at most so often: a machine that is
 * too slow must not be given more to do.
 */
const REPEAT_MIN_MS = 400;
const REPEAT_MAX_MS = 4_000;

/** Which committee this is. */
export interface AgreementOptions {
  readonly chain: ShardId;
  /** Validators of the committee. */
  readonly size: number;
  readonly blockIntervalMs: number;
}

/** What agreement works with. */
export interface AgreementModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly consensus: Consensus;
}

/** What the chain around it does. */
export interface AgreementHost {
  /** Execute and compare; {@link Agreement.validated} answers. */
  readonly validate: (output: Extract<ConsensusOutput, { kind: 'validate' }>) => void;
  /** Store it and tell of it; {@link Agreement.finalised} when it is stored. */
  readonly decided: (output: Extract<ConsensusOutput, { kind: 'decided' }>) => void;
  /** Certified blocks up to `height` exist that this validator has no votes for. */
  readonly behind: (height: number, from: number) => void;
  /** Nothing has moved for a while: whatever else could help may be asked for, or said, again. */
  readonly stuck: () => void;
}

/**
 * Gives an agreement engine its place in a core: its votes to the disk before they leave (R2), its messages to the committee, and timers that run only while there is
 * work due.
 */
export class Agreement {
  private readonly options: AgreementOptions;
  private readonly modules: AgreementModules;
  private readonly host: AgreementHost;
  private readonly patience: Patience;
  /** Messages that wait for the votes in them to be synced, by request. */
  private readonly unsynced = new Map<number, readonly Uint8Array[]>();
  private wanted: Extract<ConsensusOutput, { kind: 'fetch' }> | undefined;
  private fetches = 0;
  private retransmitArmed = false;
  /** How often the same was said again. */
  private repeats = 0;
  private quietBeforeMs = 0;
  private viewTimerAtMs: number | undefined;
  /** Since when there has been no connection to validators that were connected before, in milliseconds. */
  private readonly gone = new Map<number, number>();

  constructor(options: AgreementOptions, modules: AgreementModules, host: AgreementHost) {
    this.options = options;
    this.modules = modules;
    this.host = host;
    this.patience = new Patience(Math.max(TIMEOUT_MIN_MS, TIMEOUT_INTERVALS * options.blockIntervalMs));
  }

  /** What agreeing on a block has taken lately, in milliseconds. */
  get blockMs(): number {
    return this.patience.blockMs;
  }

  /** After a start: says again what was said before, and has what was voted for executed again. */
  start(): void {
    if (this.options.size > 1) this.perform(this.modules.consensus.retransmit());
  }

  /** A message of the committee. Malformed bytes are the sender's fault. */
  take(data: Uint8Array): Verdict {
    try {
      const { verdict, outputs } = this.modules.consensus.receive(data.slice());
      this.perform(outputs);
      return verdict;
    } catch (error) {
      if (error instanceof DecodeError) return reject(error.code);
      throw error;
    }
  }

  /** The connection to a validator of this committee has broken, or is back. */
  connected(validator: number, connected: boolean): void {
    if (connected) this.gone.delete(validator);
    else if (validator < this.options.size && !this.gone.has(validator)) this.gone.set(validator, this.modules.step.nowMs);
  }

  /** Offers this validator's own, executed block. */
  propose(proposal: Proposal): void {
    this.perform(this.modules.consensus.propose(proposal));
  }

  /** Answers `validate`. */
  validated(...answer: Parameters<Consensus['validated']>): void {
    this.perform(this.modules.consensus.validated(...answer));
  }

  /** A block is stored and final. */
  finalised(head: AgreedHead): void {
    this.patience.decided(this.modules.step.nowMs);
    this.perform(this.modules.consensus.finalised(head));
  }

  /** Answers a `persist`; whether it was one of votes. */
  persisted(request: number): boolean {
    const messages = this.unsynced.get(request);
    if (messages === undefined) return false;
    this.unsynced.delete(request);
    this.publish(messages);
    return true;
  }

  private publish(messages: readonly Uint8Array[]): void {
    const topic = TOPICS.consensus(this.options.chain);
    for (const data of messages) this.modules.step.push({ kind: 'publish', topic, data });
  }

  private perform(outputs: readonly ConsensusOutput[]): void {
    const { requests, step } = this.modules;
    for (const output of outputs) {
      switch (output.kind) {
        case 'vote': {
          const request = requests.number();
          this.unsynced.set(request, output.messages);
          step.push({ kind: 'persist', request, record: { kind: 'votes', state: output.state, proposals: output.proposals } });
          break;
        }
        case 'send':
          this.publish(output.messages);
          break;
        case 'validate':
          this.host.validate(output);
          break;
        case 'decided':
          this.host.decided(output);
          break;
        case 'behind':
          this.host.behind(output.height, output.from);
          break;
        case 'fetch':
          this.wanted = output;
          this.fetch();
          break;
        case 'log':
          step.log(output.line);
          break;
      }
    }
  }

  /** Asks for a proposal that a new view has chosen, each time another validator of those that have it. */
  private fetch(): void {
    const { wanted } = this;
    if (wanted === undefined || wanted.from.length === 0) return;
    const { requests, step } = this.modules;
    const validator = wanted.from[this.fetches % wanted.from.length]!;
    const effect = requests.askPeer({ chain: this.options.chain, validator }, { kind: 'proposal', height: wanted.height as never });
    if (effect === undefined) return;
    this.fetches++;
    step.push(effect);
  }

  /** Answers a request for a proposal: header and body, or nothing. */
  fetched(items: readonly Uint8Array[] | undefined): Verdict {
    const [header, body] = items ?? [];
    if (header === undefined || body === undefined) return ignore('proposal-absent');
    this.wanted = undefined;
    try {
      this.perform(this.modules.consensus.supply({ header: header.slice(), body: body.slice() }));
    } catch (error) {
      if (error instanceof DecodeError) return reject(error.code);
      throw error;
    }
    return ACCEPT;
  }

  /**
   * To be called at the end of each step. `dueAtMs`: since when there has been something to agree on, or when there will be; `undefined` = there is nothing.
   */
  watch(dueAtMs: number | undefined): void {
    const { consensus, step } = this.modules;
    const deadlineMs = this.deadline(dueAtMs);
    this.watchStall(dueAtMs);
    if (deadlineMs === undefined) return;
    this.armRetransmit();
    if (!consensus.patient) return;
    if (this.viewTimerAtMs !== undefined && this.viewTimerAtMs <= deadlineMs) return;
    this.viewTimerAtMs = deadlineMs;
    step.push({ kind: 'set-timer', timer: 'view', delayMs: Math.max(1, deadlineMs - step.nowMs) });
  }

  /** When the leader will be suspected; `undefined` while nothing is due. */
  private deadline(dueAtMs: number | undefined): number | undefined {
    const { consensus, step } = this.modules;
    // With more than f of them gone no quorum would follow; more likely it is this validator that is cut off.
    const few = this.gone.size <= this.options.size - quorumSize(this.options.size);
    return this.patience.deadline(step.nowMs, dueAtMs, consensus.progress, few ? this.gone.get(consensus.nextLeader) : undefined);
  }

  private armRetransmit(): void {
    if (this.retransmitArmed) return;
    this.retransmitArmed = true;
    const { step } = this.modules;
    const delayMs = Math.max(1, this.repeatMs - this.patience.quietMs(step.nowMs));
    step.push({ kind: 'set-timer', timer: 'retransmit', delayMs });
  }

  /** How long nothing must have moved before anything is said again. */
  private get repeatMs(): number {
    const firstMs = Math.max(REPEAT_MIN_MS, this.patience.calmMs / 2);
    // The sum of all pauses so far: each is twice the one before it.
    let waitedMs = 0;
    for (let round = 0; round <= this.repeats; round++) waitedMs += Math.min(REPEAT_MAX_MS, firstMs * 2 ** Math.min(round, 16));
    return waitedMs;
  }

  /** The timer `view` has fired: it is only ever set too early, never too late. */
  viewTimer(dueAtMs: number | undefined): void {
    const { consensus, step } = this.modules;
    this.viewTimerAtMs = undefined;
    const deadlineMs = this.deadline(dueAtMs);
    if (deadlineMs === undefined || deadlineMs > step.nowMs || !consensus.patient) return;
    this.patience.lost(step.nowMs);
    this.perform(consensus.suspect());
  }

  /** The timer `retransmit` has fired. */
  retransmitTimer(dueAtMs: number | undefined): void {
    const { consensus, step } = this.modules;
    this.retransmitArmed = false;
    const deadlineMs = this.deadline(dueAtMs);
    if (deadlineMs === undefined) return;
    const quietMs = this.patience.quietMs(step.nowMs);
    if (quietMs < this.quietBeforeMs) this.repeats = 0;
    this.quietBeforeMs = quietMs;
    if (quietMs < this.repeatMs) return;
    this.repeats++;
    this.perform(consensus.retransmit());
    this.fetch();
    this.host.stuck();
  }

  /** Says once, in the log, that agreement stands and what it waits for, and once that it goes on (never a hang without a diagnosis). */
  private watchStall(dueAtMs: number | undefined): void {
    const { consensus, step } = this.modules;
    const news = this.patience.stall(step.nowMs, dueAtMs);
    if (news === undefined) return;
    const { view, leader, voted, quorum, active } = consensus.status;
    const { chain } = this.options;
    if (news === 'stalled') {
      const waiting = active ? 'votes' : 'view-change';
      const fields = { chain, view, leader, waiting, voted: voted.join(','), heard: voted.length, quorum };
      step.log({ level: 'warn', event: 'consensus.stalled', fields });
    } else step.log({ level: 'info', event: 'consensus.resumed', fields: { chain, view } });
  }
}
