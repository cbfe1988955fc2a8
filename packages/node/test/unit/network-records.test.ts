import assert from 'node:assert/strict';
import { test } from 'node:test';

import { multiaddr } from '@multiformats/multiaddr';
import { BEACON, DecodeError, type ShardId, Writer } from '@shardlab/crosslink';
import fc from 'fast-check';

import { AddressBook } from '../../src/network/address-book.ts';
import { decodeHello, decodeWelcome, encodeHello, encodeWelcome } from '../../src/network/hello.ts';
import { compareNodes, nodeLabel, protocolNames } from '../../src/network/names.ts';
import type { NetworkOptions } from '../../src/network/options.ts';
import {
  ADDRESSES_MAX,
  decodePeerRecord,
  decodeRecordList,
  encodeRecordList,
  type PeerRecord,
  recordAddress,
  type SignedPeerRecord,
  signPeerRecord,
  verifyPeerRecord,
} from '../../src/network/peer-record.ts';
import type { NodeName } from '../../src/ports.ts';
import { BEACON_NODE, crypto, seedOf, shard, TestMetrics, validatorKey, validatorSecret } from '../e2e/network-kit.ts';

const genesisHash = seedOf('genesis');

function made(node: NodeName, over: Partial<PeerRecord> = {}, secret = validatorSecret(node)): SignedPeerRecord {
  const transportKey = crypto.publicKey(seedOf('transport'));
  const addresses = [recordAddress('/ip4/127.0.0.1/tcp/9000')];
  return signPeerRecord(crypto, { genesisHash, node, transportKey, addresses, sequence: 7, ...over }, secret);
}

function bookOf(node: NodeName, recordsMax = 16): AddressBook {
  const options: NetworkOptions = {
    transportSeed: seedOf('transport'),
    listen: [],
    announce: [],
    genesisHash,
    node,
    validatorSecret: validatorSecret(node),
    validatorKey,
    nodes: 2,
    bootstrap: [],
    onRecords: () => {},
  };
  return new AddressBook(options, recordsMax, { crypto, metrics: new TestMetrics() });
}

test('a record survives its encoding, whatever its values', () => {
  const address = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([ip, port]) => `/ip4/${ip}/tcp/${port}`),
    fc.tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,40}$/), fc.integer({ min: 1, max: 65_535 })).map(([name, port]) => `/dns4/${name}/tcp/${port}`),
  );
  const arbitrary = fc.record({
    chain: fc.oneof(fc.constant(BEACON), fc.integer({ min: 0, max: 255 }).map((index) => index as ShardId)),
    validator: fc.integer({ min: 0, max: 0xffff_ffff }),
    addresses: fc.uniqueArray(address, { minLength: 1, maxLength: ADDRESSES_MAX }),
    sequence: fc.maxSafeNat(),
  });
  fc.assert(
    fc.property(arbitrary, ({ chain, validator, addresses, sequence }) => {
      const node = { chain, validator };
      const record = made(node, { addresses: addresses.map(recordAddress), sequence });
      const back = decodePeerRecord(record.encoded);
      assert.deepEqual({ ...back, addresses: back.addresses.map(String) }, { ...record, addresses });
      assert.ok(verifyPeerRecord(crypto, back, crypto.publicKey(validatorSecret(node))));
    }),
    { numRuns: 50 },
  );
});

test('every changed, cut or lengthened byte is noticed', () => {
  const { encoded } = made(shard(1));
  const key = validatorKey(shard(1))!;
  for (let at = 0; at < encoded.length; at++) {
    const changed = Uint8Array.from(encoded);
    changed[at]! ^= 0x10;
    let verified = false;
    try {
      verified = verifyPeerRecord(crypto, decodePeerRecord(changed), key);
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error));
    }
    assert.equal(verified, false, `byte ${at}`);
    assert.throws(() => decodePeerRecord(encoded.subarray(0, at)), DecodeError);
  }
  assert.throws(() => decodePeerRecord(Uint8Array.of(...encoded, 0)), { code: 'decode/trailing' });
});

test('random bytes never do more than a decode error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const decode of [decodePeerRecord, decodeRecordList, decodeHello, decodeWelcome]) {
        try {
          decode(bytes);
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error));
        }
      }
    }),
  );
});

test('addresses are a host and a TCP port', () => {
  assert.equal(recordAddress('/dns4/beacon/tcp/9000/p2p/12D3KooWMt2R8M8R8mHAnjzLpK8WwuWqWvQRpvgNQSh3FxxAtvAR').toString(), '/dns4/beacon/tcp/9000');
  for (const wrong of ['', 'beacon:9000', '/ip4/1.2.3.4', '/ip4/1.2.3.4/tcp/0', '/ip4/1.2.3.4/udp/9', '/ip4/1.2.3.4/tcp/9/ws', '/unix/tmp']) {
    assert.throws(() => recordAddress(wrong), { code: 'network/address' }, wrong);
  }
  const body = made(shard(1), { addresses: [multiaddr('/ip4/1.2.3.4/tcp/9/ws')] }).encoded;
  assert.throws(() => decodePeerRecord(body), { code: 'decode/range' }, 'not even when signed');
  const twice = recordAddress('/ip4/1.2.3.4/tcp/9');
  assert.throws(() => decodePeerRecord(made(shard(1), { addresses: [twice, twice] }).encoded), { code: 'decode/range' });
  assert.throws(() => decodePeerRecord(made(shard(1), { addresses: [] }).encoded), { code: 'decode/range' });
});

test('hello and welcome survive their encoding', () => {
  const { encoded } = made(shard(1));
  assert.deepEqual(decodeHello(encodeHello(encoded)), encoded);
  const welcome = { accepted: true, record: encoded, records: encodeRecordList([made(shard(1)), made(shard(2))]) };
  assert.deepEqual(decodeWelcome(encodeWelcome(welcome)), welcome);
});

test('the book keeps the newest record of each known validator', () => {
  const book = bookOf(BEACON_NODE, 3);
  const changes: string[] = [];
  book.onChange = ({ node, sequence }) => changes.push(`${nodeLabel(node)} ${sequence}`);
  const outcome = (record: SignedPeerRecord): string => book.offer(record.encoded).outcome;
  assert.equal(outcome(made(shard(1))), 'new');
  assert.equal(outcome(made(shard(1))), 'known');
  assert.equal(outcome(made(shard(1), { sequence: 8 })), 'new');
  assert.equal(outcome(made(shard(1))), 'stale');
  assert.equal(outcome(made(shard(1), { sequence: 8, addresses: [recordAddress('/ip4/9.9.9.9/tcp/9')] })), 'stale', 'two of one sequence: the first');
  assert.equal(outcome(made(shard(1), { sequence: 9 }, seedOf('thief'))), 'forged');
  assert.equal(outcome(made(shard(1), { sequence: 9, genesisHash: seedOf('other') })), 'foreign');
  assert.equal(outcome(made({ ...shard(1), validator: 1 })), 'unknown');
  assert.equal(book.offer(Uint8Array.of(1, 2, 3)).outcome, 'malformed');
  assert.equal(outcome(made(shard(2))), 'new');
  book.publishSelf(made(BEACON_NODE), 100);
  assert.equal(outcome(made(shard(3))), 'full');
  assert.deepEqual(changes, ['shard-1 7', 'shard-1 8', 'shard-2 7', 'beacon 100']);
  assert.deepEqual(book.all().map(({ node }) => nodeLabel(node)), ['shard-1', 'shard-2', 'beacon']);
  const again = bookOf(BEACON_NODE, 3);
  again.load(book.encodeAll());
  assert.deepEqual(again.encodeAll(), book.encodeAll());
  assert.equal(again.publishSelf(made(BEACON_NODE), 50).sequence, 101, 'newer than before, though the clock went back');
});

test('a damaged book is refused by name', () => {
  const list = encodeRecordList([made(shard(1))]);
  const forged = encodeRecordList([made(shard(1), {}, seedOf('thief'))]);
  const foreign = encodeRecordList([made(shard(1), { genesisHash: seedOf('other') })]);
  for (const bytes of [list.subarray(0, 20), forged, foreign, new Writer().u8(9).finish()]) {
    assert.throws(() => bookOf(shard(2)).load(bytes), { code: 'network/records' });
  }
});

test('names: labels are unique, order is total, networks differ', () => {
  assert.deepEqual([shard(2), { ...shard(2), validator: 1 }, BEACON_NODE].map(nodeLabel), ['shard-2', 'shard-2.1', 'beacon']);
  assert.ok(compareNodes(shard(2), { ...shard(2), validator: 1 }) < 0 && compareNodes(BEACON_NODE, shard(2)) > 0);
  assert.notDeepEqual(protocolNames(genesisHash), protocolNames(seedOf('other')));
  assert.match(protocolNames(genesisHash).request, /^\/shardlab\/[0-9a-f]{16}\/req\/1$/);
});
