import { equalBytes, type Hash32, invariant } from '@shardlab/crosslink';
import type { AgreedHead, HeaderFields, Proposal } from '../types.ts';
import type { Committee, Phase } from './committee.ts';
import type { PreparedBlock, VoteMessage } from './messages.ts';
import { Slot } from './slot.ts';
import type { Step } from './step.ts';
import type { Choice } from './view-change.ts';

/** Votes are kept for so many windows above the last stored block: others may have stored theirs earlier. */
const HORIZON_WINDOWS = 2;
const NO_EXTENSION = new Uint8Array(0);

/** The block that a height stands on. */
interface Parent {
  readonly hash: Hash32;
  /** Whether its execution is known to be right, so that a child can be executed on it. */
  readonly executed: boolean;
  /** Whether it is final, or prepared in the view in force: so that a child can be committed, and proposed. */
  readonly settled: boolean;
}

/** The open heights of a chain, and the three phases on them in the view in force. */
export class Heights {
  /** The last view that came into force here: the one that all votes are of. */
  view = 0;
  /** Nothing at or below is voted on in this view: it was proven final when the view began. */
  base: AgreedHead;
  /** The last final and stored block. */
  head: AgreedHead;
  /** The last height for which `decided` was said, or the head. */
  tip: number;
  /** Blocks prepared and final here. */
  progress = 0;
  readonly slots = new Map<number, Slot>();
  private readonly committee: Committee;
  private readonly step: Step;

  constructor(committee: Committee, step: Step, head: AgreedHead) {
    this.committee = committee;
    this.step = step;
    this.head = head;
    this.base = head;
    this.tip = head.height;
  }

  /** The highest height of which votes are kept. */
  get horizon(): number {
    return this.head.height + HORIZON_WINDOWS * this.committee.window;
  }

  /** The highest height that this validator votes on. */
  get top(): number {
    return this.head.height + this.committee.window;
  }

  /** What is known of a height above the head and up to the horizon. */
  open(height: number): Slot {
    let slot = this.slots.get(height);
    if (slot === undefined) {
      invariant(height > this.head.height && height <= this.horizon, 'a height that is not open', { height, head: this.head.height });
      slot = new Slot(height, this.committee);
      this.slots.set(height, slot);
    }
    return slot;
  }

  /** Open heights in order. */
  ordered(): Slot[] {
    return [...this.slots.values()].toSorted((a, b) => a.height - b.height);
  }

  /** What a height stands on; `undefined` while that is not known. */
  parent(height: number): Parent | undefined {
    const { head, base, view } = this;
    if (height - 1 === head.height) return { hash: head.hash, executed: true, settled: true };
    const slot = this.slots.get(height - 1);
    if (slot?.held === undefined) return undefined;
    const { hash, verdict } = slot.held;
    const proven = slot.decided || (slot.height === base.height && equalBytes(hash, base.hash));
    if (!proven && slot.proposedIn !== view) return undefined;
    return { hash, executed: verdict === 'good', settled: proven || slot.prepared?.view === view };
  }

  /** Takes a proposal in for the view in force. What was executed on another one at its height is not any more. */
  hold(slot: Slot, hash: Hash32, fields: HeaderFields, proposal: Proposal): void {
    const child = this.slots.get(slot.height + 1)?.held;
    if (!slot.holds(hash) && child !== undefined) child.verdict = undefined;
    slot.hold(hash, fields, proposal, this.view);
  }

  /** Does all that has become possible; `active` = this validator votes in the view. */
  advance(active: boolean): void {
    for (let height = this.head.height + 1; height <= this.top; height++) {
      const slot = this.slots.get(height);
      if (slot === undefined) continue;
      this.judge(slot);
      if (active) this.voteOn(slot);
      this.decide(slot);
    }
  }

  private judge(slot: Slot): void {
    const { held, final } = slot;
    const parent = this.parent(slot.height);
    if (held === undefined || !parent?.executed || !equalBytes(held.fields.parentHash, parent.hash)) return;
    if (slot.proposedIn !== this.view && !(final !== undefined && slot.holds(final.hash))) return;
    const vouched = slot.vouched();
    // A clock that is wrong here must not keep this validator from following a block that a quorum took for timely.
    const again = held.verdict === 'bad' && held.judgedFresh && vouched;
    if (held.verdict !== undefined && !again) return;
    held.verdict = 'asked';
    held.judgedFresh = !vouched;
    this.step.push({ kind: 'validate', hash: held.hash, fields: held.fields, proposal: held.proposal, fresh: !vouched });
  }

  private voteOn(slot: Slot): void {
    const { view, base } = this;
    const { held } = slot;
    if (held?.verdict !== 'good' || slot.proposedIn !== view || slot.height <= base.height) return;
    if (slot.final !== undefined && !slot.holds(slot.final.hash)) return;
    const parent = this.parent(slot.height);
    if (parent === undefined || !equalBytes(held.fields.parentHash, parent.hash)) return;
    if (slot.prepareView !== view) this.castVote(slot, 'prepare');
    const quorum = slot.prepared?.view === view ? undefined : slot.quorumVote('prepare');
    if (quorum !== undefined && slot.holds(quorum.hash) && quorum.epoch === held.fields.epoch) {
      slot.prepared = slot.certify('prepare', view, quorum).certificate;
      this.progress++;
    }
    if (slot.prepared?.view === view && slot.commitView !== view && parent.settled) this.castVote(slot, 'commit');
  }

  private castVote(slot: Slot, phase: Phase): void {
    this.recordVote(slot, phase);
    this.repeatVote(slot, phase);
  }

  /** Counts this validator's own vote for what it holds. */
  recordVote(slot: Slot, phase: Phase): void {
    const { committee, view } = this;
    const { hash, fields } = slot.held!;
    const signature = committee.signVote(phase, view, { epoch: fields.epoch, height: slot.height, hash });
    const extension = phase === 'commit' ? committee.makeExtension(fields) : NO_EXTENSION;
    slot.add(phase, committee.self, { epoch: fields.epoch, hash, signature, extension });
    if (phase === 'prepare') slot.prepareView = view;
    else slot.commitView = view;
  }

  /** Says this validator's own vote of the view in force, with the proposal if that is its own too. */
  repeatVote(slot: Slot, phase: Phase): void {
    const { committee, view, step } = this;
    const vote = slot.vote(phase, committee.self);
    if (vote === undefined) return;
    const leads = phase === 'prepare' && slot.chosen === undefined && committee.leader(view, slot.height) === committee.self;
    if (leads) step.vow({ kind: 'proposal', view, proposal: slot.held!.proposal, signature: vote.signature });
    else step.vow({ kind: 'vote', view, height: slot.height, phase, validator: committee.self, ...vote } satisfies VoteMessage);
  }

  private decide(slot: Slot): void {
    if (slot.final === undefined) {
      const quorum = slot.quorumVote('commit');
      if (quorum === undefined) return;
      slot.final = slot.certify('commit', this.view, quorum);
      if (slot.holds(quorum.hash)) this.judge(slot);
      else this.reportMissing(slot);
    }
    const { held, final, height } = slot;
    if (slot.decided || held === undefined || !slot.holds(final.hash) || height !== this.tip + 1) return;
    if (held.verdict === 'good') {
      slot.decided = true;
      this.tip = height;
      this.step.push({ kind: 'decided', hash: held.hash, fields: held.fields, proposal: held.proposal, certificate: final.certificate, extensions: final.extensions });
    } else if (held.verdict === 'bad' && !held.judgedFresh) this.reportDivergence(slot);
  }

  /** A block is final of which the proposal is not here: it comes by catching up. */
  reportMissing(slot: Slot): void {
    if (slot.final === undefined || slot.holds(slot.final.hash)) return;
    const signer = [...slot.final.extensions.keys()].find((validator) => validator !== this.committee.self);
    if (signer !== undefined) this.step.push({ kind: 'behind', height: slot.height, from: signer });
  }

  /** A quorum has vouched for what this validator's own execution calls wrong: one of them is broken, and people must know. */
  reportDivergence(slot: Slot): void {
    if (slot.diverged) return;
    slot.diverged = true;
    this.step.log('warn', 'consensus.diverged', { height: slot.height, view: this.view, final: slot.final !== undefined });
  }

  /** A certified head that somebody has shown: decides if its block is here, else says how far behind this validator is. */
  learn(head: AgreedHead, from: number): void {
    if (head.height <= this.tip || head.certificate === undefined) return;
    const slot = this.slots.get(head.height);
    // A certificate brings no extensions of votes: where they are wanted, the stored block must come.
    if (slot?.held !== undefined && slot.final === undefined && slot.holds(head.hash) && this.committee.checkExtension(slot.held.fields, this.committee.self, NO_EXTENSION)) {
      slot.final = { hash: head.hash, certificate: head.certificate, extensions: new Map() };
      if (head.height === this.tip + 1) return;
    }
    if (slot?.decided !== true) this.step.push({ kind: 'behind', height: head.height, from });
  }

  /** Prepared blocks above the head, in order: what a view change says. */
  prepared(): PreparedBlock[] {
    const blocks: PreparedBlock[] = [];
    for (const { height, held, prepared } of this.ordered()) {
      if (held !== undefined && prepared !== undefined && height <= this.top) blocks.push({ header: held.proposal.header, certificate: prepared });
    }
    return blocks;
  }

  /** Another view is in force: what it has chosen is proposed in it, and other certificates are dropped (see `choose`). */
  enter(view: number, choice: Choice): void {
    this.view = view;
    this.base = choice.base;
    this.progress++;
    for (const slot of this.slots.values()) slot.enterView();
    for (const block of choice.blocks) {
      if (block.height > this.head.height && block.height <= this.horizon) this.open(block.height).chosen = block;
    }
    for (const slot of this.slots.values()) if (slot.height > choice.base.height) this.bind(slot);
  }

  private bind(slot: Slot): void {
    const { chosen } = slot;
    if (chosen !== undefined && slot.holds(chosen.hash)) slot.proposedIn = this.view;
    else {
      slot.prepared = undefined;
      if (chosen !== undefined) slot.held = undefined;
    }
  }

  /** A block is final and stored. */
  finalise(head: AgreedHead): void {
    this.head = head;
    this.tip = Math.max(this.tip, head.height);
    this.progress++;
    for (const height of this.slots.keys()) if (height <= head.height) this.slots.delete(height);
  }
}
