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

/** Who certifies an epoch. */
export interface EpochIssuer {
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  /** Index in the beacon's committee. */
  readonly validator: number;
  /** 32-byte secret seed of the validator. */
  readonly secretKey: Uint8Array;
}

/** The certificate of the epoch after `previous` (undefined: of epoch 0), with the same committees and overrides. */
export function issueEpoch(crypto: Crypto, issuer: EpochIssuer, previous: EpochAssignment | undefined): EpochCertificate {
  const { genesis, genesisHash, validator, secretKey } = issuer;
  const assignment: EpochAssignment = {
    genesisHash,
    epoch: previous === undefined ? 0 : previous.epoch + 1,
    shards: genesis.shards,
    beaconValidators: genesis.beaconValidators,
    shardValidators: genesis.shardValidators,
    overrides: previous?.overrides ?? [],
    previousHash: previous === undefined ? ZERO_HASH : assignmentHash(crypto, previous),
  };
  const message = voteMessage(epochSubject(crypto, assignment), 0);
  const votes = new Map([[validator, crypto.sign(secretKey, message)]]);
  return { assignment, certificate: buildCertificate(crypto.scheme, 0, genesis.beaconValidators.length, votes) };
}
