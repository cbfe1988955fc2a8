import type { Hash32, ShardId } from '../primitives.ts';
import { Coordinator, type CoordinatorOptions, type SharedState } from './coordinator.ts';
import { type Lock, type LockMode, LockTable } from './locks.ts';
import { Loopback } from './loopback.ts';
import type { Credit, CrossShardMessage } from './messages.ts';
import { ParkedCredits } from './parked.ts';
import { Participant, type ParticipantOptions } from './participant.ts';
import type { CrossShardProtocol, ProtocolCounts, ProtocolDue, ProtocolHost, RecordNamespace } from './protocol.ts';
import type { CoordinatorRecord, CrossShardIntent, Moment } from './types.ts';

/** Bounds of both sides. */
export type TwoPhaseCommitOptions = CoordinatorOptions & ParticipantOptions;

/**
 * Two-phase commit run by the shards' own replicated machines (R15 to R19; AHL, SIGMOD 2019, and ByShard, VLDB 2021, "deviates": the sender's shard coordinates, so
 * that no further committee is on the path; Byzcuit's replay attacks, arXiv 1901.11218, do not apply because messages count once by sequence and carry attempt
 * and coordinator).
 */
export class TwoPhaseCommit implements CrossShardProtocol {
  readonly name = 'two-phase-commit';
  private readonly locks = new LockTable();
  private readonly parked = new ParkedCredits(this.locks);
  private readonly loopback = new Loopback();
  private readonly coordinator: Coordinator;
  private readonly participant: Participant;
  private ignored = 0;

  constructor(options: TwoPhaseCommitOptions) {
    const shared: SharedState = {
      locks: this.locks,
      parked: this.parked,
      loopback: this.loopback,
      released: (host, locks) => this.released(host, locks),
    };
    this.coordinator = new Coordinator(options, shared);
    this.participant = new Participant(options, shared);
  }

  restore(namespace: RecordNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    switch (namespace) {
      case 'coordinator':
        this.coordinator.restore(id, value);
        break;
      case 'participant':
        this.participant.restore(id, value);
        break;
      case 'parked':
        this.parked.restore(id, value);
        break;
    }
    // Undoing is not a release: no key starts to rest because of it.
    this.locks.endBlock();
  }

  begin(host: ProtocolHost, intent: CrossShardIntent): 'begun' | 'busy' | 'locked' {
    const begun = this.coordinator.begin(host, intent);
    this.drain(host);
    return begun;
  }

  receive(host: ProtocolHost, source: ShardId, origin: Moment, message: CrossShardMessage): void {
    if (!this.dispatch(host, source, origin, message)) this.ignored++;
    this.drain(host);
  }

  /** What the shard says to itself. */
  private drain(host: ProtocolHost): void {
    this.loopback.drain((message) => this.dispatch(host, host.shard, host.now, message));
  }

  private dispatch(host: ProtocolHost, source: ShardId, origin: Moment, message: CrossShardMessage): boolean {
    switch (message.kind) {
      case 'prepare':
        return this.participant.prepare(host, source, message);
      case 'vote':
        return this.coordinator.vote(host, source, origin, message);
      case 'decision':
        return this.participant.decide(host, source, message);
      case 'ack':
        return this.coordinator.ack(host, source, origin, message);
      case 'credit':
        return this.credit(host, source, message);
    }
  }

  /** R12: value that a contract gave away. Where a stub stands, it goes on in the same block. */
  private credit(host: ProtocolHost, source: ShardId, credit: Credit): boolean {
    const { to, value } = credit;
    if (!host.receiveValue(source, value)) return false;
    this.parked.credit(host, to, value, credit.txHash, source);
    return true;
  }

  due(host: ProtocolHost): void {
    this.coordinator.due(host);
    this.participant.judge(host);
    this.drain(host);
  }

  endBlock(host: ProtocolHost): void {
    this.coordinator.flush(host);
    this.participant.flush(host);
    this.parked.flush(host);
    this.locks.endBlock();
  }

  forbids(key: string, mode: LockMode): boolean {
    return this.locks.forbids(key, mode);
  }

  exclusiveHeld(): boolean {
    return this.locks.exclusive > 0;
  }

  nextDue(): ProtocolDue {
    const due = this.coordinator.nextDue();
    return this.participant.hasReadyWaiter() ? { ...due, height: 0 } : due;
  }

  counts(): ProtocolCounts {
    return {
      coordinating: this.coordinator.size,
      participating: this.participant.size,
      waiting: this.participant.waitingCount,
      retrying: this.coordinator.retryingCount,
      locksHeld: this.locks.held,
      parked: this.parked.size,
      ignoredMessages: this.ignored,
    };
  }

  coordinating(id: Hash32): CoordinatorRecord | undefined {
    return this.coordinator.get(id);
  }

  private released(host: ProtocolHost, locks: readonly Lock[]): void {
    const keys = new Set<string>();
    for (const lock of locks) {
      this.parked.released(host, lock.key);
      if (lock.mode !== 'delta') keys.add(lock.key);
    }
    if (keys.size > 0) this.participant.judge(host, keys);
  }
}
