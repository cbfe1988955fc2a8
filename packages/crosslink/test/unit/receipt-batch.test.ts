import assert from 'node:assert/strict';
import test from 'node:test';
import type { VoteSubject } from '../../src/certificate.ts';
import { headerHash, type ShardHeader } from '../../src/header.ts';
import { Prng } from '../../src/prng.ts';
import { BEACON, type Hash32, type Height, type ShardId } from '../../src/primitives.ts';
import {
  buildBatches,
  checkBatchProof,
  checkHeaderCertificate,
  CHUNK_BYTES_MAX,
  CHUNK_MESSAGES_MAX,
  decodeBatch,
  encodeBatch,
  type Outgoing,
  outRoot,
  type ReceiptBatch,
  splitChunks,
} from '../../src/receipt.ts';
import { MESSAGE_BYTES_MAX } from '../../src/xtx/messages.ts';
import { certify, committee, CRYPTO, filled, HASHER, SAMPLE_HEADER } from './kit.ts';

const genesisHash = filled(0x99);
const { secrets, keys } = committee(4);

function subjectOf(header: ShardHeader): VoteSubject {
  return { genesisHash, chain: header.shard, epoch: header.epoch, height: header.height, phase: 'commit', blockHash: headerHash(HASHER, header) };
}

function batchesOf(outgoing: readonly Outgoing[], destination: number): ReceiptBatch[] {
  const header = { ...SAMPLE_HEADER, outRoot: outRoot(HASHER, outgoing) };
  return buildBatches(HASHER, header, certify(secrets, [0, 1, 2], subjectOf(header)), outgoing, destination as ShardId);
}

const small = (count: number, salt: number): Uint8Array[] => Array.from({ length: count }, (_, index) => Uint8Array.of(salt, index, 3));
const OUTGOING: readonly Outgoing[] = [0, 1, 5].map((destination) => ({ destination: destination as ShardId, firstSequence: 10 + destination, messages: small(3, destination) }));

function verdict(batch: ReceiptBatch): string | undefined {
  return checkBatchProof(HASHER, batch) ?? checkHeaderCertificate(CRYPTO, genesisHash, keys, batch.header, batch.certificate);
}

test('a batch for each destination verifies, and no destination gets what was not sent to it', () => {
  for (const { destination, firstSequence, messages } of OUTGOING) {
    const [batch, ...more] = batchesOf(OUTGOING, destination);
    assert.equal(more.length, 0);
    assert.equal(verdict(batch!), undefined);
    assert.deepEqual([batch!.entry.destination, batch!.firstSequence, batch!.messages], [destination, firstSequence, messages]);
    assert.deepEqual(decodeBatch(encodeBatch(batch!)), batch);
  }
  assert.deepEqual(batchesOf(OUTGOING, 2), []);
});

const flip = (bytes: Uint8Array): Hash32 => bytes.map((byte, at) => (at === 3 ? byte ^ 4 : byte)) as Hash32;

/** Each way to change one field of a batch. */
function forgeries(batch: ReceiptBatch): [string, ReceiptBatch][] {
  const { header, entry, entryBranch, chunkBranch, messages, certificate } = batch;
  const withHeader = (name: string, part: Partial<ShardHeader>): [string, ReceiptBatch] => [`header ${name}`, { ...batch, header: { ...header, ...part } }];
  const numbers = ['chainId', 'height', 'epoch', 'proposer', 'timestampMs', 'gasLimit', 'gasUsed'] as const;
  const roots = ['parentHash', 'prevRandao', 'stateRoot', 'txRoot', 'receiptRoot', 'outRoot', 'epochCertificateHash', 'pairRoot', 'logsBloom'] as const;
  const sums = ['balances', 'escrow', 'burned'] as const;
  return [
    ...numbers.map((name) => withHeader(name, { [name]: header[name] + 1 })),
    ...roots.map((name) => withHeader(name, { [name]: flip(header[name]) })),
    ...sums.map((name) => withHeader(name, { totals: { ...header.totals, [name]: header.totals[name] + 1n } })),
    withHeader('transactions', { totals: { ...header.totals, transactions: 0 } }),
    withHeader('logs', { totals: { ...header.totals, logs: 0 } }),
    withHeader('shard', { shard: 1 as ShardId }),
    withHeader('beacon', { shard: BEACON }),
    withHeader('baseFeePerGas', { baseFeePerGas: 1n }),
    ['view', { ...batch, certificate: { ...certificate, view: 9 } }],
    ['scheme', { ...batch, certificate: { ...certificate, scheme: 9 } }],
    ['bitmap', { ...batch, certificate: { ...certificate, bitmap: Uint8Array.of(0b1011) } }],
    ['signature', { ...batch, certificate: { ...certificate, signatures: certificate.signatures.with(1, flip(certificate.signatures[1]!)) } }],
    ['destination', { ...batch, entry: { ...entry, destination: 4 as ShardId } }],
    ['entry first sequence', { ...batch, entry: { ...entry, firstSequence: entry.firstSequence - 1 } }],
    ['entry last sequence', { ...batch, entry: { ...entry, lastSequence: entry.lastSequence + 1 } }],
    ['entry root', { ...batch, entry: { ...entry, root: flip(entry.root) } }],
    ['entry index', { ...batch, entryBranch: { ...entryBranch, index: entryBranch.index ^ 1 } }],
    ['entry count', { ...batch, entryBranch: { ...entryBranch, count: entryBranch.count + 1 } }],
    ['entry sibling', { ...batch, entryBranch: { ...entryBranch, siblings: entryBranch.siblings.map(flip) } }],
    ['entry branch cut', { ...batch, entryBranch: { ...entryBranch, siblings: entryBranch.siblings.slice(1) } }],
    ['chunk index', { ...batch, chunkBranch: { ...chunkBranch, index: chunkBranch.index + 1 } }],
    ['chunk count', { ...batch, chunkBranch: { ...chunkBranch, count: chunkBranch.count + 1 } }],
    ['chunk branch longer', { ...batch, chunkBranch: { ...chunkBranch, siblings: [...chunkBranch.siblings, filled(0)] } }],
    ['shifted up', { ...batch, firstSequence: batch.firstSequence + 1 }],
    ['shifted down', { ...batch, firstSequence: batch.firstSequence - 1 }],
    ['far beyond', { ...batch, firstSequence: Number.MAX_SAFE_INTEGER }],
    ['a message changed', { ...batch, messages: messages.with(0, flip(Uint8Array.of(...messages[0]!, 7))) }],
    ['a message dropped', { ...batch, messages: messages.slice(1) }],
    ['the last dropped', { ...batch, messages: messages.slice(0, -1) }],
    ['a message added', { ...batch, messages: [...messages, Uint8Array.of(1)] }],
    ['two swapped', { ...batch, messages: [messages[1]!, messages[0]!, ...messages.slice(2)] }],
    ['two merged', { ...batch, messages: [Uint8Array.of(...messages[0]!, ...messages[1]!), ...messages.slice(2)] }],
    ['no messages', { ...batch, messages: [] }],
  ];
}

test('each field forged, one at a time, is noticed', () => {
  for (const [name, forged] of forgeries(batchesOf(OUTGOING, 1)[0]!)) {
    assert.notEqual(verdict(forged), undefined, name);
  }
});

test('another network, another committee, and parts of two good batches do not verify', () => {
  const [one, two] = [batchesOf(OUTGOING, 0)[0]!, batchesOf(OUTGOING, 1)[0]!];
  assert.equal(checkHeaderCertificate(CRYPTO, filled(1), keys, one.header, one.certificate), 'certificate-signature');
  assert.equal(checkHeaderCertificate(CRYPTO, genesisHash, committee(4, 'foreign').keys, one.header, one.certificate), 'certificate-signature');
  assert.notEqual(verdict({ ...one, entry: two.entry }), undefined);
  assert.notEqual(verdict({ ...one, entry: two.entry, entryBranch: two.entryBranch }), undefined);
  assert.notEqual(verdict({ ...one, messages: two.messages, firstSequence: two.firstSequence }), undefined);
  const prepared = certify(secrets, [0, 1, 2], { ...subjectOf(one.header), phase: 'prepare' });
  assert.equal(checkHeaderCertificate(CRYPTO, genesisHash, keys, one.header, prepared), 'certificate-signature', 'prepared is not committed');
  const later = { ...one.header, height: 78 as Height };
  assert.notEqual(checkHeaderCertificate(CRYPTO, genesisHash, keys, later, one.certificate), undefined);
});

test('many and large messages are cut into chunks under the bound that verify alone and together are the whole', () => {
  const prng = new Prng(8);
  const cases: Record<string, Uint8Array[]> = {
    large: Array.from({ length: 11 }, () => prng.bytes(MESSAGE_BYTES_MAX)),
    mixed: Array.from({ length: 60 }, () => new Uint8Array(prng.below(60_000)).fill(prng.below(256))),
    many: Array.from({ length: 2 * CHUNK_MESSAGES_MAX + 5 }, (_, index) => Uint8Array.of(index & 255, index >> 8, index >> 16)),
    'just one chunk': [new Uint8Array(CHUNK_BYTES_MAX / 4 - 4), new Uint8Array(CHUNK_BYTES_MAX / 4 - 4), new Uint8Array(CHUNK_BYTES_MAX / 4 - 4), new Uint8Array(CHUNK_BYTES_MAX / 4 - 4)],
  };
  for (const [name, messages] of Object.entries(cases)) {
    const outgoing = [{ destination: 0 as ShardId, firstSequence: 1, messages: [Uint8Array.of(1)] }, { destination: 7 as ShardId, firstSequence: 100, messages }];
    const batches = batchesOf(outgoing, 7);
    assert.equal(batches.length > 1, name !== 'just one chunk', name);
    let sequence = 100;
    for (const batch of batches) {
      assert.equal(verdict(batch), undefined);
      assert.equal(batch.firstSequence, sequence);
      assert.ok(batch.messages.reduce((sum, each) => sum + each.length + 4, 0) <= CHUNK_BYTES_MAX && batch.messages.length <= CHUNK_MESSAGES_MAX);
      const encoded = encodeBatch(batch);
      assert.ok(encoded.length < 1 << 20);
      assert.equal(verdict(decodeBatch(encoded)), undefined);
      sequence += batch.messages.length;
    }
    assert.deepEqual(batches.flatMap((batch) => batch.messages), messages);
    assert.equal(sequence - 1, batches[0]!.entry.lastSequence);
  }
});

test('a chunk of one split does not verify under another, nor in another place', () => {
  const messages = Array.from({ length: 11 }, (_, index) => new Uint8Array(MESSAGE_BYTES_MAX).fill(index));
  const batches = batchesOf([{ destination: 7 as ShardId, firstSequence: 100, messages }], 7);
  const [a, b] = [batches[0]!, batches[1]!];
  assert.notEqual(verdict({ ...a, messages: b.messages }), undefined);
  assert.notEqual(verdict({ ...a, chunkBranch: b.chunkBranch }), undefined);
  assert.notEqual(verdict({ ...b, firstSequence: a.firstSequence }), undefined);
  assert.notEqual(verdict({ ...a, messages: [...a.messages, ...b.messages] }), undefined);
  assert.notEqual(verdict({ ...a, messages: a.messages.slice(0, 1) }), undefined);
  assert.deepEqual(splitChunks([]), []);
});
