import { ground, type Mutant } from '../mutant.ts';

const COORDINATOR = 'crosslink/src/xtx/coordinator.ts';
const PARTICIPANT = 'crosslink/src/xtx/participant.ts';

const CALM = ground('calm', {});
const LATE = ground('late', { faults: ['delay', 'partition', 'loss'] }, { parameters: { deadlineMs: 3_000 } });
const BUSY = ground('busy', { crossShard: 0.9 }, { parameters: { blockGasLimit: 42_000 } });

/** Two-phase commit (R15 to R19). */
export const ATOMIC_COMMIT: readonly Mutant[] = [
  {
    name: 'participant-aborts-alone',
    what: 'after its yes a participant lets go when the deadline has passed',
    edits: [
      {
        file: PARTICIPANT,
        find: 'if (this.waiting.size === 0) return;',
        replace: `for (const record of keys === undefined ? [...this.records.values()] : []) {
      if (record.status !== 'prepared' || record.deadlineMs >= host.now.timestampMs) continue;
      this.remove(record);
      this.shared.locks.release(record.id, record.locks);
    }
    if (this.waiting.size === 0) return;`,
      },
    ],
    ground: LATE,
    seedsMax: 20,
    finds: /^state: .* wei burned|gives account/,
  },
  {
    name: 'commit-on-any-vote',
    what: 'the coordinator counts votes, not what they say',
    edits: [
      { file: COORDINATOR, find: "else if (answer.kind !== 'yes') this.abortAttempt(host, voted, reason);", replace: '' },
      { file: COORDINATOR, find: "participants.every((each) => each.status === 'yes')", replace: "participants.every((each) => each.status !== 'pending')" },
    ],
    ground: BUSY,
    seedsMax: 10,
    finds: /^atomicity: .* commits, but no yes/,
  },
  {
    name: 'commit-at-deadline',
    what: 'the deadline decides for the participant that has not voted',
    edits: [{ file: COORDINATOR, find: "for (const record of late) this.abortAttempt(host, record, 'deadline');", replace: 'for (const record of late) this.commit(host, record);' }],
    ground: LATE,
    seedsMax: 20,
    finds: /^atomicity: .* commits, but no yes/,
  },
  {
    name: 'deadline-flips-commit',
    what: 'the deadline aborts what was decided to commit and is not acknowledged yet',
    edits: [{ file: COORDINATOR, find: "if (record.phase === 'preparing') this.preparing.add(key);", replace: "if (record.phase === 'preparing' || record.phase === 'committing') this.preparing.add(key);" }],
    ground: LATE,
    seedsMax: 20,
    finds: /^atomicity: .* (two Decisions|are mixed)/,
  },
  {
    name: 'late-yes-commits',
    what: 'a yes that comes after the abort turns it into a commit',
    edits: [
      { file: COORDINATOR, find: "const status = from.status === 'deciding' ? 'deciding' : answer.kind", replace: 'const status = answer.kind' },
      { file: COORDINATOR, find: "if (record.phase !== 'preparing') this.put(voted);\n    else if", replace: 'if' },
    ],
    ground: LATE,
    seedsMax: 20,
    finds: /^atomicity: .* (two Decisions|are mixed)/,
  },
  {
    name: 'credit-before-decision',
    what: 'the participant pays with its yes instead of with the Decision',
    edits: [
      { file: PARTICIPANT, find: "this.answer(host, coordinator, record, { kind: 'yes' }, outcome.gasUsed);", replace: "host.receiveValue(coordinator, operation.value);\n      this.shared.parked.credit(host, operation.to, operation.value, record.txHash);\n      this.answer(host, coordinator, record, { kind: 'yes' }, outcome.gasUsed);" },
      { file: PARTICIPANT, find: 'if (commit && !host.receiveValue(source, value)) return false;', replace: '' },
      { file: PARTICIPANT, find: 'ack(commit ? this.apply(host, record, value) : NO_LOGS);', replace: 'ack(NO_LOGS);' },
    ],
    ground: LATE,
    seedsMax: 5,
    finds: /^serial: /,
  },
  {
    name: 'escrow-not-taken',
    what: 'the coordinator leaves value and fee with the sender',
    edits: [{ file: 'shard/src/execution/block-run.ts', find: 'account.balance -= amount;', replace: '' }],
    ground: CALM,
    seedsMax: 3,
    finds: /^(state|serial): /,
  },
  {
    name: 'value-sent-twice',
    what: 'a commit Decision carries the value away, and it stays in escrow as well',
    edits: [{ file: COORDINATOR, find: 'host.sendValue(shard, operation.value);', replace: '' }],
    ground: CALM,
    seedsMax: 3,
    finds: /^(supply|sequences|state): /,
  },
  {
    name: 'refund-twice',
    what: 'an abort gives the value back twice',
    edits: [{ file: COORDINATOR, find: 'host.burnEscrow(fee);', replace: "host.burnEscrow(fee);\n    if (!commit) host.receiveValue(record.participants[0].shard, record.escrowValue), host.unescrow(record.sender, record.escrowValue);" }],
    ground: LATE,
    seedsMax: 20,
    finds: /^(serial|sequences|supply): /,
  },
  {
    name: 'ack-never-sent',
    what: 'a participant applies the Decision and says nothing',
    edits: [{ file: PARTICIPANT, find: "this.shared.loopback.send(host, source, { kind: 'ack', id, attempt, commit, logs });", replace: 'undefined;' }],
    ground: CALM,
    seedsMax: 3,
    finds: /^it does not end/,
  },
  {
    name: 'retry-before-ack',
    what: 'an attempt that was aborted is given up before its participant has let go',
    edits: [{ file: COORDINATOR, find: 'if (participants.every((each) => !isOpen(each))) this.finishAttempt(host, aborting);', replace: 'if (participants.length > 0) this.finishAttempt(host, aborting);' }],
    ground: LATE,
    seedsMax: 20,
    finds: /^atomicity: .* has not acknowledged the Decision/,
  },
  {
    name: 'old-attempt-heard',
    what: 'a retry sends its Prepares under the number of the attempt before',
    edits: [{ file: COORDINATOR, find: "phase: 'retrying', attempt, retryHeight", replace: "phase: 'retrying', attempt: record.attempt, retryHeight" }],
    ground: BUSY,
    seedsMax: 10,
    finds: /^atomicity: .* prepares shard \d+ twice/,
  },
];
