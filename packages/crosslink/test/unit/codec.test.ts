import assert from 'node:assert/strict';
import test from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import { decodeEpochCertificate, encodeEpochCertificate } from '../../src/assignment.ts';
import { decodeBeaconBlock, encodeBeaconBlock } from '../../src/beacon.ts';
import { decodeBlock, decodeBlockHead, encodeBlock } from '../../src/block.ts';
import { readCertificate, writeCertificate } from '../../src/certificate.ts';
import { decodeAll, type Reader } from '../../src/codec/reader.ts';
import { Writer } from '../../src/codec/writer.ts';
import { DecodeError } from '../../src/errors.ts';
import { decodeBlockEvents, encodeBlockEvents } from '../../src/events.ts';
import { encodeHeader, readHeader } from '../../src/header.ts';
import { readListBranch, writeListBranch } from '../../src/merkle/list.ts';
import { readPairTable, writePairTable } from '../../src/pairs.ts';
import { Prng } from '../../src/prng.ts';
import { decodeBatch, encodeBatch } from '../../src/receipt.ts';
import { decodeAnnouncement, decodeAnswer, decodeRequest, encodeAnnouncement, encodeAnswer, encodeRequest, type WireRequest } from '../../src/wire.ts';
import { decodeMessage, encodeMessage } from '../../src/xtx/messages.ts';
import {
  decodeCoordinatorRecord,
  decodeParkedCredit,
  decodeParticipantRecord,
  decodeTombstone,
  encodeCoordinatorRecord,
  encodeParkedCredit,
  encodeParticipantRecord,
  encodeTombstone,
} from '../../src/xtx/records.ts';
import { decodeLogs, encodeLogs } from '../../src/logs.ts';
import { decodeStub, encodeStub } from '../../src/state/stub.ts';
import { readOperation, withoutData, writeOperation } from '../../src/xtx/operations.ts';
import type { Settlement } from '../../src/xtx/types.ts';
import * as kit from './kit.ts';

interface Codec<T> {
  readonly name: string;
  readonly values: Arbitrary<T>;
  encode(value: T): Uint8Array;
  decode(data: Uint8Array): T;
}

function codec<T>(name: string, values: Arbitrary<T>, encode: (value: T) => Uint8Array, decode: (data: Uint8Array) => T): Codec<unknown> {
  return { name, values, encode, decode } as Codec<unknown>;
}

function part<T>(name: string, values: Arbitrary<T>, write: (writer: Writer, value: T) => void, read: (reader: Reader) => T): Codec<unknown> {
  const encode = (value: T): Uint8Array => {
    const writer = new Writer(1);
    write(writer, value);
    return writer.finish();
  };
  return codec(name, values, encode, (data) => decodeAll(data, read));
}

const wei = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const body = fc.uint8Array({ maxLength: 40 });
const moment = kit.record({ height: fc.maxSafeNat() as Arbitrary<never>, timestampMs: fc.maxSafeNat() });
/** What a tombstone keeps: no data, no logs. */
function withoutBulk(settlement: Omit<Settlement, 'logs'>): Settlement {
  const participants = settlement.record.participants.map((each) => ({ ...each, operation: withoutData(each.operation), needs: [], logs: new Uint8Array(0) }));
  return { ...settlement, record: { ...settlement.record, participants }, logs: [] };
}
const settlements = kit.record({ record: kit.coordinatorRecords, commit: fc.boolean(), gasUsed: fc.maxSafeNat(), acked: moment }).map(withoutBulk);
const requests: Arbitrary<WireRequest> = fc.oneof(
  kit.record({ kind: fc.constant('batches' as const), destination: kit.shards, fromSequence: fc.maxSafeNat() }),
  kit.record({ kind: fc.constantFrom('headers' as const, 'beacon-blocks' as const), fromHeight: fc.maxSafeNat() as Arbitrary<never> }),
  kit.record({ kind: fc.constant('rpc' as const), json: body }),
  kit.record({ kind: fc.constant('submit' as const), body }),
);
const announcements = kit.record({ header: kit.headers, certificate: kit.certificates, pairs: kit.pairTables });

const CODECS: readonly Codec<unknown>[] = [
  part('header', kit.headers, (writer, header) => writer.fixed(encodeHeader(header), encodeHeader(header).length), readHeader),
  part('certificate', kit.certificates, writeCertificate, readCertificate),
  part('pair table', kit.pairTables, writePairTable, readPairTable),
  part('list branch', kit.branches, writeListBranch, readListBranch),
  codec('receipt batch', kit.batches, encodeBatch, decodeBatch),
  codec('block', kit.blocks, encodeBlock, decodeBlock),
  codec('block events', fc.array(kit.events, { maxLength: 5 }), encodeBlockEvents, decodeBlockEvents),
  codec('epoch certificate', kit.epochCertificates, encodeEpochCertificate, decodeEpochCertificate),
  codec('beacon block', kit.beaconBlocks, encodeBeaconBlock, decodeBeaconBlock),
  codec('message', kit.messages, encodeMessage, decodeMessage),
  part('operation', kit.operations, writeOperation, readOperation),
  codec('logs', kit.eventLogs, encodeLogs, decodeLogs),
  codec('stub', kit.shards, encodeStub, decodeStub),
  codec('coordinator record', kit.coordinatorRecords, encodeCoordinatorRecord, decodeCoordinatorRecord),
  codec('participant record', kit.participantRecords, encodeParticipantRecord, decodeParticipantRecord),
  codec('parked credit', wei, encodeParkedCredit, decodeParkedCredit),
  codec('tombstone', settlements, encodeTombstone, decodeTombstone),
  codec('announcement', announcements, encodeAnnouncement, decodeAnnouncement),
  codec('request', requests, encodeRequest, decodeRequest),
  codec('answer', fc.array(body, { maxLength: 4 }), encodeAnswer, decodeAnswer),
];

/** Decodes hostile bytes. They are refused by a DecodeError, or accepted; what is accepted must be canonical. */
function probe({ name, encode, decode }: Codec<unknown>, data: Uint8Array): boolean {
  let value: unknown;
  try {
    value = decode(data);
  } catch (error) {
    assert.ok(error instanceof DecodeError, `${name}: ${String(error)}`);
    assert.match(error.code, /^decode\/(truncated|bound|range|version|trailing)$/);
    return false;
  }
  assert.deepEqual(encode(value), data, `${name}: accepted bytes encode to others`);
  return true;
}

for (const each of CODECS) {
  const { name, values, encode, decode } = each;

  test(`${name}: what is written is read, and encodes to the same bytes`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const data = encode(value);
        const read = decode(data);
        assert.deepEqual(read, value);
        assert.deepEqual(encode(read), data);
      }),
      { numRuns: 60 },
    );
  });

  test(`${name}: each shorter input is refused, and each longer one`, () => {
    for (const value of fc.sample(values, { numRuns: 3, seed: 11 })) {
      const data = encode(value);
      // Events are a bare array: a cut between two of them is a shorter array.
      const whole = name === 'block events' ? (length: number) => length % 40 === 0 : () => false;
      for (let length = 0; length < data.length; length++) assert.equal(probe(each, data.slice(0, length)), whole(length), `${name} cut at ${length}`);
      if (name !== 'block events') assert.throws(() => decode(Uint8Array.of(...data, 0)), { code: 'decode/trailing' });
    }
  });

  test(`${name}: flipped bits and noise never do worse than a DecodeError, and never read as something else's encoding`, () => {
    const prng = new Prng(4711);
    let refused = 0;
    for (const value of fc.sample(values, { numRuns: 6, seed: 12 })) {
      const data = encode(value);
      for (let round = 0; round < 150 && data.length > 0; round++) {
        const bad = data.slice();
        for (let flips = 1 + prng.below(3); flips > 0; flips--) bad[prng.below(bad.length)]! ^= 1 << prng.below(8);
        if (!probe(each, bad)) refused++;
      }
      // The first bytes hold versions and tags: all of their values.
      for (let byte = 0; byte < Math.min(2, data.length); byte++) {
        for (let to = 0; to < 256; to++) probe(each, data.map((old, at) => (at === byte ? to : old)));
      }
    }
    for (let round = 0; round < 200; round++) if (!probe(each, prng.bytes(prng.below(200)))) refused++;
    assert.ok(refused > 0, `${name}: nothing was refused`);
  });
}

test('a block head is the block\'s own', () => {
  for (const block of fc.sample(kit.blocks, { numRuns: 5, seed: 13 })) {
    const { header, certificate, wallMs } = block;
    assert.deepEqual(decodeBlockHead(encodeBlock(block)), { header, certificate, wallMs });
  }
});

test('reserved values are refused by name', () => {
  const [vote, prepare] = [encodeMessage({ kind: 'vote', id: kit.filled(1), attempt: 0, answer: { kind: 'yes' }, gasUsed: 0 }), new Uint8Array(36)];
  const sums = { kind: 'call' as const, from: kit.account(1), value: 5n, gasLimit: 7, calls: [{ to: kit.account(2), value: 5n, gasLimit: 7, data: new Uint8Array(1) }], stubs: [], granted: [] };
  const written = (operation: typeof sums): Uint8Array => {
    const writer = new Writer(64);
    writeOperation(writer, operation);
    return writer.finish();
  };
  const cases: [string, () => unknown, string][] = [
    ['unknown message kind', () => decodeMessage(vote.map((byte, at) => (at === 1 ? 5 : byte))), 'decode/range'],
    ['calls that pay more than the Decision brings', () => decodeAll(written({ ...sums, value: 4n }), readOperation), 'decode/range'],
    ['calls that use more gas than was counted', () => decodeAll(written({ ...sums, gasLimit: 6 }), readOperation), 'decode/range'],
    ['unknown vote', () => decodeMessage(vote.map((byte, at) => (at === 35 ? 6 : byte))), 'decode/range'],
    ['version of a message', () => decodeMessage(vote.map((byte, at) => (at === 0 ? 1 : byte))), 'decode/version'],
    ['version 0', () => decodeMessage(prepare), 'decode/version'],
    ['unknown request', () => decodeRequest(Uint8Array.of(1, 9)), 'decode/range'],
    ['half an event', () => decodeBlockEvents(new Uint8Array(39)), 'decode/truncated'],
    ['too many items in an answer', () => decodeAnswer(Uint8Array.of(1, 0, 0, 0x10, 1)), 'decode/bound'],
    ['too long an item in an answer', () => decodeAnswer(Uint8Array.of(1, 0, 0, 0, 1, 0x7f, 0, 0, 0)), 'decode/bound'],
    ['a boolean of 2', () => decodeMessage(encodeMessage({ kind: 'ack', id: kit.filled(1), attempt: 0, commit: true, logs: new Uint8Array() }).map((byte, at) => (at === 35 ? 2 : byte))), 'decode/range'],
  ];
  for (const [name, run, code] of cases) assert.throws(run, { name: 'DecodeError', code }, name);
});

test('a pair table out of order, or with one shard twice, is refused', () => {
  const entry = (shard: number) => ({ shard: shard as never, sentSequence: 0, consumedSequence: 0, sentValue: 0n, receivedValue: 0n });
  for (const order of [[2, 1], [1, 1]]) {
    const writer = new Writer();
    writePairTable(writer, order.map(entry));
    assert.throws(() => decodeAll(writer.finish(), readPairTable), { code: 'decode/range' });
  }
});

test('overrides out of order, or of shards that do not exist, are refused', () => {
  const base = fc.sample(kit.epochCertificates, { numRuns: 1, seed: 3 })[0]!;
  const at = (byte: number, shard: number) => ({ address: kit.account(byte), shard: shard as never });
  const encoded = (overrides: ReturnType<typeof at>[], shards = 2) =>
    encodeEpochCertificate({ ...base, assignment: { ...base.assignment, shards, shardValidators: Array.from({ length: shards }, () => []), overrides } });
  assert.equal(decodeEpochCertificate(encoded([at(1, 0), at(2, 1)])).assignment.overrides.length, 2);
  for (const bad of [[at(2, 0), at(1, 0)], [at(1, 0), at(1, 1)], [at(1, 2)]]) assert.throws(() => decodeEpochCertificate(encoded(bad)), { code: 'decode/range' });
  assert.throws(() => decodeEpochCertificate(encoded([], 0)), { code: 'decode/range' });
});
