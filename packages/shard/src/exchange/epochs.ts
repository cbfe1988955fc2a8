import {
  assignmentHash,
  AssignmentTable,
  BEACON,
  checkEpochCertificate,
  type Crypto,
  type EpochAssignment,
  type EpochCertificate,
  type Hash32,
  ShardlabError,
  type ShardId,
} from '@shardlab/crosslink';

/** Epochs that a node remembers: older headers can not be verified any more. */
const EPOCHS_MAX = 1_024;

/** One epoch, ready for use. */
export interface KnownEpoch {
  readonly assignment: EpochAssignment;
  readonly hash: Hash32;
  readonly table: AssignmentTable;
  readonly certificate: EpochCertificate;
}

/** The chain of certified assignments as one node knows it. Nothing enters unverified. */
export class Epochs {
  private readonly crypto: Crypto;
  private readonly genesisHash: Hash32;
  private readonly genesisValidators: readonly Uint8Array[];
  private readonly known = new Map<number, KnownEpoch>();
  private last: KnownEpoch | undefined;

  constructor(crypto: Crypto, genesisHash: Hash32, genesisValidators: readonly Uint8Array[]) {
    this.crypto = crypto;
    this.genesisHash = genesisHash;
    this.genesisValidators = genesisValidators;
  }

  get latest(): KnownEpoch | undefined {
    return this.last;
  }

  get(epoch: number): KnownEpoch | undefined {
    return this.known.get(epoch);
  }

  /** Takes what a database holds: all certificates in order, from epoch 0. Throws `epoch/damaged`: nobody but this node itself has stored them. */
  restore(certificates: readonly EpochCertificate[]): void {
    for (const certificate of certificates) {
      const wrong = this.add(certificate);
      const { epoch } = certificate.assignment;
      if (wrong !== undefined) throw new ShardlabError('epoch/damaged', `the stored certificate of epoch ${epoch} does not hold: ${wrong}`, { epoch });
    }
  }

  /** Takes the next epoch's certificate. `undefined` = taken, or known already; else a stable reason. */
  add(certificate: EpochCertificate): string | undefined {
    const { assignment } = certificate;
    if (this.known.has(assignment.epoch)) return undefined;
    const wrong = checkEpochCertificate(this.crypto, this.genesisHash, this.genesisValidators, this.last?.assignment, certificate);
    if (wrong !== undefined) return wrong;
    const entry = { assignment, certificate, hash: assignmentHash(this.crypto, assignment), table: new AssignmentTable(this.crypto, assignment) };
    this.known.set(assignment.epoch, entry);
    this.known.delete(assignment.epoch - EPOCHS_MAX);
    this.last = entry;
    return undefined;
  }

  /** Public keys of a chain's committee in an epoch; `undefined` while the epoch is not known. */
  validators(chain: ShardId, epoch: number): readonly Uint8Array[] | undefined {
    const entry = this.known.get(epoch);
    if (entry === undefined) return undefined;
    return chain === BEACON ? entry.assignment.beaconValidators : entry.assignment.shardValidators[chain];
  }
}
