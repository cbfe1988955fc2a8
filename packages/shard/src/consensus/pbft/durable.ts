import { decodeAll, equalBytes, type Hash32, type QuorumCertificate, readCertificate, type Reader, ShardlabError, writeCertificate, Writer } from '@shardlab/crosslink';
import { type Committee, WINDOW_MAX } from './committee.ts';
import { type NewView, newView, NEW_VIEW_BYTES_MAX } from './messages.ts';

const VERSION = 1;
/** A restarted engine counts its messages from so far above what was stored: what it has said since may have been stored nowhere. */
const ATTEMPTS_SKIPPED = 65_536;
/** Most heights in a stored state. */
const SLOTS_MAX = 2 * WINDOW_MAX;

/** What a validator must not forget of one height. */
export interface DurableSlot {
  readonly height: number;
  /** The block of which it holds the proposal, and for which it has voted or has a prepared certificate. */
  readonly hash: Hash32;
  /** Whether it has voted in the view that is in force. */
  readonly prepareVoted: boolean;
  readonly commitVoted: boolean;
  readonly prepared: QuorumCertificate | undefined;
}

/** What a validator must not forget at all: else a restart could make it vote twice, or in a view that it has left. */
export interface DurableState {
  /** The view that it is in or has asked for. */
  readonly view: number;
  /** What brought the last view into force, and so names it; `undefined` = view 0, which needs nothing. */
  readonly newView: NewView | undefined;
  readonly attempt: number;
  /** In order of height. */
  readonly slots: readonly DurableSlot[];
}

/** Encodes the state of one validator of one committee. */
export function encodeState(committee: Committee, state: DurableState): Uint8Array {
  const writer = new Writer(1_024).u8(VERSION).u16(committee.chain).u16(committee.size).u16(committee.self).u32(state.view).u32(state.attempt);
  writer.bool(state.newView !== undefined);
  if (state.newView !== undefined) writer.bytes(state.newView.payload, NEW_VIEW_BYTES_MAX).fixed(state.newView.signature, 64);
  writer.list(state.slots, SLOTS_MAX, (out, slot) => {
    out.u64(slot.height).fixed(slot.hash, 32).bool(slot.prepareVoted).bool(slot.commitVoted).bool(slot.prepared !== undefined);
    if (slot.prepared !== undefined) writeCertificate(out, slot.prepared);
  });
  return writer.finish();
}

function readSlot(reader: Reader): DurableSlot {
  const slot = { height: reader.u64(), hash: reader.hash(), prepareVoted: reader.bool(), commitVoted: reader.bool() };
  return { ...slot, prepared: reader.bool() ? readCertificate(reader) : undefined };
}

function readState(reader: Reader, committee: Committee): DurableState {
  reader.version(VERSION);
  const owner = [reader.u16(), reader.u16(), reader.u16()];
  if (owner[0] !== committee.chain || owner[1] !== committee.size || owner[2] !== committee.self) {
    const [chain, size, validator] = owner;
    throw new ShardlabError('consensus/stored-foreign', 'the stored votes are those of another validator', { chain, size, validator });
  }
  const view = reader.u32();
  const attempt = (reader.u32() + ATTEMPTS_SKIPPED) % 0x1_0000_0000;
  const entered = reader.bool() ? newView(reader.bytes(NEW_VIEW_BYTES_MAX), reader.fixed(64)) : undefined;
  return { view, attempt, newView: entered, slots: reader.list(SLOTS_MAX, readSlot) };
}

function damaged(message: string, cause?: unknown): ShardlabError {
  return new ShardlabError('consensus/stored-state', `the stored votes are damaged: ${message}`, {}, cause === undefined ? undefined : { cause });
}

/**
 * Decodes a stored state. Throws `consensus/stored-foreign` on that of another validator, and `consensus/stored-state` on one that is damaged: to go on without it
 * could mean to vote twice.
 */
export function decodeState(committee: Committee, data: Uint8Array): DurableState {
  let state: DurableState;
  try {
    state = decodeAll(data, (reader) => readState(reader, committee));
  } catch (error) {
    if (error instanceof ShardlabError && error.code === 'consensus/stored-foreign') throw error;
    if (error instanceof ShardlabError) throw damaged(error.message, error);
    throw error;
  }
  const { newView: entered, slots, view } = state;
  if ((entered?.view ?? 0) > view) throw damaged('a view above the highest one');
  if (entered !== undefined && (entered.view === 0 || entered.changes.length < committee.quorum)) throw damaged('a new view without a quorum');
  slots.forEach((slot, at) => {
    if (at > 0 && slot.height <= slots[at - 1]!.height) throw damaged('heights out of order');
    if (slots.some((other) => other !== slot && equalBytes(other.hash, slot.hash))) throw damaged('one block at two heights');
  });
  return state;
}
