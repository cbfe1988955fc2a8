import { ABORT_REASONS, type AbortReason } from '../events.ts';
import { Reader } from '../codec/reader.ts';
import { Writer } from '../codec/writer.ts';
import { DecodeError } from '../errors.ts';
import type { Address, Hash32, ShardId, TxHash } from '../primitives.ts';
import { type Operation, readOperation, writeOperation } from './operations.ts';

/** Most (shard, address) pairs that one `needs` vote can name (R11). */
export const NEEDS_MAX = 64;
/** Most bytes of logs that one Ack carries (R18). */
export const ACK_LOGS_BYTES_MAX = 16_384;
/** Most bytes of one message: a Prepare with call data, or an Ack with logs. */
export const MESSAGE_BYTES_MAX = 192 * 1024;

/** Age of a cross-shard transaction for wait-die (R17): kept across attempts; smaller is older; ties go to the smaller id. */
export interface Age {
  /** Block time of the first attempt's Prepare. */
  readonly timestampMs: number;
  readonly id: Hash32;
}

/** Coordinator to participant: lock, execute, keep the result, vote. */
export interface Prepare {
  readonly kind: 'prepare';
  /** H(domain, chain, coordinator, transaction hash): the same for all attempts. */
  readonly id: Hash32;
  /** 0 for the first. */
  readonly attempt: number;
  readonly txHash: TxHash;
  /** First attempt's block time, see {@link Age}. */
  readonly ageMs: number;
  /** Coordinator block time after which it aborts. For information: only the coordinator turns time into abort (R15). */
  readonly deadlineMs: number;
  /** Wei per gas, fixed by the coordinator (R18): what GASPRICE says. */
  readonly gasPrice: bigint;
  readonly operation: Operation;
}

/** What a participant answers. Every answer but `yes` ends the attempt. */
export type VoteAnswer =
  | { readonly kind: 'yes' }
  /** The operation itself failed; another attempt would fail too. */
  | { readonly kind: 'no'; readonly reason: AbortReason }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'busy' }
  /** The account lives at `shard` now (R11). */
  | { readonly kind: 'moved'; readonly shard: ShardId }
  /** The execution touched accounts of other shards, which must take part (R11). */
  | { readonly kind: 'needs'; readonly accounts: readonly { readonly shard: ShardId; readonly address: Address }[] };

/** Participant to coordinator. */
export interface Vote {
  readonly kind: 'vote';
  readonly id: Hash32;
  readonly attempt: number;
  readonly answer: VoteAnswer;
  /** Gas used by the operation, at most its limit. */
  readonly gasUsed: number;
}

/** Coordinator to participant. A commit carries the value (R15). */
export interface Decision {
  readonly kind: 'decision';
  readonly id: Hash32;
  readonly attempt: number;
  readonly commit: boolean;
  /** Wei that move with a commit; 0 with an abort. */
  readonly value: bigint;
}

/** Participant to coordinator: applied or discarded, locks released. */
export interface Ack {
  readonly kind: 'ack';
  readonly id: Hash32;
  readonly attempt: number;
  readonly commit: boolean;
  /** Encoded logs of the operation, empty for a credit. */
  readonly logs: Uint8Array;
}

/** Value that a contract gave to an account of another shard (R12): carries it, can not fail, runs no code, and is not answered. */
export interface Credit {
  readonly kind: 'credit';
  /** The transaction that gave it. */
  readonly txHash: TxHash;
  readonly to: Address;
  /** Wei, below 2^128. */
  readonly value: bigint;
}

/** What travels between two shards, one sequence number each. */
export type CrossShardMessage = Prepare | Vote | Decision | Ack | Credit;

const KINDS = ['prepare', 'vote', 'decision', 'ack', 'credit'] as const;
const ANSWERS = ['yes', 'no', 'conflict', 'busy', 'moved', 'needs'] as const;

function writeAnswer(writer: Writer, answer: VoteAnswer): void {
  writer.u8(ANSWERS.indexOf(answer.kind));
  switch (answer.kind) {
    case 'no':
      writer.u8(ABORT_REASONS.indexOf(answer.reason));
      break;
    case 'moved':
      writer.u16(answer.shard);
      break;
    case 'needs':
      writer.list(answer.accounts, NEEDS_MAX, (out, entry) => out.u16(entry.shard).fixed(entry.address, 20));
      break;
    case 'yes':
    case 'conflict':
    case 'busy':
      break;
  }
}

function readReason(reader: Reader): AbortReason {
  const reason = ABORT_REASONS[reader.u8()];
  if (reason === undefined) throw new DecodeError('decode/range', 'unknown reason');
  return reason;
}

function readAnswer(reader: Reader): VoteAnswer {
  const kind = ANSWERS[reader.u8()];
  switch (kind) {
    case 'yes':
    case 'conflict':
    case 'busy':
      return { kind };
    case 'no':
      return { kind, reason: readReason(reader) };
    case 'moved':
      return { kind, shard: reader.shard() };
    case 'needs':
      return { kind, accounts: reader.list(NEEDS_MAX, (input) => ({ shard: input.shard(), address: input.address() })) };
    default:
      throw new DecodeError('decode/range', 'unknown vote');
  }
}

/** Canonical bytes of a message: version, kind, id and attempt (not of a credit), and what the kind adds. */
export function encodeMessage(message: CrossShardMessage): Uint8Array {
  const writer = new Writer(192).u8(2).u8(KINDS.indexOf(message.kind));
  if (message.kind === 'credit') return writer.fixed(message.txHash, 32).fixed(message.to, 20).u128(message.value).finish();
  writer.fixed(message.id, 32).u8(message.attempt);
  switch (message.kind) {
    case 'prepare':
      writer.fixed(message.txHash, 32).u64(message.ageMs).u64(message.deadlineMs).u128(message.gasPrice);
      writeOperation(writer, message.operation);
      break;
    case 'vote':
      writeAnswer(writer, message.answer);
      writer.u64(message.gasUsed);
      break;
    case 'decision':
      writer.bool(message.commit).u128(message.value);
      break;
    case 'ack':
      writer.bool(message.commit).bytes(message.logs, ACK_LOGS_BYTES_MAX);
      break;
  }
  return writer.finish();
}

/** The inverse of {@link encodeMessage}; byte fields are views of `data`. Throws {@link DecodeError}. */
export function decodeMessage(data: Uint8Array): CrossShardMessage {
  const reader = new Reader(data);
  reader.version(2);
  const kind = KINDS[reader.u8()];
  const message = kind === 'credit' ? readCredit(reader) : readBody(reader, kind, reader.hash(), reader.u8());
  reader.end();
  return message;
}

function readCredit(reader: Reader): Credit {
  return { kind: 'credit', txHash: reader.txHash(), to: reader.address(), value: reader.u128() };
}

function readBody(reader: Reader, kind: Exclude<(typeof KINDS)[number], 'credit'> | undefined, id: Hash32, attempt: number): CrossShardMessage {
  switch (kind) {
    case 'prepare':
      return {
        kind,
        id,
        attempt,
        txHash: reader.txHash(),
        ageMs: reader.u64(),
        deadlineMs: reader.u64(),
        gasPrice: reader.u128(),
        operation: readOperation(reader),
      };
    case 'vote':
      return { kind, id, attempt, answer: readAnswer(reader), gasUsed: reader.u64() };
    case 'decision':
      return { kind, id, attempt, commit: reader.bool(), value: reader.u128() };
    case 'ack':
      return { kind, id, attempt, commit: reader.bool(), logs: reader.bytes(ACK_LOGS_BYTES_MAX) };
    case undefined:
      throw new DecodeError('decode/range', 'unknown message kind');
  }
}
