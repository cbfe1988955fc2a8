import { ACCEPT, bytesKey, equalBytes, type Hash32, ignore, reject, type Verdict } from '@shardlab/crosslink';
import type { AgreedHead, Consensus, ConsensusOutput, ConsensusStatus, Proposal, Received } from '../types.ts';
import { Askers } from './askers.ts';
import { Committee, type PbftModules, type PbftOptions, type SignatureCheck } from './committee.ts';
import { Heights } from './heights.ts';
import { Memory, type PbftStart } from './memory.ts';
import {
  decodeMessage,
  type NewView,
  type ProposalMessage,
  type StatusMessage,
  type ViewChange,
  type VoteMessage,
} from './messages.ts';
import { Neighbours } from './neighbours.ts';
import type { Slot } from './slot.ts';
import { Step } from './step.ts';
import { choose, type Choice, headFault, makeNewView, makeViewChange, newViewFault, viewChangeFault } from './view-change.ts';

/** A reason that only says that something cannot be judged here yet does not cost the sender. */
function refuse(fault: string): Verdict {
  return fault === 'epoch-unknown' ? ignore(fault) : reject(fault);
}

/**
 * Practical Byzantine fault tolerance (Castro and Liskov, OSDI 1999) for a chain of blocks: pre-prepare, prepare and commit for up to `window` heights at a time, in one
 * view for the whole chain. Deviates: every message is signed; the commit certificate of the last block is the stable checkpoint; a view change does not return blocks
 * but names them, and who lacks one fetches it; the proposer rotates within a view (see `PROPOSER_TURN`).
 */
export class Pbft implements Consensus {
  private readonly committee: Committee;
  private readonly step: Step;
  private readonly heights: Heights;
  private readonly askers: Askers;
  private readonly memory: Memory;
  private readonly neighbours: Neighbours;
  /** The view that this validator is in, or has asked for. It votes in no lower one. */
  private view: number;
  /** What brought the view of {@link heights} into force, for those that have missed it; `undefined` in view 0. */
  private newView: NewView | undefined;
  /** Proposals that came by `supply` for a view that this validator is about to lead, by hash. */
  private readonly supplied = new Map<string, Proposal>();
  /** The last `fetch` that was put out: not twice for the same. */
  private fetching = '';
  /** Grows when a quorum has asked for the view: then waiting for its leader begins. */
  private quorums = 0;
  private quorumView = -1;

  /** Throws `consensus/committee` on an impossible committee, `consensus/stored-*` on stored votes that are damaged or another validator's. */
  constructor(options: PbftOptions, modules: PbftModules, start: PbftStart) {
    this.committee = new Committee(options, modules);
    this.memory = new Memory(this.committee);
    const state = this.memory.load(start.state);
    this.step = new Step(options.chain, state?.attempt ?? 0, options.size === 1);
    this.heights = new Heights(this.committee, this.step, start.head);
    this.askers = new Askers(this.committee);
    this.neighbours = new Neighbours(this.committee, this.heights, this.step);
    this.view = state?.view ?? 0;
    this.newView = state?.newView;
    if (this.newView !== undefined) this.heights.enter(this.newView.view, choose(this.committee, this.newView.changes));
    this.memory.restore(this.heights, state, start.proposals);
    if (!this.active) this.askers.add(makeViewChange(this.committee, this.view, start.head, this.heights.prepared()));
  }

  private get active(): boolean {
    return this.view === this.heights.view;
  }

  get progress(): number {
    return this.heights.progress + this.quorums;
  }

  get patient(): boolean {
    return this.active || this.askers.askedFor(this.view).length >= this.committee.quorum;
  }

  get busy(): boolean {
    if (!this.active) return true;
    return [...this.heights.slots.values()].some((slot) => slot.proposedIn === this.view || slot.chosen !== undefined || slot.final !== undefined);
  }

  get status(): ConsensusStatus {
    const { view, active, committee, heights } = this;
    const next = heights.slots.get(heights.tip + 1);
    const voted = active ? (next?.voters(next.prepared?.view === view ? 'commit' : 'prepare') ?? []) : this.askers.askedFor(view);
    return { view, active, leader: this.nextLeader, voted, quorum: committee.quorum };
  }

  get nextLeader(): number {
    return this.leader(this.heights.tip + 1);
  }

  leader(height: number): number {
    return this.committee.leader(this.view, height);
  }

  mayPropose(height: number): Hash32 | undefined {
    const { committee, heights, view } = this;
    if (!this.active || height <= Math.max(heights.head.height, heights.base.height) || height > heights.top) return undefined;
    if (committee.leader(view, height) !== committee.self) return undefined;
    const slot = heights.slots.get(height);
    if (slot !== undefined && (slot.proposedIn === view || slot.chosen !== undefined || slot.final !== undefined || slot.prepareView === view)) return undefined;
    const parent = heights.parent(height);
    return parent?.executed === true && parent.settled ? parent.hash : undefined;
  }

  propose(proposal: Proposal): readonly ConsensusOutput[] {
    const { committee, heights, step } = this;
    const fields = committee.readHeader(proposal.header);
    const parent = this.mayPropose(fields.height);
    if (parent === undefined || !equalBytes(parent, fields.parentHash)) {
      // The view may have changed while the block was executed.
      step.log('debug', 'consensus.proposal-late', { height: fields.height, view: this.view });
      return this.finish();
    }
    const slot = heights.open(fields.height);
    heights.hold(slot, committee.hash(proposal.header), fields, proposal);
    slot.held!.verdict = 'good';
    return this.finish();
  }

  receive(data: Uint8Array): Received {
    const message = decodeMessage(this.committee.chain, data);
    const verdict = message === undefined ? reject('chain') : this.take(message);
    return { verdict, outputs: this.finish() };
  }

  private take(message: NonNullable<ReturnType<typeof decodeMessage>>): Verdict {
    switch (message.kind) {
      case 'proposal':
        return this.takeProposal(message);
      case 'vote':
        return this.takeVote(message);
      case 'view-change':
        return this.takeViewChange(message);
      case 'new-view':
        return this.takeNewView(message);
      case 'status':
        return this.takeStatus(message);
    }
  }

  validated(hash: Hash32, good: boolean): readonly ConsensusOutput[] {
    const slot = this.heights.ordered().find((open) => open.held?.verdict === 'asked' && open.holds(hash));
    if (slot?.held === undefined) return this.finish();
    slot.held.verdict = good ? 'good' : 'bad';
    if (!good && slot.vouched()) {
      if (!slot.held.judgedFresh) this.heights.reportDivergence(slot);
    } else if (!good && this.active && slot.proposedIn === this.view) {
      this.step.log('warn', 'consensus.bad-proposal', { height: slot.height, view: this.view, leader: this.leader(slot.height) });
      this.ask(this.view + 1);
    }
    return this.finish();
  }

  supply(proposal: Proposal): readonly ConsensusOutput[] {
    const { committee, heights } = this;
    const hash = committee.hash(proposal.header);
    const fields = committee.readHeader(proposal.header);
    const slot = heights.slots.get(fields.height);
    if (slot?.chosen !== undefined && slot.held === undefined && equalBytes(slot.chosen.hash, hash)) heights.hold(slot, hash, fields, proposal);
    else if (this.fetching === `${this.view} ${bytesKey(hash)}`) this.keepSupplied(bytesKey(hash), proposal);
    return this.finish();
  }

  private keepSupplied(key: string, proposal: Proposal): void {
    const [oldest] = this.supplied.keys();
    if (oldest !== undefined && this.supplied.size >= this.committee.window) this.supplied.delete(oldest);
    this.supplied.set(key, proposal);
  }

  finalised(head: AgreedHead): readonly ConsensusOutput[] {
    if (head.height > this.heights.head.height) {
      this.heights.finalise(head);
      this.neighbours.refill();
      this.neighbours.ask();
    }
    return this.finish();
  }

  suspect(): readonly ConsensusOutput[] {
    if (this.committee.size === 1) return [];
    if (!this.patient) return this.retransmit();
    this.step.log('info', 'consensus.suspected', { view: this.view, leader: this.nextLeader, height: this.heights.tip + 1 });
    this.ask(this.view + 1);
    return this.finish();
  }

  retransmit(): readonly ConsensusOutput[] {
    const { committee, heights } = this;
    if (committee.size === 1) return this.finish();
    for (const slot of heights.ordered()) {
      heights.reportMissing(slot);
      if (this.active) this.repeatVotes(slot);
    }
    const change = this.active ? undefined : this.askers.get(committee.self);
    if (change !== undefined) this.step.vow(change);
    this.neighbours.repeat(this.newView);
    return this.finish();
  }

  private repeatVotes(slot: Slot): void {
    if (slot.prepareView === this.view) this.heights.repeatVote(slot, 'prepare');
    if (slot.commitView === this.view) this.heights.repeatVote(slot, 'commit');
  }

  /** Ends a call: whatever has become possible is done, and what it comes to is handed out. */
  private finish(): readonly ConsensusOutput[] {
    if (!this.active) this.tryToLead();
    this.heights.advance(this.active);
    this.fetchChosen();
    if (!this.active && this.patient && this.quorumView !== this.view) {
      this.quorumView = this.view;
      this.quorums++;
    }
    return this.step.finish({
      state: () => this.memory.state(this.heights, { view: this.view, newView: this.newView, attempt: this.step.attempt }),
      proposals: () => this.memory.changes(this.heights),
    });
  }

  // Votes and proposals.

  private takeVote(message: VoteMessage): Verdict {
    const { committee, heights } = this;
    const { view, height, phase, validator, signature } = message;
    if (validator >= committee.size) return reject('validator');
    if (validator === committee.self) return ignore('own');
    if (height <= heights.head.height) return ignore('old-height');
    const check = (): SignatureCheck => committee.checkVote(phase, view, message, validator, signature);
    const elsewhere = this.elsewhere(view, height, validator, check);
    if (elsewhere !== undefined) return elsewhere;
    const slot = heights.open(height);
    const status = slot.judge(phase, validator, message);
    if (status === 'known' || status === 'enough') return ignore(status);
    if (phase === 'commit' && slot.held !== undefined && slot.holds(message.hash) && !committee.checkExtension(slot.held.fields, validator, message.extension)) {
      return reject('extension');
    }
    const checked = check();
    if (checked !== 'good') return refuse(checked);
    if (status === 'equivocation') return this.accuse(slot, validator);
    slot.add(phase, validator, message);
    return ACCEPT;
  }

  private accuse(slot: Slot, validator: number): Verdict {
    if (slot.accuse(validator)) this.step.log('warn', 'consensus.equivocation', { validator, height: slot.height, view: this.heights.view });
    return ignore('equivocation');
  }

  /** What is to be said of a vote that is not of the view in force, or not of an open height; it tells where its validator is. `undefined` = it is of both. */
  private elsewhere(view: number, height: number, validator: number, check: () => SignatureCheck): Verdict | undefined {
    const { heights } = this;
    if (view === heights.view && height <= heights.horizon) return undefined;
    const checked = check();
    if (checked !== 'good') return refuse(checked);
    this.neighbours.heard(validator, view);
    // A correct validator votes no higher than a window above what it has stored.
    const certified = height - this.committee.window;
    if (height > heights.horizon && certified > heights.tip) this.step.push({ kind: 'behind', height: certified, from: validator });
    return ignore(height > heights.horizon ? 'ahead' : view < heights.view ? 'old-view' : 'view-ahead');
  }

  private takeProposal({ view, proposal, signature }: ProposalMessage): Verdict {
    const { committee, heights } = this;
    const fields = committee.readHeader(proposal.header);
    const { epoch, height } = fields;
    const leader = committee.leader(view, height);
    if (leader === committee.self) return ignore('own');
    if (height <= Math.max(heights.head.height, view === heights.view ? heights.base.height : 0)) return ignore('old-height');
    const hash = committee.hash(proposal.header);
    const check = (): SignatureCheck => committee.checkVote('prepare', view, { epoch, height, hash }, leader, signature);
    const elsewhere = this.elsewhere(view, height, leader, check);
    if (elsewhere !== undefined) return elsewhere;
    const slot = heights.open(height);
    const status = slot.judge('prepare', leader, { hash, epoch });
    if (slot.chosen !== undefined ? !equalBytes(slot.chosen.hash, hash) : fields.proposer !== leader) {
      return slot.chosen !== undefined ? ignore('not-chosen') : reject('proposer');
    }
    if (slot.proposedIn === view && slot.holds(hash)) return ignore('known');
    if (slot.final !== undefined && !equalBytes(slot.final.hash, hash)) return ignore('not-final');
    const checked = check();
    if (checked !== 'good') return refuse(checked);
    if (status === 'equivocation' || (slot.proposedIn === view && slot.held !== undefined)) return this.accuse(slot, leader);
    heights.hold(slot, hash, fields, proposal);
    if (status === 'wanted') slot.add('prepare', leader, { epoch, hash, signature, extension: new Uint8Array(0) });
    return ACCEPT;
  }

  // Views.

  private takeViewChange(change: ViewChange): Verdict {
    const { committee, heights } = this;
    const { validator, view, head } = change;
    if (validator >= committee.size) return reject('validator');
    if (validator === committee.self) return ignore('own');
    const late = view <= heights.view;
    if (!late && this.askers.knows(validator, view)) return ignore('known');
    const fault = viewChangeFault(committee, change);
    if (fault !== undefined) return refuse(fault);
    heights.learn(head, validator);
    this.neighbours.help(validator, late ? heights.view - 1 : heights.view, head.height, this.newView);
    if (late) return ignore('old-view');
    this.askers.add(change);
    const joined = this.askers.joinable(this.view);
    if (joined !== undefined) this.ask(joined);
    return ACCEPT;
  }

  /** Leaves the view: asks for `view`, and votes in no lower one any more. */
  private ask(view: number): void {
    const { committee, heights, step } = this;
    this.view = view;
    const change = makeViewChange(committee, view, heights.head, heights.prepared());
    this.askers.add(change);
    step.vow(change);
    step.log('info', 'consensus.view-change', { view, height: heights.tip + 1 });
  }

  /** Brings the view into force if this validator leads it and has what that takes. */
  private tryToLead(): void {
    const { committee, heights, view } = this;
    const found = this.askers.lead(view, heights.tip, (hash) => this.has(hash));
    if (found === undefined) return;
    if (Array.isArray(found)) {
      if (committee.leader(view, choose(committee, found).base.height + 1) !== committee.self) return;
      const message = makeNewView(committee, view, found);
      this.step.send(message);
      this.enter(message);
    } else if (committee.leader(view, found.height) === committee.self) this.fetch(found);
  }

  private has(hash: Hash32): boolean {
    return this.supplied.has(bytesKey(hash)) || [...this.heights.slots.values()].some((slot) => slot.holds(hash));
  }

  private takeNewView(message: NewView): Verdict {
    const { committee, heights, askers } = this;
    const { view, validator } = message;
    if (validator >= committee.size) return reject('validator');
    if (validator === committee.self && view <= heights.view) return ignore('own');
    if (view <= heights.view || view < this.view) return ignore('old-view');
    const fault = newViewFault(committee, message, (change) => askers.holds(change));
    if (fault !== undefined) return refuse(fault);
    this.enter(message);
    return ACCEPT;
  }

  private enter(message: NewView): void {
    const { committee, heights, step } = this;
    const choice = choose(committee, message.changes);
    this.view = message.view;
    this.newView = message;
    heights.enter(message.view, choice);
    this.askers.entered(message.view);
    this.neighbours.entered(message.view);
    for (const slot of heights.ordered()) {
      const proposal = slot.chosen === undefined || slot.held !== undefined ? undefined : this.supplied.get(bytesKey(slot.chosen.hash));
      if (proposal !== undefined) heights.hold(slot, slot.chosen!.hash, slot.chosen!.fields, proposal);
    }
    this.supplied.clear();
    heights.learn(choice.base, choice.witness);
    step.log('info', 'consensus.new-view', { view: message.view, leader: message.validator, base: choice.base.height, chosen: choice.blocks.length });
  }

  /** Asks for the lowest block that the view has chosen and that is not here. */
  private fetchChosen(): void {
    const missing = this.heights.ordered().find((slot) => slot.chosen !== undefined && slot.held === undefined);
    if (missing?.chosen !== undefined) this.fetch(missing.chosen);
  }

  private fetch(block: Choice['blocks'][number]): void {
    const what = `${this.view} ${bytesKey(block.hash)}`;
    const from = block.holders.filter((validator) => validator !== this.committee.self);
    if (this.fetching === what || from.length === 0) return;
    this.fetching = what;
    this.step.push({ kind: 'fetch', height: block.height, hash: block.hash, from });
  }

  private takeStatus(message: StatusMessage): Verdict {
    const { committee, heights } = this;
    const { view, validator, head, payload, signature } = message;
    if (validator >= committee.size) return reject('validator');
    if (validator === committee.self) return ignore('own');
    const signed = committee.checkSignature('status', head.epoch, validator, payload, signature);
    if (signed !== 'good') return refuse(signed);
    const fault = head.height > heights.tip ? headFault(committee, head) : undefined;
    if (fault !== undefined) return refuse(fault);
    heights.learn(head, validator);
    this.neighbours.heard(validator, view);
    this.neighbours.help(validator, view, head.height, this.newView);
    return ACCEPT;
  }
}
