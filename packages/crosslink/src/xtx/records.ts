import { ABORT_REASONS } from '../events.ts';
import { decodeAll, type Reader } from '../codec/reader.ts';
import { Writer } from '../codec/writer.ts';
import { DecodeError } from '../errors.ts';
import { bytesKey, keyBytes } from '../primitives.ts';
import type { Lock, LockMode } from './locks.ts';
import { ACK_LOGS_BYTES_MAX, NEEDS_MAX } from './messages.ts';
import { readOperation, withoutData, writeOperation } from './operations.ts';
import {
  type CoordinatorPhase,
  type CoordinatorRecord,
  EFFECTS_BYTES_MAX,
  type Moment,
  PARTICIPANTS_MAX,
  type ParticipantRecord,
  type ParticipantStatus,
  type Settlement,
} from './types.ts';

/** Most locks of one transaction on one shard. */
export const LOCKS_MAX = 512;
const NO_LOGS = new Uint8Array(0);
/** A storage slot's: see `storageLock`. */
const LOCK_KEY_BYTES_MAX = 53;
const MODES: readonly LockMode[] = ['read', 'write', 'delta'];
const PHASES: readonly CoordinatorPhase[] = ['preparing', 'committing', 'aborting', 'retrying'];
const STATUSES: readonly ParticipantStatus[] = ['pending', 'yes', 'ended', 'deciding', 'acked'];

function pick<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new DecodeError('decode/range', 'unknown enumerator');
  return value;
}

function writeLocks(writer: Writer, locks: readonly Lock[]): void {
  writer.list(locks, LOCKS_MAX, (out, lock) => out.bytes(keyBytes(lock.key), LOCK_KEY_BYTES_MAX).u8(MODES.indexOf(lock.mode)).u8(lock.run));
}

function readLocks(reader: Reader): Lock[] {
  return reader.list(LOCKS_MAX, (input) => ({
    key: bytesKey(input.bytes(LOCK_KEY_BYTES_MAX)),
    mode: pick(MODES, input.u8()),
    run: input.u8(),
  }));
}

function writeMoment(writer: Writer, moment: Moment | undefined): void {
  writer.bool(moment !== undefined);
  if (moment !== undefined) writer.u64(moment.height).u64(moment.timestampMs);
}

function readMoment(reader: Reader): Moment | undefined {
  return reader.bool() ? { height: reader.height(), timestampMs: reader.u64() } : undefined;
}

/** Canonical bytes of a coordinator's record. */
export function encodeCoordinatorRecord(record: CoordinatorRecord): Uint8Array {
  const writer = new Writer(512).u8(2).fixed(record.id, 32).fixed(record.txHash, 32).fixed(record.sender, 20);
  writer.u8(PHASES.indexOf(record.phase)).u8(record.attempt).u64(record.ageMs).u64(record.deadlineMs).u64(record.retryHeight);
  writer.u8(ABORT_REASONS.indexOf(record.reason)).list(record.participants, PARTICIPANTS_MAX, (out, each) => {
    out.u16(each.shard);
    writeOperation(out, each.operation);
    out.u8(STATUSES.indexOf(each.status)).bool(each.gasUsed !== undefined);
    if (each.gasUsed !== undefined) out.u64(each.gasUsed);
    out.bool(each.movedTo !== undefined);
    if (each.movedTo !== undefined) out.u16(each.movedTo);
    out.list(each.needs, NEEDS_MAX, (inner, { shard, address }) => inner.u16(shard).fixed(address, 20)).bytes(each.logs, ACK_LOGS_BYTES_MAX);
  });
  writer.u128(record.escrowValue).u128(record.escrowFee).u128(record.gasPrice).u64(record.gasLimit).u64(record.gasCharged);
  writeLocks(writer, record.locks);
  writer.u8(record.transactionType).bool(record.to !== undefined);
  if (record.to !== undefined) writer.fixed(record.to, 20);
  writer.u64(record.bodyHeight).u32(record.bodyIndex).u64(record.prepared.height).u64(record.prepared.timestampMs);
  writeMoment(writer, record.voted);
  writeMoment(writer, record.decided);
  writeMoment(writer, record.applied);
  return writer.finish();
}

/** The inverse of {@link encodeCoordinatorRecord}; copies nothing. Throws {@link DecodeError}. */
export function decodeCoordinatorRecord(data: Uint8Array): CoordinatorRecord {
  return decodeAll(data, (reader) => {
    reader.version(2);
    return {
      id: reader.hash(),
      txHash: reader.txHash(),
      sender: reader.address(),
      phase: pick(PHASES, reader.u8()),
      attempt: reader.u8(),
      ageMs: reader.u64(),
      deadlineMs: reader.u64(),
      retryHeight: reader.height(),
      reason: pick(ABORT_REASONS, reader.u8()),
      participants: reader.list(PARTICIPANTS_MAX, (input) => ({
        shard: input.shard(),
        operation: readOperation(input),
        status: pick(STATUSES, input.u8()),
        gasUsed: input.bool() ? input.u64() : undefined,
        movedTo: input.bool() ? input.shard() : undefined,
        needs: input.list(NEEDS_MAX, (inner) => ({ shard: inner.shard(), address: inner.address() })),
        logs: input.bytes(ACK_LOGS_BYTES_MAX),
      })),
      escrowValue: reader.u128(),
      escrowFee: reader.u128(),
      gasPrice: reader.u128(),
      gasLimit: reader.u64(),
      gasCharged: reader.u64(),
      locks: readLocks(reader),
      transactionType: reader.u8(),
      to: reader.bool() ? reader.address() : undefined,
      bodyHeight: reader.height(),
      bodyIndex: reader.u32(),
      prepared: { height: reader.height(), timestampMs: reader.u64() },
      voted: readMoment(reader),
      decided: readMoment(reader),
      applied: readMoment(reader),
    };
  });
}

/** Canonical bytes of a participant's record. */
export function encodeParticipantRecord(record: ParticipantRecord): Uint8Array {
  const writer = new Writer(256).u8(2).fixed(record.id, 32).fixed(record.txHash, 32).u16(record.coordinator);
  writer.bool(record.status === 'prepared').u8(record.attempt).u64(record.ageMs).u64(record.deadlineMs).u128(record.gasPrice);
  writeOperation(writer, record.operation);
  writer.u64(record.gasUsed).bool(record.effects !== undefined);
  if (record.effects !== undefined) writer.bytes(record.effects, EFFECTS_BYTES_MAX);
  writeLocks(writer, record.locks);
  writer.u64(record.since.height).u64(record.since.timestampMs);
  return writer.finish();
}

/** The inverse of {@link encodeParticipantRecord}. Throws {@link DecodeError}. */
export function decodeParticipantRecord(data: Uint8Array): ParticipantRecord {
  return decodeAll(data, (reader) => {
    reader.version(2);
    return {
      id: reader.hash(),
      txHash: reader.txHash(),
      coordinator: reader.shard(),
      status: reader.bool() ? ('prepared' as const) : ('waiting' as const),
      attempt: reader.u8(),
      ageMs: reader.u64(),
      deadlineMs: reader.u64(),
      gasPrice: reader.u128(),
      operation: readOperation(reader),
      gasUsed: reader.u64(),
      effects: reader.bool() ? reader.bytes(EFFECTS_BYTES_MAX) : undefined,
      locks: readLocks(reader),
      since: { height: reader.height(), timestampMs: reader.u64() },
    };
  });
}

/** A credit that waits for a lock on its account's balance (R16): counted as escrow. */
export function encodeParkedCredit(amount: bigint): Uint8Array {
  return new Writer(17).u8(1).u128(amount).finish();
}

/** The inverse of {@link encodeParkedCredit}: wei. Throws {@link DecodeError}. */
export function decodeParkedCredit(data: Uint8Array): bigint {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return reader.u128();
  });
}

/** Most bytes of a tombstone's record: without data, needs and logs. */
const TOMBSTONE_BYTES_MAX = 1 << 18;

/** Canonical bytes of a finished cross-shard transaction, without call data and logs: an index for people, prunable; nothing rests on it. */
export function encodeTombstone(settlement: Settlement): Uint8Array {
  const { record, commit, gasUsed, acked } = settlement;
  const participants = record.participants.map((each) => ({ ...each, operation: withoutData(each.operation), needs: [], logs: NO_LOGS }));
  const writer = new Writer(512).u8(2).bool(commit).u64(gasUsed).u64(acked.height).u64(acked.timestampMs);
  return writer.bytes(encodeCoordinatorRecord({ ...record, participants }), TOMBSTONE_BYTES_MAX).finish();
}

/** The inverse of {@link encodeTombstone}. Throws {@link DecodeError}. */
export function decodeTombstone(data: Uint8Array): Settlement {
  return decodeAll(data, (reader) => {
    reader.version(2);
    const commit = reader.bool();
    const gasUsed = reader.u64();
    const acked = { height: reader.height(), timestampMs: reader.u64() };
    return { commit, gasUsed, acked, record: decodeCoordinatorRecord(reader.bytes(TOMBSTONE_BYTES_MAX)), logs: [] };
  });
}
