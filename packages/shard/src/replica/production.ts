import {
  type Crypto,
  type CrossShardProtocol,
  encodeBlockInput,
  encodeHeader,
  equalBytes,
  type Genesis,
  type Hash32,
  type Height,
  invariant,
  type QuorumCertificate,
  type ShardId,
  toHex,
} from '@shardlab/crosslink';
import { Agreement } from '../consensus/agreement.ts';
import type { Consensus, ConsensusOutput } from '../consensus/types.ts';
import type { ExecutionOutcome, PersistRecord } from '../effects.ts';
import type { Epochs, KnownEpoch } from '../exchange/epochs.ts';
import type { Inbox } from '../exchange/inbox.ts';
import type { Outbox } from '../exchange/outbox.ts';
import type { Requests } from '../exchange/requests.ts';
import { nextBaseFee } from '../execution/fees.ts';
import type { BlockProposal, ExecutedBlock, Leftover } from '../execution/types.ts';
import type { Mempool } from '../mempool/mempool.ts';
import type { StepContext } from '../step-context.ts';
import type { AdmissionBatch } from '../transaction/admission-record.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import { BlockSenders, type CertifiedBlock, decodeProposal, diverged, type ForeignBlock } from './checks.ts';
import { Pace } from './pace.ts';
import { ProposalQueue, type QueuedProposal } from './proposal-queue.ts';
import { Announcer, blockLine, publishBlock } from './publication.ts';
import { type Parent, Speculation } from './speculation.ts';
import { type FinalHead, increment, type ReplicaCounters } from './types.ts';

/** Bytes of messages and of transactions that one block takes, about. A committee's blocks must fit into one gossip message with what they consume. */
const SOLO_BUDGET = { inboxBytes: 4 << 20, transactionBytes: 16 << 20 } as const;
const COMMITTEE_BUDGET = { inboxBytes: 128 << 10, transactionBytes: 224 << 10 } as const;
/** Transactions that one block takes from the pool. */
const BLOCK_TAKE_MAX = 16_384;
/** Heights above the final one that agreement works on at once. */
export const WINDOW = 2;
/** Certified blocks that wait to be replayed: more than one answer brings. */
const CERTIFIED_MAX = 512;
/** Proposals that wait for what they need: one for each open height, and as many of a view that has just ended. */
const PROPOSALS_MAX = 2 * WINDOW;

/** What block production works with. */
export interface ProductionModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly counters: ReplicaCounters;
  readonly crypto: Crypto;
  readonly consensus: Consensus;
  readonly protocol: CrossShardProtocol;
  readonly mempool: Mempool;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly epochs: Epochs;
  /** Outgoing entries that their destinations have consumed and the database still has; takes them. */
  readonly takeConsumed: () => Extract<PersistRecord, { kind: 'shard-block' }>['consumed'];
  /** A waiting block lacks a source's messages from a sequence on. */
  readonly lack: (source: ShardId, fromSequence: number) => void;
  /** Asks for epochs that this node has not heard of. */
  readonly askEpochs: () => void;
  readonly behind: (height: number, from: number) => void;
  readonly stuck: () => void;
}

/** What is being executed: this validator's own block, another's proposal, or one that a quorum has certified. */
type Task =
  | { readonly kind: 'build'; readonly request: number; readonly parentHash: Hash32 }
  | { readonly kind: 'check'; readonly request: number; readonly check: QueuedProposal }
  | { readonly kind: 'replay'; readonly request: number; readonly block: CertifiedBlock };

/** Makes blocks and follows those of the committee: executed, agreed on, stored, and only then told (R2). One is executed at a time; one is stored while the next is executed. */
export class Production {
  readonly agreement: Agreement;
  private readonly genesis: Genesis;
  private readonly shard: ShardId;
  private readonly validator: number;
  private readonly size: number;
  private readonly modules: ProductionModules;
  private readonly speculation = new Speculation();
  private readonly announcer: Announcer;
  private finalHead: FinalHead;
  private task: Task | undefined;
  private persisting: { readonly request: number; readonly block: ExecutedBlock; readonly certificate: QuorumCertificate } | undefined;
  private readonly proposals: ProposalQueue;
  private readonly certified = new Map<number, CertifiedBlock>();
  private replaySenders: { readonly hash: Hash32; readonly senders: BlockSenders } | undefined;
  private readonly pace: Pace;

  constructor(options: { readonly genesis: Genesis; readonly shard: ShardId; readonly validator: number }, modules: ProductionModules, head: FinalHead) {
    const { genesis, shard, validator } = options;
    this.genesis = genesis;
    this.shard = shard;
    this.validator = validator;
    this.modules = modules;
    this.finalHead = head;
    this.size = genesis.shardValidators[shard]!.length;
    this.announcer = new Announcer(genesis.parameters.heartbeatMs);
    modules.mempool.setBaseFee(nextBaseFee(head.header));
    this.proposals = new ProposalQueue(PROPOSALS_MAX, { ...modules, shard, chainId: genesis.chainId });
    this.agreement = new Agreement({ chain: shard, size: this.size, blockIntervalMs: genesis.parameters.blockIntervalMs }, modules, {
      validate: (output) => this.validate(output),
      decided: (output) => this.decided(output),
      behind: modules.behind,
      stuck: () => {
        this.proposals.pullLacks();
        modules.stuck();
      },
    });
    this.pace = new Pace({ parameters: genesis.parameters, committee: this.size > 1 }, { ...modules, agreement: this.agreement });
  }

  /** The last final block: executed, certified, and stored. */
  get head(): FinalHead {
    return this.finalHead;
  }

  /** Height up to which certified blocks are here, stored or not: nothing else is executed there. */
  get known(): number {
    let { height } = (this.persisting?.block ?? this.finalHead).header;
    while (this.certified.has(height + 1)) height++;
    return height;
  }

  /** Tells of the last block again, in case that nobody heard of it before a crash. */
  start(): void {
    this.announcer.tell(this.modules.step, this.finalHead);
    this.agreement.start();
    this.work();
  }

  /** The timer `propose` has fired. */
  proposeTimer(): void {
    this.pace.fired();
    this.work();
  }

  /** Since when the committee has had something to agree on, or when it will; `undefined` while this validator can not tell. */
  get dueAtMs(): number | undefined {
    const { epochs, consensus, step } = this.modules;
    if (epochs.latest === undefined) return undefined;
    return step.nowMs + (consensus.busy ? 0 : this.pace.delayMs(this.finalHead));
  }

  /** To be called at the end of each step: what is due and does not come is suspected. */
  watch(): void {
    if (this.size > 1) this.agreement.watch(this.dueAtMs);
  }

  /** Does what comes next, if it can be done. To be called whenever something has come that a block could need or take. */
  work(): void {
    this.storeNext();
    if (this.task !== undefined) return;
    if (this.replayNext() || this.checkNext()) return;
    this.scheduleProposal();
  }

  private scheduleProposal(): void {
    const { epochs, consensus } = this.modules;
    const epoch = epochs.latest;
    if (epoch === undefined) return;
    const { header } = this.finalHead;
    if (this.pace.armedFor(header)) return;
    for (let height = header.height + 1; height <= header.height + WINDOW; height++) {
      const parentHash = consensus.mayPropose(height);
      if (parentHash === undefined) continue;
      const parent = this.parent(parentHash);
      if (parent === undefined || height <= this.known) continue;
      const delayMs = this.pace.delayMs(parent);
      if (delayMs > 0) this.pace.arm(delayMs);
      else this.build(epoch, parent);
      return;
    }
  }

  /** What can be built on: the final head, or a block that was executed on top of it. */
  private parent(hash: Hash32): Parent | undefined {
    if (equalBytes(hash, this.finalHead.hash)) return this.finalHead;
    const block = this.speculation.find(hash);
    return block === undefined ? undefined : { header: block.header, hash: block.hash, pairs: block.body.pairs };
  }

  private build(epoch: KnownEpoch, parent: Parent): void {
    const { inbox, mempool, step } = this.modules;
    const { inboxBytes, transactionBytes } = this.size === 1 ? SOLO_BUDGET : COMMITTEE_BUDGET;
    const { header } = parent;
    const proposal = {
      height: (header.height + 1) as Height,
      timestampMs: Math.max(step.nowMs, header.timestampMs + 1),
      epoch: epoch.assignment.epoch,
      epochCertificateHash: epoch.hash,
      proposer: this.validator,
      inbox: inbox.select(parent.pairs, inboxBytes),
      transactions: mempool.take(this.genesis.parameters.blockGasLimit, BLOCK_TAKE_MAX, transactionBytes),
      mode: 'build' as const,
    };
    const request = this.execute(parent.hash, proposal, epoch);
    this.task = { kind: 'build', request, parentHash: parent.hash };
  }

  private execute(parentHash: Hash32, proposal: BlockProposal, epoch: KnownEpoch): number {
    const { requests, step } = this.modules;
    this.speculation.rewindTo(parentHash);
    const request = requests.number();
    step.push({ kind: 'execute-block', request, parentHash, proposal, assignment: epoch.table });
    return request;
  }

  private executeForeign(block: ForeignBlock, transactions: readonly PoolTransaction[]): number {
    const { header, input } = block;
    const epoch = this.modules.epochs.get(header.epoch);
    invariant(epoch !== undefined, 'a block is executed after its epoch is known', { epoch: header.epoch });
    const { height, timestampMs, epochCertificateHash, proposer, parentHash } = header;
    const proposal = { height, timestampMs, epoch: header.epoch, epochCertificateHash, proposer, inbox: input.inbox, transactions, mode: 'verify' as const };
    return this.execute(parentHash, proposal, epoch);
  }

  /** Answers `execute-block`; a stale answer is dropped. */
  executed(request: number, outcome: ExecutionOutcome): void {
    const { task } = this;
    if (task?.request !== request) return;
    this.task = undefined;
    const block = 'block' in outcome ? outcome.block : undefined;
    if (block !== undefined) {
      this.speculation.push(block);
      this.settlePool(block);
      this.modules.mempool.setBaseFee(nextBaseFee(block.header));
    }
    this.modules.mempool.reinstate(this.speculation.takeOrphans(block?.transactions ?? []));
    if (task.kind === 'build') this.built(task.parentHash, block);
    else if (task.kind === 'check') this.checked(task.check, block);
    else this.replayed(task.block, outcome);
    this.work();
  }

  private built(parentHash: Hash32, block: ExecutedBlock | undefined): void {
    const { consensus } = this.modules;
    invariant(block !== undefined, 'a block that is built leaves out what does not fit');
    const allowed = consensus.mayPropose(block.header.height);
    // The view has ended meanwhile: what is executed next will take it back.
    if (allowed === undefined || !equalBytes(allowed, parentHash)) return;
    this.agreement.propose({ header: encodeHeader(block.header), body: encodeBlockInput(block.body) });
  }

  private validate(output: Extract<ConsensusOutput, { kind: 'validate' }>): void {
    if (this.speculation.find(output.hash) !== undefined) this.agreement.validated(output.hash, true);
    else if (!this.proposals.add(output)) this.agreement.validated(output.hash, false);
  }

  /** Executes the first proposal that has all that it needs; whether there was one. */
  private checkNext(): boolean {
    for (;;) {
      const next = this.proposals.next(this.known, (hash) => this.parent(hash));
      if (next === undefined) return false;
      if (next.kind === 'execute') {
        this.task = { kind: 'check', request: this.executeForeign(next.proposal, next.transactions), check: next.proposal };
        return true;
      }
      this.refuse(next.proposal, next.reason);
    }
  }

  private refuse(check: QueuedProposal, reason: string): void {
    const { step, counters } = this.modules;
    this.proposals.drop(check.hash);
    increment(counters.refused, `proposal-${reason}`);
    step.log({ level: 'warn', event: 'proposal.refused', fields: { height: check.header.height, proposer: check.header.proposer, reason } });
    this.agreement.validated(check.hash, false);
  }

  private checked(check: QueuedProposal, block: ExecutedBlock | undefined): void {
    if (block === undefined || !equalBytes(block.hash, check.hash)) {
      this.refuse(check, block === undefined ? 'invalid' : 'result');
      return;
    }
    this.proposals.drop(check.hash);
    this.agreement.validated(check.hash, true);
  }

  private decided(output: Extract<ConsensusOutput, { kind: 'decided' }>): void {
    const block = decodeProposal(output);
    invariant(block !== undefined, 'what is decided was validated');
    this.certified.set(block.header.height, { ...block, certificate: output.certificate });
    this.storeNext();
  }

  /** A block whose certificate holds, from a validator that is ahead; whether it is one that is needed. */
  offerCertified(block: CertifiedBlock): boolean {
    const { height } = block.header;
    if (height !== this.known + 1 || this.certified.size >= CERTIFIED_MAX) return false;
    const before = this.certified.get(height - 1)?.hash ?? this.finalHead.hash;
    if (!equalBytes(block.header.parentHash, before)) return false;
    this.certified.set(height, block);
    return true;
  }

  /** Executes the next certified block, where it was not executed as a proposal; whether something is under way. */
  private replayNext(): boolean {
    const next = this.certified.get(this.finalHead.header.height + 1);
    if (next === undefined || this.persisting !== undefined) return false;
    if (this.replaySenders === undefined || !equalBytes(this.replaySenders.hash, next.hash)) {
      this.replaySenders = { hash: next.hash, senders: new BlockSenders(next.input.transactions, this.modules) };
    }
    const { transactions } = this.replaySenders.senders;
    if (transactions === 'waiting') return false;
    if (this.modules.epochs.get(next.header.epoch) === undefined) {
      this.modules.askEpochs();
      return false;
    }
    if (transactions === 'bad') throw diverged(next, 'a transaction in it does not decode');
    this.replaySenders = undefined;
    this.task = { kind: 'replay', request: this.executeForeign(next, transactions), block: next };
    return true;
  }

  /** A quorum vouches for it: if it gives something else here, this node's state is not the shard's. */
  private replayed(block: CertifiedBlock, outcome: ExecutionOutcome): void {
    if ('invalid' in outcome) throw diverged(block, outcome.invalid);
    if (!equalBytes(outcome.block.hash, block.hash)) throw diverged(block, `it gives ${toHex(outcome.block.hash)} here`);
  }

  /** Answers `recover-senders` for a block; whether the answer was for one. */
  recovered(request: number, batch: AdmissionBatch | undefined): boolean {
    return this.proposals.recovered(request, batch) || this.replaySenders?.senders.recovered(request, batch) === true;
  }

  private settlePool(block: ExecutedBlock): void {
    const { mempool, counters } = this.modules;
    const of = (...reasons: readonly Leftover[]): PoolTransaction[] =>
      block.leftovers.filter(({ why }) => reasons.includes(why)).map(({ transaction }) => transaction);
    for (const { why } of block.leftovers) if (why !== 'later' && why !== 'blocked') increment(counters.rejected, why);
    mempool.settle(block.transactions, of('nonce-too-low', 'insufficient-funds', 'refused'), of('later'), of('blocked'));
    // What blocks a transaction, a full budget or a lock, ends with some message of another shard.
    if (block.body.inbox.length > 0) mempool.retryBlocked();
  }

  /** Stores the first executed block, once it is certified. */
  private storeNext(): void {
    const { first } = this.speculation;
    if (first === undefined || this.persisting !== undefined) return;
    const certified = this.certified.get(first.header.height);
    if (certified === undefined || !equalBytes(certified.hash, first.hash)) return;
    const { requests, step, takeConsumed } = this.modules;
    this.certified.delete(first.header.height);
    const { certificate } = certified;
    const request = requests.number();
    this.persisting = { request, block: first, certificate };
    const record = { kind: 'shard-block' as const, block: first, certificate, wallMs: step.nowMs, consumed: takeConsumed() };
    step.push({ kind: 'persist', request, record });
  }

  /** Answers `persist`; what is about something else is dropped. */
  persisted(request: number): void {
    if (this.agreement.persisted(request) || this.persisting?.request !== request) return;
    const { block, certificate } = this.persisting;
    const { step, crypto, consensus, inbox, outbox } = this.modules;
    const { header, hash } = block;
    this.persisting = undefined;
    // One of the committee tells the others' shards; whoever misses it pulls it from anybody.
    const speaks = this.size === 1 || consensus.leader(header.height) === this.validator || header.proposer === this.validator;
    this.finalHead = { header, hash, pairs: block.body.pairs, certificate };
    this.speculation.settle();
    inbox.settle(block.body.pairs);
    outbox.add(header.height, block.outgoing);
    if (speaks) {
      publishBlock(step, crypto, block, certificate);
      this.announcer.tell(step, this.finalHead);
    }
    step.log(blockLine(block));
    this.agreement.finalised({ epoch: header.epoch, height: header.height, hash, certificate });
    this.work();
  }
}
