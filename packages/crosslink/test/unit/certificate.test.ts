import assert from 'node:assert/strict';
import test from 'node:test';
import { checkEpochCertificate, type EpochAssignment, epochSubject } from '../../src/assignment.ts';
import { beaconHash, checkBeaconBlock, crosslinkRoot } from '../../src/beacon.ts';
import { checkCertificate, type QuorumCertificate, quorumSize, type VoteSubject } from '../../src/certificate.ts';
import { BEACON, type Height, type ShardId } from '../../src/primitives.ts';
import { certify, committee, CRYPTO, filled, SAMPLE_HEADER } from './kit.ts';

const SUBJECT: VoteSubject = { genesisHash: filled(1), chain: 3 as ShardId, epoch: 4, height: 5, phase: 'commit', blockHash: filled(6) };
const { secrets, keys } = committee(4);
const GOOD = certify(secrets, [0, 2, 3], SUBJECT, 7);
const check = (certificate: QuorumCertificate, subject = SUBJECT, validators: readonly Uint8Array[] = keys) => checkCertificate(CRYPTO, validators, subject, certificate);

test('quorums are n - f', () => {
  assert.deepEqual([1, 4, 7, 10, 100, 256].map(quorumSize), [1, 3, 5, 7, 67, 171]);
});

test('a quorum of the committee certifies; so does all of it, and a committee of one', () => {
  assert.equal(check(GOOD), undefined);
  assert.equal(check(certify(secrets, [0, 1, 2, 3], SUBJECT)), undefined);
  const one = committee(1, 'one');
  assert.equal(check(certify(one.secrets, [0], SUBJECT), SUBJECT, one.keys), undefined);
});

test('a certificate is of one network, chain, epoch, view, height, phase and hash', () => {
  const others: [string, Partial<VoteSubject>][] = [
    ['network', { genesisHash: filled(2) }],
    ['shard', { chain: 2 as ShardId }],
    ['beacon', { chain: BEACON }],
    ['epoch', { epoch: 5 }],
    ['height', { height: 4 }],
    ['phase', { phase: 'prepare' }],
    ['epoch phase', { phase: 'epoch' }],
    ['hash', { blockHash: filled(7) }],
  ];
  for (const [name, other] of others) assert.equal(check(GOOD, { ...SUBJECT, ...other }), 'certificate-signature', name);
  assert.equal(check({ ...GOOD, view: 8 }), 'certificate-signature');
});

test('a validator counts once, a stranger not at all, and too few are too few', () => {
  const [first, second] = [GOOD.signatures[0]!, GOOD.signatures[1]!];
  const bad: [string, QuorumCertificate, string][] = [
    ['two of four', certify(secrets, [0, 2], SUBJECT, 7), 'certificate-quorum'],
    ['nobody', { ...GOOD, bitmap: Uint8Array.of(0), signatures: [] }, 'certificate-quorum'],
    ['one signature three times', { ...GOOD, signatures: [first, first, first] }, 'certificate-signature'],
    ['one signer listed thrice, named once', { ...GOOD, bitmap: Uint8Array.of(1), signatures: [first, first, first] }, 'certificate-signatures'],
    ['signatures in another order', { ...GOOD, signatures: [second, first, GOOD.signatures[2]!] }, 'certificate-signature'],
    ['another validator named', { ...GOOD, bitmap: Uint8Array.of(0b1110) }, 'certificate-signature'],
    ['a signature missing', { ...GOOD, signatures: [first, second] }, 'certificate-signatures'],
    ['a signature too many', { ...GOOD, signatures: [...GOOD.signatures, first] }, 'certificate-signatures'],
    ['a bit beyond the committee', { ...GOOD, bitmap: Uint8Array.of(0b11101), signatures: [...GOOD.signatures, first] }, 'certificate-bitmap'],
    ['a longer bitmap', { ...GOOD, bitmap: Uint8Array.of(0b1101, 0) }, 'certificate-bitmap'],
    ['no bitmap', { ...GOOD, bitmap: new Uint8Array(0) }, 'certificate-bitmap'],
    ['another scheme', { ...GOOD, scheme: 2 }, 'certificate-scheme'],
    ['the simulation\'s scheme', { ...GOOD, scheme: 0xff }, 'certificate-scheme'],
    ['a foreign committee', certify(committee(4, 'foreign').secrets, [0, 2, 3], SUBJECT, 7), 'certificate-signature'],
    ['one foreign signature', { ...GOOD, signatures: [first, second, certify(committee(4, 'foreign').secrets, [3], SUBJECT, 7).signatures[0]!] }, 'certificate-signature'],
    ['a signature of zeros', { ...GOOD, signatures: [first, second, new Uint8Array(64)] }, 'certificate-signature'],
    ['a short signature', { ...GOOD, signatures: [first, second, new Uint8Array(63)] }, 'certificate-signature'],
  ];
  for (const [name, certificate, reason] of bad) assert.equal(check(certificate), reason, name);
  assert.equal(check({ ...GOOD, bitmap: new Uint8Array(0), signatures: [] }, SUBJECT, []), 'certificate-quorum', 'an empty committee certifies nothing');
});

test('each flipped bit of each signature is noticed', () => {
  GOOD.signatures.forEach((signature, at) => {
    for (let byte = 0; byte < 64; byte += 7) {
      const forged = signature.map((old, i) => (i === byte ? old ^ 0x10 : old));
      assert.equal(check({ ...GOOD, signatures: GOOD.signatures.with(at, forged) }), 'certificate-signature');
    }
  });
});

const genesisHash = filled(1);
const ASSIGNMENT: EpochAssignment = {
  genesisHash,
  epoch: 0,
  shards: 1,
  beaconValidators: keys,
  shardValidators: [keys],
  overrides: [],
  previousHash: filled(0),
};

test('epochs are chained, contiguous, of this network, and certified by the committee before', () => {
  const signed = (assignment: EpochAssignment, by = secrets) => ({ assignment, certificate: certify(by, [0, 1, 2], epochSubject(CRYPTO, assignment)) });
  const check0 = (next: ReturnType<typeof signed>) => checkEpochCertificate(CRYPTO, genesisHash, keys, undefined, next);
  const zero = signed(ASSIGNMENT);
  assert.equal(check0(zero), undefined);
  assert.equal(check0(signed({ ...ASSIGNMENT, genesisHash: filled(2) })), 'epoch-foreign');
  assert.equal(check0(signed({ ...ASSIGNMENT, epoch: 1 })), 'epoch-gap');
  assert.equal(check0(signed({ ...ASSIGNMENT, previousHash: filled(3) })), 'epoch-chain');
  assert.equal(check0(signed(ASSIGNMENT, committee(4, 'foreign').secrets)), 'certificate-signature');
  const subject = epochSubject(CRYPTO, ASSIGNMENT);
  const next = { ...ASSIGNMENT, epoch: 1, beaconValidators: committee(4, 'next').keys, previousHash: subject.blockHash };
  const check1 = (each: ReturnType<typeof signed>) => checkEpochCertificate(CRYPTO, genesisHash, keys, ASSIGNMENT, each);
  assert.equal(check1(signed(next)), undefined);
  assert.equal(check1(zero), 'epoch-gap');
  assert.equal(check1(signed(next, committee(4, 'next').secrets)), 'certificate-signature', 'a committee can not install itself');
  assert.equal(check1({ assignment: next, certificate: zero.certificate }), 'certificate-signature', 'the certificate of another epoch');
});

test('a beacon block is certified by the beacon, with its crosslinks', () => {
  const crosslinks = [{ header: SAMPLE_HEADER, certificate: GOOD }];
  const header = {
    chainId: 1,
    height: 2 as Height,
    parentHash: filled(1),
    epoch: 0,
    proposer: 0,
    timestampMs: 3,
    crosslinkRoot: crosslinkRoot(CRYPTO, crosslinks),
    epochCertificateHash: filled(2),
  };
  const subject = { genesisHash, chain: BEACON, epoch: 0, height: 2, phase: 'commit' as const, blockHash: beaconHash(CRYPTO, header) };
  const block = { header, certificate: certify(secrets, [0, 1, 2], subject), crosslinks, epochCertificate: undefined, wallMs: 0 };
  assert.equal(checkBeaconBlock(CRYPTO, genesisHash, keys, block), undefined);
  assert.equal(checkBeaconBlock(CRYPTO, genesisHash, keys, { ...block, crosslinks: [] }), 'beacon-crosslink-root');
  const other = [{ header: { ...SAMPLE_HEADER, gasUsed: 1 }, certificate: GOOD }];
  assert.equal(checkBeaconBlock(CRYPTO, genesisHash, keys, { ...block, crosslinks: other }), 'beacon-crosslink-root');
  assert.equal(checkBeaconBlock(CRYPTO, genesisHash, keys, { ...block, header: { ...header, timestampMs: 4 } }), 'certificate-signature');
  assert.equal(checkBeaconBlock(CRYPTO, filled(9), keys, block), 'certificate-signature');
});
