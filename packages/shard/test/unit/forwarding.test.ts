import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeForward, FORWARD_BYTES_MAX, type ShardId, TOPICS } from '@shardlab/crosslink';
import type { Effect } from '../../src/effects.ts';
import { DEFAULT_MEMPOOL, Mempool } from '../../src/mempool/mempool.ts';
import { Forwarding } from '../../src/replica/forwarding.ts';
import { StepContext } from '../../src/step-context.ts';

const SHARD = 3 as ShardId;
const START_MS = 1_000_000;

/** A forwarding of 250 ms, and what its effects say: messages as the first bytes of their transactions, and timers. */
function setUp(): { forwarding: Forwarding; at: (ms: number, run: (forwarding: Forwarding) => void) => (string | number)[] } {
  const step = new StepContext();
  const mempool = new Mempool(DEFAULT_MEMPOOL, { account: () => undefined });
  const forwarding = new Forwarding({ shard: SHARD, intervalMs: 250 }, { step, mempool });
  const say = (effect: Effect): string | number => {
    if (effect.kind === 'set-timer') return effect.delayMs;
    assert.ok(effect.kind === 'publish' && effect.topic === TOPICS.transactions(SHARD));
    return decodeForward(effect.data).map((raw) => raw[0]).join(' ');
  };
  return {
    forwarding,
    at: (ms, run) => {
      step.begin(START_MS + ms);
      run(forwarding);
      return step.end().map(say);
    },
  };
}

const tx = (first: number, length = 100): Uint8Array => new Uint8Array(length).fill(first, 0, 1);

test('forwarding: the first goes at once, what follows within the interval in one message, in order', () => {
  const { at } = setUp();
  assert.deepEqual(at(0, (to) => to.add([tx(1)])), ['1']);
  assert.deepEqual(at(10, (to) => to.add([tx(2), tx(3)])), [240]);
  assert.deepEqual(at(200, (to) => to.add([tx(4)])), [], 'the timer is set already');
  assert.deepEqual(at(250, (to) => to.timer()), ['2 3 4']);
  assert.deepEqual(at(400, (to) => to.add([tx(5)])), [100]);
  assert.deepEqual(at(500, (to) => to.timer()), ['5']);
  assert.deepEqual(at(900, (to) => to.add([tx(6)])), ['6'], 'after a pause, at once again');
  assert.deepEqual(at(901, (to) => to.add([])), []);
  assert.deepEqual(at(2_000, (to) => to.timer()), [], 'nothing waits');
});

test('forwarding: what fills a message does not wait, and a clock that jumps back delays nothing', () => {
  const { at } = setUp();
  at(0, (to) => to.add([tx(1)]));
  const large = (first: number): Uint8Array => tx(first, FORWARD_BYTES_MAX / 4);
  assert.deepEqual(at(1, (to) => to.add([large(2), large(3), large(4), large(5), tx(6)])), ['2 3 4 5', 250]);
  assert.deepEqual(at(2, (to) => to.again()), ['6'], 'what waits goes before what is said again');
  assert.deepEqual(at(251, (to) => to.timer()), []);
  assert.deepEqual(at(-5_000, (to) => to.add([tx(7)])), ['7']);
});
