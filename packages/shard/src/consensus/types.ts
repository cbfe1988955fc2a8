import type { Hash32, QuorumCertificate } from '@shardlab/crosslink';

/** A block whose execution is known, as agreement sees it: enough to vote on. */
export interface Candidate {
  readonly epoch: number;
  readonly height: number;
  readonly hash: Hash32;
}

/** What an agreement engine wants. Messages between validators become further kinds with committees of more than one. */
export type ConsensusOutput = {
  readonly kind: 'decided';
  readonly candidate: Candidate;
  readonly certificate: QuorumCertificate;
};

/**
 * Agreement on the next block of one chain, as a step function. The replica executes a block before it offers it, and stores it with its certificate before anything
 * of it leaves the node (R2).
 */
export interface Consensus {
  /** Whether this validator may propose the block of this height now. */
  mayPropose(height: number): boolean;
  /** This validator's own, executed proposal. */
  propose(candidate: Candidate): readonly ConsensusOutput[];
}
