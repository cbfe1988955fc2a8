import {
  assignmentHash,
  buildCertificate,
  type Crypto,
  type EpochAssignment,
  type EpochCertificate,
  epochSubject,
  type Genesis,
  type Hash32,
  voteMessage,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { HeaderFields } from '../consensus/types.ts';
import type { Epochs } from '../exchange/epochs.ts';
import { beginsEpoch } from './epoch-schedule.ts';

/** Who certifies epochs. */
export interface EpochIssuer {
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  /** 32-byte secret seed of the validator. */
  readonly secretKey: Uint8Array;
}

const NO_EXTENSION = new Uint8Array(0);

/** The assignment of the epoch after `previous` (undefined: of epoch 0), with the same committees and overrides: every validator computes the same one. */
export function nextAssignment(crypto: Crypto, issuer: Omit<EpochIssuer, 'secretKey'>, previous: EpochAssignment | undefined): EpochAssignment {
  const { genesis, genesisHash } = issuer;
  return {
    genesisHash,
    epoch: previous === undefined ? 0 : previous.epoch + 1,
    shards: genesis.shards,
    beaconValidators: genesis.beaconValidators,
    shardValidators: genesis.shardValidators,
    overrides: previous?.overrides ?? [],
    previousHash: previous === undefined ? ZERO_HASH : assignmentHash(crypto, previous),
  };
}

/**
 * Certifies epochs by extending votes: who votes to commit a beacon block that begins an epoch signs the next assignment in the same message, so that the certificate
 * is there when the block is decided.
 */
export class EpochVotes {
  private readonly crypto: Crypto;
  private readonly issuer: EpochIssuer;
  private readonly epochs: Epochs;

  constructor(issuer: EpochIssuer, modules: { readonly crypto: Crypto; readonly epochs: Epochs }) {
    this.issuer = issuer;
    this.crypto = modules.crypto;
    this.epochs = modules.epochs;
  }

  private begins(height: number): boolean {
    return beginsEpoch(height, this.issuer.genesis.parameters.epochLength);
  }

  /** What the block of these fields certifies: it follows from the block, not from when it is asked. */
  private next({ height, epoch }: Pick<HeaderFields, 'height' | 'epoch'>): EpochAssignment | undefined {
    const previous = height === 1 ? undefined : this.epochs.get(epoch)?.assignment;
    return height > 1 && previous === undefined ? undefined : nextAssignment(this.crypto, this.issuer, previous);
  }

  private message(fields: HeaderFields): Uint8Array | undefined {
    const assignment = this.next(fields);
    return assignment === undefined ? undefined : voteMessage(epochSubject(this.crypto, assignment), 0);
  }

  /** What this validator adds to its commit vote: a signature of 64 bytes, or nothing. */
  make(fields: HeaderFields): Uint8Array {
    const message = this.begins(fields.height) ? this.message(fields) : undefined;
    return message === undefined ? NO_EXTENSION : this.crypto.sign(this.issuer.secretKey, message);
  }

  /** Whether a validator's commit vote carries what it must. */
  check(fields: HeaderFields, validator: number, extension: Uint8Array): boolean {
    if (!this.begins(fields.height)) return extension.length === 0;
    const key = this.issuer.genesis.beaconValidators[validator];
    const message = this.message(fields);
    return key !== undefined && message !== undefined && this.crypto.verify(key, message, extension);
  }

  /** The certificate that a decided block brings, from its committers' extensions; `undefined` where none begins. */
  certificate(fields: HeaderFields, extensions: ReadonlyMap<number, Uint8Array>): EpochCertificate | undefined {
    const assignment = this.begins(fields.height) ? this.next(fields) : undefined;
    if (assignment === undefined) return undefined;
    const size = this.issuer.genesis.beaconValidators.length;
    return { assignment, certificate: buildCertificate(this.crypto.scheme, 0, size, extensions) };
  }
}
