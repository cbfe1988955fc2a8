import { Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import { DecodeError } from './errors.ts';
import type { ShardId, TxHash } from './primitives.ts';

/** The phases of a transaction's life, in order; the words that logs, metrics, traces and reports use. */
export const PHASES = ['submitted', 'prepared', 'voted', 'decided', 'applied', 'acked'] as const;
/** One phase of a transaction's life. */
export type Phase = (typeof PHASES)[number];

const OUTCOMES = ['none', 'commit', 'abort'] as const;
/** What a phase event says of the transaction's fate; `none` while it is open. */
export type EventOutcome = (typeof OUTCOMES)[number];

/** Why a cross-shard transaction or an attempt of it failed. The index is the wire value: append only. */
export const ABORT_REASONS = ['none', 'refused', 'deadline', 'conflict', 'busy', 'moved', 'needs', 'out-of-gas', 'reverted'] as const;
/** See {@link ABORT_REASONS}. */
export type AbortReason = (typeof ABORT_REASONS)[number];

/**
 * One step of one transaction, as a block's execution emits it (R3): feeds `trace`, the loader's ledger, the audit and the simulation's
 * checkers. An intra-shard transaction has one event, `applied`. A cross-shard one has `prepared`, `decided`, `acked` on its coordinator and
 * `voted`, `applied` on each participant; `acked` is the user-visible end. A retried one repeats them.
 */
export interface BlockEvent {
  readonly phase: Phase;
  readonly outcome: EventOutcome;
  /** The other shard: the participant on the coordinator's events, the coordinator on a participant's; the own shard for `applied` of local ones. */
  readonly peer: ShardId;
  readonly txHash: TxHash;
  readonly reason: AbortReason;
}

/** Bytes of one encoded event. */
export const BLOCK_EVENT_BYTES = 40;

/** Appends one event in {@link BLOCK_EVENT_BYTES} bytes. */
export function writeBlockEvent(writer: Writer, event: BlockEvent): void {
  writer.u8(PHASES.indexOf(event.phase)).u8(OUTCOMES.indexOf(event.outcome)).u16(event.peer);
  writer.fixed(event.txHash, 32).u16(ABORT_REASONS.indexOf(event.reason)).u16(0);
}

/** Encodes events back to back, without a header: the surrounding message is versioned. */
export function encodeBlockEvents(events: readonly BlockEvent[]): Uint8Array {
  const writer = new Writer(Math.max(1, events.length * BLOCK_EVENT_BYTES));
  for (const event of events) writeBlockEvent(writer, event);
  return writer.finish();
}

/** The inverse of {@link encodeBlockEvents}; the hashes are views of `data`. Throws {@link DecodeError}. */
export function decodeBlockEvents(data: Uint8Array): BlockEvent[] {
  if (data.length % BLOCK_EVENT_BYTES !== 0) throw new DecodeError('decode/truncated', 'not a whole number of events');
  const reader = new Reader(data);
  const events: BlockEvent[] = [];
  while (reader.remaining > 0) {
    const phase = PHASES[reader.u8()];
    const outcome = OUTCOMES[reader.u8()];
    const peer = reader.shard();
    const txHash = reader.txHash();
    const reason = ABORT_REASONS[reader.u16()];
    if (phase === undefined || outcome === undefined || reason === undefined || reader.u16() !== 0) {
      throw new DecodeError('decode/range', 'not a block event');
    }
    events.push({ phase, outcome, peer, txHash, reason });
  }
  return events;
}
