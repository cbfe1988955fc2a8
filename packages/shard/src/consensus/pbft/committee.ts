import {
  ascii,
  buildCertificate,
  checkCertificate,
  concatBytes,
  type Crypto,
  type Hash32,
  invariant,
  type QuorumCertificate,
  quorumSize,
  type ShardId,
  ShardlabError,
  voteMessage,
} from '@shardlab/crosslink';
import type { HeaderFields } from '../types.ts';

/** Sizes that a committee can have: n = 3f + 1 for f = 0 to 3. */
export const COMMITTEE_SIZES: readonly number[] = [1, 4, 7, 10];
/** Validators of the largest committee: bounds every list of them in a message. */
export const COMMITTEE_MAX = 10;
/** Most heights that can be open at a time. */
export const WINDOW_MAX = 2;
/**
 * Heights that one validator proposes in a row within a view. Not one, or a dead validator would cost a timeout at every n-th height; not all, or one validator would
 * choose the order of transactions for ever.
 */
export const PROPOSER_TURN = 32;

/** Phases that PBFT's votes have; the first phase, pre-prepare, is the proposal with the leader's prepare vote. */
export type Phase = 'prepare' | 'commit';

/** A block as votes name it. */
export interface BlockId {
  readonly epoch: number;
  readonly height: number;
  readonly hash: Hash32;
}

/** Which validator of which committee this is. */
export interface PbftOptions {
  readonly genesisHash: Hash32;
  readonly chain: ShardId;
  /** Index of this validator, 0 to `size` - 1. */
  readonly validator: number;
  /** Validators of the committee: one of {@link COMMITTEE_SIZES}. */
  readonly size: number;
  /** 32-byte secret seed of this validator. */
  readonly secretKey: Uint8Array;
  /** Heights above the last final one that may be open at a time: 2 pipelines (shards), 1 does not (the beacon). */
  readonly window: 1 | 2;
}

/** What the commit votes for some blocks carry besides (the beacon: a signature over the next epoch's assignment). */
export interface VoteExtension {
  /** This validator's extension for a block: 64 bytes, or 0 where none is wanted. */
  make(fields: HeaderFields): Uint8Array;
  /** Whether `extension` (0 or 64 bytes) is what `validator` has to add for this block. */
  check(fields: HeaderFields, validator: number, extension: Uint8Array): boolean;
}

/** What the engine works with. */
export interface PbftModules {
  readonly crypto: Crypto;
  /** Public keys (32 bytes each, by index) of an epoch's committee; `undefined` = the epoch is not known here. */
  readonly validators: (epoch: number) => readonly Uint8Array[] | undefined;
  /** Reads a header's canonical bytes. Throws `DecodeError`. */
  readonly readHeader: (header: Uint8Array) => HeaderFields;
  readonly extension?: VoteExtension;
}

/** What signatures besides votes are made for; part of the signed bytes, so that none can stand for another. */
export type Domain = 'view-change' | 'new-view' | 'status';
const DOMAINS: Readonly<Record<Domain, Uint8Array>> = {
  'view-change': ascii('shardlab/view-change/1'),
  'new-view': ascii('shardlab/new-view/1'),
  status: ascii('shardlab/consensus-status/1'),
};

/** Whether a signature holds; `epoch-unknown` = cannot be told here yet. */
export type SignatureCheck = 'good' | 'signature' | 'epoch-unknown';

/** The committee's arithmetic and signatures: quorums of n - f, leaders, votes and certificates in this chain's domain. */
export class Committee {
  readonly size: number;
  /** Index of this validator. */
  readonly self: number;
  readonly window: number;
  /** Votes that make a quorum: any two quorums share a correct validator. */
  readonly quorum: number;
  /** Validators that may be faulty: f + 1 of them contain a correct one. */
  readonly faulty: number;
  readonly chain: ShardId;
  private readonly options: PbftOptions;
  private readonly modules: PbftModules;
  private readonly prefix: Uint8Array;

  /** Throws `consensus/committee` on a size that is not 3f + 1 or a validator that is not in it. */
  constructor(options: PbftOptions, modules: PbftModules) {
    const { size, validator, chain, window } = options;
    if (!COMMITTEE_SIZES.includes(size)) {
      throw new ShardlabError('consensus/committee', `a committee has ${COMMITTEE_SIZES.join(', ')} validators, not ${size}`, { size });
    }
    if (!Number.isInteger(validator) || validator < 0 || validator >= size) {
      throw new ShardlabError('consensus/committee', `a validator of ${size} is 0 to ${size - 1}, not ${validator}`, { validator, size });
    }
    this.options = options;
    this.modules = modules;
    this.size = size;
    this.self = validator;
    this.window = window;
    this.quorum = quorumSize(size);
    this.faulty = size - this.quorum;
    this.chain = chain;
    this.prefix = concatBytes(options.genesisHash, Uint8Array.of(chain >> 8, chain & 0xff));
  }

  /** Index of the validator that proposes `height` in `view`. */
  leader(view: number, height: number): number {
    return (Math.floor(height / PROPOSER_TURN) + view) % this.size;
  }

  /** Hash of a block with this header. */
  hash(header: Uint8Array): Hash32 {
    return this.modules.crypto.sha256(header);
  }

  /** Reads a header. Throws `DecodeError`. */
  readHeader(header: Uint8Array): HeaderFields {
    return this.modules.readHeader(header);
  }

  private voteMessage(phase: Phase, view: number, block: BlockId): Uint8Array {
    const { genesisHash, chain } = this.options;
    return voteMessage({ genesisHash, chain, epoch: block.epoch, height: block.height, phase, blockHash: block.hash }, view);
  }

  /** This validator's vote, 64 bytes. */
  signVote(phase: Phase, view: number, block: BlockId): Uint8Array {
    return this.modules.crypto.sign(this.options.secretKey, this.voteMessage(phase, view, block));
  }

  /** Checks another validator's vote. */
  checkVote(phase: Phase, view: number, block: BlockId, validator: number, signature: Uint8Array): SignatureCheck {
    return this.check(block.epoch, validator, () => this.voteMessage(phase, view, block), signature);
  }

  /** This validator's extension of a commit vote: 0 or 64 bytes. */
  makeExtension(fields: HeaderFields): Uint8Array {
    return this.modules.extension?.make(fields) ?? new Uint8Array(0);
  }

  /** Whether a commit vote for this block may carry `extension`. */
  checkExtension(fields: HeaderFields, validator: number, extension: Uint8Array): boolean {
    return this.modules.extension?.check(fields, validator, extension) ?? extension.length === 0;
  }

  /** The certificate that these votes of one view make; `votes` maps validators to signatures, a quorum of them. */
  certify(view: number, votes: ReadonlyMap<number, Uint8Array>): QuorumCertificate {
    invariant(votes.size >= this.quorum, 'a certificate of less than a quorum', { votes: votes.size, quorum: this.quorum });
    return buildCertificate(this.modules.crypto.scheme, view, this.size, votes);
  }

  /** Checks a certificate over a block: `undefined` when it holds, else a stable reason (`epoch-unknown`: cannot be told here yet). */
  checkCertificate(phase: Phase, block: BlockId, certificate: QuorumCertificate): string | undefined {
    const { genesisHash, chain } = this.options;
    const validators = this.modules.validators(block.epoch);
    if (validators === undefined) return 'epoch-unknown';
    const subject = { genesisHash, chain, epoch: block.epoch, height: block.height, phase, blockHash: block.hash };
    return checkCertificate(this.modules.crypto, validators, subject, certificate);
  }

  /** This validator's signature over `payload`, 64 bytes. */
  sign(domain: Domain, payload: Uint8Array): Uint8Array {
    return this.modules.crypto.sign(this.options.secretKey, concatBytes(DOMAINS[domain], this.prefix, payload));
  }

  /** Checks another validator's signature over `payload`; its key is that of `epoch`. */
  checkSignature(domain: Domain, epoch: number, validator: number, payload: Uint8Array, signature: Uint8Array): SignatureCheck {
    return this.check(epoch, validator, () => concatBytes(DOMAINS[domain], this.prefix, payload), signature);
  }

  private check(epoch: number, validator: number, message: () => Uint8Array, signature: Uint8Array): SignatureCheck {
    const validators = this.modules.validators(epoch);
    if (validators === undefined) return 'epoch-unknown';
    const key = validators[validator];
    return key !== undefined && this.modules.crypto.verify(key, message(), signature) ? 'good' : 'signature';
  }
}
