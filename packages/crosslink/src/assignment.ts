import { decodeAll, type Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import { checkCertificate, type QuorumCertificate, readCertificate, VALIDATORS_MAX, writeCertificate } from './certificate.ts';
import type { Crypto, Hasher } from './crypto.ts';
import { DecodeError } from './errors.ts';
import { type Address, BEACON, bytesKey, compareBytes, type Hash32, SHARDS_MAX, type ShardId } from './primitives.ts';

/** Most overrides in one epoch certificate: keeps it well under a gossip message. */
export const OVERRIDES_MAX = 16_384;

/** An account that does not live where R8's rule puts it. */
export interface AssignmentOverride {
  readonly address: Address;
  readonly shard: ShardId;
}

/**
 * What holds during one epoch: who validates which chain, and where accounts live. Issued by the beacon, hash-chained, certified by the beacon's
 * committee of the previous epoch (of genesis for epoch 0).
 */
export interface EpochAssignment {
  readonly genesisHash: Hash32;
  readonly epoch: number;
  readonly shards: number;
  /** Public keys of the beacon's committee, 32 bytes each. */
  readonly beaconValidators: readonly Uint8Array[];
  /** Public keys of each shard's committee, 32 bytes each. */
  readonly shardValidators: readonly (readonly Uint8Array[])[];
  /** In ascending order of address. */
  readonly overrides: readonly AssignmentOverride[];
  /** Hash of the previous epoch's assignment; zero for epoch 0. */
  readonly previousHash: Hash32;
}

/** An assignment with its proof. */
export interface EpochCertificate {
  readonly assignment: EpochAssignment;
  readonly certificate: QuorumCertificate;
}

/** R8: the shard of an address by rule alone, from the first 4 bytes of keccak256(address). */
export function shardByRule(hasher: Hasher, address: Uint8Array, shards: number): ShardId {
  const digest = hasher.keccak256(address);
  const first = digest[0]! * 0x100_0000 + (digest[1]! << 16) + (digest[2]! << 8) + digest[3]!;
  return Math.floor((first * shards) / 0x1_0000_0000) as ShardId;
}

/** Looks addresses up in one epoch's assignment. Pure: the same assignment gives the same answers everywhere. */
export class AssignmentTable {
  readonly shards: number;
  private readonly hasher: Hasher;
  private readonly overrides: ReadonlyMap<string, ShardId>;
  private readonly scratch = new Uint8Array(20);

  constructor(hasher: Hasher, assignment: Pick<EpochAssignment, 'shards' | 'overrides'>) {
    this.hasher = hasher;
    this.shards = assignment.shards;
    this.overrides = new Map(assignment.overrides.map((entry) => [bytesKey(entry.address), entry.shard]));
  }

  /** Home shard of a 20-byte address in this epoch. */
  shardOf(address: Uint8Array): ShardId {
    if (this.overrides.size > 0) {
      const moved = this.overrides.get(bytesKey(address));
      if (moved !== undefined) return moved;
    }
    // A copy: hash functions in WebAssembly reach for a view's buffer, and with it every small array that is looked up would grow one of its own for good.
    this.scratch.set(address);
    return shardByRule(this.hasher, this.scratch, this.shards);
  }
}

function writeKeys(writer: Writer, keys: readonly Uint8Array[]): void {
  writer.list(keys, VALIDATORS_MAX, (out, key) => out.fixed(key, 32));
}

function readKeys(reader: Reader): Uint8Array[] {
  return reader.list(VALIDATORS_MAX, (input) => input.fixed(32));
}

function writeAssignment(writer: Writer, assignment: EpochAssignment): void {
  writer.u8(0x03).u8(1).fixed(assignment.genesisHash, 32).u64(assignment.epoch).u16(assignment.shards);
  writeKeys(writer, assignment.beaconValidators);
  writer.list(assignment.shardValidators, SHARDS_MAX, (out, keys) => writeKeys(out, keys));
  writer.list(assignment.overrides, OVERRIDES_MAX, (out, entry) => out.fixed(entry.address, 20).u16(entry.shard));
  writer.fixed(assignment.previousHash, 32);
}

function readAssignment(reader: Reader): EpochAssignment {
  if (reader.u8() !== 0x03) throw new DecodeError('decode/range', 'not an epoch assignment');
  reader.version(1);
  const assignment = {
    genesisHash: reader.hash(),
    epoch: reader.u64(),
    shards: reader.u16(),
    beaconValidators: readKeys(reader),
    shardValidators: reader.list(SHARDS_MAX, (input) => readKeys(input)),
    overrides: reader.list(OVERRIDES_MAX, (input) => ({ address: input.address(), shard: input.shard() })),
    previousHash: reader.hash(),
  };
  const { overrides, shards, shardValidators } = assignment;
  if (shards < 1 || shards > SHARDS_MAX || shardValidators.length !== shards) throw new DecodeError('decode/range', 'bad number of shards');
  overrides.forEach((entry, at) => {
    const ascending = at === 0 || compareBytes(overrides[at - 1]!.address, entry.address) < 0;
    if (!ascending || entry.shard >= shards) throw new DecodeError('decode/range', 'bad override');
  });
  return assignment;
}

/** SHA-256 of the assignment's canonical bytes: the `epochCertificateHash` of headers. */
export function assignmentHash(hasher: Hasher, assignment: EpochAssignment): Hash32 {
  const writer = new Writer(1024);
  writeAssignment(writer, assignment);
  return hasher.sha256(writer.finish());
}

/** Appends an epoch certificate. */
export function writeEpochCertificate(writer: Writer, certificate: EpochCertificate): void {
  writeAssignment(writer, certificate.assignment);
  writeCertificate(writer, certificate.certificate);
}

/** Reads what {@link writeEpochCertificate} wrote. */
export function readEpochCertificate(reader: Reader): EpochCertificate {
  return { assignment: readAssignment(reader), certificate: readCertificate(reader) };
}

/** Canonical bytes of an epoch certificate. */
export function encodeEpochCertificate(certificate: EpochCertificate): Uint8Array {
  const writer = new Writer(1024);
  writeEpochCertificate(writer, certificate);
  return writer.finish();
}

/** The inverse of {@link encodeEpochCertificate}. Throws {@link DecodeError}. */
export function decodeEpochCertificate(data: Uint8Array): EpochCertificate {
  return decodeAll(data, readEpochCertificate);
}

/** What an epoch certificate's signatures are about. */
export function epochSubject(hasher: Hasher, assignment: EpochAssignment): Parameters<typeof checkCertificate>[2] {
  const blockHash = assignmentHash(hasher, assignment);
  return { genesisHash: assignment.genesisHash, chain: BEACON, epoch: assignment.epoch, height: assignment.epoch, phase: 'epoch', blockHash };
}

/**
 * Checks `next` as the successor of `previous` (undefined: as epoch 0 under the committee `genesisValidators`). Returns undefined when it holds, else
 * a stable reason.
 */
export function checkEpochCertificate(
  crypto: Crypto,
  genesisHash: Hash32,
  genesisValidators: readonly Uint8Array[],
  previous: EpochAssignment | undefined,
  next: EpochCertificate,
): string | undefined {
  const { assignment } = next;
  if (compareBytes(assignment.genesisHash, genesisHash) !== 0) return 'epoch-foreign';
  if (assignment.epoch !== (previous === undefined ? 0 : previous.epoch + 1)) return 'epoch-gap';
  const expected = previous === undefined ? new Uint8Array(32) : assignmentHash(crypto, previous);
  if (compareBytes(assignment.previousHash, expected) !== 0) return 'epoch-chain';
  return checkCertificate(crypto, previous?.beaconValidators ?? genesisValidators, epochSubject(crypto, assignment), next.certificate);
}
