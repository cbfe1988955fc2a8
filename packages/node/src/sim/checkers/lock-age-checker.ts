import {
  bytesKey,
  decodeCoordinatorRecord,
  decodeParticipantRecord,
  equalBytes,
  type Genesis,
  NAMESPACE_BYTES,
  type Owner,
  XTX_COORDINATOR,
  XTX_PARTICIPANT,
} from '@shardlab/crosslink';
import { ownersOf, recordAt } from './record-at.ts';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/** Beyond the deadline, for what the network still owes then: messages, bans of a minute and timers that have backed off; milliseconds. */
const GRACE_MS = 120_000;

interface Held {
  readonly shard: number;
  readonly attempt: number;
  readonly sinceMs: number;
}

/**
 * Locks are held for a bounded time once the network is whole again (design, what must hold, 4): from the block that stores a record with locks to the one that takes it
 * back, or goes on to another attempt, in block time, counted from the heal. Only the coordinator ends by its clock, so the bound is its deadline and a grace. Memory:
 * the records that hold locks.
 */
export class LockAgeChecker implements BlockChecker {
  /** Longest time that a lock was held after the heal, in milliseconds of block time. */
  longestMs = 0;
  private readonly boundMs: number;
  private readonly violations: Violations;
  /** Flat values of the records, by shard. */
  private readonly values: Map<string, Uint8Array>[] = [];
  private readonly held = new Map<string, Held>();
  /** Latest block time of each shard. */
  private readonly clocks = new Map<number, number>();
  private healedMs: number | undefined;

  constructor(options: { readonly genesis: Genesis }, modules: { readonly violations: Violations }) {
    this.boundMs = options.genesis.parameters.deadlineMs + GRACE_MS;
    this.violations = modules.violations;
  }

  /** All faults have stopped, in milliseconds of the nodes' clocks. */
  healed(atMs: number): void {
    this.healedMs = atMs;
  }

  block({ block }: ShardBlockRecord): void {
    const { shard, timestampMs } = block.header;
    this.clocks.set(shard, timestampMs);
    const values = (this.values[shard] ??= new Map());
    const changes = block.delta.changes.filter(({ key }) => ofProtocol(key));
    for (const { key, value } of changes) {
      if (value === undefined) values.delete(bytesKey(key));
      else values.set(bytesKey(key), value);
    }
    for (const owner of ownersOf(changes)) {
      const attempt = this.attempt(values, owner);
      const id = `${shard}/${bytesKey(owner)}`;
      const before = this.held.get(id);
      if (before?.attempt === attempt) continue;
      if (before !== undefined) this.released(before, timestampMs);
      if (attempt === undefined) this.held.delete(id);
      else this.held.set(id, { shard, attempt, sinceMs: timestampMs });
    }
  }

  /** What is still held counts up to the last block of its shard; that anything is held at all is for the state checker to say. */
  atRest(): void {
    for (const held of this.held.values()) this.released(held, this.clocks.get(held.shard)!);
  }

  private attempt(values: ReadonlyMap<string, Uint8Array>, owner: Owner): number | undefined {
    try {
      return attemptHolding(owner, recordAt(values, owner));
    } catch (error) {
      this.violations.add('locks', `a record of two-phase commit can not be read: ${(error as Error).message}`);
      return undefined;
    }
  }

  private released({ shard, attempt, sinceMs }: Held, nowMs: number): void {
    if (this.healedMs === undefined) return;
    const ageMs = nowMs - Math.max(sinceMs, this.healedMs);
    this.longestMs = Math.max(this.longestMs, ageMs);
    if (ageMs > this.boundMs) this.violations.add('locks', `shard ${shard} has held the locks of attempt ${attempt} for ${ageMs} ms after the heal, at most ${this.boundMs} are due`);
  }
}

function isCoordinators(owner: Uint8Array): boolean {
  return equalBytes(owner.subarray(0, NAMESPACE_BYTES), XTX_COORDINATOR);
}

/** Whether a flat key is of a record of two-phase commit that can hold locks. */
function ofProtocol(key: Uint8Array): boolean {
  return isCoordinators(key) || equalBytes(key.subarray(0, NAMESPACE_BYTES), XTX_PARTICIPANT);
}

/** The attempt whose locks a record holds; undefined when it holds none. */
function attemptHolding(owner: Owner, bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined) return undefined;
  if (isCoordinators(owner)) {
    const { phase, attempt, locks } = decodeCoordinatorRecord(bytes);
    return phase === 'retrying' || locks.length === 0 ? undefined : attempt;
  }
  const { status, attempt, locks } = decodeParticipantRecord(bytes);
  return status === 'waiting' || locks.length === 0 ? undefined : attempt;
}
