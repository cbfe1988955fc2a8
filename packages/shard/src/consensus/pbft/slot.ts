import { bytesKey, equalBytes, type Hash32, type QuorumCertificate } from '@shardlab/crosslink';
import type { HeaderFields, Proposal } from '../types.ts';
import type { Committee, Phase } from './committee.ts';
import type { ChosenBlock } from './view-change.ts';

/** One validator's vote as it is kept. */
export interface Vote {
  readonly epoch: number;
  readonly hash: Hash32;
  readonly signature: Uint8Array;
  readonly extension: Uint8Array;
}

/** A proposal that is here, and what is known about it. */
export interface HeldProposal {
  readonly hash: Hash32;
  readonly fields: HeaderFields;
  readonly proposal: Proposal;
  /** What this validator's own execution said; `asked` = not yet. */
  verdict: 'asked' | 'good' | 'bad' | undefined;
  /** Whether it was judged as one that nobody had vouched for: then a `bad` may only have been its time. */
  judgedFresh: boolean;
}

/** A commit quorum: the block is final, whatever is known here about it. */
export interface FinalBlock {
  readonly hash: Hash32;
  readonly certificate: QuorumCertificate;
  readonly extensions: ReadonlyMap<number, Uint8Array>;
}

/** What became of a vote: counted, the same as before, not needed any more, or the second of a validator that may cast one. */
export type VoteStatus = 'wanted' | 'known' | 'enough' | 'equivocation';

/** Two votes are for the same thing if hash and epoch agree: the epoch is in the signed bytes. */
function sameVote(a: { readonly hash: Hash32; readonly epoch: number }, b: { readonly hash: Hash32; readonly epoch: number }): boolean {
  return a.epoch === b.epoch && equalBytes(a.hash, b.hash);
}

/**
 * Agreement on one height: the proposal, and the votes of one view, the last that came into force here. A validator's first vote in a phase is the one that counts,
 * once; it is never replaced.
 */
export class Slot {
  readonly height: number;
  held: HeldProposal | undefined;
  /** The view in which {@link held} was proposed, or chosen by the new view; -1 = none. */
  proposedIn = -1;
  /** What the view in force has to agree on at this height, if it may not choose. */
  chosen: ChosenBlock | undefined;
  /** The highest view's quorum of prepare votes for {@link held}, which was executed here before (PBFT's prepared certificate). */
  prepared: QuorumCertificate | undefined;
  /** The last views in which this validator has voted; -1 = never. */
  prepareView = -1;
  commitView = -1;
  final: FinalBlock | undefined;
  /** Whether `decided` was said. */
  decided = false;
  /** Whether it was said that this validator's execution disagrees with a quorum. */
  diverged = false;
  private readonly committee: Committee;
  private readonly votes: Readonly<Record<Phase, Map<number, Vote>>> = { prepare: new Map(), commit: new Map() };
  private readonly accused = new Set<number>();

  constructor(height: number, committee: Committee) {
    this.height = height;
    this.committee = committee;
  }

  /** Another view has come into force: the votes of the last one are void, certificates are not. */
  enterView(): void {
    this.votes.prepare.clear();
    this.votes.commit.clear();
    this.accused.clear();
    this.chosen = undefined;
  }

  /** Takes a proposal in; one with the same hash keeps what is known about it. */
  hold(hash: Hash32, fields: HeaderFields, proposal: Proposal, view: number): void {
    if (this.held === undefined || !equalBytes(this.held.hash, hash)) this.held = { hash, fields, proposal, verdict: undefined, judgedFresh: false };
    this.proposedIn = view;
    this.dropBadExtensions(this.held);
  }

  /** Votes that came before the proposal could not be judged whole. */
  private dropBadExtensions({ hash, fields }: HeldProposal): void {
    for (const [validator, vote] of this.votes.commit) {
      if (!sameVote(vote, { hash, epoch: fields.epoch })) continue;
      if (!this.committee.checkExtension(fields, validator, vote.extension)) this.votes.commit.delete(validator);
    }
  }

  /** Whether a block is the one held here. */
  holds(hash: Hash32): boolean {
    return this.held !== undefined && equalBytes(this.held.hash, hash);
  }

  /** What a vote of `validator` would be. */
  judge(phase: Phase, validator: number, vote: Pick<Vote, 'hash' | 'epoch'>): VoteStatus {
    const before = this.votes[phase].get(validator);
    if (before !== undefined) return sameVote(before, vote) ? 'known' : 'equivocation';
    const enough = phase === 'commit' ? this.final !== undefined : this.quorumVote('prepare') !== undefined;
    return enough ? 'enough' : 'wanted';
  }

  /** Counts a vote that {@link judge} wants. */
  add(phase: Phase, validator: number, vote: Vote): void {
    this.votes[phase].set(validator, vote);
  }

  /** A validator's vote of the view in force. */
  vote(phase: Phase, validator: number): Vote | undefined {
    return this.votes[phase].get(validator);
  }

  /** Validators that have voted in a phase, in order. */
  voters(phase: Phase): number[] {
    return [...this.votes[phase].keys()].toSorted((a, b) => a - b);
  }

  /** Whether a validator is accused of voting twice for the first time in this view. */
  accuse(validator: number): boolean {
    if (this.accused.has(validator)) return false;
    this.accused.add(validator);
    return true;
  }

  /** The vote that a quorum has cast alike, if there is one. */
  quorumVote(phase: Phase): Vote | undefined {
    const votes = this.votes[phase];
    if (votes.size < this.committee.quorum) return undefined;
    const counts = new Map<string, number>();
    for (const vote of votes.values()) {
      const key = `${vote.epoch} ${bytesKey(vote.hash)}`;
      const count = (counts.get(key) ?? 0) + 1;
      if (count >= this.committee.quorum) return vote;
      counts.set(key, count);
    }
    return undefined;
  }

  /** Certificate of a quorum's votes that are like `vote`, cast in `view`, with their extensions. */
  certify(phase: Phase, view: number, vote: Vote): FinalBlock {
    const alike = [...this.votes[phase]].filter(([, other]) => sameVote(other, vote)).toSorted(([a], [b]) => a - b);
    const signatures = new Map(alike.map(([validator, { signature }]) => [validator, signature]));
    const extensions = new Map(alike.map(([validator, { extension }]) => [validator, extension]));
    return { hash: vote.hash, certificate: this.committee.certify(view, signatures), extensions };
  }

  /** Whether anybody else has vouched for the held proposal: a quorum, a new view, or this validator itself before it was restarted. */
  vouched(): boolean {
    const { held } = this;
    if (held === undefined) return false;
    if (this.prepareView >= 0 && this.prepareView === this.proposedIn) return true;
    const witnesses = [this.chosen?.hash, this.final?.hash, this.quorumVote('prepare')?.hash];
    return this.prepared !== undefined || witnesses.some((hash) => hash !== undefined && equalBytes(hash, held.hash));
  }
}
