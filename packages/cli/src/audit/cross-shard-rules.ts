import { keyBytes } from '@shardlab/crosslink';
import { type CrossShardCase, type Leg, NEVER } from './cross-shard-case.ts';
import type { CheckName, Findings } from './findings.ts';

type Report = (check: CheckName, message: string, at: { shard: number; height: number }) => void;

/** Whether the coordinator knew, when it decided, that this participant had refused. */
function refused(leg: Leg): boolean {
  return leg.voteHeardAt !== NEVER && !leg.votedYes;
}

/** Judges one cross-shard transaction by R15: one decision, commit only on all votes, abort only by a Decision or a refusal, each answered once. */
export function judgeTransaction(found: CrossShardCase, findings: Findings): void {
  const report: Report = (check, message, at) => findings.add(check, message, { ...at, hash: keyBytes(found.hash) });
  const attempts = new Map<number, Leg[]>();
  for (const leg of found.legs) {
    judgeParticipant(leg, report);
    judgeCoordinator(leg, found.coordinator, report);
    const legs = attempts.get(leg.attempt);
    if (legs === undefined) attempts.set(leg.attempt, [leg]);
    else legs.push(leg);
  }
  const ordered = [...attempts].sort(([a], [b]) => a - b).map(([, legs]) => legs);
  ordered.forEach((legs, index) => judgeAttempt(legs, found.coordinator, report, ordered[index + 1]));
  judgeOrder(ordered, found.coordinator, report);
  judgeReceipt(found, ordered.at(-1) ?? [], report);
}

/** What the participant did, by its own blocks. */
function judgeParticipant(leg: Leg, report: Report): void {
  const { shard } = leg;
  if (leg.voteSentAt !== NEVER) {
    const at = { shard, height: leg.voteSentAt };
    if (leg.prepareHeardAt === NEVER || leg.prepareHeardAt > leg.voteSentAt) report('vote-without-prepare', 'a vote on what was not asked', at);
    if (leg.decisionHeardAt !== NEVER && leg.voteSentAt > leg.decisionHeardAt) report('vote-after-decision', 'a vote after the Decision', at);
  }
  if (leg.decisionHeardAt === NEVER) {
    if (leg.ackSentAt !== NEVER) report('ack-disagrees', 'an Ack of no Decision', { shard, height: leg.ackSentAt });
    return;
  }
  const at = { shard, height: leg.decisionHeardAt };
  if (leg.ackSentAt !== leg.decisionHeardAt || leg.ackedCommit !== leg.heardCommit) report('ack-disagrees', 'a Decision that its block did not acknowledge as it was', at);
  const agreed = leg.sentYes && leg.voteSentAt !== NEVER && leg.voteSentAt <= leg.decisionHeardAt;
  if (leg.heardCommit && !agreed) report('applied-without-yes', 'a commit applied by a participant that had not voted yes', at);
}

/** What the coordinator told this participant, by its own blocks. */
function judgeCoordinator(leg: Leg, shard: number, report: Report): void {
  if (leg.decidedAt === NEVER) return;
  const at = { shard, height: leg.decidedAt };
  if (leg.preparedAt === NEVER || leg.preparedAt > leg.decidedAt) report('decision-without-prepare', 'a Decision on what was not prepared', at);
  if (leg.decidedValue !== (leg.committed ? leg.value : 0n)) report('decision-value', `a Decision that carries ${leg.decidedValue} wei, prepared were ${leg.value}`, at);
}

function judgeAttempt(legs: readonly Leg[], shard: number, report: Report, next: readonly Leg[] | undefined): void {
  const decided = legs.filter((leg) => leg.decidedAt !== NEVER);
  const commits = decided.filter((leg) => leg.committed);
  const first = commits[0];
  if (first !== undefined) {
    const at = { shard, height: first.decidedAt };
    if (commits.length < decided.length) report('decision-mixed', 'commit to one participant and abort to another', at);
    else if (commits.length < legs.length || commits.some((leg) => leg.decidedAt !== first.decidedAt)) {
      report('decision-partial', 'a commit that not all participants were told in one block', at);
    }
    if (next !== undefined) report('decision-mixed', 'another attempt after a commit', at);
    const unheard = legs.filter((leg) => !leg.votedYes || leg.voteHeardAt === NEVER || leg.voteHeardAt > first.decidedAt);
    if (unheard.length > 0) report('commit-without-yes', `a commit without the yes of shard ${unheard.map((leg) => leg.shard).join(', ')}`, at);
  }
  for (const leg of decided) {
    if (leg.committed || leg.decidedMs > leg.deadlineMs) continue;
    const known = legs.some((each) => refused(each) && each.voteHeardAt <= leg.decidedAt);
    if (!known) report('abort-early', 'an abort before the deadline, and nobody had refused', { shard, height: leg.decidedAt });
  }
}

/** Height at which the coordinator knew that this participant holds nothing of an aborted attempt; undefined while it does not. */
function endedAt(leg: Leg): number | undefined {
  if (leg.decidedAt !== NEVER && !leg.committed) return leg.ackHeardAt === NEVER ? undefined : leg.ackHeardAt;
  return refused(leg) ? leg.voteHeardAt : undefined;
}

/** Attempts count from 0 without gaps, and each begins after the one before has ended everywhere. */
function judgeOrder(attempts: readonly Leg[][], shard: number, report: Report): void {
  attempts.forEach((legs, index) => {
    const prepared = legs.filter((leg) => leg.preparedAt !== NEVER);
    const height = prepared[0]?.preparedAt;
    if (height === undefined) return;
    const together = prepared.every((leg) => leg.preparedAt === height);
    if (legs[0]!.attempt !== index || !together) report('prepare-order', 'attempts that are not numbered one by one, or prepared in pieces', { shard, height });
    const before = attempts[index - 1];
    if (before === undefined || before.some((leg) => leg.committed)) return;
    judgeEnded(before, height - 1, shard, 'another attempt', report);
  });
}

function judgeEnded(legs: readonly Leg[], byHeight: number, shard: number, what: string, report: Report): void {
  const open = legs.filter((leg) => (endedAt(leg) ?? Number.POSITIVE_INFINITY) > byHeight);
  if (open.length === 0) return;
  report('abort-without-decision', `${what}, though shard ${open.map((leg) => leg.shard).join(', ')} neither refused nor acknowledged an abort`, { shard, height: byHeight });
}

function judgeReceipt(found: CrossShardCase, last: readonly Leg[], report: Report): void {
  const { coordinator: shard, receiptAt, receiptStatus } = found;
  const acknowledged = Math.max(...last.map((leg) => (leg.ackHeardAt === NEVER ? Number.POSITIVE_INFINITY : leg.ackHeardAt)));
  const committed = last.length > 0 && last.every((leg) => leg.committed);
  if (receiptAt === NEVER) {
    if (committed && Number.isFinite(acknowledged)) report('receipt-missing', 'committed and acknowledged, but not listed', { shard, height: acknowledged });
    return;
  }
  const at = { shard, height: receiptAt };
  if (receiptStatus === 1) {
    if (!committed || acknowledged > receiptAt) report('receipt-disagrees', 'a receipt of success before every participant acknowledged a commit', at);
  } else if (found.legs.some((leg) => leg.committed)) {
    report('receipt-disagrees', 'a receipt of failure after a commit', at);
  } else {
    judgeEnded(last, receiptAt, shard, 'a receipt of failure', report);
  }
}
