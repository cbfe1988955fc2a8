import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { type Address, BloomBuilder, bloomMayHold, type EventLog, type Hash32, LOGS_BLOOM_BYTES, logsBloom } from '../../src/index.ts';

/** Any hash will do: what is tested is where its bits go, and that what is remembered is what was hashed. */
const hasher = { keccak256: (data: Uint8Array): Hash32 => new Uint8Array(createHash('sha256').update(data).digest()) as Hash32 };

/** The filter by the definition (Yellow Paper 4.3.1), one bit at a time. */
function defined(values: readonly Uint8Array[]): Uint8Array {
  const bloom = new Uint8Array(LOGS_BLOOM_BYTES);
  for (const value of values) {
    const hash = hasher.keccak256(value);
    for (const at of [0, 2, 4]) {
      const bit = (256 * hash[at]! + hash[at + 1]!) % 2048;
      bloom[LOGS_BLOOM_BYTES - 1 - Math.floor(bit / 8)]! |= 1 << (bit % 8);
    }
  }
  return bloom;
}

/** The value of a number: addresses and topics alternate, and some differ in one byte or in length alone. */
function value(number: number): Uint8Array {
  const bytes = new Uint8Array(number % 2 === 0 ? 20 : 32);
  new DataView(bytes.buffer).setUint32(number % 3 === 0 ? 0 : 16, number >> 1);
  return bytes;
}

function logOf(number: number): EventLog {
  return { address: value(2 * number) as Address, topics: [value(2 * number + 1)], data: new Uint8Array(0) };
}

test('a filter is the same whatever its builder remembers, through all sizes of its table', () => {
  const builder = new BloomBuilder(hasher);
  for (let round = 0; round < 2; round++) {
    // More values than the table has entries at most: some replace others.
    for (let number = 0; number < 80_000; number += 1) {
      const bloom = new Uint8Array(LOGS_BLOOM_BYTES);
      const log = logOf(number);
      builder.add(bloom, [log]);
      if (number % 7 === 0) assert.deepEqual(bloom, defined([log.address, ...log.topics]));
    }
  }
});

test('a filter holds the values of all logs, and knows most others', () => {
  const logs = Array.from({ length: 20 }, (_, number) => logOf(number));
  const values = logs.flatMap(({ address, topics }) => [address, ...topics]);
  const bloom = logsBloom(hasher, logs);
  assert.deepEqual(bloom, defined(values));
  for (const each of values) assert.equal(bloomMayHold(hasher, bloom, each), true);
  const strangers = Array.from({ length: 200 }, (_, number) => value(1_000 + number));
  assert.ok(strangers.filter((each) => bloomMayHold(hasher, bloom, each)).length < 20);
  assert.equal(bloomMayHold(hasher, new Uint8Array(LOGS_BLOOM_BYTES), Uint8Array.of(1, 2, 3)), false);
});

test('neighbours that share address or event leave nothing out, in one filter or in two by turns', () => {
  const builder = new BloomBuilder(hasher);
  const [token, other] = [value(2), value(4)] as [Address, Address];
  const [transfer, approval] = [value(1), value(3)];
  const logs = Array.from({ length: 64 }, (_, number): EventLog => {
    const event = (number & 4) === 0 ? transfer : approval;
    const topics = (number & 16) === 0 ? [event, value(2 * number + 7)] : [];
    return { address: (number & 2) === 0 ? token : (other.slice() as Address), topics, data: new Uint8Array(0) };
  });
  const blooms = [new Uint8Array(LOGS_BLOOM_BYTES), new Uint8Array(LOGS_BLOOM_BYTES)] as const;
  const taken: [Uint8Array[], Uint8Array[]] = [[], []];
  logs.forEach((log, number) => {
    const which = number % 3 === 0 ? 1 : 0;
    builder.add(blooms[which], [log]);
    taken[which].push(log.address, ...log.topics);
  });
  assert.deepEqual(blooms[0], defined(taken[0]));
  assert.deepEqual(blooms[1], defined(taken[1]));
  const whole = new Uint8Array(LOGS_BLOOM_BYTES);
  builder.add(whole, logs);
  assert.deepEqual(whole, defined([...taken[0], ...taken[1]]));
});
