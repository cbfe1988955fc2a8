import type { AbortReason } from '../events.ts';
import { invariant } from '../errors.ts';
import { equalBytes, type Hash32, type Height, SHARDS_MAX, type ShardId } from '../primitives.ts';
import { crossShardId, recordId, recordKey } from './identity.ts';
import { balanceLock, type Lock, type LockTable } from './locks.ts';
import type { Loopback } from './loopback.ts';
import type { Ack, Vote, VoteAnswer } from './messages.ts';
import { nextAttempt } from './next-attempt.ts';
import type { ParkedCredits } from './parked.ts';
import type { ProtocolDue, ProtocolHost } from './protocol.ts';
import { decodeCoordinatorRecord, encodeCoordinatorRecord, LOCKS_MAX } from './records.ts';
import { type CoordinatorRecord, type CrossShardIntent, type Moment, type ParticipantProgress, PARTICIPANTS_MAX } from './types.ts';

/** Bounds of the coordinator's side. */
export interface CoordinatorOptions {
  /** Open Prepares of one ordered pair (R19). */
  readonly openPreparesMax: number;
  readonly deadlineMs: number;
  /** Attempts before the user sees an abort (R17). */
  readonly attemptsMax: number;
  /** Shards of the network: a vote that sends the coordinator to another one is a `no`. {@link SHARDS_MAX} if absent. */
  readonly shards?: number;
}

/** What the two sides of one shard share. */
export interface SharedState {
  readonly locks: LockTable;
  readonly parked: ParkedCredits;
  /** All messages leave through it: those of the shard to itself do not leave. */
  readonly loopback: Loopback;
  /** Called when locks were given back, so that waiters and parked credits get their turn. */
  released(host: ProtocolHost, locks: readonly Lock[]): void;
}

/** Reasons that another attempt may cure. */
const RETRYABLE: ReadonlySet<AbortReason> = new Set(['conflict', 'busy', 'moved', 'needs']);
const NO_LOGS = new Uint8Array(0);

/** The reason for which a vote ends an attempt. A participant's `no` is final, whatever word of the coordinator's it borrows. */
function reasonOf(answer: VoteAnswer, shards: number): AbortReason {
  switch (answer.kind) {
    case 'no':
      return answer.reason === 'none' || RETRYABLE.has(answer.reason) ? 'refused' : answer.reason;
    case 'moved':
      return answer.shard < shards ? 'moved' : 'refused';
    case 'yes':
      return 'none';
    case 'needs':
      return answer.accounts.length > 0 && answer.accounts.every(({ shard }) => shard < shards) ? 'needs' : 'refused';
    case 'conflict':
    case 'busy':
      return answer.kind;
  }
}

/** A `retrying` record holds none of its locks. */
function holdsLocks(record: CoordinatorRecord): boolean {
  return record.locks.length > 0 && record.phase !== 'retrying';
}

/** A participant at the start of an attempt. */
function fresh({ shard, operation }: Pick<ParticipantProgress, 'shard' | 'operation'>): ParticipantProgress {
  return { shard, operation, status: 'pending', gasUsed: undefined, movedTo: undefined, needs: [], logs: NO_LOGS };
}

function isOpen(participant: ParticipantProgress): boolean {
  return participant.status !== 'ended' && participant.status !== 'acked';
}

/**
 * The coordinator's half of two-phase commit (R15): takes transactions over, counts votes, decides, counts Acks, retries, settles. A step function per input;
 * everything that it must remember stands in {@link CoordinatorRecord}s.
 */
export class Coordinator {
  private readonly records = new Map<string, CoordinatorRecord>();
  private readonly preparing = new Set<string>();
  private readonly retrying = new Set<string>();
  private readonly openPrepares = new Map<ShardId, number>();
  private readonly dirty = new Set<string>();
  private readonly options: CoordinatorOptions;
  private readonly shared: SharedState;

  constructor(options: CoordinatorOptions, shared: SharedState) {
    this.options = options;
    this.shared = shared;
  }

  get size(): number {
    return this.records.size;
  }

  get retryingCount(): number {
    return this.retrying.size;
  }

  /** The open record of this id. */
  get(id: Hash32): CoordinatorRecord | undefined {
    const record = this.records.get(recordKey(id));
    return record !== undefined && equalBytes(record.id, id) ? record : undefined;
  }

  /** Resets one record, with its locks and budgets, to what the state says. */
  restore(id: Uint8Array, value: Uint8Array | undefined): void {
    const key = recordKey(id);
    const before = this.records.get(key);
    if (before !== undefined && holdsLocks(before)) this.shared.locks.release(before.id, before.locks);
    const record = value === undefined ? undefined : decodeCoordinatorRecord(value);
    if (record !== undefined && holdsLocks(record)) this.shared.locks.adopt(record.id, { timestampMs: record.ageMs, id: record.id }, record.locks);
    this.index(key, record);
  }

  /** R19: whether the pair's budget takes one more Prepare. */
  private affordable(shards: readonly ShardId[]): boolean {
    return shards.every((shard) => (this.openPrepares.get(shard) ?? 0) < this.options.openPreparesMax);
  }

  /** See `CrossShardProtocol.begin`. */
  begin(host: ProtocolHost, intent: CrossShardIntent): 'begun' | 'busy' | 'locked' {
    const shards = intent.operations.map((each) => each.shard);
    invariant(new Set(shards).size === shards.length, 'one operation for each shard');
    invariant(shards.length <= PARTICIPANTS_MAX && intent.locks.length <= LOCKS_MAX, 'more participants or locks than a record holds');
    invariant(intent.locks.length === 0 || !shards.includes(host.shard), 'an operation of the own shard names its locks itself');
    invariant(intent.operations.reduce((sum, each) => sum + each.operation.value, 0n) === intent.value, 'the operations share out the value');
    if (!this.affordable(shards)) return 'busy';
    const id = crossShardId(host.hasher, host.chainId, host.shard, intent.txHash);
    const grant = this.shared.locks.acquire(id, { timestampMs: host.now.timestampMs, id }, intent.locks);
    if (grant.kind === 'held') return 'locked';
    const escrowFee = BigInt(intent.gasLimit) * intent.gasPrice;
    host.escrow(intent.sender, intent.value + escrowFee);
    const record: CoordinatorRecord = {
      id,
      txHash: intent.txHash,
      sender: intent.sender,
      phase: 'preparing',
      attempt: 0,
      ageMs: host.now.timestampMs,
      deadlineMs: host.now.timestampMs + this.options.deadlineMs,
      retryHeight: 0 as Height,
      reason: 'none',
      participants: intent.operations.map((each) => fresh(each)),
      escrowValue: intent.value,
      escrowFee,
      gasPrice: intent.gasPrice,
      gasLimit: intent.gasLimit,
      gasCharged: intent.intrinsicGas,
      locks: grant.locks,
      transactionType: intent.transactionType,
      to: intent.to,
      bodyHeight: host.now.height,
      bodyIndex: intent.bodyIndex,
      prepared: host.now,
      voted: undefined,
      decided: undefined,
      applied: undefined,
    };
    this.prepare(host, record);
    return 'begun';
  }

  /** Sends the Prepares of `record`'s current attempt. */
  private prepare(host: ProtocolHost, record: CoordinatorRecord): void {
    const { id, attempt, txHash, ageMs, deadlineMs, gasPrice } = record;
    for (const { shard, operation } of record.participants) {
      this.shared.loopback.send(host, shard, { kind: 'prepare', id, attempt, txHash, ageMs, deadlineMs, gasPrice, operation });
      host.event({ phase: 'prepared', outcome: 'none', peer: shard, txHash, reason: 'none' });
    }
    this.put(record);
  }

  /** A participant's vote. Returns false when it fits no record. */
  vote(host: ProtocolHost, source: ShardId, origin: Moment, vote: Vote): boolean {
    const record = this.get(vote.id);
    if (record === undefined || record.attempt !== vote.attempt) return false;
    const from = record.participants.find((each) => each.shard === source);
    if (from === undefined || from.gasUsed !== undefined || (from.status !== 'pending' && from.status !== 'deciding')) return false;
    const { answer } = vote;
    const gasUsed = Math.min(vote.gasUsed, from.operation.gasLimit);
    // A participant that already has a Decision on its way answers that with an Ack: its late vote only tells what it used.
    const status = from.status === 'deciding' ? 'deciding' : answer.kind === 'yes' ? 'yes' : 'ended';
    const reason = reasonOf(answer, this.options.shards ?? SHARDS_MAX);
    const movedTo = answer.kind === 'moved' && reason === 'moved' ? answer.shard : undefined;
    const needs = answer.kind === 'needs' && reason === 'needs' ? answer.accounts : [];
    const participants = record.participants.map((each): ParticipantProgress => (each === from ? { ...each, status, gasUsed, movedTo, needs } : each));
    const voted: CoordinatorRecord = { ...record, participants, voted: origin };
    if (record.phase !== 'preparing') this.put(voted);
    else if (answer.kind !== 'yes') this.abortAttempt(host, voted, reason);
    else if (participants.every((each) => each.status === 'yes')) this.commit(host, voted);
    else this.put(voted);
    return true;
  }

  /** All voted yes: the Decisions carry the value away (R15). */
  private commit(host: ProtocolHost, record: CoordinatorRecord): void {
    let carried = 0n;
    for (const { shard, operation } of record.participants) {
      this.shared.loopback.send(host, shard, { kind: 'decision', id: record.id, attempt: record.attempt, commit: true, value: operation.value });
      host.sendValue(shard, operation.value);
      host.event({ phase: 'decided', outcome: 'commit', peer: shard, txHash: record.txHash, reason: 'none' });
      carried += operation.value;
    }
    invariant(carried === record.escrowValue, 'a commit carries exactly the value in escrow');
    const participants = record.participants.map((each) => ({ ...each, status: 'deciding' as const }));
    this.put({ ...record, phase: 'committing', participants, escrowValue: 0n, decided: host.now });
  }

  /** Ends the attempt: whoever may hold something hears of it, then {@link finishAttempt}. */
  private abortAttempt(host: ProtocolHost, record: CoordinatorRecord, reason: AbortReason): void {
    const participants = record.participants.map(
      (each): ParticipantProgress => (each.status === 'ended' ? each : { ...each, status: 'deciding' }),
    );
    for (const { shard, status } of participants) {
      host.event({ phase: 'decided', outcome: 'abort', peer: shard, txHash: record.txHash, reason });
      if (status === 'deciding') this.shared.loopback.send(host, shard, { kind: 'decision', id: record.id, attempt: record.attempt, commit: false, value: 0n });
    }
    const aborting: CoordinatorRecord = { ...record, phase: 'aborting', participants, reason, decided: host.now };
    if (participants.every((each) => !isOpen(each))) this.finishAttempt(host, aborting);
    else this.put(aborting);
  }

  /** A participant's Ack. Returns false when it fits no record. */
  ack(host: ProtocolHost, source: ShardId, origin: Moment, ack: Ack): boolean {
    const record = this.get(ack.id);
    if (record === undefined || record.attempt !== ack.attempt || ack.commit !== (record.phase === 'committing')) return false;
    const from = record.participants.find((each) => each.shard === source);
    if (from?.status !== 'deciding') return false;
    const participants = record.participants.map((each) => (each === from ? { ...each, status: 'acked' as const, logs: ack.logs } : each));
    const acked: CoordinatorRecord = { ...record, participants, applied: origin };
    if (participants.some(isOpen)) this.put(acked);
    else if (acked.phase === 'committing') this.settle(host, acked, true);
    else this.finishAttempt(host, acked);
    return true;
  }

  /** Nobody holds anything of this attempt any more: charge it, and try again or give up (R17, R18). */
  private finishAttempt(host: ProtocolHost, record: CoordinatorRecord): void {
    const used = record.participants.reduce((sum, each) => sum + (each.gasUsed ?? each.operation.gasLimit), 0);
    this.again(host, { ...record, gasCharged: Math.min(record.gasLimit, record.gasCharged + used) });
  }

  /**
   * Backs off before the next attempt, or gives up. Wait-die is free of deadlocks because whoever dies lets go of everything (Rosenkrantz et al., TODS 1978): so
   * does the coordinator's own part, or an older transaction would wait for it in vain.
   */
  private again(host: ProtocolHost, record: CoordinatorRecord): void {
    const attempt = record.attempt + 1;
    if (!RETRYABLE.has(record.reason) || attempt >= this.options.attemptsMax || nextAttempt(host.shard, record) === undefined) {
      this.settle(host, record, false);
      return;
    }
    const retryHeight = (host.now.height + backoffBlocks(record.id, attempt)) as Height;
    this.put({ ...record, phase: 'retrying', attempt, retryHeight, locks: record.locks.map((lock) => ({ ...lock, run: 0 })) });
    this.unlock(host, record);
  }

  /** Gives back what `record` holds. */
  private unlock(host: ProtocolHost, record: CoordinatorRecord): void {
    if (!holdsLocks(record)) return;
    this.shared.locks.release(record.id, record.locks);
    this.shared.released(host, record.locks);
  }

  /** The end: fees are burned, the rest goes back, the receipt is listed (R18). */
  private settle(host: ProtocolHost, record: CoordinatorRecord, commit: boolean): void {
    const used = commit ? record.participants.reduce((sum, each) => sum + (each.gasUsed ?? 0), record.gasCharged) : record.gasCharged;
    const gasUsed = Math.min(record.gasLimit, used);
    const fee = BigInt(gasUsed) * record.gasPrice;
    this.put(undefined, record);
    if (holdsLocks(record)) this.shared.locks.release(record.id, record.locks);
    host.burnEscrow(fee);
    this.shared.parked.credit(host, record.sender, record.escrowFee - fee + record.escrowValue, record.txHash);
    const reason = commit ? 'none' : record.reason;
    const logs = commit ? record.participants.map((each) => each.logs) : [];
    host.settle({ record: { ...record, reason }, commit, gasUsed, acked: host.now, logs });
    for (const { shard } of record.participants) {
      host.event({ phase: 'acked', outcome: commit ? 'commit' : 'abort', peer: shard, txHash: record.txHash, reason });
    }
    if (holdsLocks(record)) this.shared.released(host, record.locks);
  }

  /** Deadlines that block time has passed (checked after the block's inbox), then retries whose height has come. */
  due(host: ProtocolHost): void {
    const late = this.inOrder(this.preparing, (record) => record.deadlineMs < host.now.timestampMs, (record) => record.deadlineMs);
    for (const record of late) this.abortAttempt(host, record, 'deadline');
    const ready = this.inOrder(this.retrying, (record) => record.retryHeight <= host.now.height, (record) => record.retryHeight);
    for (const record of ready) this.retry(host, record);
  }

  private retry(host: ProtocolHost, record: CoordinatorRecord): void {
    const next = nextAttempt(host.shard, record);
    invariant(next !== undefined, 'a record that waits for another attempt has one');
    const participants = next.map((each) => fresh(each));
    if (!this.affordable(participants.map((each) => each.shard))) {
      this.put({ ...record, retryHeight: (host.now.height + 1) as Height });
      return;
    }
    // The coordinator's part is the debit; where it takes part itself, its execution names that lock, too.
    const own = participants.some((each) => each.shard === host.shard);
    const wanted = own ? [] : [{ key: balanceLock(record.sender), mode: 'delta' as const }];
    const grant = this.shared.locks.acquire(record.id, { timestampMs: record.ageMs, id: record.id }, wanted);
    if (grant.kind === 'held') {
      this.again(host, { ...record, reason: 'conflict' });
      return;
    }
    const deadlineMs = host.now.timestampMs + this.options.deadlineMs;
    this.prepare(host, { ...record, phase: 'preparing', participants, locks: grant.locks, reason: 'none', retryHeight: 0 as Height, deadlineMs });
  }

  private inOrder(keys: ReadonlySet<string>, wanted: (record: CoordinatorRecord) => boolean, rank: (record: CoordinatorRecord) => number): CoordinatorRecord[] {
    const found: [string, CoordinatorRecord][] = [];
    for (const key of keys) {
      const record = this.records.get(key)!;
      if (wanted(record)) found.push([key, record]);
    }
    found.sort((a, b) => rank(a[1]) - rank(b[1]) || (a[0] < b[0] ? -1 : 1));
    return found.map(([, record]) => record);
  }

  /** When the next deadline or retry is due. */
  nextDue(): ProtocolDue {
    let timestampMs: number | undefined;
    let height: number | undefined;
    for (const key of this.preparing) timestampMs = Math.min(timestampMs ?? Infinity, this.records.get(key)!.deadlineMs);
    for (const key of this.retrying) height = Math.min(height ?? Infinity, this.records.get(key)!.retryHeight);
    return { timestampMs, height };
  }

  /** Writes changed records to the host, in order of id. */
  flush(host: ProtocolHost): void {
    for (const key of [...this.dirty].sort()) {
      const record = this.records.get(key);
      if (record !== undefined) host.putRecord('coordinator', recordId(record.id), encodeCoordinatorRecord(record));
    }
    this.dirty.clear();
    for (const id of this.removed) host.putRecord('coordinator', id, undefined);
    this.removed = [];
  }

  private removed: Uint8Array[] = [];

  private put(record: CoordinatorRecord | undefined, old: CoordinatorRecord | undefined = record): void {
    const key = recordKey(old!.id);
    if (record === undefined) this.removed.push(recordId(old!.id));
    else this.dirty.add(key);
    this.index(key, record);
  }

  /** The one place where the map and what is derived from it change. */
  private index(key: string, record: CoordinatorRecord | undefined): void {
    this.countOpen(this.records.get(key), -1);
    this.countOpen(record, 1);
    this.preparing.delete(key);
    this.retrying.delete(key);
    if (record === undefined) {
      this.records.delete(key);
      return;
    }
    this.records.set(key, record);
    if (record.phase === 'preparing') this.preparing.add(key);
    if (record.phase === 'retrying') this.retrying.add(key);
  }

  private countOpen(record: CoordinatorRecord | undefined, by: number): void {
    if (record === undefined || record.phase === 'retrying') return;
    for (const each of record.participants) {
      if (isOpen(each)) this.openPrepares.set(each.shard, (this.openPrepares.get(each.shard) ?? 0) + by);
    }
  }
}

/** R17: 2^k + H(id, k) mod 2^k blocks before attempt k; H is the id's own bytes, which are a hash already. */
export function backoffBlocks(id: Hash32, attempt: number): number {
  const k = Math.min(attempt, 16);
  const at = (4 * attempt) % 28;
  const word = ((id[at]! << 24) | (id[at + 1]! << 16) | (id[at + 2]! << 8) | id[at + 3]!) >>> 0;
  return 2 ** k + (word % 2 ** k);
}
