import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEACON, compareBytes, DecodeError, hash32, height, InvariantError, shardId, txHash } from '@shardlab/crosslink';
import fc from 'fast-check';
import {
  afterPrefix,
  BEACON_BLOCKS,
  BLOCK_HEIGHTS,
  BLOCKS,
  CROSS_SHARD,
  EPOCH_CERTIFICATES,
  type KeyFamily,
  META,
  OUTBOX,
  PEERS,
  PROPOSALS,
  STATE,
  TRANSACTIONS,
  UNDO,
} from '../../src/storage/key-space.ts';

const number = fc.maxSafeNat();
const bytes = (minLength: number, maxLength = minLength): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength, maxLength });
const chain = fc.oneof(fc.nat(255), fc.constant(BEACON)).map((value) => shardId(value));
const inside = (key: Uint8Array, { gte, lt }: { gte: Uint8Array; lt: Uint8Array }): boolean =>
  compareBytes(gte, key) <= 0 && compareBytes(key, lt) < 0;

/** Without the prototypes of fast-check's records. */
const plain = (id: unknown): unknown => (typeof id === 'object' && !(id instanceof Uint8Array) ? { ...id } : id);

const prefixes: number[] = [];

/** The tests that every family passes; `compare` is the order of ids that its keys must have. */
function suite<Id>(name: string, family: KeyFamily<Id>, ids: fc.Arbitrary<Id>, compare?: (a: Id, b: Id) => number): void {
  prefixes.push(family.prefix);
  test(`${name}: keys parse back, stay in the family's range and are ordered as their ids`, () => {
    fc.assert(
      fc.property(ids, ids, (a, b) => {
        const key = family.key(a);
        assert.deepEqual(plain(family.parse(key)), plain(a));
        assert.ok(inside(key, family.all()));
        if (compare !== undefined) assert.equal(Math.sign(compareBytes(key, family.key(b))), Math.sign(compare(a, b)));
      }),
    );
  });

  test(`${name}: keys of other families and wrong lengths are refused`, () => {
    const key = family.key(fc.sample(ids, { numRuns: 1, seed: 1 })[0]!);
    const foreign = Uint8Array.from(key);
    foreign[0] = 0xee;
    assert.throws(() => family.parse(foreign), (error) => error instanceof DecodeError && error.code === 'storage/key');
    const long = new Uint8Array(80);
    long.set(key);
    for (const wrong of [long, key.subarray(0, 1)]) assert.throws(() => family.parse(wrong), DecodeError);
  });
}

const difference = (a: number, b: number): number => a - b;
suite('META', META, fc.stringMatching(/^[a-z-]{1,32}$/));
suite('BLOCKS', BLOCKS, number.map(height), difference);
suite('BLOCK_HEIGHTS', BLOCK_HEIGHTS, bytes(32).map(hash32));
suite('TRANSACTIONS', TRANSACTIONS, bytes(32).map(txHash));
suite('STATE', STATE, bytes(1, 64), compareBytes);
suite('UNDO', UNDO, number.map(height), difference);
suite('OUTBOX', OUTBOX, fc.record({ destination: chain, sequence: number }), (a, b) => a.destination - b.destination || a.sequence - b.sequence);
suite('CROSS_SHARD', CROSS_SHARD, bytes(32).map(txHash));
suite('EPOCH_CERTIFICATES', EPOCH_CERTIFICATES, number, difference);
suite('PEERS', PEERS, fc.record({ chain, validator: fc.nat(0xffff) }), (a, b) => a.chain - b.chain || a.validator - b.validator);
suite('BEACON_BLOCKS', BEACON_BLOCKS, number.map(height), difference);
suite('PROPOSALS', PROPOSALS, number.map(height), difference);

test('prefixes are unique and leave the store its own key', () => {
  assert.equal(new Set(prefixes).size, prefixes.length);
  assert.ok(prefixes.every((prefix) => prefix > 0 && prefix < 255));
});

test('ranges of ordered families hold exactly the ids between their ends', () => {
  fc.assert(
    fc.property(number, number, number, (x, y, at) => {
      const [from, to] = x < y ? [x, y] : [y, x];
      assert.equal(inside(BLOCKS.key(height(at)), BLOCKS.from(height(from), height(to))), from <= at && at < to);
      assert.equal(inside(BLOCKS.key(height(at)), BLOCKS.from(height(from))), from <= at);
    }),
  );
  assert.throws(() => BLOCKS.from(height(2), height(1)), InvariantError);
  assert.ok(inside(OUTBOX.key({ destination: BEACON, sequence: Number.MAX_SAFE_INTEGER }), OUTBOX.from({ destination: shardId(3), sequence: 0 })));
});

test('the leaves of one account are one range', () => {
  fc.assert(
    fc.property(bytes(1, 20), bytes(1, 44), bytes(1, 64), (address, rest, other) => {
      const own = Uint8Array.from([...address, ...rest]);
      assert.ok(inside(STATE.key(own), STATE.startingWith(address)));
      const starts = compareBytes(other.subarray(0, address.length), address) === 0;
      assert.equal(inside(STATE.key(other), STATE.startingWith(address)), starts);
    }),
  );
  assert.deepEqual(STATE.startingWith(new Uint8Array(20).fill(255)).lt, Uint8Array.of(STATE.prefix + 1));
});

test('nothing is above a prefix of 0xff only', () => {
  assert.throws(() => afterPrefix(Uint8Array.of(255, 255)), InvariantError);
  assert.deepEqual(afterPrefix(Uint8Array.of(1, 255)), Uint8Array.of(2));
});

test('names and keys out of bounds are refused', () => {
  assert.throws(() => META.key(''), InvariantError);
  assert.throws(() => META.key('x'.repeat(33)), InvariantError);
  assert.throws(() => STATE.key(new Uint8Array(0)), InvariantError);
  assert.throws(() => STATE.key(new Uint8Array(65)), InvariantError);
});
