import { bytesKey, equalBytes, SHARDS_MAX, type ShardId } from '../primitives.ts';
import type { SharedState } from './coordinator.ts';
import { crossShardId, recordId, recordKey } from './identity.ts';
import { compareAge } from './locks.ts';
import { type Age, type Decision, NEEDS_MAX, type Prepare, type VoteAnswer } from './messages.ts';
import { type Operation, withoutData } from './operations.ts';
import type { ProtocolHost } from './protocol.ts';
import { decodeParticipantRecord, encodeParticipantRecord, LOCKS_MAX } from './records.ts';
import { EFFECTS_BYTES_MAX, type OperationOutcome, type ParticipantRecord } from './types.ts';

/** Bounds of the participant's side. */
export interface ParticipantOptions {
  /** Prepares that may wait for locks (R17). */
  readonly lockWaitersMax: number;
  /** Open Prepares that one coordinator shard may have here: the other end of R19's budget. */
  readonly openPreparesMax: number;
  /** Shards of the network: a stub that names another one is refused. {@link SHARDS_MAX} if absent. */
  readonly shards?: number;
}

const NO_LOGS = new Uint8Array(0);

function ageOf(record: ParticipantRecord): Age {
  return { timestampMs: record.ageMs, id: record.id };
}

/** What does not fit into a record or a vote ends as a `no`: it must not stop the shard. */
function execute(host: ProtocolHost, { operation, gasPrice, txHash }: ParticipantRecord): OperationOutcome | { readonly kind: 'busy' } {
  const outcome = host.execute(operation, gasPrice, txHash);
  const tooBig = outcome.kind === 'yes' && (outcome.locks.length > LOCKS_MAX || (outcome.effects?.length ?? 0) > EFFECTS_BYTES_MAX);
  if (tooBig) return { kind: 'no', gasUsed: outcome.gasUsed, reason: 'refused' };
  if (outcome.kind === 'needs' && outcome.accounts.length > NEEDS_MAX) return { kind: 'no', gasUsed: outcome.gasUsed, reason: 'needs' };
  return outcome;
}

/**
 * The participant's half of two-phase commit (R15): executes under locks, keeps the result, votes, and applies or discards on the Decision. After a yes it
 * waits, however long: only the coordinator turns time into abort.
 */
export class Participant {
  private readonly records = new Map<string, ParticipantRecord>();
  private readonly waiting = new Set<string>();
  private readonly openByCoordinator = new Map<ShardId, number>();
  private readonly dirty = new Set<string>();
  private removed: Uint8Array[] = [];
  private readonly options: ParticipantOptions;
  private readonly shared: SharedState;

  constructor(options: ParticipantOptions, shared: SharedState) {
    this.options = options;
    this.shared = shared;
  }

  get size(): number {
    return this.records.size;
  }

  get waitingCount(): number {
    return this.waiting.size;
  }

  /** Resets one record, with its locks, to what the state says. */
  restore(id: Uint8Array, value: Uint8Array | undefined): void {
    const key = recordKey(id);
    const before = this.records.get(key);
    if (before?.status === 'prepared') this.shared.locks.release(before.id, before.locks);
    const record = value === undefined ? undefined : decodeParticipantRecord(value);
    if (record?.status === 'prepared') this.shared.locks.adopt(record.id, ageOf(record), record.locks);
    this.index(key, record);
  }

  /**
   * A Prepare. Answered now by a vote, or later when its locks are free. Returns false, and does nothing, when its id is not one that `source` can coordinate:
   * otherwise any shard could take another's transaction's place here, or that of one which this shard coordinates itself.
   */
  prepare(host: ProtocolHost, source: ShardId, prepare: Prepare): boolean {
    if (!equalBytes(prepare.id, crossShardId(host.hasher, host.chainId, source, prepare.txHash))) return false;
    const taken = this.records.has(recordKey(prepare.id));
    const full = (this.openByCoordinator.get(source) ?? 0) >= this.options.openPreparesMax;
    if (taken || full) {
      // Neither happens with an honest coordinator: it counts the same budget, and ends an attempt before the next.
      this.answer(host, source, prepare, { kind: taken ? 'conflict' : 'busy' }, 0);
      return true;
    }
    if (!this.mayAsk(host, source, prepare.operation)) {
      this.answer(host, source, prepare, { kind: 'no', reason: 'refused' }, 0);
      return true;
    }
    const { id, txHash, attempt, ageMs, deadlineMs, gasPrice, operation } = prepare;
    const ran = { gasUsed: 0, effects: undefined, locks: [], since: host.now };
    this.attempt(host, { id, txHash, coordinator: source, status: 'waiting', attempt, ageMs, deadlineMs, gasPrice, operation, ...ran });
    return true;
  }

  /**
   * Whether `source` may ask for this at all. Only a committee with more than f traitors asks for more: to act as an account that lives here, to make a contract from
   * afar, or to keep a stub that leads nowhere.
   */
  private mayAsk(host: ProtocolHost, source: ShardId, operation: Operation): boolean {
    const own = source === host.shard;
    if (!own && (operation.kind === 'create' || host.homeOf(operation.from) === host.shard)) return false;
    if (operation.kind === 'transfer') return true;
    const { stubs } = operation;
    if (new Set(stubs.map((stub) => bytesKey(stub.address))).size !== stubs.length) return false;
    return stubs.every(({ home }) => home !== host.shard && home < (this.options.shards ?? SHARDS_MAX));
  }

  /** Executes and asks for locks: ends in a vote or in waiting. */
  private attempt(host: ProtocolHost, record: ParticipantRecord): void {
    const { coordinator, operation } = record;
    const outcome = execute(host, record);
    if (outcome.kind !== 'yes') {
      this.remove(record);
      this.answer(host, coordinator, record, outcome, 'gasUsed' in outcome ? outcome.gasUsed : 0);
      return;
    }
    const grant = this.shared.locks.acquire(record.id, ageOf(record), outcome.locks);
    if (grant.kind === 'granted') {
      const { gasUsed, effects } = outcome;
      this.put({ ...record, status: 'prepared', operation: withoutData(operation), gasUsed, effects, locks: grant.locks, since: host.now });
      this.answer(host, coordinator, record, { kind: 'yes' }, outcome.gasUsed);
    } else if (grant.older && (this.waiting.has(recordKey(record.id)) || this.waiting.size < this.options.lockWaitersMax)) {
      this.put({ ...record, gasUsed: outcome.gasUsed, locks: outcome.locks.map((lock) => ({ ...lock, run: 0 })) });
    } else {
      this.remove(record);
      this.answer(host, coordinator, record, { kind: 'conflict' }, outcome.gasUsed);
    }
  }

  private answer(
    host: ProtocolHost,
    coordinator: ShardId,
    of: Pick<Prepare, 'id' | 'attempt' | 'txHash'>,
    answer: VoteAnswer,
    gasUsed: number,
  ): void {
    this.shared.loopback.send(host, coordinator, { kind: 'vote', id: of.id, attempt: of.attempt, answer, gasUsed });
    const reason = answer.kind === 'yes' ? 'none' : answer.kind === 'no' ? answer.reason : answer.kind;
    host.event({ phase: 'voted', outcome: answer.kind === 'yes' ? 'commit' : 'abort', peer: coordinator, txHash: of.txHash, reason });
  }

  /** A Decision: applied or discarded, and always answered with an Ack, so that the coordinator ends. Returns false when it fitted no record. */
  decide(host: ProtocolHost, source: ShardId, decision: Decision): boolean {
    const { id, attempt, commit, value } = decision;
    const found = this.records.get(recordKey(id));
    const record = found?.coordinator === source && found.attempt === attempt && equalBytes(found.id, id) ? found : undefined;
    // Only a coordinator committee with more than f traitors can send more wei than can exist: what it says is not applied, and not answered.
    if (commit && !host.receiveValue(source, value)) return false;
    const ack = (logs: Uint8Array): void => this.shared.loopback.send(host, source, { kind: 'ack', id, attempt, commit, logs });
    if (record === undefined || (commit && record.status !== 'prepared')) {
      ack(NO_LOGS);
      // An abort may cross our own negative vote: nothing is held. A commit without our yes needs a coordinator committee with more than f traitors;
      // its wei exist (they are in its `sent`), belong to nobody here, and are burned, so that supply stays countable.
      if (commit) host.burnEscrow(value);
      return !commit && record !== undefined;
    }
    this.remove(record);
    if (record.status === 'prepared') this.shared.locks.release(record.id, record.locks);
    ack(commit ? this.apply(host, record, value) : NO_LOGS);
    const outcome = commit ? 'commit' : 'abort';
    host.event({ phase: 'applied', outcome, peer: source, txHash: record.txHash, reason: 'none' });
    if (record.status === 'prepared') this.shared.released(host, record.locks);
    return true;
  }

  /** What a commit brings about. Returns the logs. */
  private apply(host: ProtocolHost, { operation, effects, txHash }: ParticipantRecord, value: bigint): Uint8Array {
    if (value !== operation.value) {
      // Only a coordinator committee with more than f traitors sends other wei than it had prepared: they are burned, and nothing else happens.
      host.burnEscrow(value);
      return NO_LOGS;
    }
    if (operation.kind !== 'transfer' || effects !== undefined) return host.apply(operation, effects, txHash);
    this.shared.parked.credit(host, operation.to, value, txHash);
    return NO_LOGS;
  }

  /**
   * Judges the waiters that want one of `keys` anew, oldest first (R17); all of them without `keys`. Only who finds its locks free is executed again: a wait that
   * goes on costs the block no gas.
   */
  judge(host: ProtocolHost, keys?: ReadonlySet<string>): void {
    if (this.waiting.size === 0) return;
    const waiters = [...this.waiting].map((key) => this.records.get(key)!).filter((record) => keys === undefined || record.locks.some((lock) => keys.has(lock.key)));
    waiters.sort((a, b) => compareAge(ageOf(a), ageOf(b)));
    for (const record of waiters) {
      const judged = this.shared.locks.judge(record.id, ageOf(record), record.locks);
      if (judged === 'free') this.attempt(host, record);
      if (judged !== 'must-die') continue;
      this.remove(record);
      this.answer(host, record.coordinator, record, { kind: 'conflict' }, record.gasUsed);
    }
  }

  /** Whether some waiter's locks are all free: it waits only for a rest to end (R17). */
  hasReadyWaiter(): boolean {
    for (const key of this.waiting) {
      const record = this.records.get(key)!;
      if (record.locks.every((lock) => !this.shared.locks.forbids(lock.key, lock.mode))) return true;
    }
    return false;
  }

  /** Writes changed records to the host, in order of id. */
  flush(host: ProtocolHost): void {
    for (const key of [...this.dirty].sort()) {
      const record = this.records.get(key);
      if (record !== undefined) host.putRecord('participant', recordId(record.id), encodeParticipantRecord(record));
    }
    this.dirty.clear();
    for (const id of this.removed) if (!this.records.has(recordKey(id))) host.putRecord('participant', id, undefined);
    this.removed = [];
  }

  private put(record: ParticipantRecord): void {
    const key = recordKey(record.id);
    this.dirty.add(key);
    this.index(key, record);
  }

  private remove(record: ParticipantRecord): void {
    const key = recordKey(record.id);
    if (!this.records.has(key)) return;
    this.removed.push(recordId(record.id));
    this.index(key, undefined);
  }

  /** The one place where the map and what is derived from it change. */
  private index(key: string, record: ParticipantRecord | undefined): void {
    const before = this.records.get(key);
    if (before !== undefined) this.openByCoordinator.set(before.coordinator, (this.openByCoordinator.get(before.coordinator) ?? 0) - 1);
    this.waiting.delete(key);
    if (record === undefined) {
      this.records.delete(key);
      return;
    }
    this.openByCoordinator.set(record.coordinator, (this.openByCoordinator.get(record.coordinator) ?? 0) + 1);
    this.records.set(key, record);
    if (record.status === 'waiting') this.waiting.add(key);
  }
}
