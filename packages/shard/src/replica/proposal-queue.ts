import { equalBytes, type Hash32, type ShardId } from '@shardlab/crosslink';
import type { ConsensusOutput } from '../consensus/types.ts';
import type { AdmissionBatch } from '../transaction/admission-record.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import { BlockSenders, decodeProposal, type ForeignBlock, headerFault, type HeaderRules, inboxLack, type SenderModules } from './checks.ts';
import type { Parent } from './speculation.ts';

/** A proposal that waits to be executed here. */
export interface QueuedProposal extends ForeignBlock {
  /** Nobody has vouched for it: its time is judged. */
  readonly fresh: boolean;
  readonly senders: BlockSenders;
}

/** What a proposal is judged by, and where what it lacks comes from. */
export interface ProposalQueueModules extends SenderModules, HeaderRules {
  /** A waiting block lacks a source's messages from a sequence on. */
  readonly lack: (source: ShardId, fromSequence: number) => void;
  /** Asks for epochs that this node has not heard of. */
  readonly askEpochs: () => void;
}

/** What comes out of the queue: a proposal to execute, or one that can not be voted for. */
export type NextProposal =
  | { readonly kind: 'execute'; readonly proposal: QueuedProposal; readonly transactions: readonly PoolTransaction[] }
  | { readonly kind: 'refuse'; readonly proposal: QueuedProposal; readonly reason: string };

/** Others' proposals until they have all that executing them takes: their parent's execution, senders, their epoch, and the messages that they consume, verified here. */
export class ProposalQueue {
  private readonly modules: ProposalQueueModules;
  private readonly countMax: number;
  private waiting: QueuedProposal[] = [];

  /** `countMax`: proposals that wait at most; the oldest goes. */
  constructor(countMax: number, modules: ProposalQueueModules) {
    this.countMax = countMax;
    this.modules = modules;
  }

  /** Takes a proposal in; false = it is no block. */
  add(output: Extract<ConsensusOutput, { kind: 'validate' }>): boolean {
    const block = decodeProposal(output);
    if (block === undefined) return false;
    this.drop(block.hash);
    this.waiting = this.waiting.slice(1 - this.countMax);
    this.waiting.push({ ...block, fresh: output.fresh, senders: new BlockSenders(block.input.transactions, this.modules) });
    return true;
  }

  /** It needs no answer any more. */
  drop(hash: Hash32): void {
    this.waiting = this.waiting.filter((proposal) => !equalBytes(proposal.hash, hash));
  }

  /**
   * The first proposal of which everything is known. Those at or below height `known` are dropped: what is certified there is executed as such. What others lack is
   * asked for.
   */
  next(known: number, parentOf: (hash: Hash32) => Parent | undefined): NextProposal | undefined {
    this.waiting = this.waiting.filter((proposal) => proposal.header.height > known);
    for (const proposal of this.waiting) {
      const parent = parentOf(proposal.header.parentHash);
      const next = parent === undefined ? undefined : this.judge(proposal, parent);
      if (next !== undefined) return next;
    }
    return undefined;
  }

  private judge(proposal: QueuedProposal, parent: Parent): NextProposal | undefined {
    const { epochs, inbox, step, askEpochs, lack } = this.modules;
    const refuse = (reason: string): NextProposal => ({ kind: 'refuse', proposal, reason });
    if (epochs.get(proposal.header.epoch) === undefined) {
      askEpochs();
      return undefined;
    }
    const fault = headerFault(this.modules, parent.header.timestampMs, proposal.header, proposal.fresh, step.nowMs);
    if (fault !== undefined) return refuse(fault);
    const lacks = inboxLack(inbox, proposal.input);
    if (lacks === 'lies') return refuse('inbox');
    const { transactions } = proposal.senders;
    if (transactions === 'bad') return refuse('transaction');
    for (const [source, sequence] of lacks) lack(source, sequence);
    return lacks.size > 0 || transactions === 'waiting' ? undefined : { kind: 'execute', proposal, transactions };
  }

  /** Asks again for the messages that waiting proposals lack. */
  pullLacks(): void {
    for (const { input } of this.waiting) {
      const lacks = inboxLack(this.modules.inbox, input);
      if (lacks !== 'lies') for (const [source, sequence] of lacks) this.modules.lack(source, sequence);
    }
  }

  /** Answers `recover-senders`; whether the answer was for one of these. */
  recovered(request: number, batch: AdmissionBatch | undefined): boolean {
    return this.waiting.some(({ senders }) => senders.recovered(request, batch));
  }
}
