import {
  bytesKey,
  decodeCoordinatorRecord,
  decodeFlatKey,
  decodeFlatValue,
  decodeParticipantRecord,
  decodeRecord,
  equalBytes,
  type Genesis,
  NAMESPACE_BYTES,
  XTX_COORDINATOR,
  XTX_PARTICIPANT,
} from '@shardlab/crosslink';
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
    for (const { key, value } of block.delta.changes) {
      const attempt = this.attempt(key, value);
      if (attempt === 'other') continue;
      const id = `${shard}/${bytesKey(key)}`;
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

  private attempt(key: Uint8Array, value: Uint8Array | undefined): ReturnType<typeof attemptHolding> {
    try {
      return attemptHolding(key, value);
    } catch (error) {
      this.violations.add('locks', `a record of two-phase commit can not be read: ${(error as Error).message}`);
      return 'other';
    }
  }

  private released({ shard, attempt, sinceMs }: Held, nowMs: number): void {
    if (this.healedMs === undefined) return;
    const ageMs = nowMs - Math.max(sinceMs, this.healedMs);
    this.longestMs = Math.max(this.longestMs, ageMs);
    if (ageMs > this.boundMs) this.violations.add('locks', `shard ${shard} has held the locks of attempt ${attempt} for ${ageMs} ms after the heal, at most ${this.boundMs} are due`);
  }
}

/** The attempt whose locks a flat value holds; undefined when it holds none; `other` for what is no record of two-phase commit. */
function attemptHolding(key: Uint8Array, value: Uint8Array | undefined): number | undefined | 'other' {
  const space = decodeFlatKey(key).owner.subarray(0, NAMESPACE_BYTES);
  const coordinator = equalBytes(space, XTX_COORDINATOR);
  if (!coordinator && !equalBytes(space, XTX_PARTICIPANT)) return 'other';
  if (value === undefined) return undefined;
  const bytes = decodeRecord(decodeFlatValue(value).map((leaf) => leaf.value));
  if (coordinator) {
    const { phase, attempt, locks } = decodeCoordinatorRecord(bytes);
    return phase === 'retrying' || locks.length === 0 ? undefined : attempt;
  }
  const { status, attempt, locks } = decodeParticipantRecord(bytes);
  return status === 'waiting' || locks.length === 0 ? undefined : attempt;
}
