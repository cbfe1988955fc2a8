/** Height at which something has not happened, up to the cut. */
export const NEVER = -1;

/** What one participant and its coordinator said to each other in one attempt. Heights are of the shard that spoke or heard. */
export interface Leg {
  readonly attempt: number;
  /** The participant. */
  readonly shard: number;
  /** Wei that the Prepare asks to credit. */
  value: bigint;
  /** Coordinator block time after which it may abort. */
  deadlineMs: number;
  /** On the coordinator: Prepare sent, Vote heard, Decision sent, Ack heard. */
  preparedAt: number;
  voteHeardAt: number;
  votedYes: boolean;
  decidedAt: number;
  /** Time of the block with the Decision. */
  decidedMs: number;
  committed: boolean;
  decidedValue: bigint;
  ackHeardAt: number;
  /** On the participant: Prepare heard, Vote sent, Decision heard, Ack sent. */
  prepareHeardAt: number;
  voteSentAt: number;
  sentYes: boolean;
  decisionHeardAt: number;
  heardCommit: boolean;
  ackSentAt: number;
  ackedCommit: boolean;
}

/** One cross-shard transaction, as all blocks up to the cut tell it. */
export interface CrossShardCase {
  /** Its 32-byte id, and its transaction's hash (the id again until a Prepare was seen), one character a byte. */
  readonly id: string;
  hash: string;
  readonly coordinator: number;
  readonly legs: Leg[];
  receiptAt: number;
  receiptStatus: 0 | 1;
}

/** A leg of which nothing is known yet. */
export function newLeg(attempt: number, shard: number): Leg {
  return {
    attempt,
    shard,
    value: 0n,
    deadlineMs: 0,
    preparedAt: NEVER,
    voteHeardAt: NEVER,
    votedYes: false,
    decidedAt: NEVER,
    decidedMs: 0,
    committed: false,
    decidedValue: 0n,
    ackHeardAt: NEVER,
    prepareHeardAt: NEVER,
    voteSentAt: NEVER,
    sentYes: false,
    decisionHeardAt: NEVER,
    heardCommit: false,
    ackSentAt: NEVER,
    ackedCommit: false,
  };
}
