import { bytesKey, equalBytes, ShardlabError } from '@shardlab/crosslink';
import type { AgreedHead, Proposal, ProposalChange } from '../types.ts';
import type { Committee } from './committee.ts';
import { decodeState, type DurableSlot, type DurableState, encodeState } from './durable.ts';
import type { Heights } from './heights.ts';

/** What an engine starts from: what its host has stored. */
export interface PbftStart {
  /** The last final block. */
  readonly head: AgreedHead;
  /** The `state` of the last `vote` output that was synced; `undefined` = there was none. */
  readonly state: Uint8Array | undefined;
  /** The proposals that are stored, after all synced `vote` outputs. */
  readonly proposals: readonly { readonly height: number; readonly proposal: Proposal }[];
}

/** Takes votes to what is stored, and back. */
export class Memory {
  private readonly committee: Committee;
  /** Hashes of the stored proposals, by height. */
  private readonly stored = new Map<number, string>();

  constructor(committee: Committee) {
    this.committee = committee;
  }

  /** Decodes a stored state. Throws `consensus/stored-*`. */
  load(state: Uint8Array | undefined): DurableState | undefined {
    return state === undefined ? undefined : decodeState(this.committee, state);
  }

  /** Puts the stored votes back into the heights of their view. Throws `consensus/stored-*` where state, proposals and head do not belong together. */
  restore(heights: Heights, state: DurableState | undefined, proposals: PbftStart['proposals']): void {
    const { committee } = this;
    for (const { height, proposal } of proposals) this.stored.set(height, bytesKey(committee.hash(proposal.header)));
    for (const slot of state?.slots ?? []) {
      // What has become final since needs no memory.
      if (slot.height <= heights.head.height) continue;
      if (slot.height > heights.top) throw new ShardlabError('consensus/stored-state', 'a vote above the stored blocks', { height: slot.height });
      const proposal = proposals.find((candidate) => candidate.height === slot.height && equalBytes(committee.hash(candidate.proposal.header), slot.hash))?.proposal;
      if (proposal === undefined) throw new ShardlabError('consensus/stored-proposal', 'a proposal that was voted for is not stored', { height: slot.height });
      this.restoreSlot(heights, slot, proposal);
    }
  }

  private restoreSlot(heights: Heights, stored: DurableSlot, proposal: Proposal): void {
    const fields = this.committee.readHeader(proposal.header);
    if (fields.height !== stored.height) throw new ShardlabError('consensus/stored-proposal', 'a proposal is stored at another height than its own', { height: stored.height });
    const slot = heights.open(stored.height);
    const { proposedIn } = slot;
    const chosen = slot.chosen !== undefined && equalBytes(slot.chosen.hash, stored.hash);
    heights.hold(slot, stored.hash, fields, proposal);
    // Only a vote or the new view says that it was proposed in the view in force.
    if (!stored.prepareVoted && !chosen) slot.proposedIn = proposedIn;
    slot.prepared = stored.prepared;
    if (stored.prepareVoted) heights.recordVote(slot, 'prepare');
    if (stored.commitVoted) heights.recordVote(slot, 'commit');
  }

  /** Encodes what must not be forgotten now. */
  state(heights: Heights, rest: Omit<DurableState, 'slots'>): Uint8Array {
    const slots: DurableSlot[] = [];
    for (const { height, held, prepared, prepareView, commitView } of heights.ordered()) {
      const voted = { prepareVoted: prepareView === heights.view, commitVoted: commitView === heights.view };
      if (held === undefined || (!voted.prepareVoted && prepared === undefined)) continue;
      slots.push({ height, hash: held.hash, ...voted, prepared });
    }
    return encodeState(this.committee, { ...rest, slots });
  }

  /** What must change in the stored proposals, so that they are those of {@link state}. */
  changes(heights: Heights): ProposalChange[] {
    const changes: ProposalChange[] = [];
    for (const height of this.stored.keys()) {
      if (height > heights.head.height) continue;
      this.stored.delete(height);
      changes.push({ height, proposal: undefined });
    }
    for (const { height, held, prepared, prepareView } of heights.ordered()) {
      if (held === undefined || (prepareView !== heights.view && prepared === undefined)) continue;
      const hash = bytesKey(held.hash);
      if (this.stored.get(height) === hash) continue;
      this.stored.set(height, hash);
      changes.push({ height, proposal: held.proposal });
    }
    return changes.toSorted((a, b) => a.height - b.height);
  }
}
