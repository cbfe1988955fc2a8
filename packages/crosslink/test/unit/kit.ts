/** What several tests of this package share: hashes and signatures of the platform, and arbitrary values of everything that has a codec. */
import { createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto';
import { keccak_256 } from '@noble/hashes/sha3.js';
import fc, { type Arbitrary } from 'fast-check';
import type { EpochAssignment, EpochCertificate } from '../../src/assignment.ts';
import type { BeaconBlock } from '../../src/beacon.ts';
import type { Block, InboxSegment, TransactionReceipt } from '../../src/block.ts';
import { buildCertificate, type QuorumCertificate, voteMessage, type VoteSubject } from '../../src/certificate.ts';
import type { Crypto, Hasher } from '../../src/crypto.ts';
import { ABORT_REASONS, type BlockEvent, PHASES } from '../../src/events.ts';
import type { ShardHeader } from '../../src/header.ts';
import type { EventLog } from '../../src/logs.ts';
import type { ListBranch } from '../../src/merkle/list.ts';
import type { PairEntry } from '../../src/pairs.ts';
import { type Address, address, BEACON, compareBytes, concatBytes, hash32, type Hash32, type Height, type ShardId, type TxHash } from '../../src/primitives.ts';
import type { ReceiptBatch } from '../../src/receipt.ts';
import type { Lock } from '../../src/xtx/locks.ts';
import type { CrossShardMessage, VoteAnswer } from '../../src/xtx/messages.ts';
import type { Call, Operation } from '../../src/xtx/operations.ts';
import type { CoordinatorRecord, Moment, ParticipantRecord } from '../../src/xtx/types.ts';

const sha256 = (data: Uint8Array): Hash32 => hash32(new Uint8Array(hash('sha256', data, 'buffer')));

export const HASHER: Hasher = {
  sha256,
  keccak256: (data) => hash32(keccak_256(data)),
  hashPairs(input, output) {
    for (let at = 0; at < input.length; at += 64) output.set(sha256(input.subarray(at, at + 64)), at / 2);
  },
};

const PKCS8_ED25519 = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);
const SPKI_ED25519 = Uint8Array.from([0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0]);
const privateKey = (seed: Uint8Array) => createPrivateKey({ key: Buffer.from(concatBytes(PKCS8_ED25519, seed)), format: 'der', type: 'pkcs8' });

/** ed25519 of the platform, scheme 1. */
export const CRYPTO: Crypto = {
  ...HASHER,
  scheme: 1,
  publicKey: (seed) => new Uint8Array(createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' }).subarray(12)),
  sign: (seed, message) => new Uint8Array(sign(undefined, message, privateKey(seed))),
  verify(key, message, signature) {
    try {
      return verify(undefined, message, createPublicKey({ key: Buffer.from(concatBytes(SPKI_ED25519, key)), format: 'der', type: 'spki' }), signature);
    } catch {
      return false;
    }
  },
};

/** `count` validators' secret seeds; different for each `name`. */
export function committee(count: number, name = 'a'): { readonly secrets: Uint8Array[]; readonly keys: Uint8Array[] } {
  const secrets = Array.from({ length: count }, (_, index) => sha256(new TextEncoder().encode(`${name} ${index}`)));
  return { secrets, keys: secrets.map((secret) => CRYPTO.publicKey(secret)) };
}

/** A certificate of those validators of `secrets` that `signers` names. */
export function certify(secrets: readonly Uint8Array[], signers: readonly number[], subject: VoteSubject, view = 0): QuorumCertificate {
  const message = voteMessage(subject, view);
  return buildCertificate(CRYPTO.scheme, view, secrets.length, new Map(signers.map((signer) => [signer, CRYPTO.sign(secrets[signer]!, message)])));
}

/** 32 equal bytes. */
export const filled = (byte: number): Hash32 => hash32(new Uint8Array(32).fill(byte));
/** 20 equal bytes. */
export const account = (byte: number): Address => address(new Uint8Array(20).fill(byte));

/** A record of the given fields, as a plain object like those that decoders make. */
export const record = <T>(fields: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> => fc.record(fields, { noNullPrototype: true }) as Arbitrary<T>;

const bytes = (length: number): Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const upTo = (length: number): Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: length });
export const hashes = bytes(32) as Arbitrary<Hash32>;
const txHashes = bytes(32) as Arbitrary<TxHash>;
const addresses = bytes(20) as Arbitrary<Address>;
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER));
const heights = u64 as Arbitrary<Height>;
const u128 = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), fc.constantFrom(0n, 1n << 64n, (1n << 128n) - 1n));
export const shards = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constant(BEACON)) as Arbitrary<ShardId>;
const list = <T>(item: Arbitrary<T>, max = 4): Arbitrary<T[]> => fc.array(item, { maxLength: max });
const maybe = <T>(item: Arbitrary<T>): Arbitrary<T | undefined> => fc.option(item, { nil: undefined });

export const headers: Arbitrary<ShardHeader> = record({
  chainId: u64,
  shard: shards,
  height: heights,
  parentHash: hashes,
  epoch: u64,
  proposer: u16,
  timestampMs: u64,
  gasLimit: u64,
  gasUsed: u64,
  baseFeePerGas: u128,
  prevRandao: hashes,
  stateRoot: hashes,
  txRoot: hashes,
  receiptRoot: hashes,
  logsBloom: bytes(256),
  outRoot: hashes,
  epochCertificateHash: hashes,
  pairRoot: hashes,
  totals: record({ balances: u128, escrow: u128, burned: u128, transactions: u64, logs: u64 }),
});

export const certificates: Arbitrary<QuorumCertificate> = record({
  view: u32,
  scheme: fc.integer({ min: 0, max: 255 }),
  bitmap: upTo(32),
  signatures: list(bytes(64)),
});

export const pairTables: Arbitrary<PairEntry[]> = fc
  .uniqueArray(shards, { maxLength: 6 })
  .chain((which) =>
    fc.tuple(...which.sort((a, b) => a - b).map((shard) =>
      record({ shard: fc.constant(shard), sentSequence: u64, consumedSequence: u64, sentValue: u128, receivedValue: u128 }))));

export const branches: Arbitrary<ListBranch> = record({ index: u32, count: u32, siblings: list(hashes, 32) });

export const batches: Arbitrary<ReceiptBatch> = record({
  header: headers,
  certificate: certificates,
  entry: record({ destination: shards, firstSequence: u64, lastSequence: u64, root: hashes }),
  entryBranch: branches,
  chunkBranch: branches,
  firstSequence: u64,
  messages: list(upTo(40)),
});

const segments: Arbitrary<InboxSegment> = record({
  source: shards,
  sourceHeight: heights,
  sourceHash: hashes,
  sourceTimestampMs: u64,
  firstSequence: u64,
  messages: list(upTo(40)),
});

const receipts: Arbitrary<TransactionReceipt> = record({
  txHash: txHashes,
  type: fc.integer({ min: 0, max: 2 }),
  status: fc.constantFrom(0 as const, 1 as const),
  crossShard: fc.boolean(),
  reason: fc.constantFrom(...ABORT_REASONS),
  from: addresses,
  to: maybe(addresses),
  gasUsed: u64,
  cumulativeGasUsed: u64,
  effectiveGasPrice: u128,
  contractAddress: maybe(addresses),
  logs: fc.array(record({ address: addresses, topics: list(hashes), data: upTo(40) }), { maxLength: 3 }),
  bodyHeight: heights,
  bodyIndex: u32,
});

export const events: Arbitrary<BlockEvent> = record({
  phase: fc.constantFrom(...PHASES),
  outcome: fc.constantFrom('none' as const, 'commit' as const, 'abort' as const),
  peer: shards,
  txHash: txHashes,
  reason: fc.constantFrom(...ABORT_REASONS),
});

export const blocks: Arbitrary<Block> = record({
  header: headers,
  certificate: certificates,
  body: record({ inbox: list(segments, 3), transactions: list(upTo(60)), pairs: pairTables }),
  outgoing: list(record({ destination: shards, firstSequence: u64, messages: list(upTo(40)) }), 3),
  receipts: list(receipts),
  events: upTo(120),
  wallMs: u64,
});

const keySets = list(bytes(32));
const assignments: Arbitrary<EpochAssignment> = fc.integer({ min: 1, max: 5 }).chain((count) =>
  record({
    genesisHash: hashes,
    epoch: u64,
    shards: fc.constant(count),
    beaconValidators: keySets,
    shardValidators: fc.array(keySets, { minLength: count, maxLength: count }),
    overrides: fc
      .uniqueArray(record({ address: addresses, shard: fc.integer({ min: 0, max: count - 1 }) as Arbitrary<ShardId> }), { selector: (each) => each.address.join(), maxLength: 4 })
      .map((overrides) => overrides.sort((a, b) => compareBytes(a.address, b.address))),
    previousHash: hashes,
  }),
);
export const epochCertificates: Arbitrary<EpochCertificate> = record({ assignment: assignments, certificate: certificates });

export const beaconBlocks: Arbitrary<BeaconBlock> = record({
  header: record({
    chainId: u64,
    height: heights,
    parentHash: hashes,
    epoch: u64,
    proposer: u16,
    timestampMs: u64,
    crosslinkRoot: hashes,
    epochCertificateHash: hashes,
  }),
  certificate: certificates,
  crosslinks: list(record({ header: headers, certificate: certificates }), 2),
  epochCertificate: maybe(epochCertificates),
  wallMs: u64,
});

const small = fc.bigInt({ min: 0n, max: 1n << 100n });
const stubs = { stubs: list(record({ address: addresses, home: shards })), granted: list(addresses) };
const calls: Arbitrary<Call[]> = list(record({ to: addresses, value: small, gasLimit: fc.nat(), data: upTo(40) }));
/** All kinds of operation; a call's sums agree. */
export const operations: Arbitrary<Operation> = fc.oneof(
  record({ kind: fc.constant('transfer' as const), from: addresses, to: addresses, value: u128, gasLimit: u64 }),
  record({ kind: fc.constant('create' as const), from: addresses, nonce: u64, value: u128, gasLimit: u64, initcode: upTo(60), ...stubs }),
  fc.tuple(addresses, calls, record(stubs)).map(([from, all, kept]) => ({
    kind: 'call' as const,
    from,
    value: all.reduce((sum, call) => sum + call.value, 0n),
    gasLimit: all.reduce((sum, call) => sum + call.gasLimit, 0),
    calls: all,
    ...kept,
  })),
);
export const eventLogs: Arbitrary<EventLog[]> = list(record({ address: addresses, topics: list(hashes), data: upTo(40) }));
const needed = list(record({ shard: shards, address: addresses }));
const answers: Arbitrary<VoteAnswer> = fc.oneof(
  record({ kind: fc.constantFrom('yes' as const, 'conflict' as const, 'busy' as const) }),
  record({ kind: fc.constant('no' as const), reason: fc.constantFrom(...ABORT_REASONS) }),
  record({ kind: fc.constant('moved' as const), shard: shards }),
  record({ kind: fc.constant('needs' as const), accounts: needed }),
);
const head = { id: hashes, attempt: fc.integer({ min: 0, max: 255 }) };
export const messages: Arbitrary<CrossShardMessage> = fc.oneof(
  record({ kind: fc.constant('prepare' as const), ...head, txHash: txHashes, ageMs: u64, deadlineMs: u64, gasPrice: u128, operation: operations }),
  record({ kind: fc.constant('vote' as const), ...head, answer: answers, gasUsed: u64 }),
  record({ kind: fc.constant('decision' as const), ...head, commit: fc.boolean(), value: u128 }),
  record({ kind: fc.constant('ack' as const), ...head, commit: fc.boolean(), logs: upTo(50) }),
  record({ kind: fc.constant('credit' as const), txHash: txHashes, to: addresses, value: u128 }),
);

const locks: Arbitrary<Lock> = record({
  key: upTo(53).map((key) => String.fromCharCode(...key)),
  mode: fc.constantFrom('read' as const, 'write' as const, 'delta' as const),
  run: fc.integer({ min: 0, max: 255 }),
});
const moments: Arbitrary<Moment> = record({ height: heights, timestampMs: u64 });

export const coordinatorRecords: Arbitrary<CoordinatorRecord> = record({
  id: hashes,
  txHash: txHashes,
  sender: addresses,
  phase: fc.constantFrom('preparing' as const, 'committing' as const, 'aborting' as const, 'retrying' as const),
  attempt: fc.integer({ min: 0, max: 255 }),
  ageMs: u64,
  deadlineMs: u64,
  retryHeight: heights,
  reason: fc.constantFrom(...ABORT_REASONS),
  participants: list(
    record({
      shard: shards,
      operation: operations,
      status: fc.constantFrom('pending' as const, 'yes' as const, 'ended' as const, 'deciding' as const, 'acked' as const),
      gasUsed: maybe(u64),
      movedTo: maybe(shards),
      needs: needed,
      logs: upTo(50),
    }),
  ),
  escrowValue: u128,
  escrowFee: u128,
  gasPrice: u128,
  gasLimit: u64,
  gasCharged: u64,
  locks: list(locks),
  transactionType: fc.integer({ min: 0, max: 255 }),
  to: maybe(addresses),
  bodyHeight: heights,
  bodyIndex: u32,
  prepared: moments,
  voted: maybe(moments),
  decided: maybe(moments),
  applied: maybe(moments),
});

export const participantRecords: Arbitrary<ParticipantRecord> = record({
  id: hashes,
  txHash: txHashes,
  coordinator: shards,
  status: fc.constantFrom('waiting' as const, 'prepared' as const),
  attempt: fc.integer({ min: 0, max: 255 }),
  ageMs: u64,
  deadlineMs: u64,
  gasPrice: u128,
  operation: operations,
  gasUsed: u64,
  effects: maybe(upTo(60)),
  locks: list(locks),
  since: moments,
});

/** Deterministic values for vectors: every field of this header is different. */
export const SAMPLE_HEADER: ShardHeader = {
  chainId: 31337,
  shard: 3 as ShardId,
  height: 77 as Height,
  parentHash: filled(1),
  epoch: 5,
  proposer: 2,
  timestampMs: 1_700_000_000_123,
  gasLimit: 120_000_000,
  gasUsed: 42_000,
  baseFeePerGas: 1_000_000_007n,
  prevRandao: filled(2),
  stateRoot: filled(3),
  txRoot: filled(4),
  receiptRoot: filled(5),
  logsBloom: new Uint8Array(256).fill(6),
  outRoot: filled(7),
  epochCertificateHash: filled(8),
  pairRoot: filled(9),
  totals: { balances: 10n ** 27n, escrow: 12_345n, burned: 67_890n, transactions: 11, logs: 12 },
};
