import { decodeAll, DecodeError, type Hash32, type QuorumCertificate, readCertificate, Reader, type ShardId, writeCertificate, Writer } from '@shardlab/crosslink';
import type { AgreedHead, Proposal } from '../types.ts';
import { COMMITTEE_MAX, type Phase, WINDOW_MAX } from './committee.ts';

const VERSION = 1;
const PHASES: readonly Phase[] = ['prepare', 'commit'];
/** Bytes of an extension of a commit vote, where there is one. */
const EXTENSION_BYTES = 64;
/** Largest header, in bytes. */
export const HEADER_BYTES_MAX = 4_096;
/** Largest body, in bytes: what an answer to a request may hold in one item. */
export const BODY_BYTES_MAX = 6 << 20;
/** Largest encoded view change: the head's certificate, and header and certificate of each open height. */
const VIEW_CHANGE_BYTES_MAX = 1_024 + (WINDOW_MAX + 1) * (HEADER_BYTES_MAX + COMMITTEE_MAX * 64 + 64);
/** Largest encoded new view. */
export const NEW_VIEW_BYTES_MAX = 256 + COMMITTEE_MAX * (VIEW_CHANGE_BYTES_MAX + 4);

/** One validator's vote in one phase. */
export interface VoteMessage {
  readonly kind: 'vote';
  readonly view: number;
  readonly epoch: number;
  readonly height: number;
  readonly phase: Phase;
  readonly hash: Hash32;
  readonly validator: number;
  /** 64 bytes, over crosslink's `voteMessage`. */
  readonly signature: Uint8Array;
  /** 64 bytes with some commit votes, else empty. Outside the vote's signature: it is one itself. */
  readonly extension: Uint8Array;
}

/** A block offered by the leader of its view (PBFT's pre-prepare). */
export interface ProposalMessage {
  readonly kind: 'proposal';
  readonly view: number;
  readonly proposal: Proposal;
  /** The leader's prepare vote for it, 64 bytes: what authenticates it. */
  readonly signature: Uint8Array;
}

/** A block that was prepared: a quorum voted for it in the certificate's view. */
export interface PreparedBlock {
  readonly header: Uint8Array;
  readonly certificate: QuorumCertificate;
}

/** A validator asks for a view, and says what a leader of it must respect. It votes in no lower view any more. */
export interface ViewChange {
  readonly kind: 'view-change';
  readonly view: number;
  readonly validator: number;
  readonly head: AgreedHead;
  /** In order of height, at most one a height, above the head. */
  readonly prepared: readonly PreparedBlock[];
  /** The bytes that are signed. */
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** The leader of a view brings it into force: a quorum has asked for it. What follows from the view changes, everybody works out alike. */
export interface NewView {
  readonly kind: 'new-view';
  readonly view: number;
  readonly validator: number;
  readonly changes: readonly ViewChange[];
  /** The bytes that are signed. */
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** Where a validator stands: for those that are behind it, or ahead of it and can help. */
export interface StatusMessage {
  readonly kind: 'status';
  /** The last view that came into force there. */
  readonly view: number;
  readonly validator: number;
  readonly head: AgreedHead;
  /** The bytes that are signed. */
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** What validators of one chain say to each other. */
export type ConsensusMessage = VoteMessage | ProposalMessage | ViewChange | NewView | StatusMessage;
const KINDS: readonly ConsensusMessage['kind'][] = ['proposal', 'vote', 'view-change', 'new-view', 'status'];

function writeHead(writer: Writer, head: AgreedHead): void {
  writer.u64(head.epoch).u64(head.height).fixed(head.hash, 32).bool(head.certificate !== undefined);
  if (head.certificate !== undefined) writeCertificate(writer, head.certificate);
}

/** A certificate of a committee that is no larger than committees are. */
function readQuorum(reader: Reader): QuorumCertificate {
  const certificate = readCertificate(reader);
  if (certificate.signatures.length > COMMITTEE_MAX) throw new DecodeError('decode/bound', `certificate of ${certificate.signatures.length} signatures`);
  return certificate;
}

function readHead(reader: Reader): AgreedHead {
  return { epoch: reader.u64(), height: reader.u64(), hash: reader.hash(), certificate: reader.bool() ? readQuorum(reader) : undefined };
}

/** Bytes of a view change that are signed. */
export function viewChangePayload(view: number, validator: number, head: AgreedHead, prepared: readonly PreparedBlock[]): Uint8Array {
  const writer = new Writer(2_048).u32(view).u16(validator);
  writeHead(writer, head);
  writer.list(prepared, WINDOW_MAX, (out, block) => {
    out.bytes(block.header, HEADER_BYTES_MAX);
    writeCertificate(out, block.certificate);
  });
  return writer.finish();
}

/** The view change that this payload and signature make. Throws `DecodeError`. */
export function viewChange(payload: Uint8Array, signature: Uint8Array): ViewChange {
  return decodeAll(payload, (reader) => ({
    kind: 'view-change',
    view: reader.u32(),
    validator: reader.u16(),
    head: readHead(reader),
    prepared: reader.list(WINDOW_MAX, (input) => ({ header: input.bytes(HEADER_BYTES_MAX), certificate: readQuorum(input) })),
    payload,
    signature,
  }));
}

function writeSigned(writer: Writer, signed: { readonly payload: Uint8Array; readonly signature: Uint8Array }, maxBytes: number): void {
  writer.bytes(signed.payload, maxBytes).fixed(signed.signature, 64);
}

/** Bytes of a new view that are signed. */
export function newViewPayload(view: number, validator: number, changes: readonly ViewChange[]): Uint8Array {
  const writer = new Writer(8_192).u32(view).u16(validator);
  return writer.list(changes, COMMITTEE_MAX, (out, change) => writeSigned(out, change, VIEW_CHANGE_BYTES_MAX)).finish();
}

/** The new view that this payload and signature make. Throws `DecodeError`. */
export function newView(payload: Uint8Array, signature: Uint8Array): NewView {
  return decodeAll(payload, (reader) => ({
    kind: 'new-view',
    view: reader.u32(),
    validator: reader.u16(),
    changes: reader.list(COMMITTEE_MAX, (input) => viewChange(input.bytes(VIEW_CHANGE_BYTES_MAX), input.fixed(64))),
    payload,
    signature,
  }));
}

/** Bytes of a status that are signed. */
export function statusPayload(view: number, validator: number, head: AgreedHead): Uint8Array {
  const writer = new Writer(1_024).u32(view).u16(validator);
  writeHead(writer, head);
  return writer.finish();
}

function status(payload: Uint8Array, signature: Uint8Array): StatusMessage {
  return decodeAll(payload, (reader) => ({ kind: 'status', view: reader.u32(), validator: reader.u16(), head: readHead(reader), payload, signature }));
}

function readVote(reader: Reader): VoteMessage {
  const head = { view: reader.u32(), epoch: reader.u64(), height: reader.u64() };
  const phase = PHASES[reader.u8()];
  if (phase === undefined) throw new DecodeError('decode/range', 'no phase of a vote');
  const hash = reader.hash();
  const vote = { validator: reader.u16(), signature: reader.fixed(64), extension: reader.bytes(EXTENSION_BYTES) };
  const lengths = phase === 'commit' ? [0, EXTENSION_BYTES] : [0];
  if (!lengths.includes(vote.extension.length)) throw new DecodeError('decode/range', `extension of ${vote.extension.length} bytes`);
  return { kind: 'vote', ...head, phase, hash, ...vote };
}

function readProposal(reader: Reader): ProposalMessage {
  const view = reader.u32();
  const proposal = { header: reader.bytes(HEADER_BYTES_MAX), body: reader.bytes(BODY_BYTES_MAX) };
  return { kind: 'proposal', view, proposal, signature: reader.fixed(64) };
}

function writeMessage(writer: Writer, message: ConsensusMessage): void {
  switch (message.kind) {
    case 'proposal':
      writer.u32(message.view).bytes(message.proposal.header, HEADER_BYTES_MAX).bytes(message.proposal.body, BODY_BYTES_MAX);
      writer.fixed(message.signature, 64);
      break;
    case 'vote':
      writer.u32(message.view).u64(message.epoch).u64(message.height).u8(PHASES.indexOf(message.phase)).fixed(message.hash, 32);
      writer.u16(message.validator).fixed(message.signature, 64).bytes(message.extension, EXTENSION_BYTES);
      break;
    case 'view-change':
    case 'new-view':
    case 'status':
      writeSigned(writer, message, NEW_VIEW_BYTES_MAX);
      break;
  }
}

/** Encodes a message. `attempt` makes its bytes differ from those of an earlier transmission, which gossip would take for known; nothing else rests on it. */
export function encodeMessage(chain: ShardId, attempt: number, message: ConsensusMessage): Uint8Array {
  const writer = new Writer(512).u8(VERSION).u8(KINDS.indexOf(message.kind)).u32(attempt).u16(chain);
  writeMessage(writer, message);
  return writer.finish();
}

/** Decodes a message; byte fields are views of `data`. `undefined` = it is of another chain. Throws `DecodeError`. */
export function decodeMessage(chain: ShardId, data: Uint8Array): ConsensusMessage | undefined {
  const reader = new Reader(data);
  reader.version(VERSION);
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new DecodeError('decode/range', 'no kind of consensus message');
  reader.u32();
  const foreign = reader.shard() !== chain;
  const message = readMessage(reader, kind);
  reader.end();
  return foreign ? undefined : message;
}

function readMessage(reader: Reader, kind: ConsensusMessage['kind']): ConsensusMessage {
  switch (kind) {
    case 'proposal':
      return readProposal(reader);
    case 'vote':
      return readVote(reader);
    case 'view-change':
      return viewChange(reader.bytes(VIEW_CHANGE_BYTES_MAX), reader.fixed(64));
    case 'new-view':
      return newView(reader.bytes(NEW_VIEW_BYTES_MAX), reader.fixed(64));
    case 'status':
      return status(reader.bytes(VIEW_CHANGE_BYTES_MAX), reader.fixed(64));
  }
}
