import type { Hash32, Height, ShardId, TxHash } from '@shardlab/crosslink';

/** What one participant has been seen to do in one attempt, from the messages alone. */
export interface ParticipantView {
  readonly shard: ShardId;
  /** Wei that its Prepare asks it to credit. */
  readonly value: bigint;
  /** It has consumed the Prepare. */
  asked: boolean;
  /** Its vote, once sent; true = yes. */
  vote: boolean | undefined;
  /** The coordinator has consumed the vote. */
  voteHeard: boolean;
  /** The Decision, once sent; true = commit. */
  decision: boolean | undefined;
  decisionHeard: boolean;
  acked: boolean;
  ackHeard: boolean;
}

/** One attempt of one cross-shard transaction. */
export interface AttemptView {
  readonly participants: Map<ShardId, ParticipantView>;
}

/** The part of the coordinator's own shard, where it takes part: from its events. */
export interface OwnPart {
  /** Attempts in which it was asked. */
  attempts: number;
  /** What it said in the latest of them; undefined before. */
  voted: boolean | undefined;
  applied: number;
}

/** The own shard's part before anything is known of it. */
export const NO_OWN_PART: Readonly<OwnPart> = { attempts: 0, voted: undefined, applied: 0 };

/** A cross-shard transaction that has begun and has no receipt yet. */
export interface OpenTransaction {
  readonly id: Hash32;
  readonly txHash: TxHash;
  readonly coordinator: ShardId;
  /** Where its raw bytes stand on the coordinator. */
  readonly bodyHeight: Height;
  readonly bodyIndex: number;
  readonly attempts: Map<number, AttemptView>;
  readonly own: OwnPart;
}

/** A participant that was just sent a Prepare. */
export function freshParticipant(shard: ShardId, value: bigint): ParticipantView {
  const unheard = { asked: false, vote: undefined, voteHeard: false, decision: undefined, decisionHeard: false, acked: false, ackHeard: false };
  return { shard, value, ...unheard };
}

/** Why an attempt may not be followed by another, or by the end: somebody may still hold something of it. `undefined` = it is over. */
export function unfinished(attempt: AttemptView): string | undefined {
  for (const { shard, vote, voteHeard, decision, ackHeard } of attempt.participants.values()) {
    if (decision !== undefined && !ackHeard) return `shard ${shard} has not acknowledged the Decision`;
    if (decision === undefined && !(voteHeard && vote === false)) return `shard ${shard} was told no Decision`;
  }
  return undefined;
}

/** Whether some participant of some attempt was told to commit. */
export function committed(open: OpenTransaction): boolean {
  for (const { participants } of open.attempts.values()) for (const { decision } of participants.values()) if (decision === true) return true;
  return false;
}
