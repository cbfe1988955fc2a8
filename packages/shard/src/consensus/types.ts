import type { Hash32, QuorumCertificate, Verdict } from '@shardlab/crosslink';
import type { LogLine } from '../log-line.ts';

/** A block as agreement sees it: canonical header bytes, whose SHA-256 is the block's hash, and what else a validator needs to execute it. */
export interface Proposal {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** What agreement reads out of a header's canonical bytes. */
export interface HeaderFields {
  readonly epoch: number;
  readonly height: number;
  readonly parentHash: Hash32;
  /** Index of the validator that made the block, in whatever view. */
  readonly proposer: number;
}

/** The last final block: its commit certificate is PBFT's stable checkpoint. */
export interface AgreedHead {
  readonly epoch: number;
  readonly height: number;
  readonly hash: Hash32;
  /** Undefined for the block that nobody signs, at the start of a chain. */
  readonly certificate: QuorumCertificate | undefined;
}

/** A change of the proposals that a validator must not forget; `undefined` = forget it. */
export interface ProposalChange {
  readonly height: number;
  readonly proposal: Proposal | undefined;
}

/** What an agreement engine wants, in order. */
export type ConsensusOutput =
  /** `state` (all that the engine must know after a crash) and `proposals` must be synced before any of `messages` leaves (R2). */
  | { readonly kind: 'vote'; readonly state: Uint8Array; readonly proposals: readonly ProposalChange[]; readonly messages: readonly Uint8Array[] }
  /** Messages to the whole committee that say nothing new. */
  | { readonly kind: 'send'; readonly messages: readonly Uint8Array[] }
  /** Execute and compare; answered by `validated`. `fresh`: nobody has vouched for it before, so its time is to be judged (R5). */
  | { readonly kind: 'validate'; readonly hash: Hash32; readonly fields: HeaderFields; readonly proposal: Proposal; readonly fresh: boolean }
  /** A quorum has committed it. Comes in order of height, once, and only for what was proposed or validated here. */
  | {
      readonly kind: 'decided';
      readonly hash: Hash32;
      readonly fields: HeaderFields;
      readonly proposal: Proposal;
      readonly certificate: QuorumCertificate;
      /** Vote extensions by validator, of those whose commit votes are in the certificate. */
      readonly extensions: ReadonlyMap<number, Uint8Array>;
    }
  /** The committee is further than this validator can follow by votes: at least `height` is certified, validator `from` says so. */
  | { readonly kind: 'behind'; readonly height: number; readonly from: number }
  /** A block was chosen by a new view and its proposal is not here; answered by `supply`. `from` have it. */
  | { readonly kind: 'fetch'; readonly height: number; readonly hash: Hash32; readonly from: readonly number[] }
  | { readonly kind: 'log'; readonly line: LogLine };

/** What became of a message of a peer. */
export interface Received {
  readonly verdict: Verdict;
  readonly outputs: readonly ConsensusOutput[];
}

/** For people, status and metrics: why agreement stands where it stands. */
export interface ConsensusStatus {
  readonly view: number;
  /** Whether the view is in force; else a view change is under way. */
  readonly active: boolean;
  readonly leader: number;
  /** Validators whose vote for the next height (or for the view change) has come, this one included, and how many it takes. */
  readonly voted: readonly number[];
  readonly quorum: number;
}

/**
 * Agreement on the blocks of one chain, as a step function without time: PBFT (Castro and Liskov, OSDI 1999). The replica executes a block before it is voted for,
 * and stores it with its certificate before anything of it leaves the node (R2).
 */
export interface Consensus {
  /** Grows with everything that moves agreement on: a new view in force, a block prepared or final. What has not grown for too long is suspected. */
  readonly progress: number;
  /** Whether waiting longer may lead to a suspicion: false in a view change for which no quorum has asked yet. */
  readonly patient: boolean;
  /** Whether something above the final head is being agreed on: a proposal of this view, or the next view. */
  readonly busy: boolean;
  readonly status: ConsensusStatus;
  /** Index of the validator whose turn it is: it proposes the next block, or leads the view that is being asked for. */
  readonly nextLeader: number;
  /** Index of the validator that may propose `height` in the current view. */
  leader(height: number): number;
  /** The block on which `height` is to be proposed now; `undefined` = it is not this validator's turn, or too early. */
  mayPropose(height: number): Hash32 | undefined;
  /** This validator's own, executed proposal, for which {@link mayPropose} has just said yes. */
  propose(proposal: Proposal): readonly ConsensusOutput[];
  /** A message of a peer. Throws `DecodeError` on malformed bytes. */
  receive(data: Uint8Array): Received;
  /** Answers `validate`. A hash that is not waited for any more is ignored. */
  validated(hash: Hash32, good: boolean): readonly ConsensusOutput[];
  /** Answers `fetch`; what is not wanted is ignored. */
  supply(proposal: Proposal): readonly ConsensusOutput[];
  /** A block is final and stored, by decision or by catching up. */
  finalised(head: AgreedHead): readonly ConsensusOutput[];
  /** There was work and no progress for too long: ask for the next view. */
  suspect(): readonly ConsensusOutput[];
  /** Says once more what this validator last said, in bytes that gossip does not take for known. */
  retransmit(): readonly ConsensusOutput[];
}
