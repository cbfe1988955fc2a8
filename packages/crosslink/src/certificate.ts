import type { Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import type { Signatures } from './crypto.ts';
import { ascii, type Hash32, type ShardId } from './primitives.ts';

/** Most validators in one committee: bounds bitmaps and signature lists. */
export const VALIDATORS_MAX = 256;

/** What a validator's signature says; part of the signed bytes, so that no vote can be used as another. */
export const VOTE_PHASES = ['prepare', 'commit', 'epoch'] as const;
/** See {@link VOTE_PHASES}. */
export type VotePhase = (typeof VOTE_PHASES)[number];

const VOTE_DOMAIN = ascii('shardlab/vote/1');

/** What is voted for: one block (or epoch certificate) of one chain. */
export interface VoteSubject {
  readonly genesisHash: Hash32;
  /** A shard, or the beacon. */
  readonly chain: ShardId;
  readonly epoch: number;
  readonly height: number;
  readonly phase: VotePhase;
  readonly blockHash: Hash32;
}

/**
 * Proof that a quorum of a committee signed the same {@link VoteSubject} in one view: a bitmap of who, and the signatures in that order. It stands
 * beside the block, outside every hash (R6).
 */
export interface QuorumCertificate {
  readonly view: number;
  /** Signature scheme byte; 1 = ed25519. */
  readonly scheme: number;
  /** Bit i % 8 of byte i / 8 is validator i. ceil(n / 8) bytes. */
  readonly bitmap: Uint8Array;
  /** 64 bytes each, in order of validator index. */
  readonly signatures: readonly Uint8Array[];
}

/** Validators whose signatures make a quorum: n - f with f = floor((n - 1) / 3) (PBFT, OSDI 1999, section 2). */
export function quorumSize(validators: number): number {
  return validators - Math.floor((validators - 1) / 3);
}

/** The bytes that a validator signs: domain-separated by network, chain, epoch, view, height and phase. */
export function voteMessage(subject: VoteSubject, view: number): Uint8Array {
  const writer = new Writer(128).fixed(VOTE_DOMAIN, VOTE_DOMAIN.length).fixed(subject.genesisHash, 32).u16(subject.chain);
  writer.u64(subject.epoch).u32(view).u64(subject.height).u8(VOTE_PHASES.indexOf(subject.phase)).fixed(subject.blockHash, 32);
  return writer.finish();
}

/** Builds a certificate from votes; `votes` maps validator index to signature. */
export function buildCertificate(scheme: number, view: number, validators: number, votes: ReadonlyMap<number, Uint8Array>): QuorumCertificate {
  const bitmap = new Uint8Array(Math.ceil(validators / 8));
  const signatures: Uint8Array[] = [];
  for (let index = 0; index < validators; index++) {
    const signature = votes.get(index);
    if (signature === undefined) continue;
    bitmap[index >> 3]! |= 1 << (index & 7);
    signatures.push(signature);
  }
  return { view, scheme, bitmap, signatures };
}

/**
 * Checks a certificate against the committee's public keys (32 bytes each, by index). Returns undefined when it holds, else a stable reason.
 * Every validator counts once, because the bitmap can name it only once.
 */
export function checkCertificate(
  signatures: Signatures,
  validators: readonly Uint8Array[],
  subject: VoteSubject,
  certificate: QuorumCertificate,
): string | undefined {
  if (certificate.scheme !== signatures.scheme) return 'certificate-scheme';
  if (certificate.bitmap.length !== Math.ceil(validators.length / 8)) return 'certificate-bitmap';
  const signers: number[] = [];
  for (let index = 0; index < certificate.bitmap.length * 8; index++) {
    if (((certificate.bitmap[index >> 3]! >> (index & 7)) & 1) === 0) continue;
    if (index >= validators.length) return 'certificate-bitmap';
    signers.push(index);
  }
  if (signers.length !== certificate.signatures.length) return 'certificate-signatures';
  if (validators.length === 0 || signers.length < quorumSize(validators.length)) return 'certificate-quorum';
  const message = voteMessage(subject, certificate.view);
  const bad = signers.some((signer, at) => !signatures.verify(validators[signer]!, message, certificate.signatures[at]!));
  return bad ? 'certificate-signature' : undefined;
}

/** Appends a certificate. */
export function writeCertificate(writer: Writer, certificate: QuorumCertificate): void {
  writer.u8(1).u32(certificate.view).u8(certificate.scheme).bytes(certificate.bitmap, VALIDATORS_MAX / 8);
  writer.list(certificate.signatures, VALIDATORS_MAX, (out, signature) => out.fixed(signature, 64));
}

/** Reads what {@link writeCertificate} wrote. */
export function readCertificate(reader: Reader): QuorumCertificate {
  reader.version(1);
  return {
    view: reader.u32(),
    scheme: reader.u8(),
    bitmap: reader.bytes(VALIDATORS_MAX / 8),
    signatures: reader.list(VALIDATORS_MAX, (input) => input.fixed(64)),
  };
}
