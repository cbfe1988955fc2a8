import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ascii, bytesKey } from '@shardlab/crosslink';
import fc from 'fast-check';

import { linkFrame, LinkReader } from '../../src/network/link-frames.ts';
import { LinkWriter } from '../../src/network/link-writer.ts';

const TOPIC_MAX = 16;
const DATA_MAX = 200_000;

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

test('frames come out as they went in, however the stream cuts them', () => {
  const message = fc.record({ topic: fc.stringMatching(/^[a-z]{1,8}\/\d$/), data: fc.uint8Array({ maxLength: 300 }) });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (messages, cuts) => {
      const bytes = joined(messages.map(({ topic, data }) => linkFrame(topic, data)));
      const reader = new LinkReader(TOPIC_MAX, DATA_MAX);
      const read: { readonly topic: string; readonly data: number[] }[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const length = cuts[turn % cuts.length]!;
        for (const { topic, data } of reader.take(bytes.slice(at, at + length))!) read.push({ topic, data: [...data] });
        at += length;
      }
      assert.deepEqual(read, messages.map(({ topic, data }) => ({ topic, data: [...data] })));
    }),
  );
});

test('lengths out of bounds cannot be read on from, and are seen in the head already', () => {
  const head = (length: number, topic: number): Uint8Array => {
    const bytes = new Uint8Array(5);
    new DataView(bytes.buffer).setUint32(0, length);
    bytes[4] = topic;
    return bytes;
  };
  const wrong: [string, Uint8Array][] = [
    ['data too long', head(1 + 4 + DATA_MAX + 1, 4)],
    ['topic too long', head(100, TOPIC_MAX + 1)],
    ['a topic longer than the message', head(3, 4)],
    ['no room for the topic\'s length', head(0, 0)],
  ];
  for (const [what, bytes] of wrong) assert.equal(new LinkReader(TOPIC_MAX, DATA_MAX).take(bytes), undefined, what);
  assert.deepEqual(new LinkReader(TOPIC_MAX, DATA_MAX).take(head(1 + 4 + DATA_MAX, 4)), []);
});

test('what is said in one turn goes out in one piece, of whole messages, up to a bound', async () => {
  const writer = new LinkWriter(1 << 20);
  const waiting = writer.next();
  writer.push(ascii('one '));
  writer.push(ascii('two'));
  assert.equal(bytesKey((await waiting).value!), 'one two');
  writer.push(new Uint8Array(40_000));
  writer.push(new Uint8Array(40_000));
  writer.push(new Uint8Array(90_000));
  const lengths = [(await writer.next()).value!.length, (await writer.next()).value!.length, (await writer.next()).value!.length];
  assert.deepEqual(lengths, [40_000, 40_000, 90_000]);
});

test('a writer takes no more than its bound until it is read, and nothing once it is closed', async () => {
  const writer = new LinkWriter(10);
  assert.equal(writer.push(new Uint8Array(6)), true);
  assert.equal(writer.push(new Uint8Array(6)), false);
  await writer.next();
  assert.equal(writer.push(new Uint8Array(6)), true);
  writer.close();
  assert.equal(writer.push(new Uint8Array(1)), false);
  assert.equal((await writer.next()).done, true);
});
